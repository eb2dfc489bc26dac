// The text form of a snapshot as plain structs: what a person reads and writes, one struct an
// entry, things referring to each other by name, units in the field names, everything left out that
// is as usual. model/snapshot_text.h turns documents into snapshots and back; docs/snapshot.md is
// the format's manual.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/snapshot.h"

namespace chorok::model {

inline constexpr std::int32_t kSnapshotVersion = 1;

// What one document may hold. A thousand hosts with twenty VMs each are a hundredth of it.
inline constexpr std::size_t kSnapshotBytesMax = std::size_t{256} << 20;
inline constexpr std::size_t kSnapshotHostsMax = 20'000;
inline constexpr std::size_t kSnapshotVmsMax = 400'000;
inline constexpr std::size_t kSnapshotPoolsMax = 20'000;
inline constexpr std::size_t kSnapshotRulesMax = 50'000;
inline constexpr std::size_t kSnapshotCurvesMax = 1'000;
inline constexpr std::size_t kSnapshotOperationsMax = 100'000;
inline constexpr std::size_t kSnapshotReferencesMax = 4'000'000;  // names in rules, expanded

// What is not given is as `now`; a deviation that is not given is none.
struct DemandText {
  double now = 0;
  std::optional<double> mean;
  double deviation = 0;
  std::optional<double> peak;
  std::optional<double> expected;
  std::optional<double> upper;
  static const Type& type();
};

struct CurveText {
  std::string name;
  std::vector<double> watts;  // at 0, 10, … 100 % load
  double standby_watts = 0;
  bool measured = false;
  static const Type& type();
};

struct HostText {
  std::string name;
  std::int32_t count = 1;  // more: NAME1 … NAMEn, all alike
  HostPower power = HostPower::kOn;
  HostLink link = HostLink::kConnected;
  HostAdmin admin = HostAdmin::kEnabled;
  std::int32_t cores = 0;
  double core_mhz = 0;
  std::optional<double> cpu_mhz;  // cores times core_mhz
  double memory_mib = 0;
  std::vector<double> numa_memory_mib;
  std::vector<std::string> cpus;
  std::vector<std::string> datastores;
  std::vector<std::string> networks;
  std::string curve;  // empty: the first one
  double time_on_s = 0;
  double time_off_s = 0;
  double boot_energy_j = 0;
  double shutdown_energy_j = 0;
  std::string keep_on;
  std::string keep_off;
  double migration_bandwidth_mib_s = 1000;
  double migration_bandwidth_each_mib_s = 0;
  std::int32_t migrations_parallel = 2;
  std::optional<double> power_since_ago_s;
  std::optional<double> enabled_since_ago_s;
  std::int32_t recent_failures = 0;
  std::int32_t vms_max = 0;
  static const Type& type();
};

struct PoolText {
  std::string name;
  std::string parent;
  Allocation cpu_mhz;
  Allocation memory_mib;
  bool scalable_shares = false;
  static const Type& type();
};

struct VmText {
  std::string name;
  std::int32_t count = 1;
  std::optional<VmRun> run;  // on with a host, off without
  std::string host;          // "rack1-*": over all of these in turn
  std::string pool;
  std::int32_t vcpus = 1;
  std::optional<double> cpu_mhz;  // vcpus times core_mhz of the first host
  double memory_mib = 0;
  double overhead_mib = 0;
  Allocation cpu_allocation_mhz;
  Allocation memory_allocation_mib;
  DemandText cpu_demand_mhz;
  DemandText memory_demand_mib;
  double consumed_mib = 0;
  double reclaimable_mib = 0;
  double dirty_rate_mib_s = 0;
  std::string cpu_model;
  std::vector<std::string> datastores;
  std::vector<std::string> networks;
  double sample_age_s = 0;
  double gaps = 0;
  Automation automation = Automation::kFull;
  std::string pinned;
  std::int32_t numa_nodes = 0;
  std::int32_t restart_priority = 3;
  std::vector<std::string> restart_after;
  double restart_delay_s = 0;
  std::optional<double> moved_ago_s;
  std::string moved_from;
  double cpu_when_moved_mhz = 0;
  static const Type& type();
};

struct RuleText {
  std::string name;
  RuleKind kind = RuleKind::kApart;
  bool must = true;
  std::vector<std::string> vms;
  std::vector<std::string> hosts;
  static const Type& type();
};

struct OperationText {
  SnapshotOperation::Kind kind = SnapshotOperation::Kind::kMigrate;
  std::string vm;
  std::string from;
  std::string to;
  double since_ago_s = 0;
  static const Type& type();
};

struct SnapshotDocument {
  std::int32_t version = 0;
  Time now{};
  std::int64_t revision = 0;
  std::string cluster;
  PolicySettings settings;
  std::vector<CurveText> curves;
  std::vector<HostText> hosts;
  std::vector<PoolText> pools;
  std::vector<VmText> vms;
  std::vector<RuleText> rules;
  std::vector<OperationText> operations;
  static const Type& type();
};

}  // namespace chorok::model
