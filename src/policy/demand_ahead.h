// What a cluster's VMs are about to ask for together. Waking and switching off go by the same
// amounts: a host that the one calls for, the other may not take away.
#pragma once

#include "policy/round.h"

namespace chorok::policy {

struct DemandAhead {
  double cpu = 0;         // MHz of hosts that it takes, at the power settings' target and certainty
  double memory_now = 0;  // MiB in use
  double sizes = 0;       // MiB configured

  bool cpu_fits(double capacity) const { return cpu <= capacity; }
  // As a host's memory is judged (WhatIf::forbids), of all hosts together.
  bool memory_fits(double capacity, const model::PowerSettings& settings) const {
    if (sizes <= capacity) return true;
    return sizes <= capacity * settings.memory_overcommit &&
           memory_now <= capacity * settings.memory_target;
  }
};

// Of VMs that run and that are to run. O(VMs).
DemandAhead demand_ahead(const Round& round);

}  // namespace chorok::policy
