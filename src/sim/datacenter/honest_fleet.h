// The honest data centre as a cluster's loops see it: what agents and BMCs report, no more. A
// policy learns a sample when its interval is over; where a VM runs that its host cannot report
// is where it was reported last.
#pragma once

#include "control/fleet.h"
#include "sim/datacenter/honest_world.h"
#include "sim/datacenter/planner.h"

namespace chorok::sim::datacenter {

class HonestFleet final : public control::Fleet {
 public:
  using Index = model::Index;

  explicit HonestFleet(HonestWorld& world);

  // Before anything runs: VMs wait, hosts can be had for nothing.
  const model::Snapshot& waiting(const model::PolicySettings& settings);
  // Every host that is connected says what runs there.
  void hear();
  // An interval is over: what was asked for in it is known now.
  void see_samples();
  // Does it now. What cannot be done has no effect.
  void carry_out(const control::Command& command);

  Time now() const override;
  Index hosts() const override { return static_cast<Index>(world_.hosts()); }
  Index vms() const override { return static_cast<Index>(world_.vms()); }
  control::HostSeen host(Index host) const override;
  Index host_of(Index vm) const override;
  bool busy(Index vm) const override { return world_.moving[vm] != 0; }
  std::int32_t migrations(Index host) const override { return world_.links[host]; }
  bool empty(Index host) const override {
    return world_.list[host].empty() && world_.incoming[host] == 0;
  }
  double free_memory(Index host) const override { return world_.free_memory(host); }
  double needed_memory(Index vm) const override { return world_.needed_memory(vm); }
  model::Snapshot& snapshot() override;

 private:
  void look_at_hosts();
  void look_at_vms();

  HonestWorld& world_;
  model::Snapshot snapshot_;
  std::vector<double> seen_cpu_;        // MHz by VM, in the interval that was over last
  std::vector<double> seen_memory_;     // MiB
  mutable std::vector<Index> seen_on_;  // host that reported the VM last
};

}  // namespace chorok::sim::datacenter
