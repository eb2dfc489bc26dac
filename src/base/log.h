// The log facade: one line an event, in words and key=value fields, so that a person can read it
// and a program can filter it. Components take a Log by value; the sink is set once by the program.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

namespace chorok {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

// Where lines go: standard error for programs under systemd, nowhere in tests unless asked.
void log_to_stderr(LogLevel least);
void log_write(LogLevel level, std::string_view component, std::string_view line);
bool log_enabled(LogLevel level);

class Log {
 public:
  explicit Log(std::string component) : component_(std::move(component)) {}

  template <class... A>
  void debug(fmt::format_string<A...> format, A&&... args) const {
    write(LogLevel::kDebug, format, std::forward<A>(args)...);
  }
  template <class... A>
  void info(fmt::format_string<A...> format, A&&... args) const {
    write(LogLevel::kInfo, format, std::forward<A>(args)...);
  }
  template <class... A>
  void warn(fmt::format_string<A...> format, A&&... args) const {
    write(LogLevel::kWarn, format, std::forward<A>(args)...);
  }
  template <class... A>
  void error(fmt::format_string<A...> format, A&&... args) const {
    write(LogLevel::kError, format, std::forward<A>(args)...);
  }

 private:
  template <class... A>
  void write(LogLevel level, fmt::format_string<A...> format, A&&... args) const {
    if (log_enabled(level))
      log_write(level, component_, fmt::format(format, std::forward<A>(args)...));
  }
  std::string component_;
};

}  // namespace chorok
