// DRS and DPM by the clock: dense at night, roomy by day. Bands of hours and days, each with the
// levels that hold in it; outside of them the cluster's own settings do.
//
// Its clock has a fixed distance from UTC, as calendars have (calendar.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/reflect.h"
#include "base/result.h"
#include "model/policy_settings.h"

namespace chorok::model {

enum class Day : std::uint8_t { kMon, kTue, kWed, kThu, kFri, kSat, kSun };
const Type& enum_type(const Day*);

// Hours from `from_hour` up to `to_hour`; where the end is not after the beginning it goes over
// midnight, and belongs, hour by hour, to the day that the hour is in.
struct ScheduleBand {
  std::string name;
  double from_hour = 0;
  double to_hour = 24;
  std::vector<Day> days;  // none: all
  // What is not said is as the cluster has it.
  std::optional<Automation> drs;
  std::optional<std::int32_t> drs_level;
  std::optional<Automation> dpm;
  std::optional<double> dpm_target;
  static const Type& type();
};

struct Schedule {
  double utc_offset_h = 0;
  std::vector<ScheduleBand> bands;  // the first that holds
  static const Type& type();
};

// What the tables do not say: bands that are empty or say nothing, names that come twice. Errors
// name the field.
Result<> check(const Schedule& schedule);
// Null: none holds.
const ScheduleBand* band_at(const Schedule& schedule, Time time);
// The settings that hold then.
PolicySettings in_force(const PolicySettings& settings, const Schedule& schedule, Time time);

}  // namespace chorok::model
