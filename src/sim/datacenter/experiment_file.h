// An experiment as a person writes it down, in TOML: which hosts, which VMs, what they ask for, who
// decides by which settings. The built-in experiments are such texts too, so that whatever they do
// can be read, copied and changed.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/reflect.h"
#include "base/result.h"
#include "sim/datacenter/account.h"
#include "sim/datacenter/calendar_file.h"
#include "sim/datacenter/chorok_planner.h"
#include "sim/datacenter/compat.h"
#include "sim/datacenter/honest.h"
#include "sim/datacenter/trace.h"

namespace chorok::sim::datacenter {

enum class Mode : std::uint8_t { kHonest, kCompat };
const Type& enum_type(const Mode*);
const Type& enum_type(const MemoryRule*);

// Hosts of one kind. Sets are mixed evenly, so that a policy that takes "the first host" meets all.
struct HostSet {
  std::int32_t count = 0;     // 0, of a single set: what VMs' sizes need and a fifth more
  std::string curve;          // of the library …
  std::vector<double> watts;  // … or eleven, idle to full load
  double standby_w = 0;
  std::int32_t cores = 0;  // 0: of the machine whose curve it is
  double core_mhz = 0;
  double memory_mib = 0;
  double boot_s = 300;
  double boot_j = 0;  // 0: see experiment_file.cc
  double shutdown_s = 60;
  double shutdown_j = 0;  // 0: at idle
  static const Type& type();
};

// VMs of one size, in the trace's order. Traces that say sizes need none.
struct VmSet {
  std::int32_t count = 0;  // 0: the VMs that are left, in equal parts with other such sets
  double mhz = 0;
  std::int32_t cores = 0;  // 0: as the trace says; one, where it does not
  double memory_mib = 0;
  static const Type& type();
};

struct MigrationCosts {
  double link_mib_s = 112;
  std::int32_t parallel = 2;
  double dirty_mib_s = 20;
  double slowed = 0.1;
  double load_mhz = 200;
  static const Type& type();
};

// Demand that nobody measured, for trying things without data.
struct SyntheticDemand {
  std::int32_t vms = 100;
  double days = 1;
  double level = 0.12;  // mean share of its CPU that a VM asks for
  static const Type& type();
};

struct ExperimentFile {
  std::string name;
  std::string doc;
  Mode mode = Mode::kHonest;
  std::string traces;  // relative to the file
  std::optional<SyntheticDemand> synthetic;
  double interval_s = 300;
  double duration_s = 0;  // 0: as long as the traces are
  std::int64_t seed = 1;
  std::string policy = "chorok";
  std::vector<HostSet> hosts;
  std::vector<VmSet> vms;
  MemoryRule memory = MemoryRule::kProvisioned;
  double cpu_overcommit = 1;
  bool keep_vms = false;
  MigrationCosts migration;
  std::vector<Fault> faults;              // honest mode
  std::optional<FaultRates> fault_rates;  // by chance, from the seed
  double round_s = 0;                     // between plans; 0: one a sample
  std::string start;  // when the trace begins; prices and CO2 by the hour need it
  double pue = 1;     // facility energy over IT energy; 1: not applied
  std::optional<CalendarChoice> price;
  std::optional<CalendarChoice> carbon;
  model::PolicySettings settings = ChorokPlannerSettings::defaults();
  static const Type& type();
};

// Errors carry the JSON pointer of the field, and a suggestion where one is near.
Result<ExperimentFile> parse_experiment(std::string_view toml);
// Reads the file; its `traces` and calendars become paths that can be opened from here.
Result<ExperimentFile> read_experiment(const std::filesystem::path& file);

// "power.deviations", "hosts.0.count", "policy": a field by its names, dots or slashes between, and
// the policy's settings without the word. The text is what TOML would have, quotes not needed.
Result<void> set_field(ExperimentFile& experiment, std::string_view path, std::string_view text);

struct KnownExperiment {
  std::string_view name;
  std::string_view doc;
  std::vector<std::string_view> policies;  // examples; the first is the default
  std::string_view toml;                   // the experiment, with comments
};
const std::vector<KnownExperiment>& known_experiments();
// Error: kNotFound, with what there is.
Result<const KnownExperiment*> find_experiment(std::string_view name);

// What it says, made what the engines take. Errors: hosts that nothing says the power of, counts
// that do not come out.
struct HostMix {
  std::vector<HostType> types;       // one a set
  std::vector<std::int32_t> counts;  // of each
  std::vector<HostType> pattern;     // host i is pattern[i % size] …
  std::vector<std::size_t> sets;     // … of this set
  std::int32_t hosts = 0;
};
// How sets of so many hosts are mixed: the set of host i is turns[i % size]. Each turn goes to the
// set that is furthest behind its share; the first of equals. Some count is above 0.
std::vector<std::size_t> turns(std::span<const std::int32_t> counts);
Result<HostMix> host_mix(const ExperimentFile& experiment, const TraceSet& traces);
Result<TraceSet> open_traces(const ExperimentFile& experiment, const TraceLimits& limits = {});
// Prices and CO2 for `seconds_long` of it.
Result<AccountSettings> account_settings(const ExperimentFile& experiment, double seconds_long);
Result<CompatSettings> compat_settings(const ExperimentFile& experiment, const HostMix& mix,
                                       const TraceSet& traces);
Result<HonestSettings> honest_settings(const ExperimentFile& experiment, const HostMix& mix,
                                       const TraceSet& traces);

}  // namespace chorok::sim::datacenter
