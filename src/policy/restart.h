// Restart planning (HA): hosts were lost; which of their VMs start where, in which order, and which
// cannot and why. Also for VMs that wait for a host already.
//
// Places first (policy/replace.h), order then: a VM comes after those in its restart_after, else by
// priority; what others wait for inherits the most urgent of their priorities. A plan's starts are
// in that order, and `after` and `delay` of an action say what it waits for.
#pragma once

#include <span>

#include "policy/plan.h"

namespace chorok::policy {

// Starts (why restart); hosts to switch on where the running ones do not suffice; migrations that
// make room. Violations: VMs that find no host, circles in restart_after. Turned down: VMs with
// restart priority 0, counted as `automation`, and hosts by why. The lost hosts take no VM,
// whatever the snapshot says of them. O(lost VMs x hosts), with bounded search beyond.
Plan plan_restart(const Snapshot& snapshot, std::span<const Index> lost_hosts);

}  // namespace chorok::policy
