// Accounts into figures: sums, means, money and CO2. Pure but for calendars in files.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/calendar.h"
#include "model/energy.h"
#include "model/energy_settings.h"
#include "ports/history.h"

namespace chorok::manager {

// What energy costs in one cluster.
struct Tariff {
  std::optional<model::Calendar> price;
  std::optional<model::Calendar> carbon;
  double pue = 1;
};

// A cluster's settings, but for what is in files. Errors name the field.
Result<> check_energy(const model::EnergySettings& settings);

// Calendars by name: those that are built in, and FOLDER/NAME.csv as file:NAME.
class CalendarBook {
 public:
  explicit CalendarBook(std::string folder) : folder_(std::move(folder)) {}

  // The error names what is wrong with the file.
  Result<model::Calendar> find(const std::string& name, bool is_carbon);
  Result<Tariff> tariff(const model::EnergySettings& settings);

 private:
  struct Loaded {
    std::int64_t modified = 0;
    model::Calendar calendar;
  };
  std::string folder_;
  std::map<std::string, Loaded> loaded_;
};

// Steps of `step` from `from` on; points may be finer. Energy series, that is; of VMs and pools
// only the joules are known, and `vms` says so.
struct SeriesInput {
  Time from{};
  Time to{};
  Duration step{};
  std::vector<ports::HistoryPoint> points;
  Duration points_step{};
  bool is_share = false;  // of a VM or a pool
};
// Fills everything but names, parts and pending.
void summarize(const SeriesInput& input, const Tariff& tariff, model::EnergySeries& out);
// Adds what is drawn and not accounted for, at the end of the time.
void add_pending(double joules, double measured, double estimated, double error,
                 const Tariff& tariff, model::EnergySeries& out);

// [from, to) of "2026-11", on a clock so far ahead of UTC.
Result<std::pair<Time, Time>> month_of(std::string_view text, double utc_offset_h);

}  // namespace chorok::manager
