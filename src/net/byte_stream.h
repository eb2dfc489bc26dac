// ByteStream is the one seam of net: HTTP, WebSocket and TLS see bytes that come and go, never a
// socket. So the same code runs over TCP, TLS, a unix socket, and a pipe in memory in tests and
// fuzzers.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/async.h"

namespace chorok::net {

// What a TLS peer proved about itself. Present only when the certificate was verified.
struct PeerCertificate {
  std::string pem;
  std::string common_name;
  std::vector<std::string> san_uris;
  std::vector<std::string> san_names;  // DNS names and IP addresses
  std::string sha256;                  // lower-case hex of the DER form
  std::string issuer_pem;              // the CA at the end of the verified chain
};

// Lives on the I/O thread. At most one read and one write are under way at a time; they may overlap
// each other.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Waits for at least one byte; 0 is the orderly end. kUnavailable when the connection broke,
  // kCancelled after close().
  virtual Async<std::size_t> read_some(std::span<char> into) = 0;
  // Writes all pieces in order. The bytes must live until it returns.
  virtual Async<> write_all(std::span<const std::string_view> pieces) = 0;
  // Tells the peer that nothing more will be written.
  virtual Async<> shutdown() = 0;
  // Breaks off what is under way; it ends with kCancelled. Safe to repeat.
  virtual void close() noexcept = 0;

  virtual Executor executor() const = 0;
  // "192.0.2.7:4711", "[::1]:4711", "unix", "pipe".
  virtual std::string peer() const = 0;
  virtual std::shared_ptr<const PeerCertificate> peer_certificate() const { return nullptr; }
  virtual bool is_encrypted() const { return false; }

  Async<> write_all(std::string_view bytes);
};

using StreamPtr = std::unique_ptr<ByteStream>;

struct ConnectSettings {
  Duration timeout =
      std::chrono::seconds(5);  // past that a person has given up, and HA must look elsewhere
};

// Resolves and tries each address in turn within the one timeout. TCP_NODELAY is on, keepalive too.
Async<StreamPtr> connect_tcp(std::string host, std::uint16_t port, ConnectSettings settings = {});
Async<StreamPtr> connect_unix(std::string path);

// Two ends in memory. Each direction holds at most `capacity_bytes`, so that a slow reader stops
// the writer.
std::pair<StreamPtr, StreamPtr> make_pipe(const Executor& executor,
                                          std::size_t capacity_bytes = 64 * 1024);

// Accepts connections. close() ends a pending accept with kCancelled.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual Async<StreamPtr> accept() = 0;
  virtual std::uint16_t port() const = 0;  // 0 for a unix socket
  virtual std::string name() const = 0;    // "0.0.0.0:8443", "unix:/run/x"
  virtual void close() noexcept = 0;
};
using ListenerPtr = std::unique_ptr<Listener>;

// `address` is an IP address ("0.0.0.0", "::"); port 0 takes a free one.
Result<ListenerPtr> listen_tcp(const Executor& executor, const std::string& address,
                               std::uint16_t port);
// Replaces a stale socket file; kAlreadyExists when somebody answers on it.
Result<ListenerPtr> listen_unix(const Executor& executor, const std::string& path,
                                unsigned mode = 0600);

}  // namespace chorok::net
