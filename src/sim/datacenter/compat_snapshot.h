// The snapshot through which a planner sees CloudSim's data centre, and its plans turned into
// moves.
#pragma once

#include <vector>

#include "sim/datacenter/compat_world.h"
#include "sim/datacenter/planner.h"

namespace chorok::sim::datacenter {

class CompatSnapshot {
 public:
  CompatSnapshot(const CompatWorld& world, const model::PolicySettings& policy_settings);

  // Before the first tick: every VM waits, and asks for what the trace says at the start.
  const model::Snapshot& waiting();
  // At a tick: demand, places and power as they are now; then the planner's forecast.
  const model::Snapshot& at_tick(const Planner& planner);

  // kStart actions, by VM.
  Result<std::vector<Move>> starts(const policy::Plan& plan);
  // kMigrate actions; remembers when and where from each VM moved, for the next snapshot.
  Result<void> moves(const policy::Plan& plan, std::vector<Move>& out);

 private:
  Result<void> check(const policy::Action& action) const;

  const CompatWorld& world_;
  model::Snapshot snapshot_;
  std::vector<std::uint32_t> moved_in_;  // by VM: number of the plan that moved it last
  std::uint32_t plans_ = 0;
};

}  // namespace chorok::sim::datacenter
