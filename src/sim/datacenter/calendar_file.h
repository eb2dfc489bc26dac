// Which calendar of prices or CO2 is meant: one that is built in, a CSV in time, or one written
// out. The same text stands in an experiment's [price] and [carbon] and in a file of its own.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/reflect.h"
#include "base/result.h"
#include "model/calendar.h"

namespace chorok::sim::datacenter {

struct CalendarChoice {
  std::string use;              // a built-in one, by name …
  std::string file;             // … or CSV time,value; seen from the file that names it …
  std::optional<double> value;  // … or this, and the bands
  std::string unit;
  std::string source;
  std::string as_of;
  double utc_offset_h = 0;
  std::vector<model::CalendarBand> bands;
  static const Type& type();
};

enum class CalendarKind : std::uint8_t { kPrice, kCarbon };

// Reads the file where one is named. Errors carry the pointer of the field below `where`: nothing
// or two things chosen, a unit that is none, a file that cannot be read.
Result<model::Calendar> open_calendar(const CalendarChoice& choice, CalendarKind kind,
                                      std::string_view where);

// As a flag says it: the name of a built-in one; FILE.toml with a calendar; FILE.csv (and, of
// money, FILE.csv:EUR) with a series in UTC; or an amount: "178KRW", "0.21 EUR", "0.4173". Errors
// say what was expected.
Result<model::Calendar> calendar_of(std::string_view text, CalendarKind kind);

}  // namespace chorok::sim::datacenter
