// JSON-RPC 2.0 between equals: both ends call, notify and answer over one transport of messages.
// Params and results are JSON text here; structs are encoded above. An Error travels as {code,
// message, data:{code, message, field}} and comes out as the same Error.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "net/async.h"

namespace chorok::net {

class WebSocket;

// Whole messages, in order. One receiver, several senders.
class MessageTransport {
 public:
  virtual ~MessageTransport() = default;
  virtual Async<std::string> receive() = 0;
  virtual Async<> send(std::string message) = 0;
  virtual void close() noexcept = 0;
};
std::unique_ptr<MessageTransport> websocket_transport(std::shared_ptr<WebSocket> socket);
// Two connected ends in memory, for tests.
std::pair<std::unique_ptr<MessageTransport>, std::unique_ptr<MessageTransport>> make_message_pipe(
    const Executor& executor);

struct JsonRpcSettings {
  std::size_t calls_out_max = 1024;  // waiting for an answer; more fail at once with kExhausted
  std::size_t calls_in_max = 256;    // being worked on; more are answered with kExhausted
  std::size_t depth_max = 32;        // JSON nesting
};

class JsonRpcPeer {
 public:
  using Method = std::function<Async<std::string>(std::string params)>;
  using Notified = std::function<awaitable<void>(std::string params)>;

  static std::shared_ptr<JsonRpcPeer> create(const Executor& executor,
                                             std::unique_ptr<MessageTransport> transport,
                                             JsonRpcSettings settings = {});
  virtual ~JsonRpcPeer() = default;

  // Before run(). Calls run at the same time as each other; notifications one after the other, in
  // order.
  virtual void on_call(std::string method, Method handler) = 0;
  virtual void on_notify(std::string method, Notified handler) = 0;

  // The result's JSON text, or the peer's Error. kTimeout: whether it happened is unknown;
  // kUnavailable: the link broke before the answer. An answer that comes too late is dropped.
  virtual Async<std::string> call(std::string method, std::string params, Duration timeout) = 0;
  virtual Async<> notify(std::string method, std::string params) = 0;

  // Receives until the link ends and returns why. Calls that wait then fail with kUnavailable.
  virtual awaitable<Error> run() = 0;
  virtual void close() noexcept = 0;
  virtual bool is_open() const = 0;
};

}  // namespace chorok::net
