// What an agent does to its own host's power: suspend to RAM with a timer that wakes it, and
// scripts that an administrator has put on the host (a switched socket, a management card of a kind
// that no adapter knows). Both block; for the agent's workers.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "adapters/work/process.h"
#include "base/result.h"
#include "base/units.h"

namespace chorok::adapters::power {

struct HookOptions {
  std::string folder = "/etc/chorok/hooks.d";
  uid_t owner = 0;
  Duration limit = std::chrono::minutes(2);
};

// Runs the script of that name, without arguments, and returns what it printed (64 KiB at most).
// Over the wire comes a name, never text: folder and script must belong to root, and nobody else
// may write either. kInvalid (no name), kNotFound, kPermissionDenied (says whose it is or who may
// write), kUnknown (it took too long and was killed), kFailedPrecondition (it ended with an error).
Result<std::string> run_hook(const HookOptions& options, std::string_view name,
                             const work::StopFlag& stop);

struct SuspendOptions {
  std::string state = "/sys/power/state";
  std::string rtc = "/sys/class/rtc/rtc0";
};

// kUnsupported: says what is missing.
Result<> can_suspend(const SuspendOptions& options);
// Returns after the host has woken again. `wake_after` is at least a second; the timer is set and
// read back before the host sleeps, since one that sleeps without is gone.
Result<> suspend(const SuspendOptions& options, Duration wake_after);

}  // namespace chorok::adapters::power
