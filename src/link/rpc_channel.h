// ports::Channel over JSON-RPC over any transport of messages, in production a WebSocket: the same
// code at both ends of the agent link.
//
// Calls and notifications leave in the order in which they were made, except that a notification
// may overtake calls made just before it. Notifications that came before a call are handled before
// it.
#pragma once

#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "net/json_rpc.h"
#include "ports/channel.h"

namespace chorok::link {

// Lives on the executor's thread. The owner keeps it (and runs it) for as long as the link is of
// use; run() keeps it too.
class RpcChannel final : public ports::Channel, public std::enable_shared_from_this<RpcChannel> {
 public:
  // `methods`: what this end answers; others are refused with kUnsupported.
  static std::shared_ptr<RpcChannel> create(const net::Executor& executor,
                                            std::unique_ptr<net::MessageTransport> transport,
                                            std::span<const std::string_view> methods);
  ~RpcChannel() override;

  void call(std::string method, std::string params, Duration timeout, Reply reply) override;
  void notify(std::string method, std::string params) override;
  void on_call(Handler handler) override { handler_ = std::move(handler); }
  void on_close(std::function<void(Error)> closed) override { closed_ = std::move(closed); }
  void close(std::string reason) override;

  // Receives until the link ends, then says so to on_close. Once, after on_call.
  net::awaitable<void> run();

 private:
  struct Inbound;
  RpcChannel(const net::Executor& executor, std::shared_ptr<net::JsonRpcPeer> peer)
      : executor_(executor), peer_(std::move(peer)) {}
  void listen(std::string method);
  net::Async<std::string> answer(std::string method, std::string params);
  void ended(const Error& why);

  net::Executor executor_;
  std::shared_ptr<net::JsonRpcPeer> peer_;
  Handler handler_;
  std::function<void(Error)> closed_;
  std::set<Inbound*> inbound_;  // calls that this end has not answered yet
  std::string close_reason_;
};

}  // namespace chorok::link
