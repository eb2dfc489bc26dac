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

// Of those that nothing speaks against, rules that must hold among it, the host with most memory
// left (ties: by name). `rejected` gets a line a host that was turned down. For moves, for
// definitions, and for starts where DRS is off; else starts are placed (Lookup::place).
const model::Host* choose_host(const model::Vm& vm, Purpose purpose, const Lookup& world,
                               std::vector<std::string>* rejected);

// Of what it is made that lies on its host alone, so that it starts there and moves by migration
// only: "the state of its TPM". Empty: it starts anywhere.
std::string_view kept_at_home(const model::Vm& vm);

// Whether this task leaves it to Chorok where the VM starts: it is off, and no host is named.
bool is_to_be_placed(const model::Vm& vm, const model::Task& task);

// A start that has been accepted without a host that could take it now: it has begun to wait, and
// is queued still.
bool waits_for_host(const model::Task& task);

// The host where a start that is under way will run it; empty: none is.
std::string_view start_target(const model::Task& task);

}  // namespace chorok::control
