#include "net/http_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <exception>

#include "base/log.h"
#include "net/http_text.h"
#include "net/tls.h"

namespace chorok::net {

namespace {

constexpr std::size_t kIdleReadBytes = 4 * 1024;   // most requests fit
constexpr std::size_t kBodyReadBytes = 64 * 1024;  // uploads: few system calls
constexpr std::size_t kWriteBytes = 256 * 1024;    // what a slow peer has write_timeout for
constexpr std::size_t kWatchBytesMax = 16 * 1024;  // read ahead while a response streams
constexpr std::size_t kLingerBytesMax = 1024 * 1024;
constexpr Duration kLingerTime = std::chrono::seconds(2);

bool is_own_header(std::string_view name) {
  return equals_ignoring_case(name, "Content-Length") ||
         equals_ignoring_case(name, "Transfer-Encoding") ||
         equals_ignoring_case(name, "Connection") || equals_ignoring_case(name, "Date");
}

const std::string& date_now() {
  static thread_local std::time_t formatted = 0;
  static thread_local std::string text;
  const std::time_t now = std::time(nullptr);
  if (now != formatted) {
    std::tm parts{};
    gmtime_r(&now, &parts);
    char buffer[40];
    text.assign(buffer, std::strftime(buffer, sizeof buffer, "%a, %d %b %Y %H:%M:%S GMT", &parts));
    formatted = now;
  }
  return text;
}

class StreamedBody final : public BodyReader {
 public:
  StreamedBody(HttpConnection& connection, MessageParser& parser)
      : connection_(connection), parser_(parser) {}

  Async<std::size_t> read_some(std::span<char> into) override {
    while (taken_ == pending_.size()) {
      pending_.clear();
      taken_ = 0;
      if (parser_.is_done()) co_return 0;
      CO_TRY(co_await connection_.send_continue());
      if (!CO_TRY(parser_.parse_body(connection_.buffer(), pending_)) && pending_.empty()) {
        CO_TRY(co_await connection_.read_more(connection_.limits().body_stall_timeout,
                                              kBodyReadBytes));
      }
    }
    const std::size_t count = std::min(into.size(), pending_.size() - taken_);
    std::copy_n(pending_.data() + taken_, count, into.data());
    taken_ += count;
    co_return count;
  }
  std::optional<std::uint64_t> length() const override { return parser_.head().content_length; }

 private:
  HttpConnection& connection_;
  MessageParser& parser_;
  std::string pending_;
  std::size_t taken_ = 0;
};

}  // namespace

class ConnectionSink final : public BodySink {
 public:
  ConnectionSink(HttpConnection& connection, bool is_chunked, std::optional<std::uint64_t> length)
      : connection_(connection), is_chunked_(is_chunked), left_(length) {
    connection_.sink_ = this;
  }
  ~ConnectionSink() override { connection_.sink_ = nullptr; }

  Async<> write(std::string_view bytes) override {
    if (is_closed_) co_return fail(Code::kUnavailable, "the reader of this stream is gone");
    if (bytes.empty()) co_return Result<>{};
    if (left_ && bytes.size() > *left_) {
      co_return fail(Code::kInternal, "more bytes were written than the response's length");
    }
    if (left_) *left_ -= bytes.size();
    std::string head;
    if (is_chunked_) head = fmt::format("{:x}\r\n", bytes.size());
    const std::string_view pieces[] = {head, bytes, is_chunked_ ? "\r\n" : ""};
    co_return co_await connection_.write(pieces);
  }

  Async<> finish() {
    if (left_ && *left_ > 0) co_return fail(Code::kInternal, "the response's body is too short");
    if (!is_chunked_) co_return Result<>{};
    static constexpr std::string_view kEnd[] = {"0\r\n\r\n"};
    co_return co_await connection_.write(kEnd);
  }

  bool is_closed() const override { return is_closed_; }
  void on_close(std::function<void()> fn) override {
    if (is_closed_) return post(executor(), std::move(fn));
    on_close_ = std::move(fn);
  }
  Executor executor() const override { return connection_.core_->executor; }

