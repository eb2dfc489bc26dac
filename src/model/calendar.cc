#include "model/calendar.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace chorok::model {

namespace {

constexpr double kDay = 86400;

struct Local {
  std::int64_t day_start = 0;  // nanoseconds since 1970 on the calendar's clock
  double second = 0;           // of the day
  unsigned month = 1;
  bool is_weekend = false;
};

std::int64_t offset_ns(const Calendar& calendar) {
  return from_seconds(calendar.utc_offset_h * 3600).count();
}

Local local_of(const Calendar& calendar, std::int64_t utc_ns) {
  using namespace std::chrono;
  const nanoseconds since(utc_ns + offset_ns(calendar));
  const sys_days day(floor<days>(since));
  const year_month_day date(day);
  const weekday of_week(day);
  return {.day_start = nanoseconds(day.time_since_epoch()).count(),
          .second = seconds(since - day.time_since_epoch()),
          .month = static_cast<unsigned>(date.month()),
          .is_weekend = of_week == Saturday || of_week == Sunday};
}

bool holds(const CalendarBand& band, const Local& at) {
  if (band.days == Weekdays::kWeekday && at.is_weekend) return false;
  if (band.days == Weekdays::kWeekend && !at.is_weekend) return false;
  const auto month = static_cast<std::int32_t>(at.month);
  const bool in_months = band.from_month <= band.to_month
                             ? month >= band.from_month && month <= band.to_month
                             : month >= band.from_month || month <= band.to_month;
  if (!in_months) return false;
  const double from = band.from_hour * 3600;
  const double to = band.to_hour * 3600;
  return from < to ? at.second >= from && at.second < to : at.second >= from || at.second < to;
}

double by_bands(const Calendar& calendar, const Local& at) {
  for (const CalendarBand& band : calendar.bands)
    if (holds(band, at)) return band.value;
  return calendar.value;
}

// The latest point at or before it; the first for what is earlier.
std::size_t point_at(const std::vector<CalendarPoint>& series, Time time) {
  const auto after = std::ranges::upper_bound(series, time, {}, &CalendarPoint::from);
  return after == series.begin() ? 0 : static_cast<std::size_t>(after - series.begin() - 1);
}

// The last value holds for as long as the one before it did.
Time end_of(const std::vector<CalendarPoint>& series) {
  if (series.size() < 2) return Time::max();
  return series.back().from + (series.back().from - series[series.size() - 2].from);
}

double mean_of_series(const std::vector<CalendarPoint>& series, Time from, Time to) {
  double sum = 0;
  Time at = from;
  for (std::size_t i = point_at(series, from); at < to; ++i) {
    const Time until = i + 1 < series.size() ? std::min(series[i + 1].from, to) : to;
    sum += series[i].value * seconds(until - at);
    at = std::max(at, until);
  }
  return sum / seconds(to - from);
}

// From edge to edge of the bands; midnight is one, since days and months begin there.
double mean_of_bands(const Calendar& calendar, std::int64_t from, std::int64_t to) {
  std::vector<double> edges = {kDay};
  for (const CalendarBand& band : calendar.bands)
    for (double hour : {band.from_hour, band.to_hour})
      if (hour > 0 && hour < 24) edges.push_back(hour * 3600);
  std::ranges::sort(edges);
  double sum = 0;
  for (std::int64_t at = from; at < to;) {
    const Local local = local_of(calendar, at);
    const double edge = *std::ranges::upper_bound(edges, local.second);
    const std::int64_t until = local.day_start + from_seconds(edge).count() - offset_ns(calendar);
    const std::int64_t next = std::min(to, std::max(until, at + 1));
    sum += by_bands(calendar, local) * seconds(Duration(next - at));
    at = next;
  }
  return sum / seconds(Duration(to - from));
}

}  // namespace

double Calendar::at(Time time) const {
  if (!series.empty()) return series[point_at(series, time)].value;
  return bands.empty() ? value : by_bands(*this, local_of(*this, time.time_since_epoch().count()));
}

double Calendar::mean(Time from, Time to) const {
  if (is_constant()) return value;
  if (to <= from) return at(from);
  if (!series.empty()) return mean_of_series(series, from, to);
  return mean_of_bands(*this, from.time_since_epoch().count(), to.time_since_epoch().count());
}

double Calendar::mean() const {
  if (is_constant()) return value;
  if (series.size() == 1) return series[0].value;
  if (!series.empty()) return mean(series.front().from, end_of(series));
  constexpr auto kStart = std::chrono::sys_days(std::chrono::year(2025) / 1 / 1);
  const Time from = Time(kStart) - Duration(offset_ns(*this));
  return mean(from, from + std::chrono::hours(365 * 24));
}

