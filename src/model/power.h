// A host's power from outside: whether its chassis has it, what its BMC can do about that, and what
// a meter says it draws. Every watt carries where it comes from and how wrong it may be: a number
// without those two is what makes energy reports lie.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/reflect.h"
#include "base/units.h"

namespace chorok::model {

// What a BMC sees. Whether the host is up, waking or put to sleep on purpose is HostPower, which is
// concluded from this, from the agent, and from what was asked.
enum class ChassisPower : std::uint8_t { kUnknown, kOff, kOn };
const Type& enum_type(const ChassisPower*);

enum class PowerAction : std::uint8_t { kOn, kOff, kShutdown, kCycle };
const Type& enum_type(const PowerAction*);

// What one switch can do. Asked of it, shown, and used; never assumed of a kind of BMC.
struct PowerCapabilities {
  bool status = false;
  bool on = false;
  bool off = false;       // at once, as if the plug were pulled
  bool shutdown = false;  // asks the operating system, as the button on the front does
  bool cycle = false;
  std::string driver;  // ipmi, redfish, fence_apc, …
  std::string device;  // what it says it is: maker, model, firmware
  // What a person should know before trusting a host's life to it.
  std::vector<std::string> warnings;
  static const Type& type();
};

enum class WattSource : std::uint8_t { kMeasured, kModelled, kSimulated };
const Type& enum_type(const WattSource*);

enum class MeterMethod : std::uint8_t { kModel, kRapl, kIpmiDcmi, kRedfish, kHwmon };
const Type& enum_type(const MeterMethod*);

// What of the host a meter sees.
enum class MeterScope : std::uint8_t {
  kWall,        // all that goes in: power supplies' input
  kProcessors,  // packages and memory: a fraction that varies with the load
};
const Type& enum_type(const MeterScope*);

struct PowerReading {
  std::optional<Watts> watts;  // mean over `window`; none: a counter that was read once
  Duration window{};           // 0: the moment itself
  // Counts up since `energy_since`, over wraps of the hardware's own counter. Another
  // `energy_since` is another counter, from 0: the meter or its host was started anew.
  std::optional<Joules> energy;
  Time energy_since{};
  WattSource source = WattSource::kModelled;
  MeterMethod method = MeterMethod::kModel;
  MeterScope scope = MeterScope::kWall;
  double error = 0;  // the true value lies within ± this fraction, as far as the meter's maker says
  Time at{};         // when it was true
  static const Type& type();
};

}  // namespace chorok::model
