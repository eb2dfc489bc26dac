// Everything that stands against running a VM on a host, all at once, from what the manager knows.
// The target's own agent is asked for the rest (CPU flags through libvirt).
#pragma once

#include <string>
#include <vector>

#include "control/view.h"

namespace chorok::control {

enum class Purpose : std::uint8_t { kPlace, kStart, kLiveMigrate, kColdMigrate };

// Of a host that has connected and not reported yet, only that.
std::vector<std::string> incompatibilities(const model::Vm& vm, const model::Host& target,
                                           Purpose purpose, std::string_view datastore,
                                           const Lookup& world);

// Its agent is there, and the first word of what it has is still to come: anything else that is
// said about it would be wrong.
bool is_unknown_yet(const model::Host& host, const Lookup& world);

// The host to run this VM on: of those that nothing speaks against, the one with most memory left
// (ties: by name). `rejected` gets a line a host that was turned down. policy/ will decide this by
// entitlement and energy.
const model::Host* choose_host(const model::Vm& vm, Purpose purpose, const Lookup& world,
                               std::vector<std::string>* rejected);

}  // namespace chorok::control
