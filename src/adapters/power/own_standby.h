// ports::HostStandby of the machine that this program runs on: `systemctl poweroff`, or the hook
// `poweroff` where an administrator has put one; the kernel's suspend to RAM, with the timer of its
// clock (sleep.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "adapters/power/sleep.h"
#include "adapters/work/blocking.h"
#include "ports/host_standby.h"

namespace chorok::adapters::power {

struct OwnStandbyOptions {
  HookOptions hooks;
  SuspendOptions suspend;  // with an empty `state` this is no machine to suspend
  // Where there is no hook; empty: there is no other way.
  std::vector<std::string> power_off = {"systemctl", "poweroff"};
};

// Lives on the loop's thread and is destroyed there. `pool` outlives it; a suspend takes a worker
// until the host has woken.
class OwnStandby final : public ports::HostStandby {
 public:
  OwnStandby(Loop& loop, work::WorkerPool& pool, OwnStandbyOptions options = {});
  ~OwnStandby() override;

  Result<> can(model::Standby how) override;
  void go(model::Standby how, Duration wake_after, Done<Result<>> done) override;

 private:
  OwnStandbyOptions options_;
  std::shared_ptr<work::StopFlag> stop_ = std::make_shared<work::StopFlag>();
  work::Blocking blocking_;
};

}  // namespace chorok::adapters::power
