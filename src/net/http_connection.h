// One connection of the HTTP server: a loop of read head, read body, ask the handler, write the
// answer. Not for other folders.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "net/http.h"
#include "net/message_parser.h"
#include "net/websocket.h"

namespace chorok::net {

class HttpConnection;

// What connections share. Outlives the HttpServer while one of them is still busy.
struct HttpServerCore {
  HttpServerCore(const Executor& e, HttpHandler h, HttpLimits l, BodyPolicyOf b)
      : executor(e), handler(std::move(h)), limits(l), body_policy(std::move(b)), changed(e) {}
  Executor executor;
  HttpHandler handler;
  HttpLimits limits;
  BodyPolicyOf body_policy;
  bool is_stopping = false;
  HttpServerStats stats;
  std::unordered_set<HttpConnection*> connections;
  std::unordered_map<std::string, std::size_t> connections_of_peer;
  AsyncEvent changed;  // a connection ended
};

class ConnectionSink;

class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(std::shared_ptr<HttpServerCore> core, StreamPtr stream,
                 std::shared_ptr<TlsServerContext> tls);
  ~HttpConnection();

  awaitable<void> run();
  // Ends at the next chance: at once when idle, streaming or upgraded.
  void stop_soon();
  void abort() noexcept;

  // For the body reader and the sink.
  Async<> read_more(Duration timeout, std::size_t bytes);
  Async<> write(std::span<const std::string_view> pieces);
  ByteStream& stream() { return *stream_; }
  const HttpLimits& limits() const { return core_->limits; }
  ReadBuffer& buffer() { return buffer_; }
  Async<> send_continue();

 private:
  friend class ConnectionSink;
  enum class State { kIdle, kBusy, kStreaming, kUpgraded };

  awaitable<void> serve_requests();
  Async<bool> read_head(MessageParser& parser);
  awaitable<bool> serve_one();  // true to go on with the next request
  Result<Request> make_request(MessageHead& head);
  awaitable<Response> ask_handler(Request& request);
  Async<> read_body(MessageParser& parser, std::string& body);
  awaitable<bool> answer(MessageParser& parser, Request& request);
  awaitable<bool> respond(const MessageHead& head, Request& request, Response& response);
  std::string format_head(const MessageHead& head, const Response& response,
                          std::optional<std::uint64_t> length, bool is_chunked) const;
  Async<> write_response(const MessageHead& head, Response& response);
  Async<> write_stream(const MessageHead& head, Response& response, StreamBody& body);
  awaitable<void> upgrade(Response& response, UpgradeBody& upgrade, const Request& request);
  awaitable<bool> refuse(int status, std::string_view message);
  awaitable<void> linger();
  void watch_peer();
  awaitable<void> watch();
  void end_sink();

  std::shared_ptr<HttpServerCore> core_;
  StreamPtr stream_;
  std::shared_ptr<TlsServerContext> tls_;
  ByteStream* raw_ = nullptr;  // during the handshake
  ReadBuffer buffer_;
  std::optional<Deadline> deadline_;
  State state_ = State::kIdle;
  bool keep_alive_ = false;
  bool is_head_ = false;
  bool wants_continue_ = false;
  bool is_peer_gone_ = false;
  bool is_read_pending_ = false;
  AsyncEvent read_done_;
  ConnectionSink* sink_ = nullptr;
  std::weak_ptr<WebSocket> socket_;
};

}  // namespace chorok::net
