// The manager's calls.
#include <fmt/format.h>

#include <algorithm>

#include "agent/core.h"
#include "agent/resolve.h"
#include "base/json.h"

namespace chorok::agent {
namespace {

using Reply = ports::Channel::Reply;

constexpr json::EncodeOptions kWire{.secrets = true, .defaults = false};
constexpr json::DecodeOptions kFromWire{.stored = true};

// Decodes params, or answers the error and returns nothing.
template <class T>
std::optional<T> take_params(const std::string& params, Reply& reply) {
  auto value = json::decode<T>(params, kFromWire);
  if (value) return std::move(*value);
  reply(Unexpected(value.error().within("parameters")));
  return std::nullopt;
}

template <class T>
Done<Result<T>> answer_with(Reply reply) {
  return [reply = std::move(reply)](Result<T> result) mutable {
    if (!result) {
      reply(Unexpected(std::move(result).error()));
    } else if constexpr (std::is_void_v<T>) {
      reply("{}");
    } else {
      reply(json::encode(*result, kWire));
    }
  };
}

Unexpected no_streams() {
  return fail(Code::kUnsupported, "this agent carries no consoles and no files");
}

}  // namespace

const AgentCore::Method AgentCore::kMethods[] = {
    {"op.start", &AgentCore::serve_op_start},
    {"op.cancel", &AgentCore::serve_op_cancel},
    {"config", &AgentCore::serve_config},
    {"enforce", &AgentCore::serve_enforce},
    {"host.standby", &AgentCore::serve_host_standby},
    {"host.prepare", &AgentCore::serve_host_prepare},
    {"vm.check", &AgentCore::serve_vm_check},
    {"vm.dirty_rate", &AgentCore::serve_vm_dirty_rate},
    {"cpu.baseline", &AgentCore::serve_cpu_baseline},
    {"stream.open", &AgentCore::serve_stream_open},
    {"file.receive", &AgentCore::serve_file_receive},
    {"file.list", &AgentCore::serve_file_list},
    {"file.remove", &AgentCore::serve_file_remove},
};

std::span<const std::string_view> AgentCore::methods() {
  static const auto kNames = [] {
    std::vector<std::string_view> names;
    for (const Method& method : kMethods) names.push_back(method.name);
    return names;
  }();
  return kNames;
}

void AgentCore::serve(Call call) {
  const auto* method = std::ranges::find(kMethods, call.method, &Method::name);
  if (method == std::end(kMethods)) {
    call.reply(fail(Code::kUnsupported,
                    fmt::format("this agent does not know '{}'; update it", call.method)));
    return;
  }
  (this->*method->serve)(call.params, std::move(call.reply));
}

void AgentCore::serve_op_start(const std::string& params, Reply reply) {
  auto operation = take_params<model::Operation>(params, reply);
  if (!operation) return;
  if (operation->id.empty()) return reply(fail(Code::kInvalid, "an operation needs an id", "/id"));
  if (!operation->host.empty() && operation->host != identity_.host)
    return reply(fail(Code::kInvalid, "this operation is another host's", "/host"));
  if (auto term = journal_.accept_term(operation->term); !term)
    return reply(Unexpected(term.error()));
  if (const Journal::Entry* known = journal_.find(operation->id)) {
    const bool finished = known->done.has_value();
    reply(
        json::encode(model::OpAccepted{finished ? known->done->phase : model::OpPhase::kRunning}));
    if (!finished) return;
    // Its effect first, as with every result.
    observer_.observe([this, id = operation->id, alive = alive_] {
      if (*alive) send_done(id);
    });
    return;
  }
  if (departure_.under_way())
    return reply(fail(Code::kFailedPrecondition,
                      "this host goes to standby, or its power is about to be taken"));
  if (auto begun = journal_.begin(*operation); !begun) return reply(Unexpected(begun.error()));
  log_.info("operation {}: {} of '{}'", operation->id, name_of(operation->kind),
            operation->args.vm.name);
  executor_.start(std::move(*operation), op_context());
  reply(json::encode(model::OpAccepted{}));
}

void AgentCore::serve_op_cancel(const std::string& params, Reply reply) {
  auto ref = take_params<model::OpRef>(params, reply);
  if (!ref) return;
  log_.info("operation {}: asked to stop", ref->id);
  executor_.cancel(ref->id);
  reply("{}");
}

void AgentCore::serve_config(const std::string& params, Reply reply) {
  auto config = take_params<model::AgentConfig>(params, reply);
  if (!config) return;
  set_config(std::move(*config));
  observer_.changed();
  reply("{}");
}

void AgentCore::serve_enforce(const std::string& params, Reply reply) {
  auto request = take_params<model::EnforceRequest>(params, reply);
  if (!request) return;
  if (auto term = journal_.accept_term(request->term); !term)
    return reply(Unexpected(term.error()));
  entitlements_.take(std::move(*request), answer_with<model::EnforceAnswer>(std::move(reply)));
}

void AgentCore::serve_host_standby(const std::string& params, Reply reply) {
  auto request = take_params<model::StandbyRequest>(params, reply);
  if (!request) return;
  if (auto term = journal_.accept_term(request->term); !term)
    return reply(Unexpected(term.error()));
  departure_.ask(*request, std::move(reply));
}

void AgentCore::serve_host_prepare(const std::string& params, Reply reply) {
  auto request = take_params<model::PrepareRequest>(params, reply);
  if (!request) return;
  if (auto term = journal_.accept_term(request->term); !term)
    return reply(Unexpected(term.error()));
  departure_.prepare(*request, std::move(reply));
}

void AgentCore::serve_vm_check(const std::string& params, Reply reply) {
  auto request = take_params<model::CheckRequest>(params, reply);
  if (!request) return;
  Resolved resolved = resolve({*config_, storage_}, request->vm);
  model::Problems found;
  for (const Error& problem : resolved.problems)
    found.problems.push_back(fmt::format("{} ({})", problem.message, problem.field));
  hypervisor_.check_compatible(std::move(resolved.domain), std::move(request->cpu_definition),
                               [found = std::move(found), reply = std::move(reply)](
                                   Result<std::vector<std::string>> more) mutable {
                                 if (!more) return reply(Unexpected(std::move(more).error()));
                                 std::ranges::move(*more, std::back_inserter(found.problems));
                                 reply(json::encode(found, kWire));
                               });
}

void AgentCore::serve_vm_dirty_rate(const std::string& params, Reply reply) {
  auto request = take_params<model::DirtyRateRequest>(params, reply);
  if (!request) return;
  telemetry_.measure_dirty_rate(std::move(request->uuid), request->window,
                                [reply = std::move(reply)](Result<double> mib_s) mutable {
                                  if (!mib_s) return reply(Unexpected(std::move(mib_s).error()));
                                  reply(json::encode(model::DirtyRateAnswer{*mib_s}, kWire));
                                });
}

void AgentCore::serve_cpu_baseline(const std::string& params, Reply reply) {
  auto request = take_params<model::BaselineRequest>(params, reply);
  if (!request) return;
  hypervisor_.cpu_baseline(
      std::move(request->definitions),
      [reply = std::move(reply)](Result<std::string> definition) mutable {
        if (!definition) return reply(Unexpected(std::move(definition).error()));
        reply(json::encode(model::BaselineAnswer{*definition, model_of(*definition)}, kWire));
      });
}

void AgentCore::serve_stream_open(const std::string& params, Reply reply) {
  auto request = take_params<model::StreamRequest>(params, reply);
  if (!request) return;
  if (!streams_) return reply(no_streams());
  streams_->open(std::move(*request), answer_with<void>(std::move(reply)));
}

Result<std::string> AgentCore::datastore_root(const std::string& ref) const {
  if (!streams_) return no_streams();
  if (const model::Datastore* store = find_datastore(*config_, ref)) return store->path;
  return fail(Code::kNotFound, fmt::format("this host has no datastore '{}'", ref), "/datastore");
}

void AgentCore::serve_file_receive(const std::string& params, Reply reply) {
  auto request = take_params<model::FileRequest>(params, reply);
  if (!request) return;
  auto root = datastore_root(request->datastore);
  if (!root) return reply(Unexpected(root.error()));
  streams_->receive(std::move(*request), std::move(*root),
                    answer_with<model::FileInfo>(std::move(reply)));
}

void AgentCore::serve_file_list(const std::string& params, Reply reply) {
  auto request = take_params<model::FileRequest>(params, reply);
  if (!request) return;
  auto root = datastore_root(request->datastore);
  if (!root) return reply(Unexpected(root.error()));
  streams_->list(std::move(*request), std::move(*root),
                 answer_with<model::FileList>(std::move(reply)));
}

void AgentCore::serve_file_remove(const std::string& params, Reply reply) {
  auto request = take_params<model::FileRequest>(params, reply);
  if (!request) return;
  auto root = datastore_root(request->datastore);
  if (!root) return reply(Unexpected(root.error()));
  auto path = storage_.resolve(*root, request->path);
  if (!path) return reply(Unexpected(path.error()));
  auto remove = [this, request = std::move(*request), root = std::move(*root),
                 path = std::move(*path), reply = std::move(reply),
                 alive = alive_](Result<std::vector<model::Instance>> instances) mutable {
    if (!*alive) return;
    if (!instances) return reply(Unexpected(std::move(instances).error()));
    for (const model::Instance& instance : *instances)
      if (std::ranges::find(instance.disks, path, &model::DiskInfo::path) != instance.disks.end())
        return reply(fail(Code::kFailedPrecondition,
                          fmt::format("it is a disk of '{}'", instance.name), "/path"));
    streams_->remove(std::move(request), std::move(root), answer_with<void>(std::move(reply)));
  };
  hypervisor_.list(std::move(remove));
}

}  // namespace chorok::agent
