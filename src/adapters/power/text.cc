#include "adapters/power/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace chorok::adapters::power {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::vector<std::string_view> lines(std::string_view text) {
  std::vector<std::string_view> found;
  while (!text.empty()) {
    std::size_t end = text.find('\n');
    found.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return found;
}

std::string last_line(std::string_view text) {
  std::string_view last;
  for (std::string_view line : lines(text))
    if (!trimmed(line).empty()) last = trimmed(line);
  std::string printable(last.substr(0, 200));
  std::ranges::replace_if(printable, [](char c) { return c < ' ' || c > '~'; }, '?');
  return printable.empty() ? "it said nothing" : printable;
}

Result<> check_address(std::string_view address) {
  auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == ':' || c == '-' || c == '_';
  };
  if (address.empty() || address.size() > 253 || address.front() == '-' ||
      !std::ranges::all_of(address, allowed))
    return fail(Code::kInvalid,
                fmt::format("'{}' is no host name and no address", address.substr(0, 60)),
                "/address");
  return {};
}

Result<> check_line(std::string_view text, std::string_view field, std::size_t most) {
  auto control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; };
  if (text.size() > most || std::ranges::any_of(text, control))
    return fail(Code::kInvalid, fmt::format("at most {} bytes without control characters", most),
                std::string(field));
  return {};
}

}  // namespace chorok::adapters::power
