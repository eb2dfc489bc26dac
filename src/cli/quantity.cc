#include "cli/quantity.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <span>
#include <utility>

#include "base/json.h"

namespace chorok::cli {
namespace {

struct Suffix {
  std::string_view text;  // in lower case
  double factor;
};

constexpr std::array kSizes = {
    Suffix{"", 1},
    Suffix{"b", 1.0 / 1048576},
    Suffix{"k", 1.0 / 1024},
    Suffix{"kb", 1.0 / 1024},
    Suffix{"kib", 1.0 / 1024},
    Suffix{"m", 1},
    Suffix{"mb", 1},
    Suffix{"mib", 1},
    Suffix{"g", 1024},
    Suffix{"gb", 1024},
    Suffix{"gib", 1024},
    Suffix{"t", 1048576},
    Suffix{"tb", 1048576},
    Suffix{"tib", 1048576},
};
constexpr std::array kTimes = {
    Suffix{"", 1},     Suffix{"ms", 1e-3}, Suffix{"s", 1},     Suffix{"sec", 1},    Suffix{"m", 60},
    Suffix{"min", 60}, Suffix{"h", 3600},  Suffix{"d", 86400}, Suffix{"w", 604800},
};
constexpr std::array kSpeeds = {Suffix{"", 1}, Suffix{"mhz", 1}, Suffix{"ghz", 1000}};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// Takes one "NUMBER SUFFIX" off the front; nothing when it does not begin with a number or the
// suffix is not known.
std::optional<double> take_quantity(std::string_view& text, std::span<const Suffix> suffixes) {
  double number = 0;
  auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc{} || number < 0) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  while (text.starts_with(' ')) text.remove_prefix(1);
  std::size_t length = 0;
  while (length < text.size() && std::isalpha(static_cast<unsigned char>(text[length]))) ++length;
  std::string suffix = lower(text.substr(0, length));
  for (const Suffix& known : suffixes)
    if (known.text == suffix) {
      text.remove_prefix(length);
      return number * known.factor;
    }
  return std::nullopt;
}

// 1.23 -> "1.2", 12.3 -> "12.3", 123.4 -> "123"
std::string three_digits(double value) {
  return value < 99.95 ? fmt::format("{:.1f}", value) : fmt::format("{:.0f}", value);
}

std::string two_parts(long long whole, std::string_view unit, long long rest,
                      std::string_view small) {
  return rest == 0 ? fmt::format("{} {}", whole, unit)
                   : fmt::format("{} {} {} {}", whole, unit, rest, small);
}

}  // namespace

Result<Mib> parse_size(std::string_view text) {
  std::string_view rest = text;
  auto mib = take_quantity(rest, kSizes);
  if (!mib || !rest.empty())
    return fail(
        Code::kInvalid,
        fmt::format("'{}' is no size: write a number with K, M, G or T, such as 512M or 2G", text));
  if (*mib != std::floor(*mib))
    return fail(Code::kInvalid, fmt::format("'{}' is not a whole number of MiB", text));
  if (*mib > 9e15) return fail(Code::kInvalid, fmt::format("'{}' is too large", text));
  return Mib(static_cast<std::int64_t>(*mib));
}

Result<Duration> parse_duration(std::string_view text) {
  std::string_view rest = text;
  double seconds = 0;
  do {
    auto part = take_quantity(rest, kTimes);
    if (!part || *part > 9e9)
      return fail(Code::kInvalid,
                  fmt::format("'{}' is no duration: write such as 300ms, 30s, 5m or 1h30m", text));
    seconds += *part;
  } while (!rest.empty());
  return from_seconds(seconds);
}

Result<Mhz> parse_mhz(std::string_view text) {
  std::string_view rest = text;
  auto mhz = take_quantity(rest, kSpeeds);
  if (!mhz || !rest.empty() || *mhz > 9e15)
    return fail(Code::kInvalid,
                fmt::format("'{}' is no CPU speed: write MHz, or such as 2.4GHz", text));
  return Mhz(static_cast<std::int64_t>(std::llround(*mhz)));
}

std::string human_bytes(double bytes) {
  constexpr std::array<std::string_view, 6> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  std::size_t unit = 0;
  while (std::abs(bytes) >= 1024 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  bool whole = unit <= 2 && bytes == std::floor(bytes);
  return whole ? fmt::format("{:.0f} {}", bytes, kUnits[unit])
               : fmt::format("{} {}", three_digits(bytes), kUnits[unit]);
}

std::string human_mib(double mib) {
  return mib == 0 ? "0" : human_bytes(mib * 1048576);
}

std::string human_mhz(double mhz) {
  return mhz < 1000 ? fmt::format("{:.0f} MHz", mhz)
                    : fmt::format("{} GHz", three_digits(mhz / 1000));
}

std::string human_joules(double joules) {
  const double kwh = joules / 3.6e6;
  if (kwh >= 1 || kwh <= -1) return fmt::format("{:.2f} kWh", kwh);
  return fmt::format("{:.2f} Wh", kwh * 1e3);
}

std::string human_watts(double watts) {
  return watts < 10'000 ? fmt::format("{:.1f} W", watts) : fmt::format("{:.2f} kW", watts / 1e3);
}

std::string human_seconds(double seconds) {
  if (seconds <= 0) return "0 s";
  if (seconds < 0.9995) return fmt::format("{:.0f} ms", seconds * 1000);
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  auto whole = static_cast<long long>(std::llround(seconds));
  if (whole < 3600) return two_parts(whole / 60, "min", whole % 60, "s");
  if (whole < 86400) return two_parts(whole / 3600, "h", whole % 3600 / 60, "min");
  return two_parts(whole / 86400, "d", whole % 86400 / 3600, "h");
}

std::string human_time(Time time, Time now) {
  double passed = seconds(now - time);
  double away = std::abs(passed);
  auto say = [&](double unit, std::string_view name) {
    auto count = static_cast<long long>(away / unit);
    return passed >= 0 ? fmt::format("{} {} ago", count, name)
                       : fmt::format("in {} {}", count, name);
  };
  if (away < 1) return "now";
  if (away < 60) return say(1, "s");
  if (away < 3600) return say(60, "min");
  if (away < 2 * 86400) return say(3600, "h");
  return say(86400, "d");
}

Result<std::string> moment(std::string_view text) {
  for (const char* rest : {"", "Z", ":00Z", "T00:00:00Z"})
    if (!text.empty() && json::parse_time(std::string(text) + rest))
      return std::string(text) + rest;
  if (auto ago = parse_duration(text)) return fmt::format("-{:.0f}", seconds(*ago));
  return fail(Code::kInvalid,
              fmt::format("'{}' is neither a time (2026-11-22T05:00) nor how long ago (2h)", text));
}

}  // namespace chorok::cli
