#include "sim/datacenter/chorok_planner.h"

#include <memory>

#include "policy/restart.h"

namespace chorok::sim::datacenter {

model::PolicySettings ChorokPlannerSettings::defaults() {
  model::PolicySettings settings;
  settings.balance.automation = model::Automation::kFull;
  settings.power.automation = model::Automation::kFull;
  return settings;
}

Planner chorok_planner(const ChorokPlannerSettings& settings) {
  auto forecast = std::make_shared<policy::ClusterForecast>(settings.forecast);
  return {.settings = settings.policy,
          .forecast = [forecast](model::Snapshot& snapshot) { forecast->observe(snapshot); },
          .plan = policy::plan_cluster,
          .place = policy::plan_place,
          .restart = policy::plan_restart};
}

}  // namespace chorok::sim::datacenter
