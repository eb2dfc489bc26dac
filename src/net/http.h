// HTTP/1.1 words and the server. A handler gets a Request whose body is already there (or a reader
// of it, for uploads) and returns a Response, whose body is text, pieces shared with a cache
// (written without being joined), a stream (SSE, downloads) or a WebSocket. Everything that goes
// wrong before the handler, the server answers itself with an RFC 9457 problem. All bounds are in
// HttpLimits.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "net/byte_stream.h"
#include "net/uri.h"

namespace chorok::net {

class TlsServerContext;
class WebSocket;
struct WebSocketSettings;

struct Header {
  std::string name;
  std::string value;
};

// In order of arrival; names compare without case.
class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<Header> items) : items_(items) {}
  const std::string* find(std::string_view name) const;  // the first, or null
  std::string_view get(std::string_view name, std::string_view otherwise = {}) const;
  bool has_token(std::string_view name, std::string_view token) const;  // in comma lists
  std::size_t count(std::string_view name) const;
  void add(std::string name, std::string value) {
    items_.push_back({std::move(name), std::move(value)});
  }
  void set(std::string_view name, std::string value);
  void remove(std::string_view name);
  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }
  std::size_t size() const { return items_.size(); }

 private:
  std::vector<Header> items_;
};

// The body of a request as it comes. Only for requests whose BodyPolicy says `stream`.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  // The next bytes, at least one; 0 at the end. kExhausted past the limit, kTimeout when the peer
  // stalls.
  virtual Async<std::size_t> read_some(std::span<char> into) = 0;
  virtual std::optional<std::uint64_t> length() const = 0;  // what Content-Length promised
};

struct Request {
  std::string method;  // GET, POST, ...; HEAD comes as GET, without its body being sent
  std::string target;  // as sent
  std::string path;    // decoded
  std::vector<std::string> segments;  // decoded: {"api", "v1", "vms", "web 1"}
  QueryItems query;
  Headers headers;
  std::string body;              // empty when `reader` is set
  BodyReader* reader = nullptr;  // lives until the handler returns
  std::string peer;              // "192.0.2.7:4711"
  bool is_encrypted = false;
  std::shared_ptr<const PeerCertificate> certificate;  // a verified client certificate, or null

  const std::string* query_value(std::string_view name) const;  // the first, or null
};

// Where a streamed response goes.
class BodySink {
 public:
  virtual ~BodySink() = default;
  // Waits until the peer took it; an error (peer gone, stalled, server stopping) is final.
  virtual Async<> write(std::string_view bytes) = 0;
  virtual bool is_closed() const = 0;
  // Called once when the peer goes away or the server stops, so that who waits for something to
  // write wakes up.
  virtual void on_close(std::function<void()> fn) = 0;
  virtual Executor executor() const = 0;
};

using BodyPiece = std::shared_ptr<const std::string>;

struct StreamBody {
  std::function<Async<>(BodySink&)>
      write;                            // an error breaks the connection, so that the peer notices
  std::optional<std::uint64_t> length;  // chunked when absent
};

struct UpgradeBody {
  // Owns the connection from then on; the server closes it when this returns.
  std::function<awaitable<void>(std::shared_ptr<WebSocket>)> run;
  std::shared_ptr<const WebSocketSettings> settings;  // null: the defaults
  std::string protocol;                               // the Sec-WebSocket-Protocol chosen, or empty
};

struct Response {
  int status = 200;
  Headers headers;  // Content-Length, Transfer-Encoding, Connection, Date are the server's own
  std::variant<std::string, std::vector<BodyPiece>, StreamBody, UpgradeBody> body;

  static Response text(int status, std::string body, std::string_view type = "text/plain");
  static Response json(std::string body, int status = 200);
  static Response problem(const Error& error, std::string_view instance = {});
  static Response problem(int status, std::string_view detail);
  static Response stream(std::string_view type, std::function<Async<>(BodySink&)> write);
  static Response websocket(std::function<awaitable<void>(std::shared_ptr<WebSocket>)> run,
                            std::shared_ptr<const WebSocketSettings> settings = nullptr,
                            std::string protocol = {});
};

int http_status(Code code);
Code code_from_http_status(int status);
std::string_view http_reason(int status);
// What a client makes of an answer that is no success: the problem's words where the body has them.
Error error_from_problem(int status, std::string_view body);

struct HttpLimits {
  std::size_t header_bytes_max =
      16 * 1024;                       // a token, a cookie and a long selector fit many times over
  std::size_t header_count_max = 100;  // browsers send about 20
  std::uint64_t body_bytes_max =
      1024 * 1024;  // the store's limit of a transaction; uploads say otherwise
  Duration handshake_timeout = std::chrono::seconds(10);
  Duration header_timeout = std::chrono::seconds(10);      // from the first byte to the empty line
  Duration body_stall_timeout = std::chrono::seconds(30);  // no byte of a body for that long
  Duration body_timeout = std::chrono::seconds(60);   // for a whole body that is kept in memory
  Duration idle_timeout = std::chrono::seconds(60);   // between requests: a person reading a page
  Duration write_timeout = std::chrono::seconds(60);  // for the peer to take one buffer
  std::size_t connections_max = 4096;  // 1,000 agents, consoles, people: far below the file limit
  std::size_t connections_per_peer_max = 256;  // one address must not take them all
};

struct BodyPolicy {
  std::uint64_t bytes_max = 0;
  bool stream =
      false;  // the handler reads Request::reader; otherwise Request::body is filled first
};

using HttpHandler = std::function<awaitable<Response>(Request&)>;
// Asked with the head alone. Absent, every body may have HttpLimits::body_bytes_max.
using BodyPolicyOf = std::function<BodyPolicy(const Request&)>;

struct HttpServerStats {
  std::size_t connections = 0;
  std::uint64_t accepted_total = 0;
  std::uint64_t refused_total = 0;  // over a connection limit
  std::uint64_t requests_total = 0;
};

// Owns its listeners and connections; lives on the I/O thread of its executor. Destroy it only
// after stop().
class HttpServer {
 public:
  HttpServer(const Executor& executor, HttpHandler handler, HttpLimits limits = {},
             BodyPolicyOf body_policy = nullptr);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Returns the port. Plain HTTP without a TLS context.
  Result<std::uint16_t> listen(const std::string& address, std::uint16_t port,
                               std::shared_ptr<TlsServerContext> tls = nullptr);
  Result<> listen_unix(const std::string& path, unsigned mode = 0600);
  // Serves one connection that came some other way, until it ends.
  awaitable<void> serve(StreamPtr stream);
  // Accepts no more, closes idle connections, streams and WebSockets, and gives requests under way
  // `grace` to finish. Returns when nothing is left.
  awaitable<void> stop(Duration grace = std::chrono::seconds(5));
  HttpServerStats stats() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace chorok::net
