// WebSocket (RFC 6455) over a ByteStream, both roles. One coroutine receives; any number send:
// messages wait in a bounded queue that makes senders wait when the peer is slow. With no ping
// interval an idle socket never wakes up.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/byte_stream.h"

namespace chorok::net {

struct WebSocketSettings {
  std::size_t message_bytes_max = 256 * 1024;      // the agent link's limit: bulk goes elsewhere
  std::size_t send_queue_bytes_max = 1024 * 1024;  // four of the largest messages
  Duration ping_interval = Duration::zero();  // zero: none, the protocol above has its own beat
  Duration pong_timeout = std::chrono::seconds(5);    // for each of two pings
  Duration close_timeout = std::chrono::seconds(5);   // for the peer to answer a close
  Duration write_timeout = std::chrono::seconds(60);  // for the peer to take one buffer
  std::string protocol;                               // client: the subprotocol to ask for
};

enum class WebSocketRole { kServer, kClient };

struct WebSocketMessage {
  bool is_binary = false;
  std::string data;
};

namespace close_code {
inline constexpr std::uint16_t kNormal = 1000;
inline constexpr std::uint16_t kGoingAway = 1001;
inline constexpr std::uint16_t kProtocolError = 1002;
inline constexpr std::uint16_t kUnsupported = 1003;
inline constexpr std::uint16_t kNone = 1005;
inline constexpr std::uint16_t kAbnormal = 1006;
inline constexpr std::uint16_t kInvalidData = 1007;
inline constexpr std::uint16_t kPolicy = 1008;
inline constexpr std::uint16_t kTooBig = 1009;
inline constexpr std::uint16_t kInternal = 1011;
}  // namespace close_code

class WebSocket : public std::enable_shared_from_this<WebSocket> {
 public:
  // The stream is past the HTTP upgrade; `already_read` are bytes that came with it.
  static std::shared_ptr<WebSocket> create(StreamPtr stream, WebSocketRole role,
                                           WebSocketSettings settings = {},
                                           std::string already_read = {});
  virtual ~WebSocket() = default;

  // The next message. Errors: kUnavailable when the peer closed or the link broke (close_code says
  // which), kInvalid when it broke the protocol, kExhausted when a message was too big, kCancelled
  // after abort(). Control frames are answered only while somebody receives.
  virtual Async<WebSocketMessage> receive() = 0;
  // Return once the message is in the queue; wait while the queue is full.
  virtual Async<> send_text(std::string data) = 0;
  virtual Async<> send_binary(std::string data) = 0;
  // Waits until the queue is written.
  virtual Async<> flush() = 0;
  // Sends what is queued and a close frame, waits for the peer's answer, closes. Safe to repeat.
  virtual awaitable<void> close(std::uint16_t code = close_code::kNormal,
                                std::string reason = {}) = 0;
  virtual void abort() noexcept = 0;  // at once, without a word

  virtual bool is_open() const = 0;
  // What the peer said last, or kAbnormal; kNone while open.
  virtual std::uint16_t peer_close_code() const = 0;
  virtual const std::string& peer_close_reason() const = 0;
  virtual std::size_t queued_bytes() const = 0;
  virtual std::string peer() const = 0;
  virtual std::shared_ptr<const PeerCertificate> peer_certificate() const = 0;
  virtual Executor executor() const = 0;
};

// The value of Sec-WebSocket-Accept for a Sec-WebSocket-Key.
std::string websocket_accept(std::string_view key);

}  // namespace chorok::net
