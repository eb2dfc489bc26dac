// Whether a host has proved that it comes back when it is switched off. One that was switched off
// to save energy and does not come back is the worst that power management can do, so each host is
// tried once while nothing depends on it, and again from time to time. control/waketest.h does it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/reflect.h"
#include "base/units.h"

namespace chorok::model {

enum class WakeStanding : std::uint8_t { kDue, kPassed, kFailed };
const Type& enum_type(const WakeStanding*);

// Of a test that is under way.
enum class WakeStage : std::uint8_t { kNone, kStopping, kStandby, kWaking };
const Type& enum_type(const WakeStage*);

struct WakeTest {
  WakeStanding standing = WakeStanding::kDue;
  std::string why;  // it failed, or is due
  Time at{};        // the newest ended; epoch: there was none
  Duration time_off{};
  Duration time_on{};
  std::optional<double> standby_watts;  // none: nobody has measured it
  WakeStage stage = WakeStage::kNone;
  Time begun{};
  static const Type& type();
  bool operator==(const WakeTest&) const = default;
};

}  // namespace chorok::model
