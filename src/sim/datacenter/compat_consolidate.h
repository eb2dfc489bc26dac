// PowerVmAllocationPolicyMigrationAbstract of CloudSim 3.0.3 and its four overload tests, with
// minimum migration time as the choice of VM: what moves where at a tick.
//
// It plans on a copy of each host's list and keeps the sums that decide (demand, what is free,
// history) up to date as VMs are added at the end of a list, which is bit for bit what CloudSim
// gets by adding them up again. Works in place; after the first ticks it allocates nothing.
#pragma once

#include <vector>

#include "sim/datacenter/compat_world.h"

namespace chorok::sim::datacenter {

class Consolidation {
 public:
  Consolidation(const CompatWorld& world, const PolicyName& policy);

  // The moves of this tick, in CloudSim's order; valid until the next call.
  const std::vector<Move>& decide();
  // "Power aware best fit decreasing" for one VM at the start, when every host looks idle and VMs
  // ask for their full size. kNoHost when there is none.
  HostId first_host(VmId vm);
  void placed(VmId vm, HostId host);

 private:
  // A host as it would be after the moves planned so far.
  struct Planned {
    double requested = 0;     // sum of its VMs', uncapped
    double left = 0;          // MHz not given away
    double used = 0;          // MHz given away
    double line = 0;          // straight-line forecast of its history, in one step (kLr)
    std::uint32_t asked = 0;  // points of its VMs' histories that are not zero
  };
  struct Keyed {
    double demand = 0;
    std::uint32_t place = 0;
    VmId vm = 0;
  };
  using Points = std::array<double, CompatWorld::kHistory>;  // newest first

  void learn();
  void learn_host(HostId h);
  void append(HostId h, VmId v);
  std::size_t length(std::uint32_t asked) const;
  void add_points(VmId v, std::size_t type, std::size_t count, Points& points) const;
  bool overloaded(HostId h) const { return overloaded_with(h, nullptr); }
  bool overloaded_with(HostId h, const VmId* more) const;
  bool above_threshold(HostId h, const VmId* more, double threshold) const;
  bool line_reaches(HostId h, const VmId* more) const;
  double spread(HostId h, const VmId* more, std::size_t count) const;

  void find_overloaded();
  void pick_from_overloaded();
  void spread_picked();
  void evacuate_idle();
  bool evacuate(HostId h);
  HostId find_host(VmId v, bool off_too);
  void weigh(VmId v, HostId h, double& least, HostId& best) const;
  void sort_by_demand(std::vector<VmId>& vms);

  const CompatWorld& world_;
  PolicyName policy_;
  std::size_t points_kept_ = 0;  // of a host's history that the policy needs summed

  std::vector<Planned> planned_;
  std::vector<Points> points_;           // by host, kIqr and kMad
  std::vector<std::vector<VmId>> list_;  // by host
  std::vector<double> line_of_;          // by VM and type of host: its share of a host's forecast
  std::vector<std::uint8_t> closed_;     // host takes no VM (overloaded, off, evacuated)
  std::vector<std::uint8_t> is_target_;  // of the evacuations so far
  std::vector<HostId> overloaded_;
  std::vector<HostId> open_;  // candidates of find_host, without those that are off and empty
  std::vector<HostId> order_;
  std::vector<VmId> picked_;
  std::vector<Keyed> keyed_;
  std::vector<Move> moves_;
  std::vector<std::pair<HostId, Planned>> undo_;
  std::vector<std::pair<HostId, Points>> undo_points_;
  // The initial placement.
  std::vector<double> memory_left_;
  std::vector<double> bandwidth_left_;
};

}  // namespace chorok::sim::datacenter
