#include "net/json_rpc.h"

#include <fmt/core.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <deque>
#include <map>
#include <optional>
#include <unordered_map>

#include "base/log.h"
#include "net/websocket.h"

namespace chorok::net {

namespace json = boost::json;

namespace {

// The codes that JSON-RPC itself gives meaning to; ours travel by name in `data`.
constexpr int kParseError = -32700;
constexpr int kInvalidRequest = -32600;
constexpr int kMethodNotFound = -32601;
constexpr int kInvalidParams = -32602;
constexpr int kInternalError = -32603;
constexpr int kServerError = -32000;

int rpc_code(Code code) {
  switch (code) {
    case Code::kInvalid:
      return kInvalidParams;
    case Code::kInternal:
      return kInternalError;
    default:
      return kServerError;
  }
}

Code code_of_rpc(std::int64_t code) {
  switch (code) {
    case kParseError:
    case kInvalidRequest:
    case kInvalidParams:
      return Code::kInvalid;
    case kMethodNotFound:
      return Code::kUnsupported;
    default:
      return Code::kInternal;
  }
}

std::string error_message(const json::value& id, int code, const Error& error) {
  return json::serialize(json::object{
      {"jsonrpc", "2.0"},
      {"id", id},
      {"error",
       {{"code", code},
        {"message", error.message},
        {"data",
         {{"code", to_string(error.code)}, {"message", error.message}, {"field", error.field}}}}}});
}

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

Error error_from(const json::value& value) {
  const json::object* object = value.if_object();
  if (object == nullptr) return {Code::kInternal, "the peer sent a malformed error", {}};
  std::int64_t number = kInternalError;
  if (const json::value* code = object->if_contains("code"); code != nullptr && code->is_int64()) {
    number = code->as_int64();
  }
  Error error{code_of_rpc(number), text_of(*object, "message"), {}};
  const json::value* data = object->if_contains("data");
  if (data != nullptr && data->is_object()) {
    const json::object& ours = data->as_object();
    if (auto code = text_of(ours, "code"); !code.empty()) error.code = code_from_string(code);
    if (auto message = text_of(ours, "message"); !message.empty()) error.message = message;
    error.field = text_of(ours, "field");
  }
  return error;
}

class WebSocketTransport final : public MessageTransport {
 public:
  explicit WebSocketTransport(std::shared_ptr<WebSocket> socket) : socket_(std::move(socket)) {}
  // A close that is under way is left to end: it holds the socket itself.
  ~WebSocketTransport() override {
    if (socket_->is_open()) socket_->abort();
  }
  Async<std::string> receive() override {
    auto message = CO_TRY(co_await socket_->receive());
    if (!message.is_binary) co_return std::move(message.data);
    co_await socket_->close(close_code::kUnsupported, "JSON-RPC is text");
    co_return fail(Code::kInvalid, "the peer sent a binary message");
  }
  Async<> send(std::string message) override { return socket_->send_text(std::move(message)); }
  // Politely where there is time for it; nothing here waits for that.
  void close() noexcept override {
    spawn(
        socket_->executor(),
        [](std::shared_ptr<WebSocket> open) -> awaitable<void> { co_await open->close(); }(socket_),
        "json-rpc close");
  }

 private:
  std::shared_ptr<WebSocket> socket_;
};

struct Mailbox {
  explicit Mailbox(const Executor& executor) : changed(executor) {}
  std::deque<std::string> messages;
  bool is_closed = false;
  AsyncEvent changed;
};

class MailboxTransport final : public MessageTransport {
 public:
  MailboxTransport(std::shared_ptr<Mailbox> in, std::shared_ptr<Mailbox> out)
      : in_(std::move(in)), out_(std::move(out)) {}
  ~MailboxTransport() override { close(); }
  Async<std::string> receive() override {
    auto in = in_;
    while (in->messages.empty() && !in->is_closed) co_await in->changed.wait();
    if (in->messages.empty()) co_return fail(Code::kUnavailable, "the pipe is closed");
    std::string message = std::move(in->messages.front());
    in->messages.pop_front();
    co_return message;
  }
  Async<> send(std::string message) override {
    if (out_->is_closed) co_return fail(Code::kUnavailable, "the pipe is closed");
    out_->messages.push_back(std::move(message));
    out_->changed.notify_all();
    co_return Result<>{};
  }
  void close() noexcept override {
    for (auto& box : {in_, out_}) {
      box->is_closed = true;
      box->changed.notify_all();
    }
  }

 private:
  std::shared_ptr<Mailbox> in_;
  std::shared_ptr<Mailbox> out_;
};

class Peer final : public JsonRpcPeer, public std::enable_shared_from_this<Peer> {
 public:
  Peer(const Executor& executor, std::unique_ptr<MessageTransport> transport,
       JsonRpcSettings settings)
      : executor_(executor),
        transport_(std::move(transport)),
        settings_(settings),
        notified_(executor) {}

