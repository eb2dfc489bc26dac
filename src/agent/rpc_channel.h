// A ports::Channel over a JsonRpcPeer: what the core talks through in production.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "net/json_rpc.h"
#include "ports/channel.h"

namespace chorok::agent {

// `calls` and `notifications` are the methods that the other side may use. Nothing is received
// before open(), which the owner calls when on_call and on_close are set.
class RpcChannel final : public ports::Channel {
 public:
  static std::shared_ptr<RpcChannel> create(const net::Executor& executor,
                                            std::unique_ptr<net::MessageTransport> transport,
                                            std::span<const std::string_view> calls,
                                            std::span<const std::string_view> notifications);
  ~RpcChannel() override;
  void open();

  void call(std::string method, std::string params, Duration timeout, Reply reply) override;
  void notify(std::string method, std::string params) override;
  void on_call(Handler handler) override;
  void on_close(std::function<void(Error)> closed) override;
  void close(std::string reason) override;

 private:
  struct State;
  explicit RpcChannel(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace chorok::agent
