#include "cli/errors.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/text.h"

namespace chorok::cli {

Error usage_error(std::string message, std::string_view flag) {
  return Error{Code::kInvalid, std::move(message), std::string(flag)};
}

Unexpected usage_fail(std::string message, std::string_view flag) {
  return Unexpected(usage_error(std::move(message), flag));
}

bool is_usage(const Error& error) {
  return error.field.starts_with("--");
}

int exit_code_of(const Error& error) {
  if (is_usage(error)) return exit_code::kUsage;
  switch (error.code) {
    case Code::kNotFound:
      return exit_code::kNotFound;
    case Code::kUnauthenticated:
      return exit_code::kUnauthenticated;
    default:
      return exit_code::kFailed;
  }
}

std::string hint_of(const Error& error, const Circumstances& when) {
  if (is_usage(error)) return {};
  if (!when.advice.empty()) return when.advice;
  switch (error.code) {
    case Code::kUnauthenticated:
      return when.url.empty() ? "log in: chorok login URL"
                              : fmt::format("log in again: chorok login {}", when.url);
    case Code::kPermissionDenied:
      return "your role does not allow this: ask an admin, or log in as somebody else";
    case Code::kUnavailable:
      return when.answered
                 ? "this may pass: try again in a moment"
                 : fmt::format("is the manager running at {}? name another with --url", when.url);
    case Code::kTimeout:
      return "whether it happened is not known: look with `chorok task ls` before trying again";
    case Code::kConflict:
      return when.stale ? "somebody changed it meanwhile: read it again and repeat the change" : "";
    case Code::kInternal:
      return "this is a bug in Chorok: please report it with what you did";
    default:
      return {};
  }
}

// A parameter of a request's query is a flag here, by the same name.
static std::string field_words(const Error& error) {
  if (is_usage(error)) return fmt::format(" ({})", error.field);
  if (!error.field.starts_with('?')) return fmt::format(" (field {})", printable(error.field));
  std::string flag = printable(error.field.substr(1));
  std::ranges::replace(flag, '_', '-');
  return fmt::format(" (--{})", flag);
}

std::string error_text(const Error& error, const Circumstances& when) {
  std::string out = coloured("error:", Tone::kBad, when.colours) + " ";
  out += printable(error.message, true);
  if (error.field != "--" && !error.field.empty()) out += field_words(error);
  out += '\n';
  if (std::string hint = hint_of(error, when); !hint.empty())
    out += coloured("hint:", Tone::kBusy, when.colours) + " " + hint + '\n';
  return out;
}

}  // namespace chorok::cli
