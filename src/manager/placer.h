// Where a VM starts that no host is named for: policy/place on the cluster as it is now, rules and
// what was promised a moment ago among it; where DRS is off, a simple choice among what rules
// allow.
//
// A snapshot is dear (20 to 35 ms of 20,000 VMs), so one serves for a while, at most a second of
// such a cluster; VMs that were placed meanwhile are put where their records say. So it may be a
// little old, and only ranks: what speaks against the host that it gives is asked of the records,
// and "no" is said by a new one only, or by one of this second to a VM that waits already. A start
// then costs 2 to 4 ms there.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "manager/cluster_snapshot.h"
#include "manager/engine.h"

namespace chorok::manager {

class World;

// What a cluster's loops know beyond the records.
class ClusterEyes {
 public:
  virtual ~ClusterEyes() = default;
  virtual const VmLoads* loads() const = 0;
  virtual void complete(ClusterSnapshot& made) const = 0;
};

class Placer {
 public:
  Placer(const Engine& engine, const World& world) : engine_(engine), world_(world) {}

  control::Placed place(const model::Vm& vm);
  // Null: nobody looks after the cluster any more.
  void set_eyes(const std::string& cluster, const ClusterEyes* eyes);
  // Lets go of snapshots that nobody has needed for half a minute: 10 MiB of 20,000 VMs.
  void forget_old();

 private:
  struct Seen {
    ClusterSnapshot made;
    model::PolicySettings settings;
    Time at{};
    std::unordered_map<std::string, model::Index> index;  // of VMs
    std::vector<std::string> placed;                      // VMs, since then
  };

  control::Placed at_home(const model::Vm& vm, const model::Host& home) const;
  control::Placed place_in(const model::Vm& vm, const std::string& cluster);
  std::optional<control::Placed> by_policy(const model::Vm& vm, const std::string& cluster,
                                           std::optional<Duration> believed);
  control::Placed no_host(const model::Vm& vm, std::string text) const;
  model::Index look(Seen& seen, const std::string& cluster, const model::Vm& vm);
  model::Index look_again(Seen& seen, const std::string& cluster, const model::Vm& vm) const;

  const Engine& engine_;
  const World& world_;
  std::map<std::string, const ClusterEyes*, std::less<>> eyes_;
  std::map<std::string, Seen, std::less<>> seen_;
};

}  // namespace chorok::manager
