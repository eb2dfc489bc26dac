// Where every MHz and MiB of a cluster goes: its pools as a tree, with what each has reserved, what
// of that its VMs and pools were promised, what they ask for and are entitled to now.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "manager/cluster_snapshot.h"
#include "manager/enforced.h"

namespace chorok::manager {

struct ResourceUse {
  double shares = 0;
  double reservation = 0;
  double limit = 0;  // 0: none
  bool expandable = false;
  double promised = 0;  // reservations of what is in it
  double demand = 0;    // of what runs in it
  double entitled = 0;  // granted now, by shares, reservations and limits
  static const Type& type();
};

enum class UseKind : std::uint8_t { kCluster, kPool, kVm };
const Type& enum_type(const UseKind*);

struct UseRow {
  UseKind kind = UseKind::kPool;
  std::string id;
  std::string name;
  std::int32_t depth = 0;  // below the cluster, which is 0
  std::int64_t vms = 0;    // in it, pools in it included
  std::int64_t vms_on = 0;
  ResourceUse cpu;                   // MHz
  ResourceUse memory;                // MiB
  std::optional<Enforced> enforced;  // of a VM that runs
  static const Type& type();
};

// In the order of a tree that is written down: each thing before what is in it. VMs stand before
// pools, and only those that run have demand.
struct ClusterUse {
  std::string cluster;
  std::vector<UseRow> rows;
  static const Type& type();
};

// Capacity of hosts that serve is the cluster's reservation and limit. 5 ms for 20,000 VMs, 40 ms
// for 100,000: for a thread beside the loop. `enforced` is by VM; empty: nothing is known of it.
ClusterUse cluster_use(const ClusterSnapshot& made, const std::string& cluster_id, bool with_vms,
                       std::span<const std::optional<Enforced>> enforced = {});

}  // namespace chorok::manager
