// The policies as a caller sees them: a snapshot in, a plan out. The same snapshot gives the same
// plan, byte for byte. A snapshot must have passed model::check.
#pragma once

#include "policy/forecast.h"
#include "policy/plan.h"

namespace chorok::policy {

// Repair, placement of waiting VMs, waking ahead of demand, consolidation and improvement, in this
// order, as far as the snapshot's settings allow: what a cluster does every round.
Plan plan_cluster(const Snapshot& snapshot);

// Only balance: repair, then improvement (DRS).
Plan plan_balance(const Snapshot& snapshot);
// Only power: repair, waking, consolidation (DPM).
Plan plan_power(const Snapshot& snapshot);
// Only placement of the VMs that wait for a host, as one batch.
Plan plan_place(const Snapshot& snapshot);

// The demand histories of a cluster's VMs, by their index in the snapshot. Bounded: two histories a
// VM, kForecastBytes each.
class ClusterForecast {
 public:
  explicit ClusterForecast(ForecastSettings settings = {}) : settings_(settings) {}
  // Takes every running VM's `demand.now` as a sample at `snapshot.now` and fills in the rest of
  // its demands. O(VMs).
  void observe(Snapshot& snapshot);

 private:
  ForecastSettings settings_;
  std::vector<DemandHistory> cpu_;
  std::vector<DemandHistory> memory_;
};

inline constexpr std::size_t kForecastBytes = sizeof(DemandHistory);

}  // namespace chorok::policy
