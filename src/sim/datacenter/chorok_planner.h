// Chorok's own policy behind the hook: the planner and the forecasts that production runs, with the
// settings that an experiment states.
#pragma once

#include "policy/planner.h"
#include "sim/datacenter/planner.h"

namespace chorok::sim::datacenter {

struct ChorokPlannerSettings {
  model::PolicySettings policy = defaults();
  policy::ForecastSettings forecast;

  // Production's defaults with everything automatic: one setting for all experiments and days.
  static model::PolicySettings defaults();
};

// Serves one run.
Planner chorok_planner(const ChorokPlannerSettings& settings = {});

}  // namespace chorok::sim::datacenter
