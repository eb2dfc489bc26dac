// Bytes to HTTP messages: Beast's parser for the grammar, and before it a scan that refuses what
// proxies and servers read differently (bare LF, NUL, folded lines), the root of request smuggling.
// Not for other folders.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "net/http.h"

namespace chorok::net {

// Bytes read and not yet used. Views into it hold until the next prepare().
class ReadBuffer {
 public:
  std::string_view view() const { return std::string_view(bytes_).substr(begin_, end_ - begin_); }
  bool is_empty() const { return begin_ == end_; }
  void consume(std::size_t count) { begin_ += count; }
  std::span<char> prepare(std::size_t count);
  void commit(std::size_t count) { end_ += count; }
  // Gives back memory when nothing is left in it.
  void release();
  std::string take();

 private:
  std::string bytes_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

struct MessageHead {
  std::string method;
  std::string target;
  int status = 0;
  int version = 11;
  Headers headers;
  bool keep_alive = false;
  bool has_body = false;
  std::optional<std::uint64_t> content_length;
};

struct ParserLimits {
  std::size_t header_bytes_max;
  std::size_t header_count_max;
};

// One message. An error is final; error_status() is what a server answers to it.
class MessageParser {
 public:
  enum class Kind { kRequest, kResponse, kResponseToHead };
  MessageParser(Kind kind, ParserLimits limits);
  ~MessageParser();

  // Takes the head from the front of the buffer: true once it is complete, false when bytes are
  // missing.
  Result<bool> parse_head(ReadBuffer& buffer);
  // For the body, from now on.
  void limit_body(std::uint64_t bytes_max);
  // Appends what is there of the body to `out`: true once it is complete.
  Result<bool> parse_body(ReadBuffer& buffer, std::string& out);
  // The peer has ended: an error unless that is how this message ends.
  Result<> finish();

  MessageHead& head();
  bool is_done() const;
  int error_status() const { return error_status_; }

  // Implementation detail, public for the parser callbacks.
  struct Core;

 private:
  Unexpected refuse(int status, std::string message);
  Result<std::optional<std::size_t>> find_end_of_head(std::string_view bytes);
  Result<> check_head();

  Kind kind_;
  ParserLimits limits_;
  std::unique_ptr<Core> core_;
  std::size_t scanned_ = 0;
  int error_status_ = 400;
};

}  // namespace chorok::net
