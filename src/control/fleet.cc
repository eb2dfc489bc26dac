#include "control/fleet.h"

namespace chorok::control {

namespace {

constexpr auto kNumber = [](auto value) { return static_cast<std::int64_t>(value); };

}  // namespace

const Type& enum_type(const LoopEvent::Kind*) {
  using enum LoopEvent::Kind;
  static const Type kType = describe_enum<LoopEvent::Kind>(
      "LoopEvent", "What has become of a host or VM.",
      {{kNumber(kHostSilent), "host_silent", "its agent has not answered for a while"},
       {kNumber(kHostFailed), "host_failed", "it is certain that its VMs do not run"},
       {kNumber(kHostBack), "host_back", "it answers again"},
       {kNumber(kHostAwake), "host_awake", "it was switched on and answers"},
       {kNumber(kHostAsleep), "host_asleep", "it was switched off"},
       {kNumber(kWakeFailed), "wake_failed", "it does not come on"},
       {kNumber(kStopFailed), "stop_failed", "it does not go off"},
       {kNumber(kFenceFailed), "fence_failed", "it cannot be switched off yet"},
       {kNumber(kVmLost), "vm_lost", "its host has failed"},
       {kNumber(kVmRestarted), "vm_restarted", "it runs again, on another host"},
       {kNumber(kCannotRestart), "cannot_restart", "no host can take it"},
       {kNumber(kActionFailed), "action_failed", "a migration or start ended without effect"},
       {kNumber(kWakeTestPassed), "wake_test_passed", "it was switched off and came back"},
       {kNumber(kWakeTestFailed), "wake_test_failed",
        "it is not known to come back when it is switched off"}});
  return kType;
}

const Type& enum_type(const Command::Kind*) {
  using enum Command::Kind;
  static const Type kType = describe_enum<Command::Kind>(
      "Command", "What a cluster's loops order.",
      {{kNumber(kMigrate), "migrate", "move a running VM to another host"},
       {kNumber(kStart), "start", "start a VM on a host"},
       {kNumber(kPowerOn), "power_on", "switch a host on"},
       {kNumber(kPowerOff), "power_off", "switch an empty host off, in order"},
       {kNumber(kFence), "fence", "switch a host off at once"}});
  return kType;
}

}  // namespace chorok::control
