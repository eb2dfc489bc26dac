// Numbers and lines out of trace text, for the readers in this folder: views into what was read,
// and errors that name file and line.
#pragma once

#include <fmt/format.h>

#include <charconv>
#include <cstddef>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace chorok::sim::datacenter {

// One line after the other, without its end (LF or CRLF). Lines count from 1.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}
  std::optional<std::string_view> next() {
    if (rest_.empty()) return std::nullopt;
    const std::size_t end = rest_.find('\n');
    std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    ++number_;
    return line;
  }
  std::size_t number() const { return number_; }  // of the line that next() gave last

 private:
  std::string_view rest_;
  std::size_t number_ = 0;
};

// The next word of a line, up to `separator`; spaces repeat, other separators do not.
inline std::string_view next_word(std::string_view& line, char separator) {
  if (separator == ' ')
    while (line.starts_with(' ')) line.remove_prefix(1);
  const std::size_t end = line.find(separator);
  std::string_view word = line.substr(0, end);
  line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
  return word;
}

// The whole word as a number; empty when it is none.
template <class T>
std::optional<T> number(std::string_view word) {
  T value{};
  auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

inline Unexpected bad_line(std::string_view file, std::size_t line, std::string_view what) {
  return fail(Code::kInvalid, fmt::format("{}:{}: {}", file, line, what));
}

// Text of a file as it may stand in a message.
inline std::string_view shown(std::string_view text) {
  return text.substr(0, 40);
}

}  // namespace chorok::sim::datacenter
