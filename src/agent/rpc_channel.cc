#include "agent/rpc_channel.h"

#include <optional>

namespace chorok::agent {

// The peer's coroutines hold it; it holds nothing of the channel's owner once that has let go.
struct RpcChannel::State : std::enable_shared_from_this<State> {
  State(net::Executor on, std::shared_ptr<net::JsonRpcPeer> link)
      : executor(std::move(on)), peer(std::move(link)) {}

  struct Answer {
    explicit Answer(const net::Executor& on) : arrived(on) {}
    std::optional<Result<std::string>> result;
    net::AsyncEvent arrived;
  };

  net::Async<std::string> serve(std::string method, std::string params) {
    if (!handler) co_return fail(Code::kUnavailable, "nobody listens any more");
    auto answer = std::make_shared<Answer>(executor);
    handler(std::move(method), std::move(params), [answer](Result<std::string> result) {
      answer->result.emplace(std::move(result));
      answer->arrived.notify_all();
    });
    while (!answer->result) co_await answer->arrived.wait();
    co_return std::move(*answer->result);
  }

  void take(const std::string& method, std::string params) {
    if (handler) handler(method, std::move(params), [](Result<std::string>) {});
  }

  net::Executor executor;
  std::shared_ptr<net::JsonRpcPeer> peer;
  Handler handler;
  std::function<void(Error)> closed;
};

std::shared_ptr<RpcChannel> RpcChannel::create(const net::Executor& executor,
                                               std::unique_ptr<net::MessageTransport> transport,
                                               std::span<const std::string_view> calls,
                                               std::span<const std::string_view> notifications) {
  auto peer = net::JsonRpcPeer::create(executor, std::move(transport));
  auto state = std::make_shared<State>(executor, peer);
  std::weak_ptr<State> weak = state;
  for (std::string_view name : calls) {
    peer->on_call(
        std::string(name),
        [weak, method = std::string(name)](std::string params) -> net::Async<std::string> {
          auto held = weak.lock();
          if (!held) co_return fail(Code::kUnavailable, "nobody listens any more");
          co_return co_await held->serve(method, std::move(params));
        });
  }
  for (std::string_view name : notifications) {
    peer->on_notify(std::string(name),
                    [weak, method = std::string(name)](std::string params) -> net::awaitable<void> {
                      if (auto held = weak.lock()) held->take(method, std::move(params));
                      co_return;
                    });
  }
  return std::shared_ptr<RpcChannel>(new RpcChannel(std::move(state)));
}

RpcChannel::~RpcChannel() {
  state_->handler = nullptr;
  state_->closed = nullptr;
  state_->peer->close();
}

void RpcChannel::open() {
  net::spawn(
      state_->executor,
      [](std::shared_ptr<State> state) -> net::awaitable<void> {
        const Error why = co_await state->peer->run();
        // Its owner may let go of the channel, and with it of the function that runs.
        if (auto closed = std::exchange(state->closed, nullptr)) closed(why);
        state->handler = nullptr;
      }(state_),
      "rpc channel");
}

void RpcChannel::call(std::string method, std::string params, Duration timeout, Reply reply) {
  net::spawn(
      state_->executor,
      [](std::shared_ptr<State> state, std::string name, std::string text, Duration limit,
         Reply answer) -> net::awaitable<void> {
        answer(co_await state->peer->call(std::move(name), std::move(text), limit));
      }(state_, std::move(method), std::move(params), timeout, std::move(reply)),
      "rpc call");
}

void RpcChannel::notify(std::string method, std::string params) {
  net::spawn(
      state_->executor,
      [](std::shared_ptr<State> state, std::string name, std::string text) -> net::awaitable<void> {
        // A notification that is lost is lost with its connection, of which on_close tells.
        (void)co_await state->peer->notify(std::move(name), std::move(text));
      }(state_, std::move(method), std::move(params)),
      "rpc notify");
}

void RpcChannel::on_call(Handler handler) {
  state_->handler = std::move(handler);
}
void RpcChannel::on_close(std::function<void(Error)> closed) {
  state_->closed = std::move(closed);
}
void RpcChannel::close(std::string) {
  state_->peer->close();
}

}  // namespace chorok::agent
