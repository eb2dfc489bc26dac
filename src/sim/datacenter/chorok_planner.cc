#include "sim/datacenter/chorok_planner.h"

#include <memory>

namespace chorok::sim::datacenter {

model::PolicySettings ChorokPlannerSettings::defaults() {
  model::PolicySettings settings;
  settings.balance.automation = model::Automation::kFull;
  settings.power.automation = model::Automation::kFull;
  return settings;
}

Planner chorok_planner(const ChorokPlannerSettings& settings) {
  auto forecast = std::make_shared<policy::ClusterForecast>(settings.forecast);
  Planner planner;
  planner.forecast = [forecast, settings](model::Snapshot& snapshot) {
    snapshot.settings = settings.policy;
    forecast->observe(snapshot);
  };
  planner.plan = [](const model::Snapshot& snapshot) { return policy::plan_cluster(snapshot); };
  planner.place = [settings](const model::Snapshot& waiting) {
    model::Snapshot snapshot = waiting;
    snapshot.settings = settings.policy;
    return policy::plan_place(snapshot);
  };
  return planner;
}

}  // namespace chorok::sim::datacenter