bool Calendar::covers(Time from, Time to) const {
  return series.empty() || (from >= series.front().from && to <= end_of(series));
}

bool operator==(const Calendar& a, const Calendar& b) {
  return equal(a, b) && std::ranges::equal(a.series, b.series, [](const auto& p, const auto& q) {
           return p.from == q.from && p.value == q.value;
         });
}

Result<> check(const Calendar& calendar) {
  for (std::size_t i = 0; i < calendar.bands.size(); ++i)
    if (calendar.bands[i].from_hour == calendar.bands[i].to_hour)
      return fail(Code::kInvalid,
                  "begins and ends at the same hour; for a whole day write from_hour 0 and "
                  "to_hour 24",
                  fmt::format("/bands/{}/to_hour", i));
  return {};
}

const Type& enum_type(const Weekdays*) {
  static const Type kType =
      describe_enum<Weekdays>("Weekdays", "Days of the week that a band holds on.",
                              {{0, "all", "every day"},
                               {1, "weekday", "Monday to Friday; public holidays are not known"},
                               {2, "weekend", "Saturday and Sunday"}});
  return kType;
}

const Type& CalendarBand::type() {
  static const Type kType =
      describe<CalendarBand>("CalendarBand", "Hours, days and months in which a value holds.")
          .field("value", &CalendarBand::value, "Of a kWh.",
                 {.min = 0, .max = kCalendarValueMost, .required = true})
          .field("from_hour", &CalendarBand::from_hour, "First hour of the day; 9.5 is 09:30.",
                 {.min = 0, .max = 24})
          .field("to_hour", &CalendarBand::to_hour,
                 "Up to this hour; not after from_hour: over midnight.", {.min = 0, .max = 24})
          .field("days", &CalendarBand::days, "Which days.")
          .field("from_month", &CalendarBand::from_month, "First month.", {.min = 1, .max = 12})
          .field("to_month", &CalendarBand::to_month,
                 "Last month, itself in it; before from_month: over the new year.",
                 {.min = 1, .max = 12});
  return kType;
}

const Type& Calendar::type() {
  static const Type kType =
      describe<Calendar>("Calendar", "What a kWh costs or emits, by time.")
          .field("value", &Calendar::value, "Of a kWh, where no band holds.",
                 {.min = 0, .max = kCalendarValueMost})
          .field("unit", &Calendar::unit, "Of the value: a currency, or kg.", {.max_length = 8})
          .field("source", &Calendar::source, "Where the figures are from.")
          .field("as_of", &Calendar::as_of, "When they held.", {.max_length = 40})
          .field("utc_offset_h", &Calendar::utc_offset_h,
                 "Hours that its clock is ahead of UTC; daylight saving is not modelled.",
                 {.min = -12, .max = 14})
          .field("bands", &Calendar::bands, "The first that holds counts.",
                 {.max_count = kCalendarBandsMost});
  return kType;
}

const std::vector<KnownCalendar>& known_calendars() {
  static const std::vector<KnownCalendar> kKnown = {
      {"korea-industrial",
       "Korea, industrial, mean over the hours: 178 KRW a kWh.",
       {.value = 178,
        .unit = "KRW",
        .source = "Korea, industrial, mean over the hours of day (173 to 183)",
        .as_of = "2024-10",
        .utc_offset_h = 9}},
      {"korea-industrial-tou",
       "Korea, industrial, time of use: 95.7 KRW at night, 155.0 by day.",
       {.value = 155.0,
        .unit = "KRW",
        .source = "Korea, industrial, time of use: its lowest rate at night (23 to 9) and its "
                  "highest for the rest; rates between and charges by kW are not in it",
        .as_of = "2024-10",
        .utc_offset_h = 9,
        .bands = {{.value = 95.7, .from_hour = 23, .to_hour = 9}}}},
      {"korea-grid",
       "Korea's grid: 0.4173 kg of CO2 a kWh.",
       {.value = 0.4173,
        .unit = "kg",
        .source = "Korea's grid, value of 2023",
        .as_of = "2025-12",
        .utc_offset_h = 9}}};
  return kKnown;
}

Result<Calendar> find_calendar(std::string_view name, bool is_carbon) {
  std::string names;
  for (const KnownCalendar& known : known_calendars()) {
    if ((known.calendar.unit == "kg") != is_carbon) continue;
    if (known.name == name) return known.calendar;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", known.name);
  }
  return fail(Code::kNotFound,
              fmt::format("there is no calendar '{}' of {}; there are {}", name.substr(0, 60),
                          is_carbon ? "CO2" : "prices", names));
}

}  // namespace chorok::model
