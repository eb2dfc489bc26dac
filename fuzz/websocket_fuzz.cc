// Any bytes to a WebSocket, as server and as client, whole and in parts, with the JSON-RPC peer on
// top of it: no crash, no hang, no message over the limit. The first byte chooses the role and how
// the rest is cut.
#include <cstdint>
#include <cstdlib>

#include "net/asio_loop.h"
#include "net/json_rpc.h"
#include "net/websocket.h"

namespace {

using namespace chorok;
using namespace chorok::net;

constexpr std::size_t kMessageBytesMax = 300;

awaitable<void> feed(std::shared_ptr<ByteStream> peer, std::string bytes, std::size_t part) {
  for (std::size_t at = 0; at < bytes.size(); at += part) {
    if (!co_await peer->write_all(std::string_view(bytes).substr(at, part))) break;
  }
  co_await peer->shutdown();
}

awaitable<void> drain(std::shared_ptr<ByteStream> peer) {
  char bytes[1024];
  for (;;) {
    auto count = co_await peer->read_some(bytes);
    if (!count || *count == 0) co_return;
  }
}

awaitable<void> receive(std::shared_ptr<WebSocket> socket) {
  while (auto message = co_await socket->receive()) {
    if (message->data.size() > kMessageBytesMax) std::abort();
    if (!co_await socket->send_text("ok")) break;
  }
  co_await socket->close();
}

awaitable<void> serve_rpc(std::shared_ptr<JsonRpcPeer> peer) {
  peer->on_call("echo", [](std::string params) -> Async<std::string> { co_return params; });
  peer->on_notify("note", [](std::string) -> awaitable<void> { co_return; });
  co_await peer->run();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const unsigned choice = data[0];
  const std::size_t part = (choice >> 2) == 0 ? size : choice >> 2;
  AsioLoop loop;
  auto [near, far] = make_pipe(loop.executor(), 256);
  std::shared_ptr<ByteStream> peer = std::move(near);
  WebSocketSettings settings;
  settings.message_bytes_max = kMessageBytesMax;
  settings.close_timeout = Duration::zero();
  auto socket = WebSocket::create(
      std::move(far), choice & 1 ? WebSocketRole::kServer : WebSocketRole::kClient, settings);
  if (choice & 2) {
    spawn(loop.executor(),
          serve_rpc(JsonRpcPeer::create(loop.executor(), websocket_transport(socket))), "rpc");
  } else {
    spawn(loop.executor(), receive(socket), "receive");
  }
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  spawn(loop.executor(), feed(peer, std::move(bytes), part), "feed");
  spawn(loop.executor(), drain(peer), "drain");
  socket.reset();
  loop.run(true);
  return 0;
}
