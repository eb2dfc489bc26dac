// The steps of planning, each on a Round that the next one goes on with: what is broken is mended
// first, then what would soon break, then what wastes, then what could be better.
#pragma once

#include "policy/round.h"

namespace chorok::policy {

// VMs leave hosts that are to be empty, that break a rule with them, whose reservations or demand
// exceed what they have. Where no running host has room, one is woken. What cannot be mended is a
// violation of the plan. O(VMs to move x hosts).
void repair(Round& round);

// Places VMs that wait for a host, largest first; where greedy order dead-ends, smaller ones move
// aside, by a bounded search. What finds no place is a violation with what stood against it.
void place_waiting(Round& round);

// Wakes hosts where demand at the power settings' certainty is about to exceed what runs, counting
// hosts that are on their way.
void wake_ahead(Round& round);

// VMs whose vCPUs ask for more than a core of their host gives go to hosts with faster cores, in
// exchange for one that does not need them where there is no room; such a host is woken when the
// VMs it would hold are worth its watts.
void find_faster_cores(Round& round);

// Empties hosts onto others, all of a host's VMs or none, costliest watts first, and switches off
// what is empty and may be. O(hosts tried x VMs x hosts), bounded by the work limit.
void consolidate(Round& round);

// Moves (and swaps) VMs from hosts that cannot give what is asked, now or likely, to where they get
// it, as long as that is worth more than the move.
void improve(Round& round);

}  // namespace chorok::policy
