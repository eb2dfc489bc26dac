// Errors are values. An Error says what went wrong in words a person can act on, which field caused
// it (a JSON pointer where the cause is input), and a code that the API maps to an HTTP status. TRY
// takes the value out of a Result or returns its error from the enclosing function.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace chorok {

enum class Code : std::uint8_t {
  kInvalid,             // the request is malformed or breaks a rule of a field
  kNotFound,            // no such thing
  kAlreadyExists,       // the name or id is taken
  kConflict,            // a precondition (revision, state) does not hold any more
  kFailedPrecondition,  // the system is not in a state in which this can be done
  kUnauthenticated,     // who are you?
  kPermissionDenied,    // you may not
  kUnavailable,         // not now: peer gone, leader changed, starting up; trying again may help
  kTimeout,             // a deadline passed; whether it happened is unknown
  kExhausted,           // a limit or a resource (disk, memory, quota) is used up
  kCancelled,           // a person or a newer intent stopped it
  kUnsupported,         // this driver or version cannot do that
  kUnknown,             // the outcome is unknown and must be looked up
  kInternal,            // a bug in Chorok
};

std::string_view to_string(Code code);
// Returns kInternal for a name it does not know (a newer peer may have more codes).
Code code_from_string(std::string_view name);

struct Error {
  Code code = Code::kInternal;
  std::string message;  // a sentence: what happened, and what to do
  std::string field;    // JSON pointer ("/spec/vcpus") or empty

  // The same error with `context: ` before its message.
  Error within(std::string_view context) const;
  friend bool operator==(const Error&, const Error&) = default;
};

template <class T = void>
using Result = std::expected<T, Error>;
using Unexpected = std::unexpected<Error>;

inline Unexpected fail(Code code, std::string message, std::string field = {}) {
  return Unexpected(Error{code, std::move(message), std::move(field)});
}

namespace detail {
template <class T>
T take(std::expected<T, Error>& result) {
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}
}  // namespace detail

// What cannot happen is asserted in every build: prints the expression and place, then aborts.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);
#define CHOROK_ASSERT(condition) \
  ((condition) ? void(0) : ::chorok::assertion_failed(#condition, __FILE__, __LINE__))

}  // namespace chorok

// Each use gets a name of its own, so that a TRY may stand inside another.
#define CHOROK_TRY_NAMED(result, return_keyword, ...)                 \
  ({                                                                  \
    auto result = (__VA_ARGS__);                                      \
    if (!result) [[unlikely]]                                         \
      return_keyword ::chorok::Unexpected(std::move(result).error()); \
    ::chorok::detail::take(result);                                   \
  })
#define CHOROK_TRY_CONCAT(a, b) a##b
#define CHOROK_TRY_NAME(counter) CHOROK_TRY_CONCAT(chorok_try_result_, counter)
#define CHOROK_TRY_WITH(return_keyword, ...) \
  CHOROK_TRY_NAMED(CHOROK_TRY_NAME(__COUNTER__), return_keyword, __VA_ARGS__)
#define TRY(...) CHOROK_TRY_WITH(return, __VA_ARGS__)
// The same inside a coroutine that returns awaitable<Result<T>>.
#define CO_TRY(...) CHOROK_TRY_WITH(co_return, __VA_ARGS__)
