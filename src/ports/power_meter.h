// What one host draws. Calls are made from the loop's thread, never block it, and complete on it. A
// reading says by itself where it comes from and how wrong it may be; a meter that cannot read now
// answers an error and never an old or made-up number.
//
// Errors: kUnavailable (cannot be reached or read now), kUnsupported (there is no such sensor),
// kInvalid (what it said is no reading: unreadable, negative, or beyond what a host can draw).
#pragma once

#include "base/loop.h"
#include "base/result.h"
#include "model/power.h"

namespace chorok::ports {

// No host draws more: what says so is broken. (The largest four-rack-unit machines with eight
// accelerators stay below 15 kW.)
inline constexpr Watts kWattsMax{100'000};

class PowerMeter {
 public:
  virtual ~PowerMeter() = default;

  virtual void read(Done<Result<model::PowerReading>> done) = 0;
};

}  // namespace chorok::ports
