// Everything a policy may know, at one revision. Flat arrays that point at each other by index: a
// copy is a what-if, 100,000 VMs are tens of megabytes, and the same bytes give the same plan.
//
// A snapshot is made by the manager from its store and its agents, by the simulator from its world,
// or from text (model/snapshot_text.h); a policy cannot tell which. It is plain data: nothing here
// decides. Amounts are doubles, since policies divide them: CPU in MHz of a reference core (host
// speed times cores), memory in MiB, power in watts, energy in joules.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "model/host.h"
#include "model/policy_settings.h"

namespace chorok::model {

using Index = std::uint32_t;
inline constexpr Index kNone = std::numeric_limits<Index>::max();
inline constexpr double kUnlimited = std::numeric_limits<double>::infinity();

enum class Resource : std::uint8_t { kCpu, kMemory };
inline constexpr std::array kResources = {Resource::kCpu, Resource::kMemory};
const Type& enum_type(const Resource*);

// One number for each resource.
struct Amounts {
  double cpu = 0;     // MHz
  double memory = 0;  // MiB

  double& operator[](Resource r) { return r == Resource::kCpu ? cpu : memory; }
  double operator[](Resource r) const { return r == Resource::kCpu ? cpu : memory; }
  Amounts& operator+=(const Amounts& o) {
    cpu += o.cpu;
    memory += o.memory;
    return *this;
  }
  Amounts& operator-=(const Amounts& o) {
    cpu -= o.cpu;
    memory -= o.memory;
    return *this;
  }
  friend Amounts operator+(Amounts a, const Amounts& b) { return a += b; }
  friend Amounts operator-(Amounts a, const Amounts& b) { return a -= b; }
  friend Amounts operator*(Amounts a, double k) { return {a.cpu * k, a.memory * k}; }
  friend bool operator==(const Amounts&, const Amounts&) = default;
};

// Shares, reservation and limit of one resource, for a VM or a pool.
struct Allocation {
  double shares = 0;          // relative importance under contention; 0: the preset "normal"
  double reservation = 0;     // guaranteed minimum
  double limit = kUnlimited;  // upper bound
  bool expandable = false;    // pools: a child's reservation may be taken from the parent's
  static const Type& type();
  friend bool operator==(const Allocation&, const Allocation&) = default;
};

// What a VM would use if alone, of one resource. `now` is the newest sample (CPU: used and ready
// time; memory: active pages); the rest comes from policy/forecast.
struct Demand {
  double now = 0;
  double mean = 0;       // over the recent window
  double deviation = 0;  // standard deviation over the recent window
  double peak = 0;       // largest sample of the recent window
  double expected = 0;   // forecast over the horizon: mean of the highest interval
  double upper = 0;      // forecast over the horizon: upper quantile (settings.forecast_quantile)
  friend bool operator==(const Demand&, const Demand&) = default;
};

// What a VM needs of a host apart from room; VMs with the same needs share one.
struct Requirement {
  std::string cpu;                      // CPU model or level; empty: any
  std::vector<std::string> datastores;  // all of them, sorted
  std::vector<std::string> networks;    // all of them, sorted
  friend bool operator==(const Requirement&, const Requirement&) = default;
};
// What a host has to offer; hosts that are alike share one.
struct Offer {
  std::vector<std::string> cpus;
  std::vector<std::string> datastores;
  std::vector<std::string> networks;
  friend bool operator==(const Offer&, const Offer&) = default;
};

enum class VmRun : std::uint8_t {
  kOff,      // not running and nobody asks that it should
  kOn,       // runs on `host`
  kWaiting,  // is to run and has no host: placement, restart
};
const Type& enum_type(const VmRun*);

struct SnapshotVm {
  std::string name;
  VmRun run = VmRun::kOn;
  Index host = kNone;  // where it runs; of an incoming instance see Snapshot::operations
  Index pool = kNone;  // kNone: directly below the cluster
  Index requirement = 0;
  std::int32_t vcpus = 1;
  Amounts size;         // configured: vCPUs times the reference core, guest memory
  double overhead = 0;  // MiB that the hypervisor holds besides the guest's memory
  Allocation cpu;
  Allocation memory;
  Demand cpu_demand;
  Demand memory_demand;
  double consumed = 0;     // MiB of host memory it holds now (active and idle)
  double reclaimable = 0;  // MiB of that a balloon or swap could take without hurting
  double dirty_rate = 0;   // MiB/s of memory written while running
  Duration sample_age{};   // of the newest sample; old ones are worth less
  double gaps = 0;         // 0..1: share of the recent window without samples
  Automation automation = Automation::kFull;
  std::string pinned;                 // why it may not be moved; empty: it may
  std::int32_t numa_nodes = 0;        // nodes it is spread over on purpose; 0: one if it fits
  std::int32_t restart_priority = 3;  // 1 first … 5 last, 0 never (HA)
  std::vector<Index> restart_after;   // VMs that must be ready before this one starts
  Duration restart_delay{};           // after those are ready
  Time last_moved{};                  // of the newest migration; epoch: never
  double cpu_when_moved = 0;          // its demand then, MHz: a move back needs a changed load
  Index moved_from = kNone;           // where that migration came from

