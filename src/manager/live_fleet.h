// A living cluster as its loops see it: records, what agents report, what BMCs say. Looked at anew
// whenever membership has changed, so that an index means the same host or VM between two looks.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/fleet.h"
#include "manager/cluster_snapshot.h"
#include "manager/engine.h"
#include "manager/world.h"

namespace chorok::manager {

class LiveFleet final : public control::Fleet {
 public:
  struct Sources {
    const Engine& engine;
    const World& world;
    const VmLoads* loads = nullptr;
    // What the BMC said last; kSilent where there is none.
    std::function<control::BmcSays(const std::string& host)> bmc;
    std::function<bool(const std::string& host)> has_bmc;
    // W by the BMC's meter; 0 where it has none.
    std::function<double(const std::string& host)> draws = {};
    double time_scale = 1;  // what is assumed of boots is so much shorter
  };
  using Index = model::Index;

  LiveFleet(Sources sources, std::string cluster);

  model::PolicySettings settings;  // that snapshots show

  // Writes into a snapshot of the cluster what is known of its hosts' BMCs.
  void mark_bmcs(ClusterSnapshot& made) const;
  // The records as they are now. Answers whether hosts or VMs are others than before.
  bool look();
  // Before each turn: what is under way. O(tasks).
  void begin_turn();

  const std::vector<std::string>& host_ids() const { return seen_.hosts; }
  const std::vector<std::string>& vm_ids() const { return seen_.vms; }
  std::string name_of_host(Index host) const { return seen_.snapshot.hosts[host].name; }

  Time now() const override { return sources_.engine.now(); }
  Index hosts() const override { return static_cast<Index>(seen_.hosts.size()); }
  Index vms() const override { return static_cast<Index>(seen_.vms.size()); }
  control::HostSeen host(Index host) const override;
  Index host_of(Index vm) const override;
  bool busy(Index vm) const override { return busy_.contains(seen_.vms[vm]); }
  std::int32_t migrations(Index host) const override;
  bool empty(Index host) const override;
  double free_memory(Index host) const override;
  control::TestWish test_wish(Index host) const override;
  double needed_memory(Index vm) const override { return seen_.snapshot.vms[vm].size.memory; }
  model::Snapshot& snapshot() override;

 private:
  using HostPtr = Table<model::Host>::Ptr;
  HostPtr record(Index host) const;
  Index index_of_host(const std::string& id) const;
  ClusterSnapshot make() const;
  std::string kept_on(const model::Host& host) const;

  Sources sources_;
  std::string cluster_;
  ClusterSnapshot seen_;
  std::unordered_map<std::string, Index> host_index_;
  std::set<std::string, std::less<>> busy_;         // VMs with a task that has not ended
  std::set<std::string, std::less<>> awaited_;      // hosts that such a task goes to
  std::map<std::string, Time, std::less<>> tests_;  // hosts whose wake test is asked for, and when
};

}  // namespace chorok::manager
