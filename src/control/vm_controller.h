// The life of one VM: takes its tasks one by one, turns each into steps, each step into an
// operation, uses the operation's result, and keeps the record's status as the hosts report it.
// Pure: see view.h.
//
// Task:  queued -> running -> succeeded | failed | cancelled
// Step:  requested -> (running) -> succeeded: next step
//                               -> failed: compensation steps, then the task fails
//                               -> unknown: looked up; happened: succeeded; did not: asked for
//                               again (kMaxAttempts) or
//                                  failed; not to be known yet: waits for the host
#pragma once

#include "control/view.h"

namespace chorok::control {

// More only repeats an error that does not go away by itself.
inline constexpr int kMaxAttempts = 3;
// For errors that say the hypervisor could not be reached: restarts of libvirtd take seconds,
// package upgrades a minute.
inline constexpr int kMaxUnavailable = 12;
// The source says that a guest has moved before the target's next observation shows it; this long
// it is waited for, so that the record never calls a guest off that runs. Afterwards the target's
// word counts.
inline constexpr Duration kArrivalPatience = std::chrono::seconds(10);
// A task does not begin while its host has only just connected and is still to say what it has, or
// it would fail for no reason; but at most this long.
inline constexpr Duration kFirstReportPatience = std::chrono::seconds(15);
// A definition that was left behind on another host is cleared away at most this often.
inline constexpr Duration kTidyEvery = std::chrono::minutes(5);
// A start that its cluster brings a host about for waits so long, and looks so often. A server
// boots in some minutes, one that does not is tried again, and then another is woken.
inline constexpr Duration kHostPatience = std::chrono::minutes(20);
inline constexpr Duration kLookForHost = std::chrono::seconds(5);

Outcome reconcile_vm(const VmView& view);

}  // namespace chorok::control
