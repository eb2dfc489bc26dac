// JSON (RFC 8259) to Values: strict, with the place of a mistake, bounded in depth.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "cli/value.h"

namespace chorok::cli {
namespace {

constexpr int kMaxDepth = 64;  // what the API sends goes 32 deep

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Value> document() {
    Value value = TRY(this->value(0));
    space();
    if (at_ != text_.size()) return wrong("there is more after the end");
    return value;
  }

 private:
  Unexpected wrong(std::string_view what) const {
    auto line =
        1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(at_), '\n');
    return fail(Code::kInvalid, fmt::format("this is no JSON: line {}: {}", line, what));
  }
  void space() { at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size()); }
  bool take(std::string_view token) {
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }

  Result<Value> value(int depth) {
    if (depth > kMaxDepth) return wrong("it is nested too deeply");
    space();
    if (take("{")) return object(depth);
    if (take("[")) return list(depth);
    if (take("\"")) return TRY(string());
    if (take("true")) return true;
    if (take("false")) return false;
    if (take("null")) return Value{};
    return number();
  }

  Result<Value> list(int depth) {
    Value::List items;
    space();
    if (take("]")) return items;
    while (true) {
      items.push_back(TRY(value(depth + 1)));
      space();
      if (take("]")) return items;
      if (!take(",")) return wrong("a ',' or ']' is missing");
    }
  }

  Result<Value> object(int depth) {
    Value::Object members;
    space();
    if (take("}")) return members;
    while (true) {
      space();
      if (!take("\"")) return wrong("a name in quotes is missing");
      std::string key = TRY(string());
      space();
      if (!take(":")) return wrong("a ':' is missing");
      members.push_back({std::move(key), TRY(value(depth + 1))});
      space();
      if (take("}")) return members;
      if (!take(",")) return wrong("a ',' or '}' is missing");
    }
  }

  Result<Value> number() {
    std::size_t end = std::min(text_.find_first_not_of("0123456789+-.eE", at_), text_.size());
    std::string_view digits = text_.substr(at_, end - at_);
    std::string_view bare = digits.substr(digits.starts_with('-') ? 1 : 0);
    bool starts_well = !bare.empty() && bare[0] >= '0' && bare[0] <= '9' &&
                       (bare[0] != '0' || bare.size() == 1 || std::isdigit(bare[1]) == 0);
    if (!starts_well) return wrong("a value is missing");
    std::size_t point = digits.find('.');
    if (point != std::string_view::npos &&
        (point + 1 == digits.size() || std::isdigit(digits[point + 1]) == 0))
      return wrong("a digit is missing");
    at_ = end;
    const char* last = digits.data() + digits.size();
    std::int64_t integer = 0;
    if (auto [stop, error] = std::from_chars(digits.data(), last, integer);
        error == std::errc{} && stop == last)
      return integer;
    double number = 0;
    auto [stop, error] = std::from_chars(digits.data(), last, number);
    if (error != std::errc{} || stop != last) return wrong("this number is none");
    return number;
  }

  Result<std::string> string() {
    std::string out;
    while (true) {
      std::size_t end = text_.find_first_of("\"\\", at_);
      if (end == std::string_view::npos) return wrong("a string does not end");
      out += text_.substr(at_, end - at_);
      at_ = end + 1;
      if (text_[end] == '"') return out;
      TRY(escape(out));
    }
  }

  Result<> escape(std::string& out) {
    constexpr std::string_view kShort = "\"\\/bfnrt", kMeant = "\"\\/\b\f\n\r\t";
    if (at_ >= text_.size()) return wrong("a string does not end");
    char c = text_[at_++];
    if (std::size_t index = kShort.find(c); index != std::string_view::npos) {
      out += kMeant[index];
      return {};
    }
    if (c != 'u') return wrong("an unknown escape");
    std::uint32_t code = TRY(hex());
    if (code >= 0xD800 && code < 0xDC00) {
      if (!take("\\u")) return wrong("half a surrogate pair");
      std::uint32_t low = TRY(hex());
      if (low < 0xDC00 || low > 0xDFFF) return wrong("half a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(out, code);
    return {};
  }

  Result<std::uint32_t> hex() {
    std::string_view digits = text_.substr(at_, 4);
    std::uint32_t code = 0;
    auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (digits.size() != 4 || error != std::errc{} || stop != digits.data() + 4)
      return wrong("an unknown escape");
    at_ += 4;
    return code;
  }

  static void append_utf8(std::string& out, std::uint32_t code) {
    auto tail = [&](int shift) { out += static_cast<char>(0x80 | (code >> shift & 0x3F)); };
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xC0 | code >> 6);
      tail(0);
    } else if (code < 0x10000) {
      out += static_cast<char>(0xE0 | code >> 12);
      tail(6);
      tail(0);
    } else {
      out += static_cast<char>(0xF0 | code >> 18);
      tail(12);
      tail(6);
      tail(0);
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<Value> parse_json(std::string_view text) {
  return Parser(text).document();
}

}  // namespace chorok::cli
