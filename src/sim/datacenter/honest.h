// The data centre as it is, with costs where costs are: VMs live on when they idle, memory is there
// or it is not, hosts that are on draw idle power, boots take time and energy, migrations copy what
// is written meanwhile and share their hosts' links.
//
// Time goes from event to event (ticks, boots, ends of migrations); between two of them nothing
// changes, so energy is exact and a host costs nothing while it is left alone. A sample of the
// trace is what VMs ask for during its interval; a policy sees it when the interval is over, as in
// life.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "control/cluster_loop.h"
#include "sim/datacenter/faults.h"
#include "sim/datacenter/hosts.h"
#include "sim/datacenter/metrics.h"
#include "sim/datacenter/planner.h"
#include "sim/datacenter/trace.h"

namespace chorok::sim::datacenter {

enum class MemoryRule : std::uint8_t {
  kProvisioned,  // a host takes VMs whose configured memory fits
  kUsed,         // what VMs use must fit; they may grow beyond it, which is counted
};

struct HonestSettings {
  std::vector<HostType> host_types;  // host i is of type i % size
  std::int32_t hosts = 0;
  std::vector<VmType> vm_types;  // n VMs in equal, consecutive parts; empty: as the trace says
  MemoryRule memory = MemoryRule::kProvisioned;
  double boot_s = 300;          // firmware, kernel, services: five minutes
  double boot_j = 40'500;       // at 135 W; larger hosts have their own
  double shutdown_s = 60;       // an orderly stop
  double shutdown_j = 60 * 90;  // at idle
  // One way of a link, shared by the migrations on it. A gigabit less protocol.
  double link_mib_s = 112;
  std::int32_t migrations_parallel = 2;  // of one host, in and out; libvirt's usual bound
  // Memory written a second by a VM that uses all of its CPU; idle VMs write nothing.
  double dirty_mib_s = 20;
  double slowed = 0.1;              // what a VM loses at its source while it migrates
  double migration_load_mhz = 200;  // at both ends, for copying: a tenth of a core at a gigabit
  // Where VMs start when nobody plans: a host whose memory and cores, so often sold, fit; the first
  // one, or with every host on the one of which least is sold.
  double cpu_overcommit = 1;
  std::vector<Fault> faults;  // in any order
  // An agent that has not heard from its manager for so long stops its VMs itself, where HA is on.
  double agent_lease_s = 20;
  control::LoopSettings loop = {.round = Duration::zero(), .watch = {}};  // 0: at every sample
};

HonestSettings planetlab_honest_settings();
// Hosts like the median two-socket server of 2023, as many as the provisioned sizes need.
HonestSettings bitbrains_settings(const TraceSet& traces);

struct HonestRun {
  Metrics metrics;                // without bounds
  std::int64_t dropped = 0;       // actions that could not start before the next tick
  double memory_short = 0;        // share of active host time with more memory used than there is
  std::vector<double> tick_time;  // seconds, from the first metered tick to the end
  std::vector<double> demand;     // MHz asked for from then on
  std::vector<double> memory;     // MiB by the memory rule
  std::vector<double> off_s;      // by host: seconds off, boots and stops not among them
  // Faults and what became of them.
  std::int64_t vms_lost = 0;       // ran on a host that failed
  std::int64_t vms_restarted = 0;  // of those, run again
  std::int64_t doubles = 0;  // starts of a VM that still ran somewhere; disks' locks refuse it
  double vm_down_s = 0;      // VM-seconds without a host, placement at the start not among them
  double reserve_short = 0;  // share of time with less than the HA reserve; 0 where HA is off
  struct Event {
    double time_s = 0;
    control::LoopEvent event;
  };
  std::vector<Event> events;  // the first kEventsMax
  static constexpr std::size_t kEventsMax = 100'000;
};

// Who decides when no planner is given.
enum class HonestPolicy : std::uint8_t {
  kAlwaysOn,  // VMs stay where they started, every host stays on
  kDvfs,      // the same, and hosts without a VM are off
};

// The whole trace; the first interval places VMs and is not metered. Rows at ticks. O(events * VMs
// a host). Errors: no room for a VM at the start, a planner's plan that names what is not there.
Result<HonestRun> run_honest(const TraceSet& traces, const HonestSettings& settings,
                             const Planner& planner, const RowSink& row = {});
Result<HonestRun> run_honest(const TraceSet& traces, const HonestSettings& settings,
                             HonestPolicy policy, const RowSink& row = {});

}  // namespace chorok::sim::datacenter
