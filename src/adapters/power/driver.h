// What an adapter for one kind of BMC or meter has to write: calls that block. DrivenSwitch and
// DrivenMeter make ports of them: looking first, confirming, order, operations, threads.
#pragma once

#include "base/result.h"
#include "model/power.h"

namespace chorok::adapters::power {

// Called from several workers at once. Errors as in ports/power_switch.h.
class PowerDriver {
 public:
  enum class Command : std::uint8_t { kOn, kOff, kSoftOff };

  virtual ~PowerDriver() = default;
  virtual Result<model::PowerCapabilities> capabilities() = 0;
  virtual Result<model::ChassisPower> status() = 0;
  // Sends one command and waits for the answer, not for its effect. kUnknown: it may have arrived.
  virtual Result<> send(Command command) = 0;
  // Ends what is under way, and refuses what comes; from any thread.
  virtual void stop() = 0;
};

class MeterDriver {
 public:
  virtual ~MeterDriver() = default;
  // `at` is filled in by DrivenMeter.
  virtual Result<model::PowerReading> read() = 0;
  virtual void stop() = 0;
};

}  // namespace chorok::adapters::power
