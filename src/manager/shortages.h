// What clusters cannot do that their settings promise, from their newest rounds: for alarms.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "control/alarms.h"
#include "manager/cluster_drivers.h"

namespace chorok::manager {

// What the newest of a cluster's rounds, oldest first, could not mend; empty: nothing. While work
// is under way only what the round before could not mend either: most of it is about to end.
std::string unmet(const std::deque<PlanRecord>& rounds);

class Shortages {
 public:
  Shortages(const Engine& engine, const ClusterDrivers& drivers)
      : engine_(engine), drivers_(drivers) {}

  // Whether failures are survived is worked out anew with every fifth round, and with each while
  // they are not: it costs as much as a round.
  std::vector<control::Shortage> now();

 private:
  struct Known {
    std::int64_t round = 0;
    std::string reserve;  // what is missing; empty: nothing
  };

  const Engine& engine_;
  const ClusterDrivers& drivers_;
  std::map<std::string, Known, std::less<>> known_;
};

}  // namespace chorok::manager