  void on_call(std::string method, Method handler) override {
    methods_[std::move(method)] = std::move(handler);
  }
  void on_notify(std::string method, Notified handler) override {
    notifications_[std::move(method)] = std::move(handler);
  }

  Async<std::string> call(std::string method, std::string params, Duration timeout) override {
    auto self = shared_from_this();
    if (is_ended_) co_return fail(Code::kUnavailable, "the link is closed");
    if (waiting_.size() >= settings_.calls_out_max) {
      co_return fail(Code::kExhausted,
                     fmt::format("{} calls wait for an answer already", waiting_.size()));
    }
    const std::uint64_t id = ++last_id_;
    auto waiting = std::make_shared<Waiting>(executor_);
    waiting_[id] = waiting;
    const auto until = std::chrono::steady_clock::now() + timeout;
    // Apart, so that a full queue does not hold up the timeout.
    spawn(executor_, send_call(waiting, format_call(&id, method, params)), "json-rpc call");
    while (!waiting->answer) {
      const Duration left = until - std::chrono::steady_clock::now();
      if (left <= Duration::zero()) break;
      co_await waiting->answered.wait_for(left);
    }
    waiting_.erase(id);
    if (waiting->answer) co_return std::move(*waiting->answer);
    co_return fail(Code::kTimeout,
                   fmt::format("no answer to {} in {} s", method, seconds(timeout)));
  }

  Async<> notify(std::string method, std::string params) override {
    auto self = shared_from_this();
    if (is_ended_) co_return fail(Code::kUnavailable, "the link is closed");
    co_return co_await transport_->send(format_call(nullptr, method, params));
  }

  awaitable<Error> run() override {
    auto self = shared_from_this();
    spawn(executor_, run_notifications(), "json-rpc notifications");
    Error why;
    for (;;) {
      auto message = co_await transport_->receive();
      if (!message) {
        why = message.error();
        break;
      }
      co_await take(*message);
    }
    end(why);
    co_return why;
  }

  void close() noexcept override {
    transport_->close();
    end({Code::kCancelled, "the link was closed", {}});
  }
  bool is_open() const override { return !is_ended_; }

 private:
  struct Waiting {
    explicit Waiting(const Executor& executor) : answered(executor) {}
    std::optional<Result<std::string>> answer;
    AsyncEvent answered;
  };

  awaitable<void> send_call(std::shared_ptr<Waiting> waiting, std::string message) {
    auto self = shared_from_this();
    auto sent = co_await transport_->send(std::move(message));
    if (sent || waiting->answer) co_return;
    waiting->answer = Unexpected(sent.error());
    waiting->answered.notify_all();
  }

  static std::string format_call(const std::uint64_t* id, std::string_view method,
                                 std::string_view params) {
    std::string out = R"({"jsonrpc":"2.0",)";
    if (id != nullptr) out += fmt::format(R"("id":{},)", *id);
    out += R"("method":)" + json::serialize(json::string(method));
    if (!params.empty()) {
      out += R"(,"params":)";
      out += params;
    }
    return out += '}';
  }

  void end(const Error& why) {
    if (std::exchange(is_ended_, true)) return;
    for (auto& [id, waiting] : waiting_) {
      waiting->answer =
          fail(Code::kUnavailable, "the link broke before the answer: " + why.message);
      waiting->answered.notify_all();
    }
    waiting_.clear();
    notified_.notify_all();
  }

  awaitable<void> take(std::string_view text) {
    json::parse_options options;
    options.max_depth = settings_.depth_max;
    boost::system::error_code bad;
    json::value value;
    try {
      value = json::parse(text, bad, {}, options);
    } catch (const std::exception&) {
      bad = json::error::exception;
    }
    if (bad) {
      co_await reply(error_message(
          nullptr, kParseError, {Code::kInvalid, "the message is not JSON: " + bad.message(), {}}));
      co_return;
    }
    const json::object* object = value.if_object();
    const bool is_ours = object != nullptr && text_of(*object, "jsonrpc") == "2.0";
    if (is_ours && object->contains("method")) {
      co_await take_request(value.as_object());
    } else if (is_ours && object->contains("id")) {
      take_answer(value.as_object());
    } else {
      const char* why = value.is_array() ? "batches are not supported: send one message a call"
                                         : "this is not a JSON-RPC 2.0 message";
      co_await reply(error_message(nullptr, kInvalidRequest, {Code::kInvalid, why, {}}));
    }
  }

