// Guarantees are given only where they can be kept: requests that would give one, asked of
// policy/admit on the cluster as it would be. Problems name the field and say the numbers.
//
// Nothing is asked where nothing is promised: a VM without reservations, in a cluster without HA,
// costs no snapshot.
#pragma once

#include "manager/cluster_snapshot.h"
#include "manager/validate.h"

namespace chorok::manager {

// The VM (also one that is not in the inventory yet) is to be started.
Problems admit_start(const Inventory& inventory, const control::Lookup& world, Time now,
                     const model::Vm& vm);
// Reservations or the pool of a VM are to become those of `after`. `before` is null for a new one,
// of which only its own bounds are looked at: it does not run yet.
Problems admit_change(const Inventory& inventory, const control::Lookup& world, Time now,
                      const model::Vm* before, const model::Vm& after);
// A pool is to be made, or to become so.
Problems admit_pool(const Inventory& inventory, const control::Lookup& world, Time now,
                    const model::Pool& pool);

}  // namespace chorok::manager
