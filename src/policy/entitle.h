// Entitlement: what the tree of pools grants each running VM now, of CPU (MHz) and of memory (MiB).
// The tree is the snapshot's pools below one root, the cluster; policy/divide.h says how an amount
// is divided. A VM's entitlement is what balance compares with what its host can give.
//
// CPU demand is used and ready time. Memory demand is what the guest works with and a quarter of
// what it holds idle (`idle_memory`), for taking idle pages away is not free either; the
// hypervisor's overhead is on top of all three of reservation, limit and size, as it cannot be
// taken away.
#pragma once

#include <span>
#include <vector>

#include "policy/divide.h"
#include "policy/plan.h"

namespace chorok::policy {

enum class ShareLevel : std::uint8_t { kLow, kNormal, kHigh };
const Type& enum_type(const ShareLevel*);

// Presets, 4:2:1. A VM: 2000/1000/500 a vCPU, 20/10/5 a MiB. A pool: 8000/4000/2000 and
// 327680/163840/81920, those of a VM with four vCPUs and 16 GiB.
double vm_shares(ShareLevel level, Resource resource, const model::SnapshotVm& vm);
double pool_shares(ShareLevel level, Resource resource);

struct EntitleOptions {
  double idle_memory = 0.25;  // part of idle memory that counts as demand, 0 … 1
  // What VMs ask for, by VM, with overhead: what if they asked for this? Empty: as measured.
  std::span<const Amounts> demand;
};

struct Entitlement {
  std::vector<Amounts> vms;    // 0 for one that does not run
  std::vector<Amounts> pools;  // with everything in them
  Amounts given;               // in all: the least of capacity and what VMs may have at most
  Amounts wanted;              // demand in all, within limits
};

// What running hosts that may keep VMs have for them: all but lost ones and those in maintenance.
Amounts capacity_for_vms(const Snapshot& snapshot);

// The part of a VM's demand that the cluster should meet if it can.
double demand_of(const model::SnapshotVm& vm, Resource resource, const EntitleOptions& options);

// Of one resource, by VM.
std::vector<double> entitle_vms(const Snapshot& snapshot, Resource resource, double capacity,
                                const EntitleOptions& options = {});

// O(n log n) in VMs and pools. The snapshot has passed model::check.
Entitlement entitle(const Snapshot& snapshot, Amounts capacity, const EntitleOptions& options = {});
inline Entitlement entitle(const Snapshot& snapshot) {
  return entitle(snapshot, capacity_for_vms(snapshot));
}

}  // namespace chorok::policy
