// Chorok's own policy as a Planner: the very code that a manager runs, with its forecast.
#pragma once

#include "sim/datacenter/planner.h"

namespace chorok::sim::datacenter {

// One setting for all experiments and all days: full automation of balance and power, the rest as
// policies default to.
model::PolicySettings chorok_settings();

// For one run.
Planner chorok_planner(const model::PolicySettings& settings = chorok_settings());

}  // namespace chorok::sim::datacenter
