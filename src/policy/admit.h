// Admission control: whether a VM may be powered on, a reservation changed, a VM or pool moved to
// another pool. A guarantee is only given when it can be kept: in the pool, or from its ancestors
// where reservations are expandable, and on some host. A refusal says where it ends, with numbers.
//
// Reserved memory is the guest's. The hypervisor's overhead is judged on hosts alone: a pool whose
// reservation is spent to the last MiB would otherwise refuse for megabytes nobody asked for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/plan.h"

namespace chorok::policy {

// What is promised in each pool, of what, as things stand: VMs that run or are being started.
struct Reserved {
  std::vector<Amounts> pools;  // by what is in it: VMs, and pools with all they hold
  Amounts cluster;             // directly below it
  Amounts capacity;            // of hosts that run VMs or could be woken for them
};
Reserved reserved(const Snapshot& snapshot);

// What a pool takes from its parent: its reservation, or more where that is expandable and its
// children need more.
double claim_on_parent(const model::SnapshotPool& pool, Resource resource, double used);

struct Refusal {
  Why why = Why::kPoolReservation;
  Resource resource = Resource::kCpu;
  Index pool = kNone;     // where it ends; kNone: the cluster itself
  bool by_limit = false;  // it is that pool's limit that is reached
  double asked = 0;       // at that place: less than at first where pools below have some left;
                          // of ha_reserve: VMs that would find no host
  double left = 0;
  std::string text;  // a sentence with these numbers
};

struct Admission {
  bool admitted = false;
  std::vector<Refusal> refusals;          // one a resource and place
  Index host = kNone;                     // one that would take it: where it runs, if it still can
  bool wake = false;                      // that host has to be switched on first
  std::vector<TurnedDown> hosts_refused;  // by why, ascending
  std::string text;                       // all of it in words
};

// O(pools + VMs + hosts), and with HA enabled what policy/survive.h takes: for with the VM running,
// any host must still be able to fail. The snapshot has passed model::check.
Admission admit_power_on(const Snapshot& snapshot, Index vm);
// A VM's reservations are to become these. Off: they only have to stay below its limits.
Admission admit_vm_reservation(const Snapshot& snapshot, Index vm, Amounts reservation);
Admission admit_pool_reservation(const Snapshot& snapshot, Index pool, Amounts reservation);
// kNone: directly below the cluster.
Admission admit_vm_to_pool(const Snapshot& snapshot, Index vm, Index to);
Admission admit_pool_to_pool(const Snapshot& snapshot, Index pool, Index to);

}  // namespace chorok::policy
