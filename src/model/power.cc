#include "model/power.h"

namespace chorok::model {

const Type& enum_type(const ChassisPower*) {
  static const Type kType =
      describe_enum<ChassisPower>("ChassisPower", "Whether a chassis has power, as its BMC says.",
                                  {{0, "unknown", "the BMC cannot be asked"},
                                   {1, "off", ""},
                                   {2, "on", "which does not say that anything runs on it"}});
  return kType;
}
const Type& enum_type(const PowerAction*) {
  static const Type kType = describe_enum<PowerAction>(
      "PowerAction", "What a switch is asked to do.",
      {{0, "on", ""},
       {1, "off", "at once, without asking the operating system"},
       {2, "shutdown", "asks the operating system; answers when it has been asked"},
       {3, "cycle", "off, and on again; on, where it was off"}});
  return kType;
}
const Type& enum_type(const WattSource*) {
  static const Type kType =
      describe_enum<WattSource>("WattSource", "Where a number of watts comes from.",
                                {{0, "measured", "by an instrument"},
                                 {1, "modelled", "from the load, by a curve"},
                                 {2, "simulated", "of a host that draws no power of its own"}});
  return kType;
}
const Type& enum_type(const MeterMethod*) {
  static const Type kType =
      describe_enum<MeterMethod>("MeterMethod", "How power is read.",
                                 {{0, "model", "watts at 0, 10, … 100 % load"},
                                  {1, "rapl", "counters of the processors"},
                                  {2, "ipmi-dcmi", "the BMC, over IPMI"},
                                  {3, "redfish", "the BMC, over Redfish"},
                                  {4, "hwmon", "a sensor of the board or power supply"}});
  return kType;
}
const Type& enum_type(const MeterScope*) {
  static const Type kType = describe_enum<MeterScope>(
      "MeterScope", "What of the host a meter sees.",
      {{0, "wall", "all that goes in"}, {1, "processors", "processors and memory alone"}});
  return kType;
}

const Type& PowerCapabilities::type() {
  static const Type kType =
      describe<PowerCapabilities>("PowerCapabilities", "What a host's power switch can do.")
          .field("status", &PowerCapabilities::status, "Say whether the host has power.")
          .field("on", &PowerCapabilities::on, "")
          .field("off", &PowerCapabilities::off, "At once.")
          .field("shutdown", &PowerCapabilities::shutdown, "Ask the operating system.")
          .field("cycle", &PowerCapabilities::cycle, "")
          .field("driver", &PowerCapabilities::driver, "What Chorok reaches it by.")
          .field("device", &PowerCapabilities::device, "What it says it is.")
          .field("warnings", &PowerCapabilities::warnings,
                 "What to know before trusting a host's life to it.");
  return kType;
}
const Type& PowerReading::type() {
  static const Type kType =
      describe<PowerReading>("PowerReading", "What a meter said of a host.")
          .field("watts", &PowerReading::watts, "Mean over the window.", {.min = 0, .max = 1e6})
          .field("window", &PowerReading::window, "0: the moment itself.", {.min = 0})
          .field("energy", &PowerReading::energy, "Counts up since energy_since.", {.min = 0})
          .field("energy_since", &PowerReading::energy_since,
                 "Another time here is another counter, from 0.")
          .field("source", &PowerReading::source, "")
          .field("method", &PowerReading::method, "")
          .field("scope", &PowerReading::scope, "")
          .field("error", &PowerReading::error, "The true value lies within ± this fraction.",
                 {.min = 0, .max = 1})
          .field("at", &PowerReading::at, "When it was true.");
  return kType;
}

}  // namespace chorok::model
