// What a kWh costs or emits, hour by hour: dated data with a source, never a constant in code. One
// table for the simulator, for advice and for what the manager accounts.
//
// A calendar is one value; or bands of hours, days and months, the first that holds; or a series
// in time, each value until the next one. Its clock has a fixed distance from UTC: daylight saving
// is not modelled, so a country that has it is an hour off for half of the year.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/reflect.h"
#include "base/result.h"

namespace chorok::model {

enum class Weekdays : std::uint8_t { kAll, kWeekday, kWeekend };
const Type& enum_type(const Weekdays*);

// Hours from `from_hour` up to `to_hour` and months from `from_month` through `to_month`; where the
// end is not after the beginning it goes over midnight or the new year. A band over midnight
// belongs, hour by hour, to the day that the hour is in.
struct CalendarBand {
  double value = 0;
  double from_hour = 0;
  double to_hour = 24;
  Weekdays days = Weekdays::kAll;
  std::int32_t from_month = 1;
  std::int32_t to_month = 12;
  static const Type& type();
};

struct CalendarPoint {
  Time from{};
  double value = 0;
};

struct Calendar {
  double value = 0;  // where no band holds
  std::string unit;  // KRW, EUR, kg: of a kWh
  std::string source;
  std::string as_of;  // when the figures held
  double utc_offset_h = 0;
  std::vector<CalendarBand> bands;
  std::vector<CalendarPoint> series;  // ascending; instead of value and bands
  static const Type& type();          // without the series, which is a file's

  bool is_constant() const { return bands.empty() && series.empty(); }
  // Inside a series: the value of the latest point; `covers` says whether there is one.
  double at(Time time) const;
  // The mean over [from, to), exact: bands and points are met at their edges. At `from` where the
  // two are one. O(bands * hours), O(log points) for series of long spans.
  double mean(Time from, Time to) const;
  // Where no time is said: the mean over all of a series, or over a year without a leap day.
  double mean() const;
  // Whether there are figures for all of [from, to]: always, but of a series.
  bool covers(Time from, Time to) const;

  friend bool operator==(const Calendar& a, const Calendar& b);
};

inline constexpr std::size_t kCalendarBandsMost = 64;
inline constexpr double kCalendarValueMost = 1e6;

// What the tables do not say: edges and numbers that make no calendar. Errors name the field.
Result<> check(const Calendar& calendar);

struct CalendarLimits {
  std::size_t bytes_max = 32 << 20;
  std::size_t points_max = 600'000;  // a year of minutes
};
// CSV with the header time,value: a line a point, in order. Times as parse_when() takes them, those
// without a zone on the calendar's clock. Errors name `source`, line and column.
Result<std::vector<CalendarPoint>> parse_series(std::string_view csv, std::string_view source,
                                                double utc_offset_h,
                                                const CalendarLimits& limits = {});
// 2026-03-01, 2026-03-01T09:00, with seconds, with Z or +09:00; or seconds since 1970-01-01 UTC.
// Where no zone is said, `utc_offset_h` holds.
Result<Time> parse_when(std::string_view text, double utc_offset_h);

// Calendars that are built in, with names.
struct KnownCalendar {
  std::string_view name;
  std::string_view doc;
  Calendar calendar;
};
const std::vector<KnownCalendar>& known_calendars();
// Error: kNotFound, with those of this unit; `unit` "kg" for CO2, anything else for money.
Result<Calendar> find_calendar(std::string_view name, bool is_carbon);

}  // namespace chorok::model
