#include "model/schedule.h"

#include <fmt/format.h>

#include <algorithm>

namespace chorok::model {

namespace {

constexpr Limits kHours = {.min = 0, .max = 24};

bool holds(const ScheduleBand& band, Day day, double hour) {
  if (!band.days.empty() && std::ranges::find(band.days, day) == band.days.end()) return false;
  return band.from_hour < band.to_hour ? hour >= band.from_hour && hour < band.to_hour
                                       : hour >= band.from_hour || hour < band.to_hour;
}

}  // namespace

const Type& enum_type(const Day*) {
  static const Type kType = describe_enum<Day>("Day", "Of the week.",
                                               {{0, "mon", ""},
                                                {1, "tue", ""},
                                                {2, "wed", ""},
                                                {3, "thu", ""},
                                                {4, "fri", ""},
                                                {5, "sat", ""},
                                                {6, "sun", ""}});
  return kType;
}

const Type& ScheduleBand::type() {
  static const Type kType =
      describe<ScheduleBand>("ScheduleBand", "What holds at certain hours of certain days.")
          .field("name", &ScheduleBand::name, "What events call it.",
                 {.max_length = 63, .pattern = Pattern::kName, .required = true})
          .field("from_hour", &ScheduleBand::from_hour, "9.5 is 09:30.", kHours)
          .field("to_hour", &ScheduleBand::to_hour,
                 "Up to this hour; over midnight when it is not after the first.", kHours)
          .field("days", &ScheduleBand::days, "None: every day.", {.max_count = 7})
          .field("drs", &ScheduleBand::drs, "How far DRS acts by itself then.")
          .field("drs_level", &ScheduleBand::drs_level, "DRS's level then.", {.min = 1, .max = 5})
          .field("dpm", &ScheduleBand::dpm, "How far DPM acts by itself then.")
          .field("dpm_target", &ScheduleBand::dpm_target,
                 "Part of its CPU that a running host may carry then.", {.min = 0, .max = 1});
  return kType;
}

const Type& Schedule::type() {
  static const Type kType =
      describe<Schedule>("Schedule", "DRS and DPM by the clock.")
          .field("utc_offset_h", &Schedule::utc_offset_h, "Its clock, in hours east of UTC.",
                 {.min = -14, .max = 14})
          .field("bands", &Schedule::bands, "The first that holds counts.", {.max_count = 64});
  return kType;
}

Result<> check(const Schedule& schedule) {
  for (std::size_t i = 0; i < schedule.bands.size(); ++i) {
    const ScheduleBand& band = schedule.bands[i];
    const auto refuse = [&](std::string why, std::string_view field) {
      return fail(Code::kInvalid, std::move(why), fmt::format("/bands/{}{}", i, field));
    };
    if (band.from_hour == band.to_hour)
      return refuse(
          "begins and ends at the same hour; for a whole day write from_hour 0 and to_hour 24",
          "/to_hour");
    if (!band.drs && !band.drs_level && !band.dpm && !band.dpm_target)
      return refuse("says nothing: give it drs, drs_level, dpm or dpm_target", "");
    for (std::size_t j = 0; j < i; ++j)
      if (schedule.bands[j].name == band.name)
        return refuse(fmt::format("'{}' is the name of another band", band.name), "/name");
  }
  return {};
}

const ScheduleBand* band_at(const Schedule& schedule, Time time) {
  using namespace std::chrono;
  const auto local = time.time_since_epoch() + from_seconds(schedule.utc_offset_h * 3600);
  const sys_days date(floor<days>(local));
  const auto day = static_cast<Day>(weekday(date).iso_encoding() - 1);
  const double hour = chorok::seconds(local - date.time_since_epoch()) / 3600;
  const auto it = std::ranges::find_if(
      schedule.bands, [&](const ScheduleBand& band) { return holds(band, day, hour); });
  return it == schedule.bands.end() ? nullptr : &*it;
}

PolicySettings in_force(const PolicySettings& settings, const Schedule& schedule, Time time) {
  PolicySettings out = settings;
  const ScheduleBand* band = band_at(schedule, time);
  if (band == nullptr) return out;
  out.balance.automation = band->drs.value_or(out.balance.automation);
  out.balance.level = band->drs_level.value_or(out.balance.level);
  out.power.automation = band->dpm.value_or(out.power.automation);
  out.power.target = band->dpm_target.value_or(out.power.target);
  return out;
}

}  // namespace chorok::model
