// Whether the cluster survives failures of hosts (N+k): for every single host, would all its VMs
// find a place on the others? Asked by placing them (policy/replace.h), not by counting, so a VM
// too large for any gap, a rule or a datastore counts. Slots and percentages, which are what other
// products do, are here to compare with.
//
// For k > 1 not all sets of k hosts are tried, there are too many: each host together with the
// k - 1 others that carry most.
#pragma once

#include "policy/replace.h"

namespace chorok::policy {

struct FailureCase {
  std::vector<Index> hosts;        // that fail together
  std::vector<Unplaced> unplaced;  // VMs that would not come back
};

struct Survival {
  std::vector<FailureCase> uncovered;  // in the order of their first host
  std::int64_t cases = 0;              // tried: hosts with VMs to restart
  std::int64_t vms = 0;                // that had to be placed, in all cases together
  std::int64_t moved = 0;              // running VMs that had to make room
  bool work_limit = false;             // some search for room was given up
  bool survives() const { return uncovered.empty(); }
};

// The what-if is as before afterwards. failures = 0 is survived always.
Survival check_failures(WhatIf& world, std::int32_t failures);
Survival check_failures(const Snapshot& snapshot, std::int32_t failures);

// Slots: one size for all, the largest reservation there is (at least 32 MHz); each host has so
// many of them. Room is there if the VMs that run need no more than what is left without the k
// largest.
struct SlotCheck {
  Amounts slot;
  std::int64_t slots = 0;       // of all usable hosts
  std::int64_t slots_kept = 0;  // without the k with most
  std::int64_t used = 0;        // VMs that run and are to be restarted
  bool enough() const { return used <= slots_kept; }
};
SlotCheck check_slots(const WhatIf& world, std::int32_t failures);

// Percentages: the part of capacity that is not reserved is at least k hosts' worth.
struct PercentCheck {
  Amounts free;    // 0 … 1 of each resource, not reserved
  Amounts needed;  // k of so many hosts
  bool enough() const { return free.cpu >= needed.cpu && free.memory >= needed.memory; }
};
PercentCheck check_percent(const WhatIf& world, std::int32_t failures);

}  // namespace chorok::policy
