// A host's power by hand, and what DPM gives back: a person switches a host on or off through the
// same watch as everything else (host_watch.h), so deadlines, retries, alarms and deaths of the
// manager are those of any switching. What a person has switched off stays off until a person
// switches it on; what DPM had put to sleep comes back when DPM may not do that any more.
#pragma once

#include <optional>

#include "control/fleet.h"
#include "control/host_watch.h"
#include "model/policy_settings.h"

namespace chorok::control {

struct PowerInput {
  Index host = kNone;
  const model::SnapshotHost& about;
  PowerWish wish;
  bool empty = false;   // no VM is there or on its way
  bool is_off = false;  // its BMC says so, and can be believed
  Time now{};
  const model::PowerSettings& power;
  const WatchSettings& settings;
};

struct PowerStep {
  std::optional<Command> command;
  bool changed = false;
  Time wake = Time::max();
};

// One look; looking twice at the same moment changes nothing more.
PowerStep step_power(const PowerInput& in, HostWatch& watch);

}  // namespace chorok::control
