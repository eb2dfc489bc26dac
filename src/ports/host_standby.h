// A host's own way to standby, as its agent uses it: shut down, or suspended to RAM with a timer
// that wakes it. Whoever calls has seen to it that nothing runs there any more.
#pragma once

#include "base/loop.h"
#include "base/result.h"
#include "model/bmc.h"

namespace chorok::ports {

class HostStandby {
 public:
  virtual ~HostStandby() = default;

  // Whether the host could do it now; quick, and changes nothing. kUnsupported says what is
  // missing.
  virtual Result<> can(model::Standby how) = 0;
  // kOff: completes when the system has been asked to shut down, which then ends the caller too.
  // kSuspend: completes when the host has woken again, by itself after `wake_after` (a second at
  // least) if nobody wakes it before. Errors: the host stays on.
  virtual void go(model::Standby how, Duration wake_after, Done<Result<>> done) = 0;
};

}  // namespace chorok::ports
