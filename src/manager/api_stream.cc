// Consoles and displays: a person's WebSocket and the agent's, joined by a ticket and pumped both
// ways. The queue of each socket is the only buffer, so a slow reader slows the guest's output.
#include <fmt/format.h>

#include "manager/api_core.h"

namespace chorok::manager {
namespace {

using SocketPtr = std::shared_ptr<net::WebSocket>;

std::shared_ptr<const net::WebSocketSettings> stream_settings() {
  // Pings find peers that vanished; there are only as many as there are open consoles.
  static const auto kSettings = std::make_shared<const net::WebSocketSettings>(
      net::WebSocketSettings{.message_bytes_max = 1 << 20,
                             .send_queue_bytes_max = 256 * 1024,
                             .ping_interval = std::chrono::seconds(30)});
  return kSettings;
}

net::awaitable<void> pump(SocketPtr from, SocketPtr to) {
  for (;;) {
    auto message = co_await from->receive();
    if (!message) break;
    if (!co_await to->send_binary(std::move(message->data))) break;
  }
  co_await to->close();
  from->abort();
}

net::awaitable<void> join(SocketPtr person, SocketPtr agent) {
  struct State {
    explicit State(const net::Executor& executor) : done(executor) {}
    bool is_done = false;
    net::AsyncEvent done;
  };
  auto executor = co_await net::this_executor();
  auto state = std::make_shared<State>(executor);
  auto back = [](SocketPtr from, SocketPtr to,
                 std::shared_ptr<State> shared) -> net::awaitable<void> {
    co_await pump(std::move(from), std::move(to));
    shared->is_done = true;
    shared->done.notify_all();
  };
  net::spawn(executor, back(agent, person, state), "console back");
  co_await pump(std::move(person), std::move(agent));
  while (!state->is_done) co_await state->done.wait();
}

// The subprotocol that the client asked for and this speaks. Browsers insist on an answer.
std::string choose_protocol(const net::Request& request) {
  if (request.headers.has_token("Sec-WebSocket-Protocol", "binary")) return "binary";
  std::string_view asked = request.headers.get("Sec-WebSocket-Protocol");
  asked = asked.substr(0, asked.find(','));
  return std::string(asked);
}

// Waits until the agent's socket is there. The call's answer may come before or after it.
net::Async<SocketPtr> wait_for_agent(Call& call, Tickets::Owner& ticket, const std::string& host,
                                     model::StreamRequest request) {
  auto meeting = ticket.share();
  call.core.agents.call(host, "stream.open", json::encode(request, {.secrets = true}),
                        call.core.settings.agent_timeout, [meeting](Result<std::string> answer) {
                          if (!answer && meeting->socket == nullptr)
                            meeting->finish(answer.error());
                        });
  const Duration patience = call.core.settings.agent_timeout;
  while (meeting->socket == nullptr && !meeting->over)
    if (!co_await meeting->changed.wait_for(patience)) break;
  if (meeting->socket != nullptr) co_return meeting->socket;
  if (meeting->over) co_return Unexpected(meeting->error.within("the host says"));
  co_return fail(Code::kTimeout, "the host did not open the stream");
}

net::Async<net::Response> open_stream(Call& call, std::string kind) {
  auto object = CO_TRY(find_object(call, *model::find_resource_kind("vm"), call.ref()));
  const auto& vm = *static_cast<const model::Vm*>(object.get());
  if (call.caller.role_on(vm.meta.folder) < model::Role::kOperator)
    co_return fail(Code::kPermissionDenied, "a console needs the role operator on the VM");
  if (!call.request.headers.has_token("Upgrade", "websocket"))
    co_return problem_response({Code::kInvalid, "this address speaks WebSocket only", "Upgrade"},
                               426, call.request.path);
  const std::string host = vm.status.host.empty() ? vm.host : vm.status.host;
  if (!call.core.agents.connected(host))
    co_return fail(Code::kUnavailable, "the VM's host is not connected");
  std::shared_ptr<Tickets::Owner> ticket =
      CO_TRY(call.core.tickets.issue(TicketKind::kStream, host));
  model::StreamRequest request{ticket->id(), kind, vm.uuid};
  SocketPtr agent = CO_TRY(co_await wait_for_agent(call, *ticket, host, std::move(request)));
  // The ticket is over when the stream is: the agent's handler waits for that.
  auto run = [ticket, agent](SocketPtr person) -> net::awaitable<void> {
    auto kept = ticket;
    co_await join(std::move(person), agent);
    kept->meeting().finish();
  };
  co_return net::Response::websocket(std::move(run), stream_settings(),
                                     choose_protocol(call.request));
}

}  // namespace

net::Async<net::Response> open_console(Call& call) {
  return open_stream(call, "console");
}
net::Async<net::Response> open_vnc(Call& call) {
  return open_stream(call, "vnc");
}

net::Async<net::Response> agent_stream(Call& call) {
  auto meeting = CO_TRY(call.core.tickets.take(TicketKind::kStream, call.ref(), call.host));
  auto run = [meeting](SocketPtr socket) -> net::awaitable<void> {
    auto kept = meeting;
    kept->socket = std::move(socket);
    kept->changed.notify_all();
    while (!kept->over) co_await kept->changed.wait();
    kept->socket = nullptr;
  };
  co_return net::Response::websocket(std::move(run), stream_settings());
}

}  // namespace chorok::manager
