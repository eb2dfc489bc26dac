// A cluster looked over: what is wrong as it stands, whether hosts may fail, what its VMs ask for
// and are granted. Nothing is planned. With names, and tables, so that it can be shown and sent.
#pragma once

#include <string>
#include <vector>

#include "policy/named_plan.h"

namespace chorok::policy {

struct UncoveredFailure {
  std::vector<std::string> hosts;  // that fail together
  std::vector<std::string> vms;    // that would not come back
  std::string text;                // the first of them, and why
  static const Type& type();
};

struct FailoverCheck {
  std::int32_t failures = 1;  // hosts that may fail at once
  bool survives = false;      // by placing the VMs of each host that may fail
  std::int64_t cases = 0;
  bool exhaustive = true;  // every set of so many hosts was tried, none left out
  std::int64_t moved = 0;  // VMs that would have to make room, in all cases
  std::vector<UncoveredFailure> uncovered;
  // What other products go by, to compare with.
  bool slots_enough = false;
  double slot_cpu_mhz = 0;
  double slot_memory_mib = 0;
  std::int64_t slots_kept = 0;
  std::int64_t slots_used = 0;
  bool percent_enough = false;
  double free_cpu = 0;  // 0 … 1, not reserved
  double free_memory = 0;
  double needed = 0;
  static const Type& type();
};

struct ResourceCheck {
  double capacity = 0;  // of hosts that serve
  double reserved = 0;
  double wanted = 0;           // demand within limits
  double granted = 0;          // entitlement in all
  std::int64_t vms_short = 0;  // VMs entitled to less than they ask for
  static const Type& type();
};

struct ClusterCheck {
  std::string cluster;
  std::int32_t hosts = 0;
  std::int32_t hosts_serving = 0;
  std::int32_t vms = 0;
  std::int32_t vms_on = 0;
  ResourceCheck cpu_mhz;
  ResourceCheck memory_mib;
  std::vector<NamedViolation> violations;
  FailoverCheck failover;
  // Nothing wrong but rules that only should hold, and with HA enabled every failure is covered.
  bool sound = false;
  static const Type& type();
};

// failures < 0: as the snapshot's settings say.
ClusterCheck check_cluster(const Snapshot& snapshot, std::int32_t failures = -1);

}  // namespace chorok::policy
