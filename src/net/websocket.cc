#include "net/websocket.h"

#include <fmt/core.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <wslay/wslay.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <optional>

#include "net/idle_buffer.h"

namespace chorok::net {

namespace {

constexpr std::size_t kWriteBytes = 64 * 1024;
constexpr std::size_t kIdleWriteBytes = 512;  // what is kept for the next message: most answers fit
constexpr std::size_t kFragmentsMax = 1024;
constexpr int kPings = 2;  // that go unanswered before a peer counts as gone
constexpr std::size_t kReasonBytesMax =
    123;  // RFC 6455: a control frame has 125 bytes, the code takes 2

class WslaySocket final : public WebSocket {
 public:
  WslaySocket(StreamPtr stream, WebSocketRole role, WebSocketSettings settings,
              std::string already_read)
      : stream_(std::move(stream)),
        settings_(std::move(settings)),
        pending_in_(std::move(already_read)),
        changed_(stream_->executor()),
        write_deadline_(stream_->executor(), [this] { break_link("the peer takes nothing"); }) {
    const wslay_event_callbacks callbacks{on_recv, on_send, on_mask,   on_frame,
                                          nullptr, nullptr, on_message};
    if (role == WebSocketRole::kServer) {
      wslay_event_context_server_init(&wslay_, &callbacks, this);
    } else {
      wslay_event_context_client_init(&wslay_, &callbacks, this);
    }
    wslay_event_config_set_max_recv_msg_length(wslay_, settings_.message_bytes_max);
    if (settings_.ping_interval > Duration::zero()) {
      ping_.emplace(stream_->executor(), [this] { beat(); });
      ping_->set(settings_.ping_interval);
    }
  }

  ~WslaySocket() override {
    stream_->close();
    wslay_event_context_free(wslay_);
  }

  Async<WebSocketMessage> receive() override {
    auto self = shared_from_this();
    while (is_receiving_) {
      CHOROK_ASSERT(is_closing_);  // only close() may read beside the one receiver
      co_await changed_.wait();
    }
    is_receiving_ = true;
    auto message = co_await next_message();
    is_receiving_ = false;
    changed_.notify_all();  // close() may wait for its turn
    co_return message;
  }

  Async<> send_text(std::string data) override { return send(std::move(data), WSLAY_TEXT_FRAME); }
  Async<> send_binary(std::string data) override {
    return send(std::move(data), WSLAY_BINARY_FRAME);
  }

  Async<> flush() override {
    auto self = shared_from_this();
    while (is_writing_ && !error_) co_await changed_.wait();
    if (error_) co_return Unexpected(*error_);
    co_return Result<>{};
  }

  awaitable<void> close(std::uint16_t code, std::string reason) override {
    auto self = shared_from_this();
    if (error_ && !is_writing_) co_return end();
    Deadline deadline(stream_->executor(),
                      [this] { break_link("the peer did not answer the close"); });
    deadline.set(settings_.close_timeout);
    if (!error_ && !is_closing_) {
      is_closing_ = true;
      reason.resize(std::min(reason.size(), kReasonBytesMax));
      wslay_event_queue_close(wslay_, code, reinterpret_cast<const std::uint8_t*>(reason.data()),
                              reason.size());
      write_soon();
    }
    // Somebody has to read the peer's answer: the receiver when there is one, else this.
    while (!error_) {
      if (is_receiving_) {
        co_await changed_.wait();
      } else if (!co_await receive()) {
        break;
      }
    }
    while (is_writing_) co_await changed_.wait();
    end();
  }

  void abort() noexcept override {
    if (!error_) error_ = Error{Code::kCancelled, "the WebSocket was aborted", {}};
    end();
    changed_.notify_all();
  }

  bool is_open() const override { return !error_ && !is_closing_; }
  std::uint16_t peer_close_code() const override { return error_ ? peer_code_ : close_code::kNone; }
  const std::string& peer_close_reason() const override { return peer_reason_; }
  std::size_t queued_bytes() const override {
    return wslay_event_get_queued_msg_length(wslay_) + out_.size();
  }
  std::string peer() const override { return stream_->peer(); }
  std::shared_ptr<const PeerCertificate> peer_certificate() const override {
    return stream_->peer_certificate();
  }
  Executor executor() const override { return stream_->executor(); }

