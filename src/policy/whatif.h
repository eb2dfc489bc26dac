// A copy of the cluster to try things on. Every policy plans by moving VMs here and reading what
// would come of it; the plan is the difference between where VMs were and where they ended, so a VM
// that was tried in three places travels once.
//
// The sums a host is judged by (reservations, sizes, mean and variance of demand) are kept up to
// date by each move: trying one is O(1) and the rules of the VM. CPU demand of a host is treated as
// the sum of its VMs' demands, means and variances adding up (independent; the part that all VMs
// share is `correlation`), so many small VMs need less headroom than a few large ones.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "policy/normal.h"
#include "policy/numa.h"
#include "policy/plan.h"

namespace chorok::policy {

struct HostLoad {
  Amounts reserved;       // reservations (memory: with overhead)
  Amounts now;            // CPU: newest demand; memory: used now, by the settings' measure
  Amounts size;           // configured (memory: with overhead)
  double mean = 0;        // CPU, MHz: expected demand
  double variance = 0;    // CPU, MHz squared
  double deviations = 0;  // CPU, MHz: sum of the VMs' deviations, for the correlated part
  std::int32_t vms = 0;
};

// What of a VM counts on a host; made once for each VM.
struct VmLoad {
  Amounts reserved;
  Amounts now;
  Amounts size;
  double mean = 0;
  double deviation = 0;
};

class WhatIf {
 public:
  // The snapshot must outlive this and have passed model::check.
  explicit WhatIf(const Snapshot& snapshot);

  const Snapshot& snapshot() const { return *snapshot_; }
  Index host_of(Index vm) const { return host_of_[vm]; }
  // Where rules see it. A VM on its way counts where it goes, so that what its move mends is not
  // mended again, as long as its target takes VMs; should the move fail, the next round sees it
  // where it was. O(1).
  Index heading(Index vm) const {
    if (going_to_.empty() || going_to_[vm] == kNone) return host_of_[vm];
    const bool still = host_of_[vm] == snapshot_->vms[vm].host && usable_[going_to_[vm]];
    return still ? going_to_[vm] : host_of_[vm];
  }
  const std::vector<Index>& vms_on(Index host) const { return vms_on_[host]; }
  const HostLoad& load(Index host) const { return loads_[host]; }
  // What it will carry when the moves under way have ended: `load` counts VMs at both ends, which
  // is for room. O(VMs leaving the host).
  HostLoad settled_load(Index host) const;
  const VmLoad& vm_load(Index vm) const { return vm_loads_[vm]; }

  // Whether a host can run VMs as things stand here: on, connected, enabled, not failing.
  bool usable(Index host) const { return usable_[host]; }
  // Whether it can at all be a target: also one that would have to be switched on.
  bool could_run(Index host) const { return could_run_[host]; }
  void set_usable(Index host, bool usable) { usable_[host] = usable; }

  // ---- hard constraints: an action never breaks one ----
  // CPU model, datastores, networks: of the VM's requirement and the host's offer. O(1).
  std::optional<Why> compatible(Index vm, Index host) const;
  // Everything hard: compatible, rules that must hold, reservations, memory by the overcommit
  // setting, NUMA nodes that are asked for, the host's own bound of VMs. The VM must not be on the
  // host. O(rules of the VM).
  std::optional<Why> forbids(Index vm, Index host) const;
  // The same of one moment while others are still on their way: VMs that are to be together arrive
  // one after the other.
  std::optional<Why> forbids_arrival(Index vm, Index host) const;
  // Whether the host could ever have it, if nothing else ran there. O(rules of the VM).
  bool could_hold(Index vm, Index host) const;
  // Whether `host` breaks something hard with what stays on it or comes.
  std::optional<Why> broken(Index host) const;
  // Whether the rule holds for its VM `vm` if that comes to `host`. Of VMs that are to be apart,
  // one on its way has both its ends to itself until it is there.
  bool rule_holds(const model::SnapshotRule& rule, Index vm, Index host) const;
  // Whether `vm` breaks the rule when what is under way has ended.
  bool breaks(const model::SnapshotRule& rule, Index vm) const;
  // Whether this VM breaks a rule so, one that only should hold among them.
  bool breaks_a_rule(Index vm) const;
  // `vm` and the VMs that have to be with it, by way of others too; those that run nowhere are left
  // out.
  std::vector<Index> together_with(Index vm) const;
  // Rules that should hold and would be broken (+) or mended (-) by the move.
  int soft_rules(Index vm, Index host) const;
  // NUMA nodes of the host that it would be divided over beyond one; 0 if it asks for its number.
  int straddles(Index vm, Index host) const;
  const Numa& numa() const { return numa_; }

