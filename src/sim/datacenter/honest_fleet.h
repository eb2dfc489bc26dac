// The honest data centre as a policy sees it.
#pragma once

#include "sim/datacenter/honest_world.h"

namespace chorok::sim::datacenter {

class HonestSnapshot {
 public:
  HonestSnapshot(const HonestWorld& world, const model::PolicySettings& policy_settings);

  // Before anything runs: VMs wait, hosts can be had for nothing.
  const model::Snapshot& waiting();
  // At a tick: what was asked for in the interval that is over, and what is under way.
  const model::Snapshot& at_tick(const Planner& planner);
  // A migration has started.
  void moved(HonestWorld::Id vm, HonestWorld::Id from);

 private:
  void look_at_hosts();
  void look_at_vms();

  const HonestWorld& world_;
  model::Snapshot snapshot_;
};

}  // namespace chorok::sim::datacenter
