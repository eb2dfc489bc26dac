#include "base/log.h"
#include "net/http_connection.h"
#include "net/tls.h"

namespace chorok::net {

struct HttpServer::Impl {
  explicit Impl(std::shared_ptr<HttpServerCore> shared) : core(std::move(shared)) {}
  std::shared_ptr<HttpServerCore> core;
  std::vector<std::shared_ptr<Listener>> listeners;
};

namespace {

constexpr Duration kAcceptPause = std::chrono::milliseconds(100);  // out of file descriptors

// "192.0.2.7:4711" -> "192.0.2.7"; peers on a unix socket are not told apart.
std::string address_of_peer(const std::string& peer) {
  const std::size_t colon = peer.rfind(':');
  return colon == std::string::npos ? std::string() : peer.substr(0, colon);
}

// Counts a connection of a peer while it lives.
class PeerSlot {
 public:
  PeerSlot(HttpServerCore& core, std::string address) : core_(core), address_(std::move(address)) {
    if (!address_.empty()) ++core_.connections_of_peer[address_];
  }
  ~PeerSlot() {
    auto found = core_.connections_of_peer.find(address_);
    if (found != core_.connections_of_peer.end() && --found->second == 0) {
      core_.connections_of_peer.erase(found);
    }
  }
  PeerSlot(const PeerSlot&) = delete;
  PeerSlot& operator=(const PeerSlot&) = delete;
  bool is_over() const {
    return !address_.empty() &&
           core_.connections_of_peer[address_] > core_.limits.connections_per_peer_max;
  }

 private:
  HttpServerCore& core_;
  std::string address_;
};

awaitable<void> run_connection(std::shared_ptr<HttpServerCore> core, StreamPtr stream,
                               std::shared_ptr<TlsServerContext> tls) {
  PeerSlot slot(*core, address_of_peer(stream->peer()));
  if (core->is_stopping || slot.is_over() ||
      core->connections.size() >= core->limits.connections_max) {
    ++core->stats.refused_total;
    stream->close();
    co_return;
  }
  ++core->stats.accepted_total;
  auto connection = std::make_shared<HttpConnection>(core, std::move(stream), std::move(tls));
  co_await connection->run();
}

awaitable<void> accept_all(std::shared_ptr<HttpServerCore> core, std::shared_ptr<Listener> listener,
                           std::shared_ptr<TlsServerContext> tls) {
  while (!core->is_stopping) {
    auto stream = co_await listener->accept();
    if (stream) {
      spawn(core->executor, run_connection(core, std::move(*stream), tls), "http connection");
    } else if (stream.error().code == Code::kCancelled) {
      co_return;
    } else {
      Log("net").warn("cannot accept listener={} reason={}", listener->name(),
                      stream.error().message);
      co_await sleep_for(kAcceptPause);
    }
  }
}

}  // namespace

HttpServer::HttpServer(const Executor& executor, HttpHandler handler, HttpLimits limits,
                       BodyPolicyOf body_policy)
    : impl_(std::make_shared<Impl>(std::make_shared<HttpServerCore>(
          executor, std::move(handler), limits, std::move(body_policy)))) {}

HttpServer::~HttpServer() {
  impl_->core->is_stopping = true;
  for (auto& listener : impl_->listeners) listener->close();
  auto open = impl_->core->connections;
  for (HttpConnection* connection : open) connection->abort();
}

Result<std::uint16_t> HttpServer::listen(const std::string& address, std::uint16_t port,
                                         std::shared_ptr<TlsServerContext> tls) {
  std::shared_ptr<Listener> listener = TRY(listen_tcp(impl_->core->executor, address, port));
  impl_->listeners.push_back(listener);
  spawn(impl_->core->executor, accept_all(impl_->core, listener, std::move(tls)), "http accept");
  return listener->port();
}

Result<> HttpServer::listen_unix(const std::string& path, unsigned mode) {
  std::shared_ptr<Listener> listener = TRY(net::listen_unix(impl_->core->executor, path, mode));
  impl_->listeners.push_back(listener);
  spawn(impl_->core->executor, accept_all(impl_->core, listener, nullptr), "http accept");
  return {};
}

awaitable<void> HttpServer::serve(StreamPtr stream) {
  return run_connection(impl_->core, std::move(stream), nullptr);
}

awaitable<void> HttpServer::stop(Duration grace) {
  auto core = impl_->core;
  core->is_stopping = true;
  for (auto& listener : impl_->listeners) listener->close();
  std::vector<std::shared_ptr<HttpConnection>> open;
  auto collect = [&] {
    open.clear();
    for (HttpConnection* connection : core->connections) {
      if (auto alive = connection->weak_from_this().lock()) open.push_back(std::move(alive));
    }
  };
  auto wait_until_empty = [&]() -> awaitable<void> {
    open.clear();
    const auto until = std::chrono::steady_clock::now() + grace;
    while (!core->connections.empty()) {
      const Duration left = until - std::chrono::steady_clock::now();
      if (left <= Duration::zero()) break;
      co_await core->changed.wait_for(left);
    }
  };
  collect();
  for (auto& connection : open) connection->stop_soon();
  co_await wait_until_empty();
  if (core->connections.empty()) co_return;
  collect();
  for (auto& connection : open) connection->abort();
  grace = std::max<Duration>(grace, std::chrono::seconds(1));
  co_await wait_until_empty();
  if (!core->connections.empty()) {
    Log("net").warn("the HTTP server stopped with requests still at work connections={}",
                    core->connections.size());
  }
}

HttpServerStats HttpServer::stats() const {
  return impl_->core->stats;
}

}  // namespace chorok::net