 private:
  // ---- receiving
  Async<WebSocketMessage> next_message() {
    for (;;) {
      if (!messages_.empty()) {
        WebSocketMessage message = std::move(messages_.front());
        messages_.pop_front();
        co_return message;
      }
      if (is_failing_) co_await explain_failure();
      if (error_) co_return Unexpected(*error_);
      if (pending_in_.empty()) co_await read();
      feed();
      // Answers to pings wait in the same queue: a peer that floods without reading is not read
      // either.
      while (!error_ && queued_bytes() > settings_.send_queue_bytes_max) co_await changed_.wait();
    }
  }

  awaitable<void> read() {
    auto count = co_await stream_->read_some(buffer_.next());
    is_heard_ = true;
    if (!count) {
      set_error(count.error());
    } else if (*count == 0) {
      set_error({Code::kUnavailable, peer() + " ended the connection without a close", {}});
    } else {
      arrived_ = buffer_.take(*count);
    }
  }

  void feed() {
    if (!pending_in_.empty()) arrived_ = pending_in_;
    while (!arrived_.empty() && !error_ && !is_failing_) {
      const std::size_t before = arrived_.size();
      wslay_event_recv(wslay_);  // on an error it has stopped reading and queued a close
      write_soon();
      if (!wslay_event_get_read_enabled(wslay_)) {
        on_read_end();
      } else if (arrived_.size() == before) {
        break;
      }
    }
    arrived_ = {};
    pending_in_.clear();
  }

  // wslay reads no more: the peer closed, or it broke a rule and a close that says which is queued.
  void on_read_end() {
    if (wslay_event_get_close_received(wslay_)) {
      peer_code_ = wslay_event_get_status_code_received(wslay_);
      if (peer_code_ == 0 || peer_code_ == WSLAY_CODE_ABNORMAL_CLOSURE)
        peer_code_ = close_code::kNone;
      set_error({Code::kUnavailable,
                 fmt::format("{} closed the WebSocket code={} reason='{}'", peer(), peer_code_,
                             peer_reason_),
                 {}});
      return;
    }
    is_failing_ = true;
  }

  // The close that goes to the peer says what rule it broke.
  awaitable<void> explain_failure() {
    while (is_writing_ && !error_) co_await changed_.wait();
    const std::uint16_t code = wslay_event_get_status_code_sent(wslay_);
    if (code == WSLAY_CODE_MESSAGE_TOO_BIG) {
      set_error({Code::kExhausted,
                 fmt::format("a message of {} is larger than {} bytes or in more than {} parts",
                             peer(), settings_.message_bytes_max, kFragmentsMax),
                 {}});
    } else {
      set_error({Code::kInvalid,
                 fmt::format("{} broke the WebSocket protocol code={}", peer(), code),
                 {}});
    }
  }

  // Each fragment costs memory of its own, whatever its size.
  static void on_frame(wslay_event_context_ptr ctx, const wslay_event_on_frame_recv_start_arg* arg,
                       void* user) {
    auto* self = static_cast<WslaySocket*>(user);
    if (wslay_is_ctrl_frame(arg->opcode)) return;
    self->fragments_ = arg->opcode == WSLAY_CONTINUATION_FRAME ? self->fragments_ + 1 : 1;
    if (self->fragments_ <= kFragmentsMax) return;
    wslay_event_queue_close(ctx, WSLAY_CODE_MESSAGE_TOO_BIG, nullptr, 0);
    wslay_event_shutdown_read(ctx);
  }

  static ssize_t on_recv(wslay_event_context_ptr ctx, std::uint8_t* into, size_t size, int,
                         void* user) {
    auto* self = static_cast<WslaySocket*>(user);
    if (self->arrived_.empty()) {
      wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
      return -1;
    }
    const std::size_t count = std::min(size, self->arrived_.size());
    std::memcpy(into, self->arrived_.data(), count);
    self->arrived_.remove_prefix(count);
    return static_cast<ssize_t>(count);
  }

  static void on_message(wslay_event_context_ptr, const wslay_event_on_msg_recv_arg* arg,
                         void* user) {
    auto* self = static_cast<WslaySocket*>(user);
    const std::string_view data(reinterpret_cast<const char*>(arg->msg), arg->msg_length);
    if (arg->opcode == WSLAY_CONNECTION_CLOSE) {
      if (data.size() > 2) self->peer_reason_ = data.substr(2);
    } else if (!wslay_is_ctrl_frame(arg->opcode)) {
      self->messages_.push_back({arg->opcode == WSLAY_BINARY_FRAME, std::string(data)});
    }
  }

