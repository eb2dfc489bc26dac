#include "net/sse.h"

#include <fmt/format.h>

#include <charconv>
#include <iterator>

namespace chorok::net {

namespace {

void append_line(std::string& out, std::string_view field, std::string_view value) {
  out += field;
  for (char c : value) {
    if (c != '\r' && c != '\n' && c != '\0') out += c;
  }
  out += '\n';
}

}  // namespace

std::string format_sse(const SseEvent& event) {
  std::string out;
  out.reserve(event.data.size() + event.id.size() + event.event.size() + 32);
  if (!event.id.empty()) append_line(out, "id: ", event.id);
  if (!event.event.empty()) append_line(out, "event: ", event.event);
  if (event.retry_ms) fmt::format_to(std::back_inserter(out), "retry: {}\n", *event.retry_ms);
  std::string_view rest = event.data;
  for (;;) {
    const std::size_t end = rest.find('\n');
    append_line(out, "data: ", rest.substr(0, end));
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  out += '\n';
  return out;
}

std::string_view sse_heartbeat() {
  return ":\n\n";
}

Response sse_response(std::function<Async<>(BodySink&)> write) {
  Response response = Response::stream("text/event-stream", std::move(write));
  response.headers.set("Cache-Control", "no-store");
  response.headers.set("X-Accel-Buffering", "no");  // nginx would hold events back
  return response;
}

std::string_view last_event_id(const Request& request) {
  if (const std::string* id = request.headers.find("Last-Event-ID")) return *id;
  const std::string* id = request.query_value("last_event_id");
  return id != nullptr ? std::string_view(*id) : std::string_view();
}

Result<> SseParser::feed(std::string_view bytes) {
  for (char c : bytes) {
    if (c == '\n' && skip_lf_) {
      skip_lf_ = false;
      continue;
    }
    skip_lf_ = c == '\r';
    if (c != '\r' && c != '\n') {
      if (line_.size() + data_.size() >= limit_) {
        return fail(Code::kExhausted, fmt::format("an event is larger than {} bytes", limit_));
      }
      line_ += c;
      continue;
    }
    std::string_view line = line_;
    if (at_start_ && line.starts_with("\xef\xbb\xbf")) line.remove_prefix(3);
    at_start_ = false;
    take_line(line);
    line_.clear();
  }
  return {};
}

void SseParser::take_line(std::string_view line) {
  if (line.empty()) return dispatch();
  const std::size_t colon = line.find(':');
  if (colon == 0) return;  // a comment
  const std::string_view field = line.substr(0, colon);
  std::string_view value;
  if (colon != std::string_view::npos) value = line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);

  if (field == "data") {
    if (has_data_) data_ += '\n';
    data_ += value;
    has_data_ = true;
  } else if (field == "event") {
    event_ = value;
  } else if (field == "id") {
    if (value.find('\0') == std::string_view::npos) last_id_ = value;
  } else if (field == "retry") {
    std::uint64_t ms = 0;
    auto [at, error] = std::from_chars(value.data(), value.data() + value.size(), ms);
    if (error == std::errc() && at == value.data() + value.size()) retry_ms_ = ms;
  }
}

void SseParser::dispatch() {
  if (has_data_) ready_.push_back({last_id_, std::move(event_), std::move(data_), retry_ms_});
  event_.clear();
  data_.clear();
  has_data_ = false;
}

std::optional<SseEvent> SseParser::next() {
  if (ready_.empty()) return std::nullopt;
  SseEvent event = std::move(ready_.front());
  ready_.pop_front();
  return event;
}

}  // namespace chorok::net
