#include "sim/datacenter/chorok_planner.h"

#include <memory>

#include "policy/planner.h"

namespace chorok::sim::datacenter {

model::PolicySettings chorok_settings() {
  model::PolicySettings settings;
  settings.balance.automation = model::Automation::kFull;
  settings.power.automation = model::Automation::kFull;
  return settings;
}

Planner chorok_planner(const model::PolicySettings& settings) {
  auto forecast = std::make_shared<policy::ClusterForecast>();
  return {.settings = settings,
          .forecast = [forecast](model::Snapshot& snapshot) { forecast->observe(snapshot); },
          .plan = policy::plan_cluster,
          .place = policy::plan_place};
}

}  // namespace chorok::sim::datacenter
