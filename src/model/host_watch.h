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

// Who wanted it off. It counts while the host is off, or on its way there or back.
enum class HostOffBy : std::uint8_t {
  kNobody,   // it was found off, or is on
  kDpm,      // by itself, to save energy: it comes back when DPM may not any more
  kApplied,  // a person applied what DPM had recommended
  kPerson,   // by hand: nothing but a person switches it on
  kTest,     // its wake test
};
const Type& enum_type(const HostOffBy*);

// What a person has told a host last: chorok host power-on, power-off. control/host_power.h does
// it.
struct PowerByHand {
  std::string task;  // empty: nobody ever has
  bool on = false;
  bool open = false;    // under way
  std::string failure;  // why it came to nothing; empty: it is done, or under way
  static const Type& type();
  bool operator==(const PowerByHand&) const = default;
};

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
  HostOffBy off_by = HostOffBy::kNobody;
  std::string off_user;  // of kPerson
  PowerByHand hand;
  static const Type& type();
  bool operator==(const HostWatch&) const = default;
};

}  // namespace chorok::model
