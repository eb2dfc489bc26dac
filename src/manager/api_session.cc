// Who one is: logging in, tokens, hosts that join, agents that connect. And what the manager says
// of itself.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "control/steps.h"
#include "crypto/random.h"
#include "link/rpc_channel.h"
#include "manager/api_core.h"

namespace chorok::manager {
namespace {

using model::Role;

// What agents say (model/protocol.h).
constexpr std::string_view kAgentMethods[] = {"hello",   "observe", "op.progress",
                                              "op.done", "beat",    "telemetry"};

// An observation of a host with hundreds of guests is one message.
constexpr std::size_t kAgentMessageMax = 4 << 20;

Unexpected admin_only(std::string_view what) {
  return fail(Code::kPermissionDenied, fmt::format("{} needs the role admin on everything", what));
}

}  // namespace

net::Async<net::Response> get_version(Call& call) {
  const ApiSettings& settings = call.core.settings;
  co_return net::Response::json(
      fmt::format(R"({{"name":"chorok","version":{},"api":"v1","simulated":{}}})",
                  json::quoted(settings.version), settings.simulated));
}

net::Async<net::Response> get_openapi(Call& call) {
  co_return net::Response::json(call.core.openapi);
}

net::Async<net::Response> get_status(Call& call) {
  if (call.caller.role_on("") < Role::kViewer)
    co_return fail(Code::kPermissionDenied, "this needs the role viewer on everything");
  const Engine& engine = call.core.engine;
  const Inventory& inventory = engine.inventory();
  ManagerStatus out;
  out.version = call.core.settings.version;
  out.simulated = call.core.settings.simulated;
  out.term = engine.term();
  out.started = call.core.started;
  out.hosts = static_cast<std::int64_t>(inventory.hosts().size());
  for (const auto& [id, host] : inventory.hosts().all())
    out.hosts_connected += call.core.agents.connected(id) ? 1 : 0;
  out.vms = static_cast<std::int64_t>(inventory.vms().size());
  for (const auto& [id, vm] : inventory.vms().all())
    out.vms_on += vm->status.state == model::VmState::kOn ? 1 : 0;
  for (const auto& [id, task] : inventory.tasks().all())
    out.tasks_open += task->finished_state() ? 0 : 1;
  out.revision = engine.revision();
  out.store_problem = engine.store_problem();
  co_return object_response(ManagerStatus::type(), &out);
}

// A copy beside the store, streamed and removed.
net::Async<net::Response> get_backup(Call& call) {
  if (call.caller.role_on("") < Role::kAdmin) co_return admin_only("a backup");
  const ApiSettings& settings = call.core.settings;
  if (!settings.backup)
    co_return fail(Code::kUnsupported, "this manager keeps its state in memory only");
  const std::string path =
      fmt::format("{}/backup-{}.db", settings.scratch_folder, crypto::random_text(10));
  CO_TRY(co_await until_done<Result<>>(
      [&](Done<Result<>> done) { settings.backup(path, std::move(done)); }));
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ::unlink(path.c_str());
  if (fd < 0) co_return fail(Code::kExhausted, "the copy cannot be read");
  std::shared_ptr<int> file(new int(fd), [](int* open) {
    ::close(*open);
    delete open;
  });
  const auto size = ::lseek(fd, 0, SEEK_END);
  net::StreamBody body;
  body.length = static_cast<std::uint64_t>(size);
  body.write = [file, size](net::BodySink& sink) -> net::Async<> {
    std::string chunk(256 * 1024, '\0');
    for (off_t at = 0; at < size;) {
      const ssize_t got = ::pread(*file, chunk.data(), chunk.size(), at);
      if (got <= 0) co_return fail(Code::kUnavailable, "the copy cannot be read");
      CO_TRY(co_await sink.write(std::string_view(chunk).substr(0, static_cast<std::size_t>(got))));
      at += got;
    }
    co_return Result<>{};
  };
  net::Response response{200, {{"Content-Type", "application/vnd.sqlite3"}}, std::move(body)};
  response.headers.add("Content-Disposition", "attachment; filename=\"chorok-backup.db\"");
  co_return response;
}

net::Async<net::Response> login(Call& call) {
  auto request = CO_TRY(json::decode<model::Login>(call.request.body));
  call.caller.user_name = request.user;
  auto token =
      CO_TRY(co_await until_done<Result<model::NewToken>>([&](Done<Result<model::NewToken>> done) {
        call.core.accounts.login(std::move(request), call.caller.peer, std::move(done));
      }));
  net::Response response = object_response(model::NewToken::type(), &token);
  response.headers.add("Cache-Control", "no-store");
  co_return response;
}

net::Async<net::Response> create_token(Call& call) {
  auto request = CO_TRY(json::decode<model::TokenRequest>(
      call.request.body.empty() ? std::string_view("{}") : call.request.body));
  if (call.conditions.dry_run) co_return dry_run_response({true, "a token would be made", {}});
  auto token =
      CO_TRY(co_await until_done<Result<model::NewToken>>([&](Done<Result<model::NewToken>> done) {
        call.core.accounts.create_token(call.caller, std::move(request), std::move(done));
      }));
  net::Response response = object_response(model::NewToken::type(), &token, 201);
  response.headers.add("Location", "/api/v1/tokens/" + token.id);
  response.headers.add("Cache-Control", "no-store");
  co_return response;
}

net::Async<net::Response> join_host(Call& call) {
  auto request = CO_TRY(json::decode<model::JoinRequest>(call.request.body));
  call.caller.user_name = request.name;
  auto answer = CO_TRY(
      co_await until_done<Result<model::JoinAnswer>>([&](Done<Result<model::JoinAnswer>> done) {
        call.core.accounts.join(std::move(request), call.caller.peer, std::move(done));
      }));
  co_return object_response(model::JoinAnswer::type(), &answer);
}

net::Async<net::Response> renew_host(Call& call) {
  // An older or newer agent may say more.
  auto request = CO_TRY(json::decode<RenewRequest>(call.request.body, {.stored = true}));
  auto answer = CO_TRY(
      co_await until_done<Result<model::JoinAnswer>>([&](Done<Result<model::JoinAnswer>> done) {
        call.core.accounts.renew(call.host, std::move(request.csr), std::move(done));
      }));
  co_return object_response(model::JoinAnswer::type(), &answer);
}

net::Async<net::Response> agent_link(Call& call) {
  static const auto kSettings =
      std::make_shared<const net::WebSocketSettings>(net::WebSocketSettings{
          .message_bytes_max = kAgentMessageMax, .send_queue_bytes_max = 2 * kAgentMessageMax});
  auto run = [&core = call.core,
              host = call.host](std::shared_ptr<net::WebSocket> socket) -> net::awaitable<void> {
    auto channel = link::RpcChannel::create(
        core.executor, net::websocket_transport(std::move(socket)), kAgentMethods);
    core.agents.attach(host, channel);
    co_await channel->run();
  };
  co_return net::Response::websocket(std::move(run), kSettings);
}

}  // namespace chorok::manager