  // ---- demand ----
  // Of the sum of the host's VMs, MHz: their own variances and the part that all have in common.
  double deviation(const HostLoad& load) const {
    return std::sqrt(load.variance + correlation * load.deviations * load.deviations);
  }
  // CPU that the host's VMs ask for with a certainty of `z` standard deviations, MHz.
  double upper(const HostLoad& load, double z) const;
  // CPU that is expected not to be delivered on the host, MHz: of a normal distribution, its part
  // above the capacity. The newest demand counts where it is more than expected.
  double shortfall(const HostLoad& load, double capacity) const {
    return expected_above(std::max(load.mean, load.now.cpu), deviation(load), capacity);
  }
  // The same where the newest demand will not last.
  double lasting_shortfall(const HostLoad& load, double capacity) const {
    return expected_above(load.mean, deviation(load), capacity);
  }
  // Inline: balance tries them many million times a round.
  HostLoad with(const HostLoad& load, Index vm) const {
    const VmLoad& add = vm_loads_[vm];
    HostLoad out = load;
    out.reserved += add.reserved;
    out.now += add.now;
    out.size += add.size;
    out.mean += add.mean;
    out.variance += add.deviation * add.deviation;
    out.deviations += add.deviation;
    ++out.vms;
    return out;
  }
  HostLoad without(const HostLoad& load, Index vm) const {
    if (load.vms == 1) return {};  // no dust of rounding on an empty host
    const VmLoad& less = vm_loads_[vm];
    HostLoad out = load;
    out.reserved -= less.reserved;
    out.now -= less.now;
    out.size -= less.size;
    out.mean -= less.mean;
    out.variance = std::max(0.0, out.variance - less.deviation * less.deviation);
    out.deviations = std::max(0.0, out.deviations - less.deviation);
    --out.vms;
    return out;
  }
  double watts(Index host, const HostLoad& load) const;

  void move(Index vm, Index to);  // kNone: nowhere
  double correlation = 0.02;      // share of the deviation that all VMs have in common

 private:
  bool memory_fits(Index vm, Index host) const;
  std::optional<Why> room_forbids(Index vm, Index host) const;
  std::optional<Why> rules_forbid(Index vm, Index host, bool arriving) const;
  bool runs_by(const model::SnapshotRule& rule, Index vm, Index host, bool at_both_ends) const;

  const Snapshot* snapshot_;
  std::vector<HostLoad> loads_;
  std::vector<VmLoad> vm_loads_;
  std::vector<Index> host_of_;
  std::vector<Index> going_to_;              // of a VM that is migrating; empty: none is
  std::vector<std::vector<Index>> leaving_;  // those of each host; empty: none is
  std::vector<Index> place_of_;              // of a VM in its host's list
  std::vector<std::vector<Index>> vms_on_;
  std::vector<bool> usable_;
  std::vector<bool> could_run_;
  std::vector<std::optional<Why>> matches_;   // requirement x offer
  std::vector<std::vector<Index>> rules_of_;  // of a VM; empty lists cost nothing
  Numa numa_;
};

}  // namespace chorok::policy
