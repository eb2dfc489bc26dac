#include "net/http_client.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <list>

#include "net/asio_loop.h"
#include "net/http_text.h"
#include "net/message_parser.h"

namespace chorok::net {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kUploadBytes = 128 * 1024;
constexpr std::size_t kHeaderCountMax = 200;
// A kept connection older than this may be closing at this moment: not for a request that must not
// be repeated.
constexpr Duration kFreshTime = std::chrono::seconds(1);

bool is_repeatable(const ClientRequest& request) {
  return !request.upload &&
         (request.method == "GET" || request.method == "HEAD" || request.method == "PUT" ||
          request.method == "DELETE" || request.method == "OPTIONS");
}

bool is_own_header(std::string_view name) {
  return equals_ignoring_case(name, "Host") || equals_ignoring_case(name, "Content-Length") ||
         equals_ignoring_case(name, "Transfer-Encoding") ||
         equals_ignoring_case(name, "Connection");
}

std::string format_request(const ClientRequest& request, bool is_upgrade) {
  std::string out = fmt::format("{} {} HTTP/1.1\r\n", request.method, request.url.target);
  append_header(out, "Host", request.url.authority());
  for (const Header& header : request.headers) {
    if (!is_own_header(header.name)) append_header(out, header.name, header.value);
  }
  if (request.upload) {
    fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\nExpect: 100-continue\r\n",
                   request.upload->length);
  } else if (!request.body.empty() || request.method == "POST" || request.method == "PUT" ||
             request.method == "PATCH") {
    fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", request.body.size());
  }
  if (is_upgrade) out += "Connection: Upgrade\r\n";
  return out += "\r\n";
}

// One connection and the exchange on it.
class Exchange {
 public:
  Exchange(StreamPtr stream, const HttpClientSettings& settings)
      : stream_(std::move(stream)),
        settings_(settings),
        deadline_(stream_->executor(), [this] { stream_->close(); }) {}

  ByteStream& stream() { return *stream_; }
  StreamPtr take_stream() { return std::move(stream_); }
  std::string take_rest() { return buffer_.take(); }
  MessageHead& head() { return parser_->head(); }
  bool is_answered() const { return is_answered_; }
  bool can_be_kept() const {
    return parser_ && parser_->is_done() && parser_->head().keep_alive && buffer_.is_empty() &&
           is_sent_;
  }
  bool is_done() const { return parser_->is_done(); }
  void set_deadline(Duration time) { deadline_.set(time); }
  void clear_deadline() { deadline_.clear(); }
  void close() noexcept { stream_->close(); }

  // Sends the request and reads the head of its answer.
  Async<> start(ClientRequest& request, bool is_upgrade) {
    is_sent_ = false;
    is_answered_ = false;
    parser_.reset();
    const std::string text = format_request(request, is_upgrade);
    const std::string_view pieces[] = {text, request.body};
    CO_TRY(timed(co_await stream_->write_all(pieces)));
    const auto kind = request.method == "HEAD" ? MessageParser::Kind::kResponseToHead
                                               : MessageParser::Kind::kResponse;
    if (request.upload) {
      if (CO_TRY(co_await is_welcome(kind))) {
        CO_TRY(co_await send_upload(*request.upload));
        deadline_.set(request.timeout);
      }
    }
    is_sent_ = is_sent_ || !request.upload;
    if (!parser_ || !is_final()) CO_TRY(co_await read_final_head(kind));
    parser_->limit_body(settings_.body_bytes_max);
    co_return Result<>{};
  }

  // Appends what comes next; false at the end of the body.
  Async<bool> read_body(std::string& out) {
    const std::size_t before = out.size();
    while (out.size() == before) {
      if (parser_->is_done()) co_return false;
      CO_TRY(parser_->parse_body(buffer_, out));
      if (out.size() > before || parser_->is_done()) continue;
      if (!CO_TRY(co_await read_more())) {
        CO_TRY(parser_->finish());
        co_return false;
      }
    }
    co_return true;
  }
  void lift_body_limit() { parser_->limit_body(UINT64_MAX); }

 private:
  bool is_final() const { return parser_->head().status >= 200 || parser_->head().status == 101; }

