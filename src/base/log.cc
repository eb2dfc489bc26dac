#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>

namespace chorok {
namespace {

constexpr int kSilent = 100;
std::atomic<int> least_level{kSilent};

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

void log_to_stderr(LogLevel least) {
  auto logger =
      std::make_shared<spdlog::logger>("chorok", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v", spdlog::pattern_time_type::utc);
  logger->set_level(spdlog::level::debug);
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
  least_level = static_cast<int>(least);
}

bool log_enabled(LogLevel level) {
  return static_cast<int>(level) >= least_level.load();
}

void log_write(LogLevel level, std::string_view component, std::string_view line) {
  spdlog::log(to_spdlog(level), "{}: {}", component, line);
}

}  // namespace chorok
