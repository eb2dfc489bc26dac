// Whether the cluster survives failures of hosts (N+k): for every single host, would all its VMs
// find a place on the others? Asked by placing them (policy/replace.h), not by counting, so a VM
// too large for any gap, a rule or a datastore counts. Slots and percentages, which are what other
// products do, are here to compare with.
//
// Every host alone is tried always. Of the sets of k hosts that have none which may not even fail
// alone, all are tried as long as they are few enough; of more of them those that are likely to be
// hard (policy/failure_sets.h), and Survival says that it was not all. A set that survives covers
// its parts: fewer failures leave more room.
#pragma once

#include "policy/replace.h"

namespace chorok::policy {

// Two hosts with 20 VMs each take about 5 us to try where all find room at once: this many sets
// take a quarter of a second. They are all pairs of 316 hosts, all triples of 67, all fours of 34.
inline constexpr std::int64_t kSetsMax = 50'000;
// Sets of several hosts that may not fail, told apart: more than that nobody reads.
inline constexpr std::size_t kUncoveredSetsMax = 100;

struct FailureCase {
  std::vector<Index> hosts;        // that fail together
  std::vector<Unplaced> unplaced;  // VMs that would not come back
};

struct Survival {
  // Hosts that may not fail alone, then sets of k without such a host, each in their order; of
  // these at most kUncoveredSetsMax.
  std::vector<FailureCase> uncovered;
  std::int64_t cases = 0;   // tried: sets with VMs to restart
  std::int64_t vms = 0;     // that had to be placed, in all cases together
  std::int64_t moved = 0;   // running VMs that had to make room
  bool exhaustive = true;   // every set was tried that could still tell something
  bool work_limit = false;  // some search for room was given up
  bool survives() const { return uncovered.empty(); }
};

struct SurvivalEffort {
  std::int64_t sets_max = kSetsMax;  // of k hosts, k > 1
  bool first_only = false;  // whoever asks only whether ends at the first that may not fail
  // VMs count only if some other host could have them, were it on and empty: what no host that is
  // switched on or kept on could mend is no reason to do so.
  bool curable_only = false;
};

// The what-if is as before afterwards. failures = 0 is survived always; more failures than there
// are hosts are the failure of all.
Survival check_failures(WhatIf& world, std::int32_t failures, const SurvivalEffort& effort = {});
Survival check_failures(const Snapshot& snapshot, std::int32_t failures,
                        const SurvivalEffort& effort = {});

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
