#include "model/snapshot_document.h"

namespace chorok::model {
namespace {

constexpr double kMost = 1e12;  // MHz, MiB, watts, joules: finite, and beyond any cluster
constexpr Limits kAmount = {.min = 0, .max = kMost};
constexpr Limits kCount = {.min = 0, .max = 1'000'000};
constexpr Limits kAgo = {.min = 0, .max = 1e9};
constexpr Limits kName = {.max_length = 253, .pattern = Pattern::kName, .required = true};
// A reference may end in '*', so the name's own pattern does not hold.
constexpr Limits kReference = {.max_length = 253, .max_count = kSnapshotVmsMax};
constexpr Limits kWords = {.max_length = 253, .max_count = 1000};

}  // namespace

const Type& DemandText::type() {
  static const Type kType =
      describe<DemandText>("Demand", "What a VM would use if alone, of one resource.")
          .field("now", &DemandText::now, "Newest sample.", kAmount)
          .field("mean", &DemandText::mean, "Over the recent window; as now.", kAmount)
          .field("deviation", &DemandText::deviation, "Standard deviation over the window.",
                 kAmount)
          .field("peak", &DemandText::peak, "Largest sample of the window; as now.", kAmount)
          .field("expected", &DemandText::expected, "Forecast over the horizon; as now.", kAmount)
          .field("upper", &DemandText::upper, "Its upper quantile; as now.", kAmount);
  return kType;
}

const Type& CurveText::type() {
  static const Type kType =
      describe<CurveText>("Curve", "Power drawn, by CPU load.")
          .field("name", &CurveText::name, "Hosts name it.", kName)
          .field("watts", &CurveText::watts, "Eleven numbers: at 0, 10, … 100 % load.",
                 {.min = 0, .max = 1e6, .max_count = 11, .required = true})
          .field("standby_watts", &CurveText::standby_watts, "When off or suspended.",
                 {.min = 0, .max = 1e6})
          .field("measured", &CurveText::measured, "By the host's own meter.");
  return kType;
}

const Type& HostText::type() {
  static const Type kType =
      describe<HostText>("Host", "A machine that runs VMs.")
          .field("name", &HostText::name, "Unique among hosts.", kName)
          .field("count", &HostText::count, "So many alike: NAME1, NAME2, …",
                 {.min = 1, .max = kSnapshotHostsMax})
          .field("power", &HostText::power, "Whether the machine has power.")
          .field("link", &HostText::link, "Whether its agent can be reached.")
          .field("admin", &HostText::admin, "What people allow it.")
          .field("cores", &HostText::cores, "Cores.", kCount)
          .field("core_mhz", &HostText::core_mhz, "Speed of one: no vCPU gets more.", kAmount)
          .field("cpu_mhz", &HostText::cpu_mhz, "For VMs, in all; cores times core_mhz.", kAmount)
          .field("memory_mib", &HostText::memory_mib, "For VMs, in all.",
                 {.min = 0, .max = kMost, .required = true})
          .field("numa_memory_mib", &HostText::numa_memory_mib, "A NUMA node each.",
                 {.min = 0, .max = kMost, .max_count = 64})
          .field("cpus", &HostText::cpus, "CPU models and levels it can offer.", kWords)
          .field("datastores", &HostText::datastores, "That it reaches.", kWords)
          .field("networks", &HostText::networks, "That it reaches.", kWords)
          .field("curve", &HostText::curve, "Power curve; the first of the document.",
                 {.max_length = 253})
          .field("time_on_s", &HostText::time_on_s, "From off to running VMs.", kAgo)
          .field("time_off_s", &HostText::time_off_s, "From empty to off.", kAgo)
          .field("boot_energy_j", &HostText::boot_energy_j, "From off to on.", kAmount)
          .field("shutdown_energy_j", &HostText::shutdown_energy_j, "From on to off.", kAmount)
          .field("keep_on", &HostText::keep_on, "Why it may not be switched off.",
                 {.max_length = 512})
          .field("keep_off", &HostText::keep_off, "Why it may not be switched on.",
                 {.max_length = 512})
          .field("migration_bandwidth_mib_s", &HostText::migration_bandwidth_mib_s,
                 "Of all its migrations together.", kAmount)
          .field("migration_bandwidth_each_mib_s", &HostText::migration_bandwidth_each_mib_s,
                 "Of one migration; 0: as much as of all.", kAmount)
          .field("migrations_parallel", &HostText::migrations_parallel, "At once, in and out.",
                 kCount)
          .field("power_since_ago_s", &HostText::power_since_ago_s,
                 "How long its power is as it is; absent: for ever.", kAgo)
          .field("enabled_since_ago_s", &HostText::enabled_since_ago_s,
                 "How long it is back from maintenance; absent: it was never there.", kAgo)
          .field("recent_failures", &HostText::recent_failures, "In the evidence window.", kCount)
          .field("vms_max", &HostText::vms_max, "VMs it may run; 0 is any number.", kCount);
  return kType;
}

const Type& PoolText::type() {
  static const Type kType =
      describe<PoolText>("Pool", "A node in the tree that divides CPU and memory.")
          .field("name", &PoolText::name, "Unique among pools.", kName)
          .field("parent", &PoolText::parent, "A pool; absent: directly below the cluster.",
                 kReference)
          .field("cpu_mhz", &PoolText::cpu_mhz, "Shares, reservation, limit of CPU.")
          .field("memory_mib", &PoolText::memory_mib, "The same of memory.")
          .field("scalable_shares", &PoolText::scalable_shares,
                 "Its shares are the sum of what is in it.");
  return kType;
}

const Type& VmText::type() {
  static const Type kType =
      describe<VmText>("Vm", "A virtual machine.")
          .field("name", &VmText::name, "Unique among VMs.", kName)
          .field("count", &VmText::count, "So many alike: NAME1, NAME2, …",
                 {.min = 1, .max = kSnapshotVmsMax})
          .field("run", &VmText::run, "on with a host, off without; waiting: to be placed.")
          .field("host", &VmText::host, "Where it runs; NAME*: on all of these in turn.",
                 kReference)
          .field("pool", &VmText::pool, "Absent: directly below the cluster.", kReference)
          .field("vcpus", &VmText::vcpus, "", {.min = 1, .max = 4096})
          .field("cpu_mhz", &VmText::cpu_mhz,
                 "Configured: vcpus times the core_mhz of the document's first host.", kAmount)
          .field("memory_mib", &VmText::memory_mib, "The guest's memory.",
                 {.min = 0, .max = kMost, .required = true})
          .field("overhead_mib", &VmText::overhead_mib, "Of the hypervisor, on top.", kAmount)
          .field("cpu_allocation_mhz", &VmText::cpu_allocation_mhz, "Shares, reservation, limit.")
          .field("memory_allocation_mib", &VmText::memory_allocation_mib, "The same of memory.")
          .field("cpu_demand_mhz", &VmText::cpu_demand_mhz, "What it would use if alone.")
          .field("memory_demand_mib", &VmText::memory_demand_mib, "Memory it works with.")
          .field("consumed_mib", &VmText::consumed_mib, "Host memory it holds.", kAmount)
          .field("reclaimable_mib", &VmText::reclaimable_mib,
                 "Of that, what could be taken without hurting.", kAmount)
          .field("dirty_rate_mib_s", &VmText::dirty_rate_mib_s, "Memory written while it runs.",
                 kAmount)
          .field("cpu_model", &VmText::cpu_model, "Model or level it needs; absent: any.",
                 {.max_length = 253})
          .field("datastores", &VmText::datastores, "That its host must reach.", kWords)
          .field("networks", &VmText::networks, "That its host must reach.", kWords)
          .field("sample_age_s", &VmText::sample_age_s, "Age of the newest sample.", kAgo)
          .field("gaps", &VmText::gaps, "Share of the window without samples.",
                 {.min = 0, .max = 1})
          .field("automation", &VmText::automation, "How far the cluster may act on it.")
          .field("pinned", &VmText::pinned, "Why it may not be moved.", {.max_length = 512})
          .field("numa_nodes", &VmText::numa_nodes, "It is spread over on purpose; 0: one.",
                 {.min = 0, .max = 64})
          .field("restart_priority", &VmText::restart_priority, "1 first … 5 last; 0 never.",
                 {.min = 0, .max = 5})
          .field("restart_after", &VmText::restart_after, "VMs that must be ready before.",
                 kReference)
          .field("restart_delay_s", &VmText::restart_delay_s, "After those are ready.", kAgo)
          .field("moved_ago_s", &VmText::moved_ago_s, "Its newest migration; absent: never.", kAgo)
          .field("moved_from", &VmText::moved_from, "Host it came from.", kReference)
          .field("cpu_when_moved_mhz", &VmText::cpu_when_moved_mhz, "Its demand then.", kAmount);
  return kType;
}

const Type& RuleText::type() {
  static const Type kType =
      describe<RuleText>("Rule", "Which VMs belong together, apart, on or off hosts.")
          .field("name", &RuleText::name, "Unique among rules.", kName)
          .field("kind", &RuleText::kind, "", {.required = true})
          .field("must", &RuleText::must, "false: broken only for a hard need, never for gain.")
          .field("vms", &RuleText::vms, "Names; NAME*: all of these.", kReference)
          .field("hosts", &RuleText::hosts, "Names; NAME*: all of these.", kReference);
  return kType;
}

const Type& OperationText::type() {
  static const Type kType =
      describe<OperationText>("Operation", "What is under way.")
          .field("kind", &OperationText::kind, "", {.required = true})
          .field("vm", &OperationText::vm, "That moves or starts.", kReference)
          .field("from", &OperationText::from, "Host it leaves.", kReference)
          .field("to", &OperationText::to, "Host it goes to, or that is switched.", kReference)
          .field("since_ago_s", &OperationText::since_ago_s, "How long already.", kAgo);
  return kType;
}

const Type& SnapshotDocument::type() {
  static const Type kType =
      describe<SnapshotDocument>("Snapshot", "Everything a policy may know, at one moment.")
          .field("version", &SnapshotDocument::version, "Of this format: 1.", {.required = true})
          .field("now", &SnapshotDocument::now, "The moment.")
          .field("revision", &SnapshotDocument::revision, "Of the store it was made from.",
                 {.min = 0})
          .field("cluster", &SnapshotDocument::cluster, "Its name.", {.max_length = 253})
          .field("settings", &SnapshotDocument::settings, "What the policies go by.")
          .field("curves", &SnapshotDocument::curves, "Power curves.",
                 {.max_count = kSnapshotCurvesMax})
          .field("hosts", &SnapshotDocument::hosts, "", {.max_count = kSnapshotHostsMax})
          .field("pools", &SnapshotDocument::pools, "", {.max_count = kSnapshotPoolsMax})
          .field("vms", &SnapshotDocument::vms, "", {.max_count = kSnapshotVmsMax})
          .field("rules", &SnapshotDocument::rules, "", {.max_count = kSnapshotRulesMax})
          .field("operations", &SnapshotDocument::operations, "",
                 {.max_count = kSnapshotOperationsMax});
  return kType;
}

}  // namespace chorok::model
