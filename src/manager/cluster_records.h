// What a cluster's snapshot is made of, as it is at one moment. Records are immutable, so pointers
// to them are enough, and a snapshot can be made on another thread while the loop goes on: taking
// 20,000 pointers holds the loop for a few ms, making the snapshot of them would for a tenth of a
// second.
#pragma once

#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "control/view.h"
#include "manager/cluster_snapshot.h"
#include "manager/inventory.h"

namespace chorok::manager {

// The many, of all clusters: in the order that snapshots have them.
struct ManyRecords {
  std::vector<Table<model::Vm>::Ptr> vms;                // by name
  std::vector<Table<model::Task>::Ptr> tasks;            // that have not ended
  std::vector<Table<model::Operation>::Ptr> operations;  // that wait or run
};
// What the hosts report, as far as a snapshot shows it.
struct SeenNow {
  bool known = false;                         // else everything is as the records say
  std::unordered_set<std::string> fresh;      // hosts: what runs there is known
  std::unordered_set<std::string> autostart;  // VMs that are owed, whose host starts them itself
};

ManyRecords many_records(const Inventory& inventory);  // O(VMs + tasks + operations)
SeenNow seen_now(const Inventory& inventory, const control::Lookup* world);  // O(VMs + hosts)

// make_snapshot of these. Of `few` no VM, task or operation is read, of `options` not the world.
ClusterSnapshot make_snapshot(const Inventory& few, const ManyRecords& many, const SeenNow& seen,
                              const model::Cluster& cluster, Time now,
                              const SnapshotOptions& options);

class FrozenCluster {
 public:
  // The cluster must be there; of `options` what is not one record more. O(VMs + hosts + tasks).
  FrozenCluster(const Inventory& inventory, const std::string& cluster, Time now,
                const SnapshotOptions& options);
  FrozenCluster(const FrozenCluster&) = delete;
  FrozenCluster& operator=(const FrozenCluster&) = delete;

  // On any thread, one at a time. The same as make_snapshot of that moment.
  ClusterSnapshot make() const;
  const std::vector<Table<model::Vm>::Ptr>& vms() const { return many_.vms; }

 private:
  Inventory few_;  // everything but the many
  ManyRecords many_;
  SeenNow seen_;
  Table<model::Cluster>::Ptr cluster_;
  model::PolicySettings settings_;
  std::unique_ptr<const VmLoads> loads_;
  Time now_;
  std::int64_t revision_;
};

}  // namespace chorok::manager
