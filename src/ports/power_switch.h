// What turns one host's power on and off: its BMC. Calls are made from the loop's thread, never
// block it, and complete on it. Actions on one switch happen one after the other, in the order
// given; status() waits for none of them.
//
// An action says what is to be so, and looks first: on() of a host that is on is success and sends
// nothing. on, off and cycle complete when the BMC itself says that it is so; shutdown when the
// operating system has been asked, and the caller watches status().
//
// Every action carries an operation's id and the leader's term. A repeated id answers the recorded
// result and does nothing (also an unknown one: look, and act under a new id); a term lower than
// one seen is refused. Switches remember ids only while they live: intent is in the store, and who
// starts anew looks first.
//
// Errors: kUnavailable (the BMC cannot be reached, nothing was sent), kPermissionDenied (it refuses
// the user or what is asked), kUnsupported (it cannot do that: see capabilities()),
// kFailedPrecondition (it took the command and goes on saying the opposite: stuck), kConflict (an
// older leader, or the id was used for another action), kUnknown (the command was sent, and no
// answer or no status came: the host may be in either state, and for fencing counts as on).
#pragma once

#include <cstdint>
#include <string>

#include "base/loop.h"
#include "base/result.h"
#include "model/power.h"

namespace chorok::ports {

struct PowerOrder {
  std::string operation;  // id; not empty
  std::int64_t term = 0;  // of the leader who orders
};

// Destroying a switch drops what waits; a command on its way is not taken back, and never answered.
class PowerSwitch {
 public:
  virtual ~PowerSwitch() = default;

  // Asks the BMC itself.
  virtual void capabilities(Done<Result<model::PowerCapabilities>> done) = 0;
  // kOn or kOff; kUnknown where the BMC answers and does not know.
  virtual void status(Done<Result<model::ChassisPower>> done) = 0;
  virtual void act(model::PowerAction action, PowerOrder order, Done<Result<>> done) = 0;

  void on(PowerOrder order, Done<Result<>> done) {
    act(model::PowerAction::kOn, std::move(order), std::move(done));
  }
  void off(PowerOrder order, Done<Result<>> done) {
    act(model::PowerAction::kOff, std::move(order), std::move(done));
  }
  void shutdown(PowerOrder order, Done<Result<>> done) {
    act(model::PowerAction::kShutdown, std::move(order), std::move(done));
  }
  void cycle(PowerOrder order, Done<Result<>> done) {
    act(model::PowerAction::kCycle, std::move(order), std::move(done));
  }
};

}  // namespace chorok::ports
