// The policies that a cluster's loops ask, as functions: production and the simulator give them
// the same ones, tests their own.
#pragma once

#include <functional>
#include <span>

#include "model/snapshot.h"
#include "policy/plan.h"

namespace chorok::control {

// What they remember between rounds is theirs: a Brain serves one cluster, on one thread.
struct Brain {
  model::PolicySettings settings;
  // First in every round, when VMs' demand.now is set and the rest of Demand is what this function
  // left there a round before: fills mean, deviation, peak, expected, upper. Empty: all of them are
  // `now`.
  std::function<void(model::Snapshot&)> forecast;
  // Migrations, starts and power actions. kMigrate needs a VM that runs and a host that is on or
  // that an action of the same plan powers on; a VM moves once a plan.
  std::function<policy::Plan(const model::Snapshot&)> plan;
  // Where plans are made. `work` runs anywhere, `then` where the loop does, later. Empty: a round
  // plans within its turn.
  std::function<void(std::move_only_function<void()> work, std::move_only_function<void()> then)>
      elsewhere;
  // A first placement of everything as one batch.
  std::function<policy::Plan(const model::Snapshot&)> place;
  // What restarts where when these hosts are lost. Empty: nothing is restarted.
  std::function<policy::Plan(const model::Snapshot&, std::span<const model::Index>)> restart;
};

}  // namespace chorok::control