  // ---- sending
  Async<> send(std::string data, std::uint8_t opcode) {
    auto self = shared_from_this();
    while (!error_ && !is_closing_ && queued_bytes() > 0 &&
           queued_bytes() + data.size() > settings_.send_queue_bytes_max) {
      co_await changed_.wait();
    }
    if (error_) co_return Unexpected(*error_);
    if (is_closing_) co_return fail(Code::kCancelled, "the WebSocket is being closed");
    const wslay_event_msg message{opcode, reinterpret_cast<const std::uint8_t*>(data.data()),
                                  data.size()};
    if (wslay_event_queue_msg(wslay_, &message) != 0) {
      co_return fail(Code::kUnavailable, "the WebSocket is closed");
    }
    write_soon();
    co_return Result<>{};
  }

  void write_soon() {
    if (is_writing_ || !wslay_event_want_write(wslay_)) return;
    is_writing_ = true;
    spawn(stream_->executor(), write_queue(), "websocket write");
  }

  // Runs while there is something to write, and not otherwise.
  awaitable<void> write_queue() {
    auto self = shared_from_this();
    while (!is_ended_ && wslay_event_want_write(wslay_)) {
      wslay_event_send(wslay_);
      if (out_.empty()) break;
      write_deadline_.set(settings_.write_timeout);
      auto written = co_await stream_->write_all(std::string_view(out_));
      out_.clear();
      if (!written) {
        set_error(written.error());
        break;
      }
      changed_.notify_all();
    }
    if (out_.capacity() > kIdleWriteBytes) std::string().swap(out_);
    write_deadline_.clear();
    is_writing_ = false;
    changed_.notify_all();
  }

  static ssize_t on_send(wslay_event_context_ptr ctx, const std::uint8_t* data, size_t size, int,
                         void* user) {
    auto* self = static_cast<WslaySocket*>(user);
    if (self->out_.size() >= kWriteBytes) {
      wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
      return -1;
    }
    self->out_.append(reinterpret_cast<const char*>(data), size);
    return static_cast<ssize_t>(size);
  }

  static int on_mask(wslay_event_context_ptr, std::uint8_t* into, size_t size, void*) {
    return RAND_bytes(into, static_cast<int>(size)) == 1 ? 0 : -1;
  }

  // ---- life and end
  // Anything heard counts as life; a ping goes out only into silence. Two are to be unanswered:
  // when this process was stopped, the answer to the first waits to be read.
  void beat() {
    if (error_) return;
    if (std::exchange(is_heard_, false)) {
      unanswered_ = 0;
    } else if (unanswered_ == kPings) {
      return break_link("the peer did not answer a ping");
    } else {
      const wslay_event_msg ping{WSLAY_PING, nullptr, 0};
      wslay_event_queue_msg(wslay_, &ping);
      write_soon();
      ++unanswered_;
    }
    ping_->set(unanswered_ > 0 ? settings_.pong_timeout : settings_.ping_interval);
  }

  void break_link(std::string_view why) {
    set_error({Code::kTimeout, fmt::format("{}: {}", peer(), why), {}});
    end();
  }

  void set_error(Error error) {
    if (!error_) error_ = std::move(error);
    changed_.notify_all();
  }

  void end() noexcept {
    is_ended_ = true;
    stream_->close();
  }

  StreamPtr stream_;
  WebSocketSettings settings_;
  wslay_event_context_ptr wslay_ = nullptr;
  std::string pending_in_;
  IdleBuffer buffer_;
  std::string_view arrived_;
  std::string out_;
  std::deque<WebSocketMessage> messages_;
  AsyncEvent changed_;
  Deadline write_deadline_;
  std::optional<Deadline> ping_;
  std::optional<Error> error_;
  std::uint16_t peer_code_ = close_code::kAbnormal;
  std::string peer_reason_;
  bool is_receiving_ = false;
  bool is_writing_ = false;
  bool is_closing_ = false;
  bool is_ended_ = false;
  bool is_heard_ = false;
  int unanswered_ = 0;  // pings
  bool is_failing_ = false;
  std::size_t fragments_ = 0;
};

}  // namespace

std::shared_ptr<WebSocket> WebSocket::create(StreamPtr stream, WebSocketRole role,
                                             WebSocketSettings settings, std::string already_read) {
  return std::make_shared<WslaySocket>(std::move(stream), role, std::move(settings),
                                       std::move(already_read));
}

std::string websocket_accept(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  unsigned char encoded[4 * ((SHA_DIGEST_LENGTH + 2) / 3) + 1];
  const int size = EVP_EncodeBlock(encoded, digest, SHA_DIGEST_LENGTH);
  return std::string(reinterpret_cast<const char*>(encoded), static_cast<std::size_t>(size));
}

}  // namespace chorok::net
