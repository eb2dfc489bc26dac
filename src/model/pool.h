// What divides a cluster and ties its VMs: resource pools, and rules of who runs beside whom.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/units.h"
#include "model/common.h"
#include "model/policy_settings.h"

namespace chorok::model {

// 1 : 2 : 4, of what the preset is for a pool: 4000 and 163840, a VM of four vCPUs and 16 GiB.
enum class ShareLevel : std::uint8_t { kNormal, kLow, kHigh };
const Type& enum_type(const ShareLevel*);

struct PoolCpu {
  ShareLevel level = ShareLevel::kNormal;
  std::int64_t shares = 0;  // 0: by the level
  Mhz reservation{};
  Mhz limit{};  // 0: none
  bool expandable = true;
  static const Type& type();
};
struct PoolMemory {
  ShareLevel level = ShareLevel::kNormal;
  std::int64_t shares = 0;
  Mib reservation{};
  Mib limit{};
  bool expandable = true;
  static const Type& type();
};

// A node of the tree below a cluster.
struct Pool {
  Meta meta;
  std::string cluster;  // id; never changes
  std::string parent;   // id of a pool; empty: directly below the cluster
  PoolCpu cpu;
  PoolMemory memory;
  bool scalable_shares = false;
  static const Type& type();
};

struct Rule {
  Meta meta;
  std::string cluster;  // id
  RuleKind kind = RuleKind::kApart;
  bool must = true;  // false: broken rather than leave a VM without a host
  bool enabled = true;
  std::vector<std::string> vms;    // ids
  std::vector<std::string> hosts;  // ids; of kHostsOnly and kHostsNever
  static const Type& type();
};

}  // namespace chorok::model
