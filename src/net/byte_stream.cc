#include "net/byte_stream.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>

#include "net/asio_internal.h"

namespace chorok::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using Local = asio::local::stream_protocol;
using Clock = std::chrono::steady_clock;

Async<> ByteStream::write_all(std::string_view bytes) {
  std::string_view pieces[] = {bytes};
  co_return co_await write_all(std::span<const std::string_view>(pieces));
}

namespace {

template <class Socket>
class SocketStream final : public ByteStream {
 public:
  SocketStream(Socket socket, std::string peer_name)
      : socket_(std::move(socket)), peer_(std::move(peer_name)) {}

  Async<std::size_t> read_some(std::span<char> into) override {
    auto [error, count] =
        co_await socket_.async_read_some(asio::buffer(into.data(), into.size()), kAsTuple);
    if (error == asio::error::eof) co_return 0;
    if (error) co_return Unexpected(to_error(error, "reading from " + peer_));
    co_return count;
  }

  Async<> write_all(std::span<const std::string_view> pieces) override {
    std::vector<asio::const_buffer> buffers;
    buffers.reserve(pieces.size());
    for (std::string_view piece : pieces) {
      if (!piece.empty()) buffers.emplace_back(piece.data(), piece.size());
    }
    auto [error, count] = co_await asio::async_write(socket_, buffers, kAsTuple);
    if (error) co_return Unexpected(to_error(error, "writing to " + peer_));
    co_return Result<>{};
  }
  using ByteStream::write_all;

  Async<> shutdown() override {
    boost::system::error_code error;
    socket_.shutdown(Socket::shutdown_send, error);
    if (error) co_return Unexpected(to_error(error, "closing to " + peer_));
    co_return Result<>{};
  }

