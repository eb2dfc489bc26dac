// A host's wake test: it is switched off and on again while nothing depends on it, and what that
// took is kept. Steps like those of power management, through the same watch (host_watch.h), so
// deadlines, retries and kills of the manager are those of any switching.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/fleet.h"
#include "control/host_watch.h"
#include "model/policy_settings.h"

namespace chorok::control {

struct TestInput {
  Index host = kNone;
  const model::SnapshotHost& about;
  TestWish wish;
  bool free = false;  // no VM is there or on its way, and no other host of the cluster is tested
  Time now{};
  const model::PowerSettings& power;
  const WatchSettings& settings;
};

struct TestStep {
  std::optional<Command> command;
  std::optional<LoopEvent> event;
  bool changed = false;
  Time wake = Time::max();
};

// One look; looking twice at the same moment changes nothing more.
TestStep step_test(const TestInput& in, HostWatch& watch);

// Why its wake test keeps a host from being switched off; empty: it does not.
std::string kept_on_by_test(const model::WakeTest& test, const model::PowerSettings& power);

}  // namespace chorok::control