  template <class T>
  Result<T> timed(Result<T> result) {
    if (!result && deadline_.has_expired()) {
      return fail(Code::kTimeout, stream_->peer() + " did not answer in time");
    }
    return result;
  }

  Async<bool> read_more() {
    const auto count = CO_TRY(timed(co_await stream_->read_some(buffer_.prepare(kReadBytes))));
    buffer_.commit(count);
    if (count > 0) is_answered_ = true;
    co_return count > 0;
  }

  Async<> read_head(MessageParser::Kind kind) {
    parser_ = std::make_unique<MessageParser>(
        kind, ParserLimits{settings_.header_bytes_max, kHeaderCountMax});
    while (!CO_TRY(parser_->parse_head(buffer_))) {
      if (!CO_TRY(co_await read_more())) {
        co_return fail(Code::kUnavailable, stream_->peer() + " closed the connection");
      }
    }
    co_return Result<>{};
  }

  Async<> read_final_head(MessageParser::Kind kind) {
    do {
      CO_TRY(co_await read_head(kind));
    } while (!is_final());
    co_return Result<>{};
  }

  // False when the server gave its answer before the body.
  Async<bool> is_welcome(MessageParser::Kind kind) {
    CO_TRY(co_await read_head(kind));
    co_return parser_->head().status == 100;
  }

  Async<> send_upload(UploadBody& upload) {
    std::string bytes(kUploadBytes, '\0');
    std::uint64_t sent = 0;
    while (sent < upload.length) {
      const auto count = CO_TRY(upload.read_some(bytes));
      if (count == 0 || count > upload.length - sent) {
        stream_->close();
        co_return fail(Code::kFailedPrecondition, "the file changed its size while it was sent");
      }
      deadline_.set(settings_.stall_timeout);
      auto written = timed(co_await stream_->write_all(std::string_view(bytes).substr(0, count)));
      if (!written) {
        // The server may have said why before it closed.
        if (co_await read_head(MessageParser::Kind::kResponse) && is_final()) {
          co_return Result<>{};
        }
        co_return written;
      }
      sent += count;
      if (upload.progress) upload.progress(sent);
    }
    is_sent_ = true;
    co_return Result<>{};
  }

  StreamPtr stream_;
  const HttpClientSettings& settings_;
  Deadline deadline_;
  ReadBuffer buffer_;
  std::unique_ptr<MessageParser> parser_;
  bool is_answered_ = false;
  bool is_sent_ = false;
};
using ExchangePtr = std::unique_ptr<Exchange>;

struct IdleConnection {
  std::string key;
  ExchangePtr exchange;
  Clock::time_point since;
};

}  // namespace

struct HttpClient::Impl : std::enable_shared_from_this<HttpClient::Impl> {
  Impl(const Executor& e, HttpClientSettings s)
      : executor(e), settings(std::move(s)), idle_deadline(e, [this] { drop_old(); }) {}

  static std::string key_of(const Url& url) {
    return (url.is_secure() ? "s:" : "p:") + url.host + ':' + std::to_string(url.port);
  }

  ExchangePtr take_idle(const Url& url, bool must_be_fresh) {
    const std::string key = key_of(url);
    const auto oldest = Clock::now() - (must_be_fresh ? kFreshTime : settings.idle_timeout);
    for (auto it = idle.begin(); it != idle.end(); ++it) {
      if (it->key != key || it->since < oldest) continue;
      ExchangePtr found = std::move(it->exchange);
      idle.erase(it);
      return found;
    }
    return nullptr;
  }

  void keep(const Url& url, ExchangePtr exchange) {
    if (!exchange->can_be_kept() || settings.idle_connections_max == 0) return;
    exchange->clear_deadline();
    idle.push_front({key_of(url), std::move(exchange), Clock::now()});
    if (idle.size() > settings.idle_connections_max) idle.pop_back();
    idle_deadline.set(settings.idle_timeout);
  }

  void drop_old() {
    const auto oldest = Clock::now() - settings.idle_timeout;
    idle.remove_if([&](const IdleConnection& kept) { return kept.since <= oldest; });
    if (!idle.empty()) idle_deadline.set(settings.idle_timeout);
  }

