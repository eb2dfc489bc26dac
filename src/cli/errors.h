// What the program says when something went wrong, what it advises, and how it exits.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace chorok::cli {

namespace exit_code {
inline constexpr int kOk = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kNotFound = 3;
inline constexpr int kTaskFailed = 4;  // the request was taken, the work failed or was cancelled
inline constexpr int kUnauthenticated = 5;
inline constexpr int kInterrupted = 130;  // 128 + SIGINT, as shells count
}  // namespace exit_code

// A mistake on the command line is an Error whose field is the flag ("--memory"), or "--" alone.
Error usage_error(std::string message, std::string_view flag = "--");
Unexpected usage_fail(std::string message, std::string_view flag = "--");
bool is_usage(const Error& error);

int exit_code_of(const Error& error);
// Under what circumstances: they decide what is good advice.
struct Circumstances {
  std::string url;        // of the manager; empty: none is known
  bool answered = false;  // it is there, and has answered a request
  bool stale = false;     // it refused a change of what is not as it was read any more (HTTP 412)
  std::string advice;     // of the command, which knows better than the error's code; or empty
  bool colours = false;
};
// "error: no VM 'web' (field /spec/host)\nhint: ...\n"
std::string error_text(const Error& error, const Circumstances& when = {});
// What to do next, or empty.
std::string hint_of(const Error& error, const Circumstances& when);

}  // namespace chorok::cli
