// The hook by which a policy drives a simulated data centre: the engine shows it a snapshot and
// carries out the plan that comes back. A policy cannot tell the engine from a manager. Honest mode
// runs it under control/cluster_loop.h, as the manager does; compat mode asks it at every tick.
//
// One snapshot lives through the whole run: hosts and VMs keep their index. A VM that is gone is
// kOff. An action that cannot be carried out ends the run with an error: it is a bug in the policy.
#pragma once

#include "control/brain.h"

namespace chorok::sim::datacenter {

using Planner = control::Brain;

}  // namespace chorok::sim::datacenter
