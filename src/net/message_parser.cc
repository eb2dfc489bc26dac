#include "net/message_parser.h"

#include <fmt/core.h>

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <cstring>

#include "net/http_text.h"

namespace chorok::net {

namespace http = boost::beast::http;
using ErrorCode = boost::beast::error_code;
using StringView = boost::beast::string_view;

std::span<char> ReadBuffer::prepare(std::size_t count) {
  if (begin_ == end_) begin_ = end_ = 0;
  if (bytes_.size() - end_ < count && begin_ > 0) {
    std::memmove(bytes_.data(), bytes_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (bytes_.size() - end_ < count) bytes_.resize(end_ + count);
  return {bytes_.data() + end_, bytes_.size() - end_};
}

void ReadBuffer::release() {
  if (is_empty()) take();
}

// A string that a short one is moved into keeps its memory; one that is swapped away does not.
std::string ReadBuffer::take() {
  std::string left(view());
  std::string().swap(bytes_);
  begin_ = end_ = 0;
  return left;
}

// Beast calls back here, one method a part of the message.
struct MessageParser::Core {
  virtual ~Core() = default;
  virtual std::size_t put(std::string_view bytes, ErrorCode& error) = 0;
  virtual void put_eof(ErrorCode& error) = 0;
  virtual void prepare(std::size_t header_bytes_max, bool has_no_body) = 0;
  virtual void limit_body(std::uint64_t bytes_max) = 0;
  virtual bool is_head_done() const = 0;
  virtual bool is_done() const = 0;
  virtual void fill_head() = 0;

  MessageHead head;
  std::size_t field_count = 0;
  std::size_t field_count_max = 0;
  std::string* body = nullptr;
};

namespace {

template <bool is_request>
class BeastCore final : public MessageParser::Core, private http::basic_parser<is_request> {
  using Parser = http::basic_parser<is_request>;

 public:
  std::size_t put(std::string_view bytes, ErrorCode& error) override {
    return Parser::put({bytes.data(), bytes.size()}, error);
  }
  void put_eof(ErrorCode& error) override { Parser::put_eof(error); }
  void prepare(std::size_t header_bytes_max, bool has_no_body) override {
    Parser::header_limit(static_cast<std::uint32_t>(header_bytes_max));
    Parser::body_limit(boost::none);
    if (has_no_body) Parser::skip(true);
  }
  void limit_body(std::uint64_t bytes_max) override {
    Parser::body_limit(bytes_max);
    Parser::eager(true);
  }
  bool is_head_done() const override { return Parser::is_header_done(); }
  bool is_done() const override { return Parser::is_done(); }
  void fill_head() override {
    head.keep_alive = Parser::keep_alive();
    head.has_body = !Parser::is_done();
    if (auto length = Parser::content_length()) head.content_length = *length;
  }

 private:
  void on_request_impl(http::verb, StringView method, StringView target, int version,
                       ErrorCode&) override {
    head.method = method;
    head.target = target;
    head.version = version;
  }
  void on_response_impl(int status, StringView, int version, ErrorCode&) override {
    head.status = status;
    head.version = version;
  }
  void on_field_impl(http::field, StringView name, StringView value, ErrorCode& error) override {
    if (++field_count > field_count_max) {
      error = http::error::header_limit;
    } else if (!is_head_done_) {  // what comes after the last chunk is counted and dropped
      head.headers.add(std::string(name), std::string(value));
    }
  }
  void on_header_impl(ErrorCode&) override { is_head_done_ = true; }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, ErrorCode&) override {}
  std::size_t on_body_impl(StringView bytes, ErrorCode&) override {
    body->append(bytes.data(), bytes.size());
    return bytes.size();
  }
  void on_chunk_header_impl(std::uint64_t, StringView, ErrorCode&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, StringView bytes, ErrorCode&) override {
    body->append(bytes.data(), bytes.size());
    return bytes.size();
  }
  void on_finish_impl(ErrorCode&) override {}

  bool is_head_done_ = false;
};

int status_of(const ErrorCode& error) {
  if (error == http::error::header_limit) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::bad_version) return 505;
  return 400;
}

}  // namespace

MessageParser::MessageParser(Kind kind, ParserLimits limits) : kind_(kind), limits_(limits) {
  if (kind == Kind::kRequest) {
    core_ = std::make_unique<BeastCore<true>>();
  } else {
    core_ = std::make_unique<BeastCore<false>>();
  }
  core_->field_count_max = limits.header_count_max;
  core_->prepare(limits.header_bytes_max + 4, kind == Kind::kResponseToHead);
}

MessageParser::~MessageParser() = default;

MessageHead& MessageParser::head() {
  return core_->head;
}
bool MessageParser::is_done() const {
  return core_->is_done();
}

Unexpected MessageParser::refuse(int status, std::string message) {
  error_status_ = status;
  const Code code = status == 431 || status == 413 ? Code::kExhausted : Code::kInvalid;
  return Unexpected(Error{code, std::move(message), {}});
}

// The length of the head with its empty line, or nothing yet. Looks at each byte once.
Result<std::optional<std::size_t>> MessageParser::find_end_of_head(std::string_view bytes) {
  for (; scanned_ < bytes.size(); ++scanned_) {
    const char c = bytes[scanned_];
    if (c == '\0') return refuse(400, "the head has a NUL: is this TLS on a plain port?");
    if (c != '\n') {
      const bool is_folded = (c == ' ' || c == '\t') && scanned_ > 0 && bytes[scanned_ - 1] == '\n';
      if (is_folded) return refuse(400, "folded header lines are not supported");
      continue;
    }
    if (scanned_ == 0 || bytes[scanned_ - 1] != '\r') {
      return refuse(400, "a line must end with CR LF");
    }
    if (scanned_ >= 3 && bytes[scanned_ - 2] == '\n') return scanned_ + 1;
  }
  return std::nullopt;
}

Result<bool> MessageParser::parse_head(ReadBuffer& buffer) {
  const auto end = TRY(find_end_of_head(buffer.view().substr(0, limits_.header_bytes_max)));
  if (!end) {
    if (buffer.view().size() < limits_.header_bytes_max) return false;
    return refuse(431, fmt::format("the head is longer than {} bytes", limits_.header_bytes_max));
  }
  ErrorCode error;
  const std::size_t used = core_->put(buffer.view().substr(0, *end), error);
  if (error && error != http::error::need_more) {
    return refuse(status_of(error), "malformed HTTP head: " + error.message());
  }
  if (!core_->is_head_done() || used != *end) return refuse(400, "malformed HTTP head");
  buffer.consume(used);
  core_->fill_head();
  TRY(check_head());
  return true;
}

Result<> MessageParser::check_head() {
  const MessageHead& head = core_->head;
  const std::string* encoding = head.headers.find("Transfer-Encoding");
  if (encoding != nullptr) {
    if (head.version < 11) return refuse(400, "Transfer-Encoding needs HTTP/1.1");
    if (!equals_ignoring_case(*encoding, "chunked")) {
      return refuse(501, "only the transfer encoding 'chunked' is supported");
    }
  }
  if (head.headers.count("Content-Length") + (encoding != nullptr ? 1 : 0) > 1) {
    return refuse(400, "the length of the body is given more than once");
  }
  const std::string* length = head.headers.find("Content-Length");
  if (length != nullptr && length->find_first_not_of("0123456789") != std::string::npos) {
    return refuse(400, "Content-Length must be one number");
  }
  if (kind_ == Kind::kRequest) {
    const std::size_t hosts = head.headers.count("Host");
    if (hosts > 1 || (hosts == 0 && head.version >= 11)) {
      return refuse(400, "exactly one Host header is needed");
    }
  }
  return {};
}

void MessageParser::limit_body(std::uint64_t bytes_max) {
  core_->limit_body(bytes_max);
}

Result<bool> MessageParser::parse_body(ReadBuffer& buffer, std::string& out) {
  core_->body = &out;
  while (!core_->is_done() && !buffer.is_empty()) {
    ErrorCode error;
    const std::size_t used = core_->put(buffer.view(), error);
    buffer.consume(used);
    if (error && error != http::error::need_more) {
      return refuse(status_of(error), "malformed HTTP body: " + error.message());
    }
    if (used > 0) continue;
    // An incomplete line of a chunk or trailer.
    if (buffer.view().size() < limits_.header_bytes_max) break;
    return refuse(431, "a chunk's extension or trailer is too long");
  }
  return core_->is_done();
}

Result<> MessageParser::finish() {
  if (core_->is_done()) return {};
  ErrorCode error;
  if (core_->is_head_done()) {
    core_->put_eof(error);
    if (!error) return {};
  }
  return fail(Code::kUnavailable, "the connection ended in the middle of a message");
}

}  // namespace chorok::net
