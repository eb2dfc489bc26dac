// CloudSim 3.0.3's PlanetLab power experiment, as released: the same hosts, VMs, clock, allocation,
// migrations, policies and metrics, with every quirk that shapes its figures, so that they can be
// compared at all. README.md lists the quirks; none of them is meant as advice.
//
// The idea that makes it exact: within a 10 % step of load all hosts of a type cost the same watts
// per MHz, so CloudSim's "least added power" is decided by the rounding of doubles. This engine
// therefore does the same floating-point operations in the same order, and takes its shortcuts only
// where the result cannot differ. It makes them on flat arrays, a day in some tens of milliseconds.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sim/datacenter/hosts.h"
#include "sim/datacenter/metrics.h"
#include "sim/datacenter/planner.h"
#include "sim/datacenter/trace.h"

namespace chorok::sim::datacenter {

struct CompatSettings {
  std::int32_t hosts = 800;
  std::vector<HostType> host_types;   // host i is of type i % size
  std::vector<VmType> vm_types;       // n VMs in equal, consecutive parts
  double interval_s = 300;            // between ticks, and between samples
  double first_s = 0.1;               // when the work starts; ticks are at first_s + k interval_s
  double end_s = 86400;               // no tick after it; migrations end
  double vm_bandwidth = 100'000;      // kbit/s; enforced at the initial placement only
  double host_bandwidth = 1'000'000;  // kbit/s; half of it is for a migration, whatever others run
  // CloudSim destroys a VM for good when it asks for nothing. True: it lives on, and its host draws
  // idle power.
  bool keep_vms = false;
};

// The published experiment.
CompatSettings planetlab_settings();

enum class CompatPolicy : std::uint8_t {
  kNpa,   // no migration, every host at full power all day
  kDvfs,  // no migration, power by load
  kThr,   // overloaded above a fixed share
  kIqr,   // above 1 - s * interquartile range of the host's history
  kMad,   // above 1 - s * median absolute deviation of it
  kLr,    // when s * the straight line through its last ten points reaches 1
};

struct PolicyName {
  CompatPolicy policy = CompatPolicy::kLr;
  double parameter = 0;  // threshold or safety factor
};

// npa, dvfs, thr-mmt-0.8, iqr-mmt-1.5, mad-mmt-2.5, lr-mmt-1.2, lrr-mmt-1.2 (which is lr: see the
// README), with any parameter.
Result<PolicyName> parse_policy(std::string_view name);

struct CompatRun {
  Metrics metrics;                // without bounds
  std::vector<double> demand;     // MHz asked for at each tick
  std::vector<double> memory;     // MiB of the VMs that exist at each tick
  std::vector<double> tick_time;  // seconds
};

// One day; a row at each update point: CloudSim has one at each tick, and two at the end of each
// batch of migrations. Time O(ticks * (VMs + candidates)), memory O(VMs + hosts). Errors: the
// traces do not fit the settings (too short, no host for a VM).
Result<CompatRun> run_compat(const TraceSet& traces, const CompatSettings& settings,
                             const PolicyName& policy, const RowSink& row = {});
// The same data centre, driven by a planner. Hosts are on while a VM is on them: switching costs
// nothing and takes no time, memory is not enforced (the snapshot says so: hosts have room for
// all).
Result<CompatRun> run_compat(const TraceSet& traces, const CompatSettings& settings,
                             const Planner& planner, const RowSink& row = {});

}  // namespace chorok::sim::datacenter
