// Accounts into figures: sums, means, money and CO2. Pure but for calendars in files.
#pragma once

#include <functional>
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

using FindCalendar = std::function<Result<>(const std::string& name, bool is_carbon)>;
// A cluster's settings; files by `find`, where there is one. A file that was named `before` may be
// gone: what else is edited is not refused for it. Errors name the field.
Result<> check_energy(const model::EnergySettings& settings,
                      const model::EnergySettings* before = nullptr,
                      const FindCalendar& find = nullptr);

// Calendars by name: those that are built in, and FOLDER/NAME.csv as file:NAME.
class CalendarBook {
 public:
  explicit CalendarBook(std::string folder) : folder_(std::move(folder)) {}

  // The error names what is wrong with the file.
  Result<model::Calendar> find(const std::string& name, bool is_carbon);
  // A calendar that is not to be had costs its figures and no more: `notes` say which and why.
  Tariff tariff(const model::EnergySettings& settings, std::vector<std::string>& notes);

 private:
  struct Loaded {
    std::int64_t modified = 0;
    model::Calendar calendar;
  };
  std::string folder_;
  std::map<std::string, Loaded> loaded_;
};

// Steps of `step` from `from` on; points may be finer. Energy series, that is; of VMs and pools
// only the joules are known, and `is_share` says so.
struct SeriesInput {
  Time from{};
  Time to{};
  Duration step{};
  std::vector<ports::HistoryPoint> points;  // by time
  Duration points_step{};
  bool is_share = false;  // of a VM or a pool
};
// Fills everything but names, parts, sources and pending.
void summarize(const SeriesInput& input, const Tariff& tariff, model::EnergySeries& out);

// Drawn in [from, to) and not accounted for; joules.
struct Pending {
  Time from{};
  Time to{};
  double joules = 0;
  double measured = 0;
  double estimated = 0;
  double error = 0;
};
// Adds it to the whole and, evenly over its time, to the points.
void add_pending(const Pending& pending, const Tariff& tariff, model::EnergySeries& out);

// A step of a cluster that not all of its hosts were measured through: each host's own mean is what
// it drew, so the cluster's watts are the sum of those.
bool is_partial(const model::EnergySeries& series, const model::EnergyPoint& point);
struct HostStep {
  double joules = 0;
  double unused = 0;
  double measured = 0;  // seconds
};
void refine(const std::vector<HostStep>& hosts, model::EnergyPoint& point);
// What a VM or a pool draws is known no better than what its cluster draws, step by step. A pool's
// time is its cluster's, since its VMs' times overlap.
void take_from_cluster(const model::EnergySeries& cluster, bool is_pool, model::EnergySeries& out);
// Mean, peak and time of the whole, from its points.
void conclude(model::EnergySeries& out);

// Of "meter/…" series: which source said how many joules.
ports::HistoryAmounts by_source(model::WattSource source, model::MeterMethod method, double joules,
                                double estimated);
// Most first. What is missing to `joules` is left out: it is of a time when this was not kept.
std::vector<model::EnergySource> sources_of(const ports::HistoryAmounts& amounts);

// [from, to) of "2026-11", on a clock so far ahead of UTC.
Result<std::pair<Time, Time>> month_of(std::string_view text, double utc_offset_h);

}  // namespace chorok::manager