  awaitable<void> take_request(json::object& object) {
    const std::string method = text_of(object, "method");
    const json::value* params = object.if_contains("params");
    std::string text = params != nullptr ? json::serialize(*params) : std::string();
    if (!object.contains("id")) {
      // What the peer sends faster than it is worked off waits in the transport, not here.
      while (notices_.size() >= settings_.calls_in_max && !is_ended_) co_await notified_.wait();
      notices_.push_back({method, std::move(text)});
      notified_.notify_all();
      co_return;
    }
    json::value id = object["id"];
    if (!id.is_int64() && !id.is_uint64() && !id.is_string()) {
      co_await reply(error_message(nullptr, kInvalidRequest,
                                   {Code::kInvalid, "the id must be a number or a string", "/id"}));
    } else if (!methods_.contains(method)) {
      const Error error{Code::kUnsupported, "there is no method '" + method + "'", "/method"};
      co_await reply(error_message(id, kMethodNotFound, error));
    } else if (calls_in_ >= settings_.calls_in_max) {
      const Error error{
          Code::kExhausted, fmt::format("{} calls are at work already", calls_in_), {}};
      co_await reply(error_message(id, kServerError, error));
    } else {
      ++calls_in_;
      spawn(executor_, work(std::move(id), method, std::move(text)), "json-rpc " + method);
    }
  }

  awaitable<void> work(json::value id, std::string method, std::string params) {
    auto self = shared_from_this();
    std::optional<Result<std::string>> result;
    try {
      result.emplace(co_await methods_.at(method)(std::move(params)));
    } catch (const std::exception& e) {
      Log("net").error("a JSON-RPC method ended with an exception method={} what={}", method,
                       e.what());
      result.emplace(fail(Code::kInternal, "an internal error in " + method));
    }
    --calls_in_;
    if (!*result) {
      const Error& error = result->error();
      co_await reply(error_message(id, rpc_code(error.code), error));
      co_return;
    }
    const std::string& text = **result;
    co_await reply(R"({"jsonrpc":"2.0","id":)" + json::serialize(id) + R"(,"result":)" +
                   (text.empty() ? "null" : text) + '}');
  }

  void take_answer(json::object& object) {
    const json::value& id = object["id"];
    const json::value* error = object.if_contains("error");
    if (id.is_null() && error != nullptr) {
      Log("net").warn("the peer could not read a message reason={}", error_from(*error).message);
      return;
    }
    const auto number = id.is_int64() ? static_cast<std::uint64_t>(id.as_int64()) : 0;
    auto found = waiting_.find(number);
    if (found == waiting_.end()) return;  // late: the caller has given up
    const auto waiting = found->second;
    waiting_.erase(found);
    const json::value* result = object.if_contains("result");
    if (error != nullptr) {
      waiting->answer = Unexpected(error_from(*error));
    } else if (result != nullptr) {
      waiting->answer = json::serialize(*result);
    } else {
      waiting->answer = fail(Code::kInternal, "the answer has neither result nor error");
    }
    waiting->answered.notify_all();
  }

  awaitable<void> run_notifications() {
    auto self = shared_from_this();
    for (;;) {
      while (notices_.empty() && !is_ended_) co_await notified_.wait();
      if (notices_.empty()) co_return;
      Notice notice = std::move(notices_.front());
      notices_.pop_front();
      notified_.notify_all();
      auto found = notifications_.find(notice.method);
      if (found == notifications_.end()) continue;  // a newer peer may say more than this one knows
      try {
        co_await found->second(std::move(notice.params));
      } catch (const std::exception& e) {
        Log("net").error("a notification's handler threw method={} what={}", notice.method,
                         e.what());
      }
    }
  }

  awaitable<void> reply(std::string message) {
    if (!is_ended_) co_await transport_->send(std::move(message));
  }

  struct Notice {
    std::string method;
    std::string params;
  };

  Executor executor_;
  std::unique_ptr<MessageTransport> transport_;
  JsonRpcSettings settings_;
  std::map<std::string, Method, std::less<>> methods_;
  std::map<std::string, Notified, std::less<>> notifications_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Waiting>> waiting_;
  std::uint64_t last_id_ = 0;
  std::size_t calls_in_ = 0;
  std::deque<Notice> notices_;
  AsyncEvent notified_;
  bool is_ended_ = false;
};

}  // namespace

std::unique_ptr<MessageTransport> websocket_transport(std::shared_ptr<WebSocket> socket) {
  return std::make_unique<WebSocketTransport>(std::move(socket));
}

std::pair<std::unique_ptr<MessageTransport>, std::unique_ptr<MessageTransport>> make_message_pipe(
    const Executor& executor) {
  auto there = std::make_shared<Mailbox>(executor);
  auto back = std::make_shared<Mailbox>(executor);
  return {std::make_unique<MailboxTransport>(there, back),
          std::make_unique<MailboxTransport>(back, there)};
}

std::shared_ptr<JsonRpcPeer> JsonRpcPeer::create(const Executor& executor,
                                                 std::unique_ptr<MessageTransport> transport,
                                                 JsonRpcSettings settings) {
  return std::make_shared<Peer>(executor, std::move(transport), settings);
}

}  // namespace chorok::net
