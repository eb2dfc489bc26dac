#include "link/rpc_channel.h"

#include <optional>

namespace chorok::link {

// A call of the peer, from its arrival to the answer.
struct RpcChannel::Inbound {
  explicit Inbound(const net::Executor& executor) : answered(executor) {}
  void set(Result<std::string> result) {
    if (answer) return;
    answer = std::move(result);
    answered.notify_all();
  }
  std::optional<Result<std::string>> answer;
  net::AsyncEvent answered;
};

std::shared_ptr<RpcChannel> RpcChannel::create(const net::Executor& executor,
                                               std::unique_ptr<net::MessageTransport> transport,
                                               std::span<const std::string_view> methods) {
  auto peer = net::JsonRpcPeer::create(executor, std::move(transport));
  std::shared_ptr<RpcChannel> channel(new RpcChannel(executor, std::move(peer)));
  for (std::string_view method : methods) channel->listen(std::string(method));
  return channel;
}

RpcChannel::~RpcChannel() {
  if (peer_->is_open()) peer_->close();
}

// Whoever sends a method as a call or as a notification is served the same.
void RpcChannel::listen(std::string method) {
  std::weak_ptr<RpcChannel> weak = weak_from_this();
  peer_->on_call(method, [weak, method](std::string params) -> net::Async<std::string> {
    auto self = weak.lock();
    if (self == nullptr) co_return fail(Code::kUnavailable, "the link is closed");
    co_return co_await self->answer(method, std::move(params));
  });
  peer_->on_notify(method, [weak, method](std::string params) -> net::awaitable<void> {
    auto self = weak.lock();
    if (self != nullptr && self->handler_)
      self->handler_(method, std::move(params), [](Result<std::string>) {});
    co_return;
  });
}

net::Async<std::string> RpcChannel::answer(std::string method, std::string params) {
  auto self = shared_from_this();
  if (!handler_) co_return fail(Code::kUnavailable, "nobody listens here yet");
  auto inbound = std::make_shared<Inbound>(executor_);
  inbound_.insert(inbound.get());
  handler_(std::move(method), std::move(params),
           [inbound](Result<std::string> result) { inbound->set(std::move(result)); });
  while (!inbound->answer) co_await inbound->answered.wait();
  inbound_.erase(inbound.get());
  co_return std::move(*inbound->answer);
}

void RpcChannel::call(std::string method, std::string params, Duration timeout, Reply reply) {
  auto work = [](std::shared_ptr<net::JsonRpcPeer> peer, std::string name, std::string text,
                 Duration limit, Reply then) -> net::awaitable<void> {
    then(co_await peer->call(std::move(name), std::move(text), limit));
  };
  net::spawn(executor_,
             work(peer_, std::move(method), std::move(params), timeout, std::move(reply)),
             "rpc call");
}

void RpcChannel::notify(std::string method, std::string params) {
  auto work = [](std::shared_ptr<net::JsonRpcPeer> peer, std::string name,
                 std::string text) -> net::awaitable<void> {
    co_await peer->notify(std::move(name), std::move(text));
  };
  net::spawn(executor_, work(peer_, std::move(method), std::move(params)), "rpc notify");
}

void RpcChannel::close(std::string reason) {
  close_reason_ = std::move(reason);
  peer_->close();
}

net::awaitable<void> RpcChannel::run() {
  auto self = shared_from_this();
  Error why = co_await peer_->run();
  if (!close_reason_.empty()) why.message = close_reason_;
  ended(why);
}

void RpcChannel::ended(const Error& why) {
  handler_ = nullptr;
  for (Inbound* inbound : inbound_)
    inbound->set(fail(Code::kUnavailable, "the link is closed: " + why.message));
  if (auto closed = std::exchange(closed_, nullptr)) closed(why);
}

}  // namespace chorok::link
