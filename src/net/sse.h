// Server-sent events (the WHATWG event stream): a writer over a BodySink and a parser that takes
// bytes as they come. An event's id is what the client sends back as Last-Event-ID to go on from
// there.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/http.h"

namespace chorok::net {

struct SseEvent {
  std::string id;     // empty: none
  std::string event;  // empty: "message"
  std::string data;   // may have several lines
  std::optional<std::uint64_t> retry_ms;
  friend bool operator==(const SseEvent&, const SseEvent&) = default;
};

// One event as it goes over the wire. Line ends and NULs in id and event are dropped: they would
// forge fields.
std::string format_sse(const SseEvent& event);
// A line that clients ignore: keeps proxies from closing an idle stream.
std::string_view sse_heartbeat();

// Headers for a response of events; the rest of a handler is a loop of sink.write(format_sse(...)).
Response sse_response(std::function<Async<>(BodySink&)> write);
// What the client last saw, from the Last-Event-ID header or the query, or empty.
std::string_view last_event_id(const Request& request);

class SseParser {
 public:
  explicit SseParser(std::size_t event_bytes_max = 1024 * 1024) : limit_(event_bytes_max) {}
  // kExhausted when one event is larger than the limit.
  Result<> feed(std::string_view bytes);
  std::optional<SseEvent> next();
  const std::string& last_id() const { return last_id_; }
  std::optional<std::uint64_t> retry_ms() const { return retry_ms_; }

 private:
  void take_line(std::string_view line);
  void dispatch();
  std::size_t limit_;
  std::string line_;
  bool skip_lf_ = false;
  bool at_start_ = true;
  bool has_data_ = false;
  std::string event_, data_, last_id_;
  std::optional<std::uint64_t> retry_ms_;
  std::deque<SseEvent> ready_;
};

}  // namespace chorok::net