  Async<ExchangePtr> connect(Url url) {
    StreamPtr stream;
    if (!settings.unix_path.empty()) {
      stream = CO_TRY(co_await connect_unix(settings.unix_path));
    } else {
      stream = CO_TRY(co_await connect_tcp(url.host, url.port, settings.connect));
    }
    if (url.is_secure()) {
      if (!settings.tls) co_return fail(Code::kInvalid, "https needs a CA to trust");
      stream = CO_TRY(co_await tls_connect(std::move(stream), settings.tls, url.host,
                                           {settings.connect.timeout}));
    }
    co_return std::make_unique<Exchange>(std::move(stream), settings);
  }

  // The head of the answer is read when this returns; a deadline for the rest is running.
  Async<ExchangePtr> start(ClientRequest& request, bool is_upgrade) {
    const auto until = Clock::now() + request.timeout;
    if (!is_upgrade) {
      while (auto kept = take_idle(request.url, !is_repeatable(request))) {
        kept->set_deadline(until - Clock::now());
        auto started = co_await kept->start(request, false);
        if (started) co_return kept;
        const bool is_stale = !kept->is_answered() && started.error().code != Code::kTimeout;
        if (!is_stale || !is_repeatable(request)) co_return Unexpected(started.error());
      }
    }
    auto exchange = CO_TRY(co_await connect(request.url));
    exchange->set_deadline(std::max<Duration>(until - Clock::now(), Duration::zero()));
    CO_TRY(co_await exchange->start(request, is_upgrade));
    co_return exchange;
  }

  Executor executor;
  HttpClientSettings settings;
  std::list<IdleConnection> idle;
  Deadline idle_deadline;
};

namespace {

// The settings that the exchange looks at live in the client.
class OpenStream final : public ClientStream {
 public:
  OpenStream(ExchangePtr exchange, std::shared_ptr<void> client)
      : client_(std::move(client)), exchange_(std::move(exchange)) {}
  int status() const override { return exchange_->head().status; }
  const Headers& headers() const override { return exchange_->head().headers; }
  Async<std::size_t> read_some(std::span<char> into) override {
    if (taken_ == pending_.size()) {
      pending_.clear();
      taken_ = 0;
      if (!CO_TRY(co_await exchange_->read_body(pending_))) co_return 0;
    }
    const std::size_t count = std::min(into.size(), pending_.size() - taken_);
    std::copy_n(pending_.data() + taken_, count, into.data());
    taken_ += count;
    co_return count;
  }
  void close() noexcept override { exchange_->close(); }

 private:
  std::shared_ptr<void> client_;
  ExchangePtr exchange_;
  std::string pending_;
  std::size_t taken_ = 0;
};

Async<ClientResponse> read_response(Exchange& exchange) {
  ClientResponse response;
  response.status = exchange.head().status;
  response.headers = exchange.head().headers;
  response.certificate = exchange.stream().peer_certificate();
  if (auto length = exchange.head().content_length) {
    response.body.reserve(std::min<std::uint64_t>(*length, 16 * 1024 * 1024));
  }
  while (CO_TRY(co_await exchange.read_body(response.body))) {
  }
  co_return response;
}

std::string new_websocket_key() {
  unsigned char bytes[16];
  RAND_bytes(bytes, sizeof bytes);
  unsigned char text[25];
  EVP_EncodeBlock(text, bytes, sizeof bytes);
  return std::string(reinterpret_cast<const char*>(text), 24);
}

}  // namespace

HttpClient::HttpClient(const Executor& executor, HttpClientSettings settings)
    : impl_(std::make_shared<Impl>(executor, std::move(settings))) {}
HttpClient::~HttpClient() {
  impl_->idle.clear();
}
void HttpClient::close_idle() {
  impl_->idle.clear();
}

Async<ClientResponse> HttpClient::send(ClientRequest request) {
  auto impl = impl_;
  auto exchange = CO_TRY(co_await impl->start(request, false));
  auto response = CO_TRY(co_await read_response(*exchange));
  impl->keep(request.url, std::move(exchange));
  co_return response;
}

