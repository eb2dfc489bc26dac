// What is remembered of a host from one look to the next, and stored: a manager that begins anew
// goes on where the last one stopped. control/host_watch.h says how it changes.
#pragma once

#include <cstdint>
#include <string>

#include "base/reflect.h"
#include "base/units.h"
#include "model/waketest.h"

namespace chorok::model {

enum class HostPhase : std::uint8_t {
  kUnknown,   // not seen yet
  kUp,        // answers
  kSilent,    // was up and does not answer
  kFencing,   // is being switched off, so that its VMs may start elsewhere
  kFailed,    // its VMs do not run; it does not answer
  kDown,      // off, on purpose or as it was found
  kWaking,    // was told to switch on
  kStopping,  // was told to switch off
};
const Type& enum_type(const HostPhase*);

struct HostWatch {
  HostPhase phase = HostPhase::kUnknown;
  Time since{};  // of the phase
  Time heard{};  // last time its agent was connected
  Time until{};  // what is waited for has failed then; epoch: nothing is waited for
  std::int32_t tries = 0;
  bool told = false;  // silent: an event has been made of it
  Time rest_until{};  // is not switched before
  std::string rest_why;
  Time failed_at{};    // epoch: never
  Duration time_on{};  // how long it took, when it was switched on last; 0: never seen
  Duration time_off{};
  // Its BMC has said "on" while its agent answered, and not "off": it is the BMC of this host.
  bool bmc_proven = false;
  WakeTest test;
  static const Type& type();
  bool operator==(const HostWatch&) const = default;
};

}  // namespace chorok::model
