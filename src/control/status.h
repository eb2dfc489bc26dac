// What a VM's status is, from its sightings: pure and level-triggered.
#pragma once

#include "control/view.h"

namespace chorok::control {

// A copy that a broken migration left and the guest has since left behind.
bool is_stale(const model::Vm& vm, const Sighting& sighting);

// The instance that is the VM: the running one where one runs, else the one where it belongs.
const Sighting* primary_sighting(const VmView& view);

// The status as it should stand in the record; `since` moves only when the state does. May also
// correct where the VM belongs (it was moved or stopped by other hands), which is returned in `vm`.
struct Derived {
  model::VmStatus status;
  std::string host;
  model::VmPower power = model::VmPower::kOff;
  bool defined = false;
};
Derived derive_status(const VmView& view);

}  // namespace chorok::control
