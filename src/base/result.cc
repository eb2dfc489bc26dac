#include "base/result.h"

#include <array>
#include <cstdio>
#include <cstdlib>

namespace chorok {
namespace {

constexpr std::array kNames = {
    "invalid",         "not_found",         "already_exists", "conflict", "failed_precondition",
    "unauthenticated", "permission_denied", "unavailable",    "timeout",  "exhausted",
    "cancelled",       "unsupported",       "unknown",        "internal"};

}  // namespace

std::string_view to_string(Code code) {
  return kNames.at(static_cast<std::size_t>(code));
}

Code code_from_string(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (name == kNames[i]) return static_cast<Code>(i);
  return Code::kInternal;
}

Error Error::within(std::string_view context) const {
  return Error{code, std::string(context) + ": " + message, field};
}

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
  std::abort();
}

}  // namespace chorok
