// VMs with autostart, after their host has booted: those that were wanted on are started again, one
// by one in the order that was stated. What a person or the guest itself had stopped stays off.
// Where HA is on every VM has it that HA restarts: a host that is back before they have started
// elsewhere starts them.
//
// The host's record names the boot that has had its turn, a VM's record the boot after which it was
// last started by itself; both are stored together with the task that starts it. So a boot is acted
// on once, whatever is killed in between, and a start that failed is not repeated for ever.
// Pure: see view.h.
#pragma once

#include "control/view.h"

namespace chorok::control {

// How long a VM whose host cannot run it yet (a datastore that is not mounted so soon after the
// boot) is waited for; then it is tried, and its task says what is wrong.
inline constexpr Duration kAutostartPatience = std::chrono::minutes(5);
inline constexpr Duration kAutostartLookAgain = std::chrono::seconds(10);

// The host has booted since its VMs with autostart had their turn.
bool autostart_due(const model::Host& host);

// This VM is off because its host went down under it, and its turn is still to come: that nobody
// stopped it is remembered until then.
bool awaits_autostart(const model::Vm& vm, const model::Host* host, const Lookup& world);

// HA of its host's cluster starts it again when its host has failed.
bool has_ha(const model::Vm& vm, const Lookup& world);

// It is one of those: by its own setting, or by HA.
bool has_autostart(const model::Vm& vm, const Lookup& world);

struct AutostartCandidate {
  const model::Vm* vm = nullptr;
  bool busy = false;  // a task is open for it
  std::vector<Sighting> sightings;
};

struct AutostartOutcome {
  std::optional<model::Vm> vm;  // to be started now: its record and, beside it, a task `vm.start`
  bool finished = false;        // this boot has had its turn
  std::optional<Duration> wake;
};

// `candidates`: the VMs that belong to the host. Does nothing unless autostart_due().
AutostartOutcome plan_autostart(Time now, const model::Host& host,
                                std::vector<AutostartCandidate> candidates, const Lookup& world);

}  // namespace chorok::control
