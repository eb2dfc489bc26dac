// The hook by which a policy drives a simulated data centre: the engine shows it a snapshot at
// every tick and carries out the plan that comes back. A policy cannot tell the engine from a
// manager.
//
// One snapshot lives through the whole run: hosts and VMs keep their index, a tick only writes what
// changed (demand now, where a VM runs, which hosts are on). A VM that is gone is kOff.
#pragma once

#include <functional>

#include "model/snapshot.h"
#include "policy/plan.h"

namespace chorok::sim::datacenter {

// All three run on the run's thread. What they remember between ticks is theirs: a Planner serves
// one run.
struct Planner {
  model::PolicySettings settings;  // as the snapshot shows them
  // First at every tick, when VMs' demand.now is set (MHz; MiB) and the rest of Demand is what this
  // function left there at the tick before: fills mean, deviation, peak, expected, upper. Empty:
  // all of them are `now`.
  std::function<void(model::Snapshot&)> forecast;
  // Migrations and power actions. kMigrate needs a VM that runs and a host that is on or that an
  // action of the same plan powers on; a VM moves once a plan. An action that cannot be carried out
  // ends the run with an error: it is a bug in the policy.
  std::function<policy::Plan(const model::Snapshot&)> plan;
  // The initial placement: every VM is kWaiting, the plan has a kStart for each. What it leaves
  // out, and all when this is empty, is placed by the engine's own rule.
  std::function<policy::Plan(const model::Snapshot&)> place;
};

}  // namespace chorok::sim::datacenter
