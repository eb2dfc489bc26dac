// A living cluster as its loops see it: records, what agents report, what BMCs say. Looked at anew
// whenever membership has changed, so that an index means the same host or VM between two looks.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/fleet.h"
#include "manager/cluster_records.h"
#include "manager/engine.h"
#include "manager/watts_line.h"
#include "manager/world.h"

namespace chorok::manager {

// What a BMC said last.
struct BmcAnswer {
  control::BmcSays says = control::BmcSays::kSilent;
  Time asked{};  // what it says held then or later
};

class LiveFleet final : public control::Fleet {
 public:
  struct Sources {
    const Engine& engine;
    const World& world;
    const VmLoads* loads = nullptr;
    std::function<BmcAnswer(const std::string& host)> bmc;
    std::function<bool(const std::string& host)> has_bmc;
    // What the BMC's meter has read last; none where there is no such meter, or it does not answer.
    std::function<std::optional<WattsLine::Reading>(const std::string& host)> draws = {};
    // Its curve as its meters have shown it; none: the one that its record names.
    std::function<std::optional<model::PowerCurve>(const std::string& host)> curve = {};
    double time_scale = 1;  // what is assumed of boots is so much shorter
    // After most hosts were silent the others have so long to be heard again.
    Duration patience{};
  };
  using Index = model::Index;

  LiveFleet(Sources sources, std::string cluster);

  model::PolicySettings settings;  // that snapshots show

  // Writes into a snapshot of the cluster what is known of its hosts' BMCs.
  void mark_bmcs(ClusterSnapshot& made) const;
  // The records as they are now. Answers whether hosts or VMs are others than before. As dear as a
  // snapshot, so it is for rounds, and for when what is below says that membership may have
  // changed.
  bool look();
  // The same in two steps: the snapshot is made where `elsewhere` puts it, of the records as they
  // are now; `tell` is called when land() can take it. Hosts and VMs keep their indices until then.
  void begin_look(const Offload& elsewhere, std::function<void()> tell);
  // As look(); none: nothing was begun, it has not come yet, or a host has gone meanwhile. What has
  // come is not begun any more in any case.
  std::optional<bool> land();
  bool has_begun() const { return looking_ != nullptr; }
  // What was begun is of what holds no more.
  void drop_look() { looking_ = nullptr; }
  // A snapshot in this turn has found other members than the last look.
  bool is_outdated() const { return outdated_; }
  // Whether these are members, or not, as in the last look. O(1).
  bool is_as_seen(const std::string& id, const model::Host* host) const;
  bool is_as_seen(const std::string& id, const model::Vm* vm) const;
  // Before each turn: what is under way, and who is silent. O(tasks + hosts).
  void begin_turn();
  // What was looked at holds no more: whatever comes now may change it.
  void end_turn() { looked_ = landed_ = false; }

  const VmLoads* loads() const { return sources_.loads; }
  const std::vector<std::string>& host_ids() const { return seen_.hosts; }
  const std::vector<std::string>& vm_ids() const { return seen_.vms; }
  std::string name_of_host(Index host) const { return seen_.snapshot.hosts[host].name; }
  std::string name_of_vm(Index vm) const { return seen_.snapshot.vms[vm].name; }

  Time now() const override { return sources_.engine.now(); }
  Index hosts() const override { return static_cast<Index>(seen_.hosts.size()); }
  Index vms() const override { return static_cast<Index>(seen_.vms.size()); }
  control::HostSeen host(Index host) const override;
  Index host_of(Index vm) const override;
  bool busy(Index vm) const override { return busy_.contains(seen_.vms[vm]); }
  bool owed(Index vm) const override;
  std::int32_t migrations(Index host) const override;
  bool empty(Index host) const override;
  double free_memory(Index host) const override;
  control::TestWish test_wish(Index host) const override;
  control::PowerWish power_wish(Index host) const override;
  double needed_memory(Index vm) const override { return seen_.snapshot.vms[vm].size.memory; }
  bool is_looking() const override { return has_begun() || outdated_; }
  // As it was looked at last.
  const model::Snapshot& seen() const { return seen_.snapshot; }
  // Of the members of the last look.
  model::Snapshot& snapshot() override;
  model::Snapshot& looked_at() override { return landed_ ? seen_.snapshot : snapshot(); }

 private:
  using HostPtr = Table<model::Host>::Ptr;
  HostPtr record(Index host) const;
  Index index_of_host(const std::string& id) const;
  struct Looking {
    std::unique_ptr<const FrozenCluster> records;
    ClusterSnapshot made;
    bool done = false;
  };

  SnapshotOptions options() const;
  bool adopt(ClusterSnapshot next);
  std::string kept_on(const model::Host& host) const;

  Sources sources_;
  std::string cluster_;
  ClusterSnapshot seen_;
  bool looked_ = false;    // within this turn, so that `seen_` is as the records are
  bool landed_ = false;    // within this turn, so that `seen_` is as they were not long ago
  bool outdated_ = false;  // the records have other members than `seen_`
  std::shared_ptr<Looking> looking_;
  std::unordered_map<std::string, Index> host_index_;
  std::unordered_map<std::string, Index> vm_index_;
  std::set<std::string, std::less<>> busy_;         // VMs with a task that has not ended
  std::set<std::string, std::less<>> awaited_;      // hosts that such a task goes to
  std::map<std::string, Time, std::less<>> tests_;  // hosts whose wake test is asked for, and when
  std::map<std::string, control::PowerWish, std::less<>> by_hand_;  // hosts that a task switches
  Time most_silent_{};  // more than half of those that should answer were
};

}  // namespace chorok::manager
