// The serial console and the VNC proxy: bytes between a WebSocket of the manager and the terminal,
// or a local port.
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <charconv>
#include <deque>
#include <thread>

#include "cli/handlers.h"
#include "cli/objects.h"
#include "net/http_client.h"

namespace chorok::cli {
namespace {

constexpr char kEscape = 0x1d;  // ^]
// After the end of what was piped in, the guest may answer: until it has and is quiet, or has had
// time enough to begin, or to end.
constexpr Duration kQuiet = std::chrono::milliseconds(500);
constexpr Duration kBeginMost = std::chrono::seconds(2);
constexpr Duration kDrainMost = std::chrono::seconds(5);

Result<net::Url> socket_url(const Api& api, const std::string& path) {
  net::Url url = TRY(net::parse_url(api.full_url(path)));
  url.scheme = url.is_secure() ? "wss" : "ws";
  return url;
}

net::Headers bearer(const Api& api) {
  net::Headers headers;
  if (!api.connection().token.empty())
    headers.add("Authorization", "Bearer " + api.connection().token);
  return headers;
}

// Reads the keyboard on a thread of its own: standard input may be a file, which no event loop can
// wait for. What is typed is told on the executor, the end of it as an empty text. Ends when it is
// destroyed.
class Keyboard {
 public:
  Keyboard(net::Executor executor, std::function<void(std::string)> typed)
      : executor_(std::move(executor)), typed_(std::move(typed)), stop_(::eventfd(0, EFD_CLOEXEC)) {
    thread_ = std::thread([this] { read(); });
  }
  ~Keyboard() {
    std::uint64_t one = 1;
    if (::write(stop_, &one, sizeof one) < 0) std::abort();  // an eventfd takes a one
    thread_.join();
    ::close(stop_);
  }
  Keyboard(const Keyboard&) = delete;
  Keyboard& operator=(const Keyboard&) = delete;

