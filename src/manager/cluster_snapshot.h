// A cluster as the policies see it: records, states and settings turned into the flat arrays of
// model::Snapshot. What speaks against a VM on a host here speaks against it in
// control/compatibility too; where they differ, this one is the stricter.
//
// Pure: no store, no loop. The same records give the same bytes; everything stands in order of its
// name. 20,000 VMs on 1,000 hosts take 20 to 35 ms (`./dev bench snapshot`).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "control/view.h"
#include "manager/inventory.h"
#include "model/snapshot.h"

namespace chorok::manager {

// What is measured of a VM. Where there is nothing (telemetry has not come, or the VM is new),
// unmeasured() stands in for it.
struct VmLoad {
  model::Demand cpu;     // MHz
  model::Demand memory;  // MiB that it works with
  double consumed = 0;
  double reclaimable = 0;
  double dirty_rate = 0;
  Duration sample_age{};
  double gaps = 0;
  double cpu_when_moved = 0;
};
class VmLoads {
 public:
  virtual ~VmLoads() = default;
  // Null: nothing is known. Forecasts are as far ahead and as sure as the settings say.
  virtual const VmLoad* find(const model::Vm& vm, const model::PolicySettings& settings) const = 0;
  // What is known now, to be asked on another thread. It is let go on this one. O(VMs).
  virtual std::unique_ptr<const VmLoads> frozen() const = 0;
};
// Of CPU a quarter of its size, give or take as much again, as policy/whatif takes it of VMs that
// nobody has seen run; of memory, half of it in use and all of it held. All gaps. A paused VM asks
// for no CPU.
VmLoad unmeasured(const model::SnapshotVm& vm, bool paused);

// The snapshot, and which record each entry stands for: ids by index.
struct ClusterSnapshot {
  model::Snapshot snapshot;
  std::vector<std::string> hosts;
  std::vector<std::string> vms;
  std::vector<std::string> pools;
  std::vector<std::string> rules;
};
// The index of such a curve among those of the snapshot, which it joins if there is none. Another
// one of its name makes it NAME.2: a snapshot's names are each one's own. O(curves).
model::Index put_curve(model::Snapshot& snapshot, model::PowerCurve curve);
// The index of an id in one of these lists; kNone when it is not there. O(n).
model::Index index_of(const std::vector<std::string>& ids, std::string_view id);

struct SnapshotOptions {
  const VmLoads* loads = nullptr;
  // Whether what a connected host has is known. Null: it is.
  const control::Lookup* world = nullptr;
  std::int64_t revision = 0;
  const model::PolicySettings* settings = nullptr;  // instead of the cluster's
  // As if these records were there, or were so: what somebody wants to make or change.
  const model::Pool* pool = nullptr;
  const model::Vm* vm = nullptr;
  // This one as if it waited for a host, of whatever cluster it is.
  const model::Vm* waiting = nullptr;
};
// The cluster must be there. Passes model::check.
ClusterSnapshot make_snapshot(const Inventory& inventory, const std::string& cluster, Time now,
                              const SnapshotOptions& options = {});
// Puts a VM that waits for a host into a snapshot that was made before, in place of its record of
// then or behind all others. Answers its index. `known`: indices of the VMs there. O(hosts).
model::Index put_waiting(ClusterSnapshot& made, const Inventory& inventory,
                         const std::string& cluster, const model::Vm& vm,
                         const SnapshotOptions& options,
                         const std::unordered_map<std::string, model::Index>& known);

// ---- What is assumed while nobody measures it.

// Watts of a server with so many cores: the medians of SPECpower_ssj2008 for two sockets of 2021
// and 2023 lie on it.
model::PowerCurve modelled_curve(std::int32_t cores);
// MiB that the host's own system needs. None in a simulated host: its size is a slice.
double own_memory(const model::HostInventory& inventory);
// MiB that QEMU holds besides the guest's memory.
double overhead_of(const model::VmSpec& spec);

}  // namespace chorok::manager
