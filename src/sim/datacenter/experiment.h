// Experiments by name or file: traces, a data centre, a policy; and the report of one run, whose
// fields are what `chorok sim run -o json` prints.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/reflect.h"
#include "base/result.h"
#include "sim/datacenter/experiment_file.h"
#include "sim/datacenter/metrics.h"
#include "sim/datacenter/planner.h"
#include "sim/datacenter/recording.h"
#include "sim/datacenter/trace.h"

namespace chorok::sim::datacenter {

struct ExperimentRequest {
  std::string experiment = "planetlab-compat";  // a built-in one, by name …
  std::optional<ExperimentFile> file;           // … or this
  std::filesystem::path traces;                 // empty: the experiment's own
  const TraceSet* read_already = nullptr;       // instead of reading them; for sweeps
  std::string policy;                           // empty: the experiment's own
  std::optional<Planner> planner;               // instead of the one "chorok" is; for one run
  RowSink row;                                  // what to do with each update point
  Recording* recording = nullptr;               // filled, for html_report.h
  // How far it is, 0 to 1, at some of the update points; on the thread that runs.
  std::function<void(double share)> progress;
  TraceLimits limits;
};

struct Report {
  std::string experiment;
  std::string traces;
  std::string policy;
  Mode mode = Mode::kHonest;
  double energy_kwh = 0;
  std::int64_t migrations = 0;
  double migration_s = 0;
  double true_overload = 0;
  double unmet_demand = 0;
  double slatah = 0;
  double pdm = 0;
  double slav = 0;
  double esv = 0;
  std::int64_t host_on_count = 0;
  std::int64_t host_off_count = 0;
  double host_hours = 0;
  double overload_depth = 0;
  double unused_kwh = 0;
  double lb0_kwh = 0;
  double lb1_kwh = 0;
  double lb2_kwh = 0;
  double lb3_kwh = 0;
  std::int64_t vms = 0;
  std::int64_t vms_left = 0;
  std::int64_t actions_dropped = 0;
  double memory_short = 0;
  std::int64_t faults = 0;
  std::int64_t vms_lost = 0;
  std::int64_t vms_restarted = 0;
  double vm_down_s = 0;
  std::int64_t doubles = 0;
  double reserve_short = 0;
  double pue = 1;  // 1: not applied
  std::string currency;
  std::optional<double> cost;  // of IT energy; absent without a price
  std::optional<double> co2_kg;
  std::optional<double> facility_kwh;  // these three by PUE; absent where it is 1
  std::optional<double> facility_cost;
  std::optional<double> facility_co2_kg;
  std::string price_source;
  std::string co2_source;
  double wall_s = 0;
  double peak_rss_mib = 0;
  // The bound that this mode's rules allow to be reached: memory counts in honest mode alone.
  double bound_kwh() const { return mode == Mode::kHonest ? lb2_kwh : lb1_kwh; }
  static const Type& type();
};

// Reads the traces, runs, computes the bounds. Errors: unknown names (with what there is), traces
// that cannot be read or do not fit.
Result<Report> run_experiment(const ExperimentRequest& request);
// The experiment that is asked for, with its traces and policy as the request says.
Result<ExperimentFile> experiment_of(const ExperimentRequest& request);

// One row of the per-tick CSV, and its header; no line end.
std::string_view csv_header();
std::string csv_line(const TickRow& row);

}  // namespace chorok::sim::datacenter
