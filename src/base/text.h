// Small helpers for sentences that people read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace chorok {

// "1 host", "3 hosts": for nouns whose plural is an s.
inline std::string counted(std::int64_t count, std::string_view noun) {
  std::string out = std::to_string(count);
  out += ' ';
  out += noun;
  if (count != 1) out += 's';
  return out;
}

}  // namespace chorok
