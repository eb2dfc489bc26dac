#include "sim/datacenter/calendar_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/json.h"
#include "sim/datacenter/archive.h"
#include "sim/datacenter/toml.h"

namespace chorok::sim::datacenter {

using model::Calendar;

namespace {

constexpr double kCarbonMost = 10;  // kg a kWh; the dirtiest grids reach 1
constexpr std::uint64_t kTomlBytesMax = 1 << 20;

bool is_currency(std::string_view unit) {
  return unit.size() == 3 && std::ranges::all_of(unit, [](char c) { return c >= 'A' && c <= 'Z'; });
}

Result<std::vector<model::CalendarPoint>> read_series(const std::filesystem::path& file,
                                                      double utc_offset_h) {
  const model::CalendarLimits limits;
  const std::string text = TRY(
      read_file(file, {.total_bytes_max = limits.bytes_max, .file_bytes_max = limits.bytes_max}));
  return model::parse_series(text, file.string(), utc_offset_h, limits);
}

// CO2 by its range: grams where kilograms are meant would be a thousand times too much.
Result<> check_carbon(const Calendar& calendar, std::string_view where) {
  double most = calendar.value;
  for (const model::CalendarBand& band : calendar.bands) most = std::max(most, band.value);
  for (const model::CalendarPoint& point : calendar.series) most = std::max(most, point.value);
  if (most <= kCarbonMost) return {};
  return fail(Code::kInvalid,
              fmt::format("{:g} kg of CO2 a kWh is above {:g}; write kilograms, not grams", most,
                          kCarbonMost),
              std::string(where));
}

Result<Calendar> constant_of(std::string_view text, CalendarKind kind) {
  const bool is_price = kind == CalendarKind::kPrice;
  const auto wrong = [&] {
    return fail(Code::kInvalid,
                is_price
                    ? fmt::format("'{}' is no tariff; write an amount a kWh and the currency's "
                                  "three letters, as in 178KRW or 0.21EUR, a file .csv or "
                                  ".toml, or the name of a calendar",
                                  text.substr(0, 40))
                    : fmt::format("'{}' is no factor; write kilograms of CO2 a kWh, 0 to 10, "
                                  "as in 0.4173, a file .csv or .toml, or the name of a "
                                  "calendar",
                                  text.substr(0, 40)));
  };
  Calendar calendar{.unit = is_price ? "KRW" : "kg", .source = "as given"};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), calendar.value);
  if (error != std::errc() || !std::isfinite(calendar.value) || calendar.value < 0 ||
      calendar.value > (is_price ? model::kCalendarValueMost : kCarbonMost))
    return wrong();
  std::string_view rest = text.substr(static_cast<std::size_t>(end - text.data()));
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  if (rest.empty()) return calendar;
  if (!is_price || !is_currency(rest)) return wrong();
  calendar.unit = rest;
  return calendar;
}

Result<Calendar> calendar_in_toml(const std::string& file, CalendarKind kind) {
  const std::string text =
      TRY(read_file(file, {.total_bytes_max = kTomlBytesMax, .file_bytes_max = kTomlBytesMax}));
  const auto read = [&]() -> Result<Calendar> {
    auto choice = TRY(json::decode<CalendarChoice>(TRY(toml_to_json(text))));
    if (!choice.file.empty())
      choice.file = (std::filesystem::path(file).parent_path() / choice.file).string();
    return open_calendar(choice, kind, "");
  };
  auto calendar = read();
  if (!calendar) return Unexpected(calendar.error().within(file));
  return calendar;
}

}  // namespace

Result<Calendar> open_calendar(const CalendarChoice& choice, CalendarKind kind,
                               std::string_view where) {
  const bool is_carbon = kind == CalendarKind::kCarbon;
  const auto wrong = [&](std::string_view field, std::string message) {
    return fail(Code::kInvalid, std::move(message), fmt::format("{}/{}", where, field));
  };
  const bool is_written = choice.value.has_value() || !choice.bands.empty();
  if (!choice.use.empty()) {
    if (is_written || !choice.file.empty() || !choice.unit.empty())
      return wrong("use", "names a whole calendar; leave value, bands, file and unit out");
    auto known = model::find_calendar(choice.use, is_carbon);
    if (!known) return wrong("use", known.error().message);
    return known;
  }
  if (!choice.file.empty() && is_written)
    return wrong("file", "has the values; leave value and bands out");
  if (choice.file.empty() && !choice.value)
    return wrong("value",
                 "what does a kWh come to where no band holds? or name a calendar with "
                 "use, or a file");
  Calendar calendar{.value = choice.value.value_or(0),
                    .unit = is_carbon ? "kg" : choice.unit,
                    .source = choice.source.empty() ? "as given" : choice.source,
                    .as_of = choice.as_of,
                    .utc_offset_h = choice.utc_offset_h,
                    .bands = choice.bands};
  if (is_carbon && !choice.unit.empty() && choice.unit != "kg")
    return wrong("unit", "CO2 is counted in kg");
  if (!is_carbon && !is_currency(calendar.unit))
    return wrong("unit", "which currency? three letters, as in KRW or EUR");
  if (auto fine = model::check(calendar); !fine) {
    Error error = fine.error();
    error.field = std::string(where) + error.field;
    return Unexpected(error);
  }
  if (!choice.file.empty()) calendar.series = TRY(read_series(choice.file, choice.utc_offset_h));
  if (is_carbon) TRY(check_carbon(calendar, where));
  return calendar;
}

Result<Calendar> calendar_of(std::string_view text, CalendarKind kind) {
  const bool is_carbon = kind == CalendarKind::kCarbon;
  for (const model::KnownCalendar& known : model::known_calendars())
    if (known.name == text) return model::find_calendar(text, is_carbon);
  if (text.ends_with(".toml")) return calendar_in_toml(std::string(text), kind);
  std::string unit = is_carbon ? "kg" : "KRW";
  std::string_view file = text;
  if (const std::size_t colon = text.rfind(':');
      !is_carbon && colon != std::string_view::npos && is_currency(text.substr(colon + 1))) {
    unit = text.substr(colon + 1);
    file = text.substr(0, colon);
  }
  if (!file.ends_with(".csv")) return constant_of(text, kind);
  return open_calendar({.file = std::string(file), .unit = unit, .source = std::string(file)}, kind,
                       "");
}

const Type& CalendarChoice::type() {
  static const Type kType =
      describe<CalendarChoice>("CalendarChoice",
                               "What a kWh costs or emits: a calendar by name, a file, or this.")
          .field("use", &CalendarChoice::use, "A calendar that is built in, by name …")
          .field("file", &CalendarChoice::file,
                 "… or CSV time,value: each value until the next time …", {.max_length = 4096})
          .field("value", &CalendarChoice::value, "… or this, where no band holds.",
                 {.min = 0, .max = model::kCalendarValueMost})
          .field("unit", &CalendarChoice::unit, "Currency of three letters; CO2 is in kg.",
                 {.max_length = 8})
          .field("source", &CalendarChoice::source, "Where the figures are from.")
          .field("as_of", &CalendarChoice::as_of, "When they held.", {.max_length = 40})
          .field("utc_offset_h", &CalendarChoice::utc_offset_h,
                 "Hours that its clock is ahead of UTC; daylight saving is not modelled.",
                 {.min = -12, .max = 14})
          .field("bands", &CalendarChoice::bands, "The first that holds counts.",
                 {.max_count = model::kCalendarBandsMost});
  return kType;
}

}  // namespace chorok::sim::datacenter