 private:
  void read() {
    pollfd fds[2] = {{STDIN_FILENO, POLLIN, 0}, {stop_, POLLIN, 0}};
    char bytes[4096];
    while (::poll(fds, 2, -1) >= 0 || errno == EINTR) {
      if (fds[1].revents != 0) return;
      if (fds[0].revents == 0) continue;
      ssize_t count = ::read(STDIN_FILENO, bytes, sizeof bytes);
      std::size_t size = count > 0 ? static_cast<std::size_t>(count) : 0;
      net::post(executor_, [this, text = std::string(bytes, size)] { typed_(text); });
      if (size == 0) return;
    }
  }
  net::Executor executor_;
  std::function<void(std::string)> typed_;
  int stop_;
  std::thread thread_;
};

void write_out(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (count < 0 && errno != EINTR && errno != EAGAIN) return;
    if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

// What is typed, on its way to the guest, in order; lives on the I/O thread.
struct Typed {
  explicit Typed(const net::Executor& executor) : news(executor) {}
  std::deque<std::string> texts;
  bool escaped = false;  // ^]
  bool ended = false;    // nobody types any more
  bool left = false;     // it was this side that closed
  std::uint64_t heard = 0;
  net::AsyncEvent news;

  void take(std::string text) {
    if (escaped) return;
    std::size_t end = text.find(kEscape);
    escaped = end != std::string::npos;
    ended |= text.empty();
    text.resize(std::min(text.size(), end));
    if (!text.empty()) texts.push_back(std::move(text));
    news.notify_all();
  }
};

net::awaitable<void> drain(std::shared_ptr<Typed> typed) {
  const std::uint64_t at_end = typed->heard;
  std::uint64_t heard = at_end;
  for (Duration waited{}; waited < kDrainMost && !typed->escaped; waited += kQuiet) {
    co_await net::sleep_for(kQuiet);
    bool is_quiet = std::exchange(heard, typed->heard) == typed->heard;
    bool has_begun = typed->heard > at_end || waited + kQuiet >= kBeginMost;
    if (is_quiet && has_begun) break;
  }
}

net::awaitable<void> send_typed(std::shared_ptr<net::WebSocket> socket,
                                std::shared_ptr<Typed> typed) {
  while (true) {
    while (typed->texts.empty() && !typed->escaped && !typed->ended) co_await typed->news.wait();
    if (typed->texts.empty()) break;
    std::string text = std::move(typed->texts.front());
    typed->texts.pop_front();
    if (!co_await socket->send_binary(std::move(text))) co_return;
  }
  if (!typed->escaped) co_await drain(typed);
  typed->left = true;
  co_await socket->close();
}

// The reason why it ended, in words.
net::Async<std::string> run_session(net::HttpClient& client, net::Url url, net::Headers headers,
                                    Session& session, bool is_terminal) {
  auto socket = CO_TRY(co_await client.open_websocket(std::move(url), std::move(headers)));
  session.note("connected; ^] leaves\n");
  std::optional<RawMode> raw;
  if (is_terminal) raw.emplace();
  auto typed = std::make_shared<Typed>(socket->executor());
  net::spawn(socket->executor(), send_typed(socket, typed), "console input");
  Keyboard keyboard(socket->executor(),
                    [typed](std::string text) { typed->take(std::move(text)); });
  Result<net::WebSocketMessage> message;
  while ((message = co_await socket->receive())) {
    ++typed->heard;
    write_out(message->data);
  }
  // Ends the sender too, which may wait for what nobody will type.
  typed->escaped = true;
  typed->news.notify_all();
  if (typed->left) co_return std::string("left the console");
  bool orderly = socket->peer_close_code() == net::close_code::kNormal ||
                 socket->peer_close_code() == net::close_code::kGoingAway;
  if (!orderly) co_return std::unexpected(message.error().within("the console"));
  co_return fmt::format("the console was closed{}{}",
                        socket->peer_close_reason().empty() ? "" : ": ",
                        socket->peer_close_reason());
}

}  // namespace

Result<int> run_console(Session& session, const Invocation& call) {
  Api& api = *TRY(session.api());
  net::Url url = TRY(socket_url(api, ref_path("vms", call.args[0], "console")));
  auto ended = api.client().run(run_session(api.client().client(), std::move(url), bearer(api),
                                            session, session.terminal().in_is_terminal()));
  if (!ended) return std::unexpected(ended.error());
  session.note(fmt::format("\n{}\n", *ended));
  return exit_code::kOk;
}

namespace {

net::awaitable<void> viewer_to_socket(net::ByteStream& viewer,
                                      std::shared_ptr<net::WebSocket> socket) {
  std::string bytes(65536, '\0');
  while (true) {
    auto count = co_await viewer.read_some(bytes);
    if (!count || *count == 0) break;
    if (!co_await socket->send_binary(bytes.substr(0, *count))) break;
  }
  co_await socket->close();
}

net::awaitable<void> serve_viewer(net::HttpClient& client, net::Url url, net::Headers headers,
                                  net::StreamPtr stream, Session& session) {
  auto socket = co_await client.open_websocket(std::move(url), std::move(headers));
  if (!socket) {
    session.terminal().err(error_text(socket.error(), session.circumstances()));
    stream->close();
    co_return;
  }
  std::shared_ptr<net::ByteStream> viewer = std::move(stream);
  net::spawn(
      viewer->executor(),
      [](std::shared_ptr<net::ByteStream> from, std::shared_ptr<net::WebSocket> to)
          -> net::awaitable<void> { co_await viewer_to_socket(*from, to); }(viewer, *socket),
      "vnc viewer");
  while (auto message = co_await (*socket)->receive())
    if (!co_await viewer->write_all(message->data)) break;
  viewer->close();
  co_await (*socket)->close();
}

net::Async<int> serve_viewers(net::Listener& listener, net::HttpClient& client, const net::Url& url,
                              const net::Headers& headers, Session& session) {
  while (true) {
    auto stream = CO_TRY(co_await listener.accept());
    net::spawn(co_await net::this_executor(),
               serve_viewer(client, url, headers, std::move(stream), session), "vnc proxy");
  }
}

}  // namespace

Result<int> run_vnc(Session& session, const Invocation& call) {
  std::uint16_t port = 0;
  std::string_view text = call.value("port", "0");
  if (std::from_chars(text.data(), text.data() + text.size(), port).ptr !=
      text.data() + text.size())
    return usage_fail(fmt::format("'{}' is no port", text), "--port");
  Api& api = *TRY(session.api());
  // Whether there is such a VM is told now rather than by a viewer that closes again.
  TRY(api.get(ref_path("vms", call.args[0]), {{"fields", "meta/id"}}));
  net::Url url = TRY(socket_url(api, ref_path("vms", call.args[0], "vnc")));
  auto listener = TRY(net::listen_tcp(api.client().executor(), "127.0.0.1", port));
  session.out(fmt::format("127.0.0.1:{}\n", listener->port()));
  session.note(fmt::format("Open it with a VNC viewer (vncviewer 127.0.0.1::{}); Ctrl-C ends.\n",
                           listener->port()));
  return api.client().run(
      serve_viewers(*listener, api.client().client(), url, bearer(api), session));
}

}  // namespace chorok::cli