  const Allocation& allocation(Resource r) const { return r == Resource::kCpu ? cpu : memory; }
  Allocation& allocation(Resource r) { return r == Resource::kCpu ? cpu : memory; }
  const Demand& demand(Resource r) const {
    return r == Resource::kCpu ? cpu_demand : memory_demand;
  }
  Demand& demand(Resource r) { return r == Resource::kCpu ? cpu_demand : memory_demand; }
};

// Watts at 0, 10, … 100 % CPU load, linear between (as SPECpower_ssj2008 reports them).
struct PowerCurve {
  std::string name;
  std::array<double, 11> watts{};
  double standby = 0;     // watts when powered off through the BMC, or suspended
  bool measured = false;  // by this host's own meter, or taken from a published curve
  // load: 0..1, clamped.
  double at(double load) const {
    const double x = (load <= 0 ? 0 : load >= 1 ? 1 : load) * 10;
    const int below = x >= 10 ? 9 : static_cast<int>(x);
    const double part = x - below;
    return watts[static_cast<std::size_t>(below)] * (1 - part) +
           watts[static_cast<std::size_t>(below) + 1] * part;
  }
  friend bool operator==(const PowerCurve&, const PowerCurve&) = default;
};

struct SnapshotHost {
  std::string name;
  HostPower power = HostPower::kOn;
  HostLink link = HostLink::kConnected;
  HostAdmin admin = HostAdmin::kEnabled;
  Amounts capacity;     // for VMs: what the host itself needs is taken off
  double core_mhz = 0;  // of one core: no vCPU gets more
  std::int32_t cores = 0;
  std::vector<double> numa_memory;  // MiB a node; empty: one node
  Index offer = 0;
  Index curve = 0;
  Duration time_on{};  // from off to able to run VMs
  Duration time_off{};
  double boot_energy = 0;  // joules from off to on, above nothing
  double shutdown_energy = 0;
  std::string keep_on;   // why it may not be powered off; empty: it may
  std::string keep_off;  // why it may not be powered on (no BMC, wake test failed, stuck)
  double migration_bandwidth = 1000;    // MiB/s, all migrations of the host together
  double migration_bandwidth_each = 0;  // MiB/s, of one migration; 0: as much as of all
  std::int32_t migrations_parallel = 2;
  Time power_since{};                // of the last change of `power`
  Time enabled_since{};              // when it left maintenance; epoch: it was never there
  std::int32_t recent_failures = 0;  // in the evidence window
  std::int32_t vms_max = 0;          // 0: no bound of its own
};

struct SnapshotPool {
  std::string name;
  Index parent = kNone;  // kNone: below the cluster itself
  Allocation cpu;
  Allocation memory;
  bool scalable_shares = false;  // shares are the sum of what is in it
  const Allocation& allocation(Resource r) const { return r == Resource::kCpu ? cpu : memory; }
};

struct SnapshotRule {
  std::string name;
  RuleKind kind = RuleKind::kApart;
  bool must = true;  // false: should; broken only for a hard need, never for gain
  std::vector<Index> vms;
  std::vector<Index> hosts;
};

// What is under way and must be counted as if it had happened, at both ends.
struct SnapshotOperation {
  enum class Kind : std::uint8_t { kMigrate, kStart, kPowerOn, kPowerOff };
  Kind kind = Kind::kMigrate;
  Index vm = kNone;
  Index from = kNone;
  Index to = kNone;  // also the host of a power operation; of a move: kNone until it is chosen
  Time since{};
};
const Type& enum_type(const SnapshotOperation::Kind*);

struct Snapshot {
  Time now{};
  std::int64_t revision = 0;
  std::string cluster;
  std::vector<SnapshotHost> hosts;
  std::vector<SnapshotVm> vms;
  std::vector<SnapshotPool> pools;  // a parent stands before its children
  std::vector<SnapshotRule> rules;
  std::vector<Requirement> requirements;  // at least one, when there are VMs
  std::vector<Offer> offers;              // at least one, when there are hosts
  std::vector<PowerCurve> curves;         // at least one, when there are hosts
  std::vector<SnapshotOperation> operations;
  PolicySettings settings;
};

// Whether every index points somewhere, parents stand before children, and amounts are finite and
// not negative: what a policy takes for granted. The Error names the first fault by its path
// (/vms/3/host). O(size of the snapshot). Cycles in restart_after are not faults: policy/restart
// reports them.
Result<void> check(const Snapshot& snapshot);

}  // namespace chorok::model
