// Files of datastores. The bytes of an upload pass through: read from the person's connection,
// written to the one that the agent opened for them, never kept here.
#include <fmt/format.h>

#include <algorithm>

#include "manager/api_core.h"

namespace chorok::manager {
namespace {

using model::Role;

struct Place {
  std::shared_ptr<const model::Datastore> datastore;
  std::string host;  // id
};

bool reaches(const model::Host& host, const std::string& datastore) {
  return std::ranges::any_of(host.datastores, [&](const model::DatastoreReach& reach) {
    return reach.datastore == datastore && reach.reachable;
  });
}

// The datastore, and a connected host that works on it: the one asked for, or one that reaches it.
Result<Place> find_place(Call& call, Role needed) {
  auto object = TRY(find_object(call, *model::find_resource_kind("datastore"), call.ref()));
  Place place;
  place.datastore = std::static_pointer_cast<const model::Datastore>(object);
  const std::string& id = place.datastore->meta.id;
  if (call.caller.role_on(place.datastore->meta.folder) < needed)
    return fail(Code::kPermissionDenied,
                fmt::format("this needs the role {} on the datastore", name_of(needed)));
  const auto& hosts = call.core.engine.inventory().hosts();
  if (std::string wanted = call.value("host"); !wanted.empty()) {
    auto host = hosts.resolve(wanted);
    if (host == nullptr)
      return fail(Code::kNotFound, fmt::format("there is no host '{}'", wanted), "?host");
    if (!call.core.agents.connected(host->meta.id))
      return fail(Code::kUnavailable, fmt::format("host '{}' is not connected", wanted), "?host");
    if (!reaches(*host, id))
      return fail(Code::kFailedPrecondition,
                  fmt::format("host '{}' does not reach this datastore", wanted), "?host");
    place.host = host->meta.id;
    return place;
  }
  std::size_t reaching = 0;
  for (const auto& [host_id, host] : hosts.all()) {
    if (!call.core.agents.connected(host_id) || !reaches(*host, id)) continue;
    if (place.host.empty()) place.host = host_id;
    ++reaching;
  }
  if (place.host.empty())
    return fail(Code::kUnavailable, "no connected host reaches this datastore");
  if (!place.datastore->shared && reaching > 1)
    return fail(Code::kInvalid,
                "this datastore is another one on each host; say which with ?host=", "?host");
  return place;
}

// A relative path without '..', as the model has it; the agent checks it again beneath its root.
Result<> check_path(const std::string& path, std::string_view field) {
  bool is_good = !path.empty() && path.size() <= 1024 && path.front() != '/' && path.back() != '/';
  std::string_view rest = path;
  while (is_good && !rest.empty()) {
    std::string_view part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    is_good = !part.empty() && part != "." && part != "..";
    for (char c : part) is_good = is_good && static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
  }
  if (is_good) return {};
  return fail(Code::kInvalid, "a path beneath the datastore, as images/debian.qcow2",
              std::string(field));
}

net::Async<std::string> ask_agent(Call& call, const std::string& host, std::string method,
                                  const model::FileRequest& request, Duration timeout) {
  // What is waited for begins after this has returned: its own parameters go along by value.
  return until_done<Result<std::string>>([&, method, timeout](Done<Result<std::string>> done) {
    call.core.agents.call(host, method, json::encode(request, {.secrets = true}), timeout,
                          std::move(done));
  });
}

// From the person's connection into the agent's, until the end. The first error ends it.
net::Async<> carry(net::BodyReader& reader, Meeting& meeting) {
  std::string buffer(256 * 1024, '\0');
  for (;;) {
    const std::size_t count = CO_TRY(co_await reader.read_some(buffer));
    if (count == 0) co_return Result<>{};
    if (meeting.sink == nullptr || meeting.over)
      co_return fail(Code::kUnavailable, "the host broke off the transfer");
    CO_TRY(co_await meeting.sink->write(std::string_view(buffer).substr(0, count)));
  }
}

struct Received {
  explicit Received(const net::Executor& executor) : changed(executor) {}
  std::optional<Result<std::string>> answer;
  net::AsyncEvent changed;
};

net::Async<model::FileInfo> receive_file(Call& call, const std::string& host,
                                         model::FileRequest request, net::BodyReader& reader) {
  auto ticket = CO_TRY(call.core.tickets.issue(TicketKind::kTransfer, host));
  auto meeting = ticket->share();
  meeting->length = reader.length();
  request.ticket = ticket->id();
  auto received = std::make_shared<Received>(call.core.executor);
  call.core.agents.call(host, "file.receive", json::encode(request, {.secrets = true}),
                        call.core.settings.transfer_timeout,
                        [received, meeting](Result<std::string> answer) {
                          received->answer = std::move(answer);
                          received->changed.notify_all();
                          meeting->changed.notify_all();
                        });
  while (meeting->sink == nullptr && !received->answer)
    if (!co_await meeting->changed.wait_for(call.core.settings.agent_timeout)) break;
  if (meeting->sink == nullptr && !received->answer)
    co_return fail(Code::kTimeout, "the host did not come for the file");
  Result<> carried;
  if (meeting->sink != nullptr) carried = co_await carry(reader, *meeting);
  meeting->finish(carried ? std::nullopt : std::optional<Error>(carried.error()));
  // When the transfer broke, the agent's own words say more, if they come soon.
  while (!received->answer) {
    const bool is_woken = co_await received->changed.wait_for(
        carried ? call.core.settings.transfer_timeout : call.core.settings.agent_timeout);
    if (!is_woken) break;
  }
  if (!received->answer)
    co_return carried ? fail(Code::kTimeout, "the host does not answer")
                      : Unexpected(carried.error());
  if (!*received->answer)
    co_return Unexpected(carried ? received->answer->error() : carried.error());
  co_return json::decode<model::FileInfo>(**received->answer, {.stored = true});
}

}  // namespace

net::Async<net::Response> list_files(Call& call) {
  const Place place = CO_TRY(find_place(call, Role::kViewer));
  model::FileRequest request;
  request.datastore = place.datastore->meta.id;
  request.path = call.value("path");
  while (request.path.ends_with('/')) request.path.pop_back();
  if (!request.path.empty()) CO_TRY(check_path(request.path, "?path"));
  auto answer = CO_TRY(
      co_await ask_agent(call, place.host, "file.list", request, call.core.settings.agent_timeout));
  auto list = CO_TRY(json::decode<model::FileList>(answer, {.max_bytes = 8 << 20, .stored = true}));
  co_return object_response(model::FileList::type(), &list);
}

net::Async<net::Response> put_file(Call& call) {
  const Place place = CO_TRY(find_place(call, Role::kOperator));
  model::FileRequest request;
  request.datastore = place.datastore->meta.id;
  request.path = call.args.at(1);
  request.sha256 = std::string(call.request.headers.get("X-Checksum-Sha256"));
  CO_TRY(check_path(request.path, "path"));
  const bool is_hex =
      request.sha256.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
  if (!request.sha256.empty() && (request.sha256.size() != 64 || !is_hex))
    co_return fail(Code::kInvalid, "64 hex digits", "X-Checksum-Sha256");
  if (call.conditions.dry_run)
    co_return dry_run_response({true, fmt::format("'{}' would be stored", request.path), {}});
  if (call.request.reader == nullptr)
    co_return fail(Code::kInvalid, "the body is the file's bytes, and there is none");
  request.size = call.request.reader->length().value_or(0);
  auto info =
      CO_TRY(co_await receive_file(call, place.host, std::move(request), *call.request.reader));
  co_return object_response(model::FileInfo::type(), &info, 201);
}

net::Async<net::Response> delete_file(Call& call) {
  const Place place = CO_TRY(find_place(call, Role::kOperator));
  model::FileRequest request;
  request.datastore = place.datastore->meta.id;
  request.path = call.args.at(1);
  CO_TRY(check_path(request.path, "path"));
  if (call.conditions.dry_run)
    co_return dry_run_response({true, fmt::format("'{}' would be deleted", request.path), {}});
  CO_TRY(co_await ask_agent(call, place.host, "file.remove", request,
                            call.core.settings.agent_timeout));
  co_return net::Response{204, {}, std::string()};
}

net::Async<net::Response> agent_transfer(Call& call) {
  auto meeting = CO_TRY(call.core.tickets.take(TicketKind::kTransfer, call.ref(), call.host));
  net::StreamBody body;
  body.length = meeting->length;
  body.write = [meeting](net::BodySink& sink) -> net::Async<> {
    auto kept = meeting;
    kept->sink = &sink;
    kept->changed.notify_all();
    while (!kept->over) co_await kept->changed.wait();
    kept->sink = nullptr;
    if (kept->failed) co_return Unexpected(kept->error);
    co_return Result<>{};
  };
  co_return net::Response{200, {{"Content-Type", "application/octet-stream"}}, std::move(body)};
}

}  // namespace chorok::manager
