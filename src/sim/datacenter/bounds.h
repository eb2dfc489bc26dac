// How little energy the demand could have been served with, whatever the policy: the yardstick
// beside every result.
//
// LB0 fluid: every MHz at the best watts per MHz any host reaches.
// LB1 whole hosts: at each tick the cheapest numbers of hosts of each type whose capacity covers
// the
//     demand, the demand split over the lower convex envelopes of their curves.
// LB2 = LB1 with hosts enough that VMs' memory fits.
// LB3 = LB1 plus the energy of each boot, by dynamic programming over the numbers of hosts on;
//     those of the first tick are on already.
//
// All over the window from the first tick to the last, trapezoids between ticks. Of a run that
// gives less than was asked for, compare with (1 - unmet) times the bound.
#pragma once

#include <span>
#include <vector>

#include "sim/datacenter/hosts.h"
#include "sim/datacenter/metrics.h"

namespace chorok::sim::datacenter {

struct BoundInput {
  std::span<const double> time_s;      // of the ticks, ascending
  std::span<const double> demand_mhz;  // at each tick
  std::span<const double> memory_mib;  // of the VMs at each tick; empty: LB2 is LB1
  std::vector<HostType> types;
  std::vector<std::int32_t> counts;  // hosts of each type
  double boot_j = 40'000;            // five minutes at 135 W
  bool steps = false;  // demand holds until the next tick, instead of a straight line to it
};

// Of any number of types. O(ticks * hosts) for LB2 of up to two types; of more, see
// Fleet::least_watts() (bounds_fleet.h): exact unless a tick needs too many combinations, and a
// bound even then. O(ticks * product of n) for LB3, where n is what the peak needs of a type;
// beyond 50 million cells LB3 is LB1.
Bounds lower_bounds(const BoundInput& input);
// Watts of LB2 at each tick: whole hosts, and memory fits; of LB0 where that cannot be said.
std::vector<double> least_watts(const BoundInput& input);

}  // namespace chorok::sim::datacenter
