// bench_api HOST PORT CA TOKEN latency COUNT PATH: one kept TLS connection; prints the microseconds
// from the request to the last byte, a line each. bench_api HOST PORT CA TOKEN paced COUNT
// MILLISECONDS PATH: the same, one request every so often, each counted from when it was due: what
// holds up the server for a second is seen by all that were due in it. bench_api HOST PORT CA TOKEN
// rate CONNECTIONS SECONDS PATH: prints the requests a second of that many connections at once.
// Blocking sockets and OpenSSL, nothing of the product.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Target {
  std::string host;
  int port = 0;
  std::string token;
  SSL_CTX* tls = nullptr;
};

class Connection {
 public:
  explicit Connection(const Target& target) : target_(target), socket_(dial(target)) {
    ssl_ = SSL_new(target.tls);
    SSL_set_fd(ssl_, socket_);
    if (SSL_connect(ssl_) != 1) throw std::runtime_error("the TLS handshake failed");
  }
  ~Connection() {
    SSL_free(ssl_);
    close(socket_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Gives the body's size; throws when the answer is not a 200.
  std::size_t get(const std::string& path) {
    const std::string request = fmt::format(
        "GET {} HTTP/1.1\r\nHost: {}:{}\r\nAuthorization: Bearer {}\r\nAccept: "
        "application/json\r\n\r\n",
        path, target_.host, target_.port, target_.token);
    if (SSL_write(ssl_, request.data(), static_cast<int>(request.size())) <= 0) fail("writing");
    while (buffer_.find("\r\n\r\n") == std::string::npos) more();
    const std::size_t head = buffer_.find("\r\n\r\n") + 4;
    const std::string_view header = std::string_view(buffer_).substr(0, head);
    if (!header.starts_with("HTTP/1.1 200")) throw std::runtime_error(buffer_.substr(0, 300));
    std::size_t size = 0;
    if (auto length = value_of(header, "content-length: "); !length.empty()) {
      size = std::strtoull(std::string(length).c_str(), nullptr, 10);
      while (buffer_.size() < head + size) more();
      buffer_.erase(0, head + size);
    } else {
      buffer_.erase(0, head);
      while (const std::size_t chunk = next_chunk()) size += chunk;
    }
    return size;
  }

 private:
  static int dial(const Target& target) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(target.port));
    const int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (inet_pton(AF_INET, target.host.c_str(), &to.sin_addr) != 1 ||
        connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
      close(fd);
      throw std::runtime_error("no connection to " + target.host);
    }
    return fd;
  }

  static std::string_view value_of(std::string_view header, std::string_view name) {
    std::string lower;
    for (char c : header) lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    const auto at = lower.find(name);
    if (at == std::string::npos) return {};
    const auto end = header.find("\r\n", at);
    return header.substr(at + name.size(), end - at - name.size());
  }

  std::size_t next_chunk() {
    while (buffer_.find("\r\n") == std::string::npos) more();
    const std::size_t line = buffer_.find("\r\n") + 2;
    const std::size_t size = std::strtoull(buffer_.c_str(), nullptr, 16);
    while (buffer_.size() < line + size + 2) more();
    buffer_.erase(0, line + size + 2);
    return size;
  }

  void more() {
    char bytes[65536];
    const int count = SSL_read(ssl_, bytes, sizeof bytes);
    if (count <= 0) fail("reading");
    buffer_.append(bytes, static_cast<std::size_t>(count));
  }

  [[noreturn]] static void fail(std::string_view what) {
    throw std::runtime_error(fmt::format("{} failed: the server closed the connection", what));
  }

  const Target& target_;
  int socket_;
  SSL* ssl_ = nullptr;
  std::string buffer_;
};

// `pace` 0: each when the one before is answered.
void latency(const Target& target, int count, std::chrono::milliseconds pace,
             const std::string& path) {
  Connection connection(target);
  for (int i = 0; i < 3; ++i) connection.get(path);  // caches and the allocator are warm
  const auto first = Clock::now();
  for (int i = 0; i < count; ++i) {
    const auto began = pace.count() == 0 ? Clock::now() : first + i * pace;
    std::this_thread::sleep_until(began);
    connection.get(path);
    fmt::print("{}\n",
               std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began).count());
  }
}

void rate(const Target& target, int connections, int seconds, const std::string& path) {
  std::atomic<std::uint64_t> answers{0};
  std::atomic<bool> failed{false};
  const auto end = Clock::now() + std::chrono::seconds(seconds);
  std::vector<std::jthread> threads;
  for (int i = 0; i < connections; ++i) {
    threads.emplace_back([&] {
      try {
        Connection connection(target);
        while (Clock::now() < end) {
          connection.get(path);
          ++answers;
        }
      } catch (const std::exception& e) {
        fmt::print(stderr, "bench_api: {}\n", e.what());
        failed = true;
      }
    });
  }
  threads.clear();
  if (failed) std::exit(1);
  fmt::print("{}\n", answers / static_cast<std::uint64_t>(seconds));
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  const bool is_latency = args.size() == 7 && args[4] == "latency";
  const bool is_paced = args.size() == 8 && args[4] == "paced";
  const bool is_rate = args.size() == 8 && args[4] == "rate";
  if (!is_latency && !is_paced && !is_rate) {
    fmt::print(stderr,
               "usage: bench_api HOST PORT CA TOKEN latency COUNT PATH | paced COUNT MILLISECONDS "
               "PATH | rate CONNECTIONS SECONDS PATH\n");
    return 2;
  }
  Target target{args[0], std::atoi(args[1].c_str()), args[3], SSL_CTX_new(TLS_client_method())};
  SSL_CTX_set_verify(target.tls, SSL_VERIFY_PEER, nullptr);
  if (SSL_CTX_load_verify_locations(target.tls, args[2].c_str(), nullptr) != 1) {
    fmt::print(stderr, "bench_api: no CA in {}\n", args[2]);
    return 1;
  }
  try {
    if (is_latency) {
      latency(target, std::atoi(args[5].c_str()), std::chrono::milliseconds(0), args[6]);
    } else if (is_paced) {
      latency(target, std::atoi(args[5].c_str()),
              std::chrono::milliseconds(std::atoi(args[6].c_str())), args[7]);
    } else {
      rate(target, std::atoi(args[5].c_str()), std::atoi(args[6].c_str()), args[7]);
    }
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench_api: {}\n", e.what());
    return 1;
  }
  SSL_CTX_free(target.tls);
  return 0;
}