  void close() noexcept override {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

  Executor executor() const override { return const_cast<Socket&>(socket_).get_executor(); }
  std::string peer() const override { return peer_; }

 private:
  Socket socket_;
  std::string peer_;
};

std::string name_of(const tcp::endpoint& endpoint) {
  if (endpoint.address().is_v6() && endpoint.address().to_v6().is_v4_mapped()) {
    auto v4 = asio::ip::make_address_v4(asio::ip::v4_mapped, endpoint.address().to_v6());
    return fmt::format("{}:{}", v4.to_string(), endpoint.port());
  }
  return endpoint.address().is_v6()
             ? fmt::format("[{}]:{}", endpoint.address().to_string(), endpoint.port())
             : fmt::format("{}:{}", endpoint.address().to_string(), endpoint.port());
}

// Asio leaves its sockets open across exec: a helper process would hold a port or a connection of
// ours.
void close_on_exec(int fd) {
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

// Answers go out at once, and a peer that vanished without a word is noticed by the kernel after a
// minute, without waking anybody here.
void tune(tcp::socket& socket) {
  boost::system::error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  const int idle_s = 30, interval_s = 10, probes = 3;
  setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
  setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
  setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

StreamPtr make_stream(tcp::socket socket) {
  close_on_exec(socket.native_handle());
  tune(socket);
  boost::system::error_code error;
  auto endpoint = socket.remote_endpoint(error);
  return std::make_unique<SocketStream<tcp::socket>>(std::move(socket),
                                                     error ? "gone" : name_of(endpoint));
}
StreamPtr make_stream(Local::socket socket) {
  close_on_exec(socket.native_handle());
  return std::make_unique<SocketStream<Local::socket>>(std::move(socket), "unix");
}

template <class Protocol>
class SocketListener final : public Listener {
 public:
  SocketListener(typename Protocol::acceptor acceptor, std::string name, std::uint16_t port,
                 std::string unlink_path)
      : acceptor_(std::move(acceptor)),
        name_(std::move(name)),
        port_(port),
        unlink_path_(std::move(unlink_path)) {
    close_on_exec(acceptor_.native_handle());
  }
  ~SocketListener() override { close(); }

  Async<StreamPtr> accept() override {
    for (;;) {
      auto [error, socket] = co_await acceptor_.async_accept(kAsTuple);
      if (error == asio::error::connection_aborted) continue;
      if (error) co_return Unexpected(to_error(error, "accepting on " + name_));
      co_return make_stream(std::move(socket));
    }
  }
  std::uint16_t port() const override { return port_; }
  std::string name() const override { return name_; }
  void close() noexcept override {
    if (!acceptor_.is_open()) return;
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    if (!unlink_path_.empty()) ::unlink(unlink_path_.c_str());
  }

 private:
  typename Protocol::acceptor acceptor_;
  std::string name_;
  std::uint16_t port_;
  std::string unlink_path_;
};

Async<std::vector<tcp::endpoint>> resolve(const Executor& executor, const std::string& host,
                                          std::uint16_t port, Deadline& deadline,
                                          std::function<void()>& break_off) {
  boost::system::error_code error;
  auto address = asio::ip::make_address(host, error);
  // The resolver starts a thread: not for an address that needs none.
  if (!error) co_return std::vector<tcp::endpoint>{{address, port}};
  tcp::resolver resolver(executor);
  break_off = [&] { resolver.cancel(); };
  auto [failed, found] = co_await resolver.async_resolve(host, std::to_string(port), kAsTuple);
  break_off = nullptr;
  if (deadline.has_expired()) {
    co_return fail(Code::kTimeout, fmt::format("looking up {} took too long", host));
  }
  if (failed) co_return Unexpected(to_error(failed, "looking up " + host));
  co_return std::vector<tcp::endpoint>(found.begin(), found.end());
}

// True when somebody answers on the socket file: then it is not stale.
bool is_answered(const Executor& executor, const Local::endpoint& endpoint) {
  Local::socket probe(executor);
  boost::system::error_code error;
  probe.connect(endpoint, error);
  return !error;
}

}  // namespace

Async<StreamPtr> connect_tcp(std::string host, std::uint16_t port, ConnectSettings settings) {
  auto executor = co_await asio::this_coro::executor;
  std::function<void()> break_off;
  Deadline deadline(executor, [&] {
    if (break_off) break_off();
  });
  const auto until = Clock::now() + settings.timeout;
  deadline.set(settings.timeout);
  auto endpoints = CO_TRY(co_await resolve(executor, host, port, deadline, break_off));

  Error last{Code::kUnavailable, fmt::format("{} has no address", host), {}};
  for (std::size_t i = 0; i < endpoints.size() && Clock::now() < until; ++i) {
    // Each address gets its share of what is left, so that a dead first one does not take it all.
    deadline.set((until - Clock::now()) / static_cast<int>(endpoints.size() - i));
    tcp::socket socket(executor);
    break_off = [&] { socket.close(); };
    auto [error] = co_await socket.async_connect(endpoints[i], kAsTuple);
    break_off = nullptr;
    if (!error && socket.is_open()) co_return make_stream(std::move(socket));
    const std::string name = name_of(endpoints[i]);
    last = deadline.has_expired()
               ? Error{Code::kTimeout, fmt::format("{} did not answer in time", name), {}}
               : to_error(error, "connecting to " + name);
  }
  co_return Unexpected(last);
}

Async<StreamPtr> connect_unix(std::string path) {
  Local::socket socket(co_await asio::this_coro::executor);
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    co_return fail(Code::kInvalid, "the socket path is too long: " + path);
  }
  auto [error] = co_await socket.async_connect(Local::endpoint(path), kAsTuple);
  if (error) co_return Unexpected(to_error(error, "connecting to " + path));
  co_return make_stream(std::move(socket));
}

Result<ListenerPtr> listen_tcp(const Executor& executor, const std::string& address,
                               std::uint16_t port) {
  boost::system::error_code error;
  auto ip = asio::ip::make_address(address, error);
  if (error) return fail(Code::kInvalid, "'" + address + "' is not an IP address to listen on");
  tcp::endpoint endpoint(ip, port);
  tcp::acceptor acceptor(executor);
  const std::string what = "listening on " + name_of(endpoint);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return Unexpected(to_error(error, what));
  auto bound = acceptor.local_endpoint(error);
  if (error) return Unexpected(to_error(error, what));
  return std::make_unique<SocketListener<tcp>>(std::move(acceptor), name_of(bound), bound.port(),
                                               "");
}

Result<ListenerPtr> listen_unix(const Executor& executor, const std::string& path, unsigned mode) {
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return fail(Code::kInvalid, "the socket path is too long: " + path);
  }
  Local::endpoint endpoint(path);
  Local::acceptor acceptor(executor);
  boost::system::error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.bind(endpoint, error);
  if (error == asio::error::address_in_use && !is_answered(executor, endpoint)) {
    ::unlink(path.c_str());
    error.clear();
    acceptor.bind(endpoint, error);
  }
  // Nobody can connect before listen(), so the mode is never wider than asked for.
  if (!error && ::chmod(path.c_str(), mode) != 0) {
    error.assign(errno, boost::system::system_category());
  }
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return Unexpected(to_error(error, "listening on " + path));
  return std::make_unique<SocketListener<Local>>(std::move(acceptor), "unix:" + path, 0, path);
}

}  // namespace chorok::net