  void close() {
    if (std::exchange(is_closed_, true)) return;
    if (auto fn = std::move(on_close_)) fn();
  }

 private:
  HttpConnection& connection_;
  bool is_chunked_;
  bool is_closed_ = false;
  std::optional<std::uint64_t> left_;
  std::function<void()> on_close_;
};

HttpConnection::HttpConnection(std::shared_ptr<HttpServerCore> core, StreamPtr stream,
                               std::shared_ptr<TlsServerContext> tls)
    : core_(std::move(core)),
      stream_(std::move(stream)),
      tls_(std::move(tls)),
      read_done_(core_->executor) {
  deadline_.emplace(core_->executor, [this] {
    if (stream_) stream_->close();
  });
  core_->connections.insert(this);
  core_->stats.connections = core_->connections.size();
}

HttpConnection::~HttpConnection() {
  core_->connections.erase(this);
  core_->stats.connections = core_->connections.size();
  core_->changed.notify_all();
}

awaitable<void> HttpConnection::run() {
  if (tls_) {
    raw_ = stream_.get();
    auto encrypted =
        co_await tls_accept(std::move(stream_), tls_, {core_->limits.handshake_timeout});
    raw_ = nullptr;
    if (!encrypted) {
      Log("net").debug("no TLS connection reason={}", encrypted.error().message);
      co_return;
    }
    stream_ = std::move(*encrypted);
  }
  co_await serve_requests();
  if (stream_) stream_->close();
}

void HttpConnection::stop_soon() {
  keep_alive_ = false;
  if (auto socket = socket_.lock()) {
    spawn(
        core_->executor,
        [](std::shared_ptr<WebSocket> open) -> awaitable<void> {
          co_await open->close(close_code::kGoingAway, "the server stops");
        }(socket),
        "websocket stop");
  } else if (state_ == State::kIdle) {
    abort();
  } else {
    end_sink();
  }
}

void HttpConnection::abort() noexcept {
  if (auto socket = socket_.lock()) socket->abort();
  if (raw_ != nullptr) raw_->close();
  if (stream_) stream_->close();
  end_sink();
}

void HttpConnection::end_sink() {
  if (sink_ != nullptr) sink_->close();
}

awaitable<void> HttpConnection::serve_requests() {
  while (!core_->is_stopping && co_await serve_one()) {
  }
}

// Reads at least one byte, or fails; the end of the stream is a failure too.
Async<> HttpConnection::read_more(Duration timeout, std::size_t bytes) {
  deadline_->set(timeout);
  bool is_read = false;
  Error error{Code::kUnavailable, "the connection ended", {}};
  if (is_read_pending_) {
    const std::size_t before = buffer_.view().size();
    while (is_read_pending_) co_await read_done_.wait();
    is_read = buffer_.view().size() > before;
  } else if (!is_peer_gone_) {
    auto count = co_await stream_->read_some(buffer_.prepare(bytes));
    if (!count) {
      error = count.error();
    } else {
      buffer_.commit(*count);
      is_read = *count > 0;
    }
  }
  const bool is_late = deadline_->has_expired();
  deadline_->clear();
  if (is_late) co_return fail(Code::kTimeout, "the peer was too slow");
  if (!is_read) co_return Unexpected(error);
  co_return Result<>{};
}

Async<> HttpConnection::write(std::span<const std::string_view> pieces) {
  while (!pieces.empty()) {
    std::size_t count = 0;
    for (std::size_t bytes = 0; count < pieces.size() && bytes < kWriteBytes; ++count) {
      bytes += pieces[count].size();
    }
    deadline_->set(core_->limits.write_timeout);
    CO_TRY(co_await stream_->write_all(pieces.first(count)));
    pieces = pieces.subspan(count);
  }
  deadline_->clear();
  co_return Result<>{};
}

Async<> HttpConnection::send_continue() {
  if (!std::exchange(wants_continue_, false)) co_return Result<>{};
  static constexpr std::string_view kContinue[] = {"HTTP/1.1 100 Continue\r\n\r\n"};
  co_return co_await write(kContinue);
}

// False when the peer went away between requests.
Async<bool> HttpConnection::read_head(MessageParser& parser) {
  if (!is_read_pending_) buffer_.release();
  state_ = State::kIdle;
  if (buffer_.is_empty()) {
    if (!co_await read_more(core_->limits.idle_timeout, kIdleReadBytes)) co_return false;
  }
  state_ = State::kBusy;
  const auto until = std::chrono::steady_clock::now() + core_->limits.header_timeout;
  while (!CO_TRY(parser.parse_head(buffer_))) {
    const auto left = until - std::chrono::steady_clock::now();
    if (!co_await read_more(std::max<Duration>(left, Duration::zero()), kIdleReadBytes)) {
      co_return false;
    }
  }
  co_return true;
}

awaitable<bool> HttpConnection::serve_one() {
  is_head_ = false;
  MessageParser parser(MessageParser::Kind::kRequest,
                       {core_->limits.header_bytes_max, core_->limits.header_count_max});
  auto has_head = co_await read_head(parser);
  if (!has_head) co_return co_await refuse(parser.error_status(), has_head.error().message);
  if (!*has_head) co_return false;
  ++core_->stats.requests_total;
  keep_alive_ = parser.head().keep_alive;
  auto request = make_request(parser.head());
  if (!request) co_return co_await refuse(400, request.error().message);
  co_return co_await answer(parser, *request);
}

Result<Request> HttpConnection::make_request(MessageHead& head) {
  Request request;
  is_head_ = head.method == "HEAD";
  request.method = is_head_ ? "GET" : head.method;
  std::string_view target = head.target;
  if (target.starts_with("http://") || target.starts_with("https://")) {
    const std::size_t slash = target.find('/', target.find("://") + 3);
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  if (target != "*" || head.method != "OPTIONS") {
    Target parts = TRY(parse_target(target));
    request.path = std::move(parts.path);
    request.segments = std::move(parts.segments);
    request.query = std::move(parts.query);
  }
  request.target = target;
  request.headers = head.headers;
  request.peer = stream_->peer();
  request.is_encrypted = stream_->is_encrypted();
  request.certificate = stream_->peer_certificate();
  return request;
}

awaitable<bool> HttpConnection::answer(MessageParser& parser, Request& request) {
  const MessageHead& head = parser.head();
  if (head.method == "CONNECT" || head.method == "TRACE") {
    co_return co_await refuse(405, "the method " + head.method + " is not supported");
  }
  if (request.target == "*") {
    Response nothing{204, {{"Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}}, ""};
    co_return co_await respond(head, request, nothing) && !head.has_body;
  }
  const std::string_view expected = head.headers.get("Expect");
  wants_continue_ = head.has_body && head.version >= 11 && buffer_.is_empty() &&
                    equals_ignoring_case(expected, "100-continue");
  if (!expected.empty() && !equals_ignoring_case(expected, "100-continue")) {
    co_return co_await refuse(417, "only 'Expect: 100-continue' is supported");
  }

  BodyPolicy policy{core_->limits.body_bytes_max, false};
  if (head.has_body && core_->body_policy) policy = core_->body_policy(request);
  if (head.has_body && head.content_length.value_or(0) > policy.bytes_max) {
    co_return co_await refuse(413, fmt::format("the body may have {} bytes", policy.bytes_max));
  }
  parser.limit_body(policy.bytes_max);
  StreamedBody reader(*this, parser);
  if (head.has_body && policy.stream) {
    request.reader = &reader;
  } else if (head.has_body) {
    auto is_read = co_await read_body(parser, request.body);
    if (!is_read) {
      if (is_read.error().code == Code::kTimeout || is_peer_gone_) co_return false;
      co_return co_await refuse(parser.error_status(), is_read.error().message);
    }
  }
  Response response = co_await ask_handler(request);
  request.reader = nullptr;
  if (!parser.is_done()) keep_alive_ = false;
  const bool goes_on = co_await respond(head, request, response);
  if (!parser.is_done()) co_await linger();
  co_return goes_on;
}

Async<> HttpConnection::read_body(MessageParser& parser, std::string& body) {
  const auto until = std::chrono::steady_clock::now() + core_->limits.body_timeout;
  CO_TRY(co_await send_continue());
  if (auto length = parser.head().content_length) body.reserve(*length);
  while (!CO_TRY(parser.parse_body(buffer_, body))) {
    const Duration left = until - std::chrono::steady_clock::now();
    const Duration most = std::min(left, core_->limits.body_stall_timeout);
    auto more = co_await read_more(std::max(most, Duration::zero()), kBodyReadBytes);
    if (!more) {
      is_peer_gone_ = true;
      co_return more;
    }
  }
  co_return Result<>{};
}

awaitable<Response> HttpConnection::ask_handler(Request& request) {
  try {
    co_return co_await core_->handler(request);
  } catch (const std::exception& e) {
    Log("net").error("a handler ended with an exception method={} path={} what={}", request.method,
                     request.path, e.what());
  } catch (...) {
    Log("net").error("a handler ended with an exception method={} path={}", request.method,
                     request.path);
  }
  co_return Response::problem(500, "an internal error; the server's log says more");
}

awaitable<bool> HttpConnection::respond(const MessageHead& head, Request& request,
                                        Response& response) {
  if (core_->is_stopping) keep_alive_ = false;
  if (auto* body = std::get_if<UpgradeBody>(&response.body)) {
    co_await upgrade(response, *body, request);
    co_return false;
  }
  auto written = co_await write_response(head, response);
  if (!written) {
    Log("net").debug("a response was not written path={} reason={}", request.path,
                     written.error().message);
    co_return false;
  }
  if (!keep_alive_) co_await stream_->shutdown();
  co_return keep_alive_;
}

std::string HttpConnection::format_head(const MessageHead& head, const Response& response,
                                        std::optional<std::uint64_t> length,
                                        bool is_chunked) const {
  std::string out = fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status,
                                http_reason(response.status), date_now());
  for (const Header& header : response.headers) {
    if (!is_own_header(header.name)) append_header(out, header.name, header.value);
  }
  if (length && response.status != 204 && response.status != 304) {
    fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", *length);
  }
  if (is_chunked) out += "Transfer-Encoding: chunked\r\n";
  if (!keep_alive_) {
    out += "Connection: close\r\n";
  } else if (head.version < 11) {
    out += "Connection: keep-alive\r\n";
  }
  return out += "\r\n";
}

Async<> HttpConnection::write_response(const MessageHead& head, Response& response) {
  if (auto* stream = std::get_if<StreamBody>(&response.body)) {
    co_return co_await write_stream(head, response, *stream);
  }
  std::vector<std::string_view> pieces(1);
  if (auto* text = std::get_if<std::string>(&response.body)) {
    pieces.push_back(*text);
  } else if (auto* shared = std::get_if<std::vector<BodyPiece>>(&response.body)) {
    pieces.reserve(shared->size() + 1);
    for (const BodyPiece& piece : *shared) pieces.push_back(*piece);
  }
  std::uint64_t length = 0;
  for (std::string_view piece : pieces) length += piece.size();
  const std::string text = format_head(head, response, length, false);
  pieces[0] = text;
  if (is_head_ || response.status == 204 || response.status == 304) pieces.resize(1);
  co_return co_await write(pieces);
}

Async<> HttpConnection::write_stream(const MessageHead& head, Response& response,
                                     StreamBody& body) {
  const bool is_chunked = !body.length && head.version >= 11;
  if (!body.length && !is_chunked) keep_alive_ = false;
  const std::string text = format_head(head, response, body.length, is_chunked);
  const std::string_view pieces[] = {text};
  CO_TRY(co_await write(pieces));
  if (is_head_) co_return Result<>{};
  state_ = State::kStreaming;
  ConnectionSink sink(*this, is_chunked, body.length);
  if (!body.length) watch_peer();
  Result<> written;
  try {
    written = co_await body.write(sink);
  } catch (const std::exception& e) {
    Log("net").error("a streamed response ended with an exception what={}", e.what());
    written = fail(Code::kInternal, e.what());
  }
  if (written) written = co_await sink.finish();
  co_return written;
}

// While a response streams, nothing else would notice that the peer is gone until the next write.
void HttpConnection::watch_peer() {
  if (is_read_pending_ || is_peer_gone_) return;
  is_read_pending_ = true;
  spawn(core_->executor, watch(), "http watch");
}

awaitable<void> HttpConnection::watch() {
  auto self = shared_from_this();
  while (buffer_.view().size() < kWatchBytesMax) {
    auto count = co_await stream_->read_some(buffer_.prepare(kIdleReadBytes));
    if (!count || *count == 0) {
      is_peer_gone_ = true;
      end_sink();
      break;
    }
    buffer_.commit(*count);
    if (sink_ == nullptr) break;
  }
  is_read_pending_ = false;
  read_done_.notify_all();
}

awaitable<bool> HttpConnection::refuse(int status, std::string_view message) {
  keep_alive_ = false;
  Response response = Response::problem(status, message);
  MessageHead head;
  if (co_await write_response(head, response)) co_await linger();
  co_return false;
}

// Reads on for a moment: closing with unread bytes would reset the connection and take the answer
// with it.
awaitable<void> HttpConnection::linger() {
  if (!co_await stream_->shutdown()) co_return;
  const auto until = std::chrono::steady_clock::now() + kLingerTime;
  for (std::size_t bytes = 0; bytes < kLingerBytesMax;) {
    const Duration left = until - std::chrono::steady_clock::now();
    if (left <= Duration::zero()) break;
    buffer_.consume(buffer_.view().size());
    if (!co_await read_more(left, kIdleReadBytes)) break;
    bytes += buffer_.view().size();
  }
}

awaitable<void> HttpConnection::upgrade(Response& response, UpgradeBody& body,
                                        const Request& request) {
  const std::string_view key = request.headers.get("Sec-WebSocket-Key");
  const bool is_asked = request.headers.has_token("Connection", "Upgrade") &&
                        request.headers.has_token("Upgrade", "websocket");
  if (!is_asked || is_head_ || request.method != "GET" || key.size() != 24 ||
      request.headers.get("Sec-WebSocket-Version") != "13" || !request.body.empty() ||
      is_read_pending_) {  // sent after a stream that still ran: its reader would take frames
    co_await refuse(is_asked ? 400 : 426, "this address speaks WebSocket, version 13, only");
    co_return;
  }
  std::string text =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
  append_header(text, "Sec-WebSocket-Accept", websocket_accept(key));
  if (!body.protocol.empty()) append_header(text, "Sec-WebSocket-Protocol", body.protocol);
  for (const Header& header : response.headers) {
    if (!is_own_header(header.name)) append_header(text, header.name, header.value);
  }
  text += "\r\n";
  const std::string_view pieces[] = {text};
  if (!co_await write(pieces)) co_return;

  state_ = State::kUpgraded;
  deadline_.reset();  // with its timer: an idle WebSocket must not wake up
  auto socket =
      WebSocket::create(std::move(stream_), WebSocketRole::kServer,
                        body.settings ? *body.settings : WebSocketSettings{}, buffer_.take());
  socket_ = socket;
  if (core_->is_stopping) stop_soon();
  try {
    co_await body.run(socket);
  } catch (const std::exception& e) {
    Log("net").error("a WebSocket handler ended with an exception path={} what={}", request.path,
                     e.what());
  }
  co_await socket->close();
}

}  // namespace chorok::net
