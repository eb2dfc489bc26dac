#include "policy/planner.h"

#include "policy/recommend.h"
#include "policy/steps.h"

namespace chorok::policy {

using model::VmRun;

namespace {

bool switches_hosts(const Snapshot& snapshot) {
  return snapshot.settings.power.automation != model::Automation::kOff;
}

}  // namespace

Plan plan_cluster(const Snapshot& snapshot) {
  Round round(snapshot);
  repair(round);
  place_waiting(round);
  wake_ahead(round);
  find_faster_cores(round);
  consolidate(round);
  improve(round);
  Plan plan = round.finish(
      switches_hosts(snapshot)
          ? "every VM gets what it asks for, no rule is broken, and no host can be spared"
          : "every VM gets what it asks for and no rule is broken; automation of power is off");
  recommend(plan, snapshot, [](Round& more) {
    repair(more);
    find_faster_cores(more);
    consolidate(more);
    improve(more);
  });
  return plan;
}

Plan plan_balance(const Snapshot& snapshot) {
  constexpr auto kSteps = [](Round& round) {
    repair(round);
    find_faster_cores(round);
    improve(round);
  };
  Round round(snapshot);
  kSteps(round);
  Plan plan = round.finish("every VM gets what it asks for, and no move is worth its cost");
  recommend(plan, snapshot, kSteps);
  return plan;
}

Plan plan_power(const Snapshot& snapshot) {
  Round round(snapshot);
  repair(round);
  wake_ahead(round);
  find_faster_cores(round);
  consolidate(round);
  Plan plan = round.finish(switches_hosts(snapshot) ? "no host is missing, and none can be spared"
                                                    : "automation of power is off");
  recommend(plan, snapshot, [](Round& more) {
    repair(more);
    find_faster_cores(more);
    consolidate(more);
  });
  return plan;
}

Plan plan_place(const Snapshot& snapshot) {
  Round round(snapshot);
  place_waiting(round);
  return round.finish("no VM waits for a host");
}

void ClusterForecast::observe(Snapshot& snapshot) {
  // How far ahead and how surely is the cluster's to say, and said once.
  settings_.horizon = snapshot.settings.horizon;
  settings_.quantile = snapshot.settings.forecast_quantile;
  cpu_.resize(snapshot.vms.size());
  memory_.resize(snapshot.vms.size());
  for (Index v = 0; v < snapshot.vms.size(); ++v) {
    model::SnapshotVm& vm = snapshot.vms[v];
    if (vm.run != VmRun::kOn) continue;
    cpu_[v].add(snapshot.now, vm.cpu_demand.now, settings_);
    vm.cpu_demand = cpu_[v].demand(snapshot.now, vm.size.cpu, settings_);
    memory_[v].add(snapshot.now, vm.memory_demand.now, settings_);
    vm.memory_demand = memory_[v].demand(snapshot.now, vm.size.memory, settings_);
    vm.gaps = cpu_[v].gaps();
  }
}

}  // namespace chorok::policy
