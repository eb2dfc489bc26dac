// Calendars out of text: moments, and series in time as CSV.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "model/calendar.h"

namespace chorok::model {

namespace {

constexpr std::size_t kShown = 40;      // bytes of a cell in a message
constexpr double kSecondsMost = 4.1e9;  // the year 2099: two of them still fit into nanoseconds

// Takes `digits` digits from the front.
std::optional<int> take_digits(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  for (char c : text.substr(0, digits)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

// The same for a number; a double, so that fractions of seconds and "1e3" read too.
std::optional<double> whole_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

// Seconds of the day; empty when it is none. What follows stays.
std::optional<double> take_clock(std::string_view& text) {
  const auto hour = take_digits(text, 2);
  if (!hour || *hour > 23 || !take(text, ':')) return std::nullopt;
  const auto minute = take_digits(text, 2);
  if (!minute || *minute > 59) return std::nullopt;
  double second = 0;
  if (take(text, ':')) {
    const std::size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
    const auto number = end >= 2 ? whole_number(text.substr(0, end)) : std::nullopt;
    if (!number || *number >= 60) return std::nullopt;
    second = *number;
    text.remove_prefix(end);
  }
  return *hour * 3600 + *minute * 60 + second;
}

// Z, +09:00, +0900 or nothing: seconds ahead of UTC.
std::optional<double> take_zone(std::string_view& text, double otherwise_h) {
  if (take(text, 'Z') || take(text, 'z')) return 0;
  if (text.empty()) return otherwise_h * 3600;
  const bool behind = text.front() == '-';
  if (!behind && text.front() != '+') return std::nullopt;
  text.remove_prefix(1);
  const auto hours = take_digits(text, 2);
  take(text, ':');
  const auto minutes = text.empty() ? std::optional(0) : take_digits(text, 2);
  if (!hours || !minutes || *hours > 14 || *minutes > 59) return std::nullopt;
  return (behind ? -1.0 : 1.0) * (*hours * 3600 + *minutes * 60);
}

std::optional<Time> iso_time(std::string_view text, double utc_offset_h) {
  using namespace std::chrono;
  const auto year_n = take_digits(text, 4);
  if (!year_n || !take(text, '-')) return std::nullopt;
  const auto month_n = take_digits(text, 2);
  if (!month_n || !take(text, '-')) return std::nullopt;
  const auto day_n = take_digits(text, 2);
  if (!day_n) return std::nullopt;
  const year_month_day date{year(*year_n), month(static_cast<unsigned>(*month_n)),
                            day(static_cast<unsigned>(*day_n))};
  if (!date.ok() || *year_n < 1970 || *year_n > 2099) return std::nullopt;
  double of_day = 0;
  if (take(text, 'T') || take(text, ' ')) {
    const auto clock = take_clock(text);
    if (!clock) return std::nullopt;
    of_day = *clock;
  }
  const auto zone = take_zone(text, utc_offset_h);
  if (!zone || !text.empty()) return std::nullopt;
  return Time(sys_days(date).time_since_epoch() + from_seconds(of_day - *zone));
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\r')) text.remove_suffix(1);
  if (text.size() >= 2 && text.starts_with('"') && text.ends_with('"'))
    text = text.substr(1, text.size() - 2);
  return text;
}

}  // namespace

Result<Time> parse_when(std::string_view text, double utc_offset_h) {
  if (const auto number = whole_number(text); number && *number >= 0 && *number <= kSecondsMost)
    return Time(from_seconds(*number));
  if (const auto time = iso_time(text, utc_offset_h)) return *time;
  return fail(Code::kInvalid,
              fmt::format("'{}' is no time; write it as 2026-03-01, 2026-03-01T09:00 or "
                          "2026-03-01T09:00:00+09:00, or as seconds since 1970",
                          text.substr(0, kShown)));
}

Result<std::vector<CalendarPoint>> parse_series(std::string_view csv, std::string_view source,
                                                double utc_offset_h, const CalendarLimits& limits) {
  std::size_t line = 0;
  const auto wrong = [&](std::size_t column, std::string_view what) {
    return fail(Code::kInvalid, fmt::format("{}:{}:{}: {}", source, line, column, what));
  };
  if (csv.size() > limits.bytes_max)
    return fail(Code::kInvalid, fmt::format("{}: more than {} MiB; give a shorter period", source,
                                            limits.bytes_max >> 20));
  if (csv.starts_with("\xef\xbb\xbf")) csv.remove_prefix(3);
  std::vector<CalendarPoint> series;
  while (!csv.empty()) {
    const std::size_t end = csv.find('\n');
    const std::string_view row = trimmed(csv.substr(0, end));
    csv.remove_prefix(end == std::string_view::npos ? csv.size() : end + 1);
    ++line;
    if (row.empty() || row.starts_with('#')) continue;
    const std::size_t comma = row.find(',');
    if (comma == std::string_view::npos || row.find(',', comma + 1) != std::string_view::npos)
      return wrong(1, "not two columns; write time,value");
    const std::string_view time_text = trimmed(row.substr(0, comma));
    const std::string_view value_text = trimmed(row.substr(comma + 1));
    if (time_text == "time" && value_text == "value" && series.empty()) continue;
    if (series.size() >= limits.points_max)
      return wrong(1, fmt::format("more than {} points; give a shorter period or fewer an hour",
                                  limits.points_max));
    auto time = parse_when(time_text, utc_offset_h);
    if (!time) return wrong(1, fmt::format("time: {}", time.error().message));
    const auto value = whole_number(value_text);
    if (!value || *value < 0 || *value > kCalendarValueMost)
      return wrong(2, fmt::format("value: '{}' is no number from 0 to {:g}",
                                  value_text.substr(0, kShown), kCalendarValueMost));
    if (!series.empty() && *time <= series.back().from)
      return wrong(1, "time: not later than the line before it; sort the file by time");
    series.push_back({.from = *time, .value = *value});
  }
  if (series.empty()) return wrong(1, "no points in it; write time,value and a line for each");
  return series;
}

}  // namespace chorok::model