Async<std::unique_ptr<ClientStream>> HttpClient::open_stream(ClientRequest request) {
  auto impl = impl_;
  auto exchange = CO_TRY(co_await impl->start(request, false));
  exchange->clear_deadline();
  exchange->lift_body_limit();
  co_return std::make_unique<OpenStream>(std::move(exchange), impl);
}

Async<std::shared_ptr<WebSocket>> HttpClient::open_websocket(Url url, Headers headers,
                                                             WebSocketSettings settings,
                                                             ClientResponse* refusal) {
  auto impl = impl_;
  ClientRequest request;
  request.url = std::move(url);
  request.headers = std::move(headers);
  request.timeout = impl->settings.connect.timeout * 2;
  const std::string key = new_websocket_key();
  request.headers.set("Upgrade", "websocket");
  request.headers.set("Sec-WebSocket-Version", "13");
  request.headers.set("Sec-WebSocket-Key", key);
  if (!settings.protocol.empty()) {
    request.headers.set("Sec-WebSocket-Protocol", settings.protocol);
  }
  auto exchange = CO_TRY(co_await impl->start(request, true));
  const MessageHead& head = exchange->head();
  if (head.status != 101) {
    auto response = CO_TRY(co_await read_response(*exchange));
    Error error = error_from_problem(response.status, response.body);
    if (refusal != nullptr) *refusal = std::move(response);
    co_return Unexpected(error);
  }
  if (head.headers.get("Sec-WebSocket-Accept") != websocket_accept(key) ||
      !head.headers.has_token("Upgrade", "websocket") ||
      head.headers.get("Sec-WebSocket-Protocol") != settings.protocol) {
    co_return fail(Code::kInvalid, "the server does not speak this WebSocket protocol");
  }
  exchange->clear_deadline();
  std::string rest = exchange->take_rest();
  co_return WebSocket::create(exchange->take_stream(), WebSocketRole::kClient, std::move(settings),
                              std::move(rest));
}

Result<UploadBody> upload_from_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(Code::kNotFound, fmt::format("{}: {}", path, std::strerror(errno)));
  std::shared_ptr<void> closer(nullptr, [fd](void*) { ::close(fd); });
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    return fail(Code::kInvalid, path + " is not a regular file");
  }
  UploadBody upload;
  upload.length = static_cast<std::uint64_t>(info.st_size);
  upload.read_some = [fd, closer, path](std::span<char> into) -> Result<std::size_t> {
    const ssize_t count = ::read(fd, into.data(), into.size());
    if (count < 0) {
      return fail(Code::kUnavailable, fmt::format("{}: {}", path, std::strerror(errno)));
    }
    return static_cast<std::size_t>(count);
  };
  return upload;
}

struct BlockingHttpClient::Impl {
  explicit Impl(HttpClientSettings settings) : client(loop.executor(), std::move(settings)) {}
  AsioLoop loop;
  HttpClient client;
};

BlockingHttpClient::BlockingHttpClient(HttpClientSettings settings)
    : impl_(std::make_unique<Impl>(std::move(settings))) {}
BlockingHttpClient::~BlockingHttpClient() = default;

HttpClient& BlockingHttpClient::client() {
  return impl_->client;
}
Executor BlockingHttpClient::executor() {
  return impl_->loop.executor();
}

void BlockingHttpClient::run_until_done(awaitable<void> work) {
  spawn(
      impl_->loop.executor(),
      [](AsioLoop& loop, awaitable<void> task) -> awaitable<void> {
        co_await std::move(task);
        loop.stop();
      }(impl_->loop, std::move(work)),
      "blocking call");
  impl_->loop.run();
}

Result<ClientResponse> BlockingHttpClient::send(ClientRequest request) {
  return run(impl_->client.send(std::move(request)));
}

Result<> BlockingHttpClient::stream(ClientRequest request,
                                    std::function<bool(int status, const Headers& headers)> on_head,
                                    std::function<bool(std::string_view data)> on_data) {
  auto open = TRY(run(impl_->client.open_stream(std::move(request))));
  if (!on_head(open->status(), open->headers())) return {};
  std::string bytes(kReadBytes, '\0');
  while (auto count = TRY(run(open->read_some(bytes)))) {
    if (!on_data(std::string_view(bytes).substr(0, count))) break;
  }
  return {};
}

}  // namespace chorok::net
