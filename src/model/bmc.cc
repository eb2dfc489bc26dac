#include "model/bmc.h"

namespace chorok::model {

bool has_witness(const BmcSpec& spec) {
  return spec.driver != kWakeOnLan;
}

bool sleeps_by_agent(const BmcSpec& spec) {
  return spec.driver == kWakeOnLan || (!spec.driver.empty() && spec.standby == Standby::kSuspend);
}

const Type& enum_type(const Standby*) {
  static const Type kType = describe_enum<Standby>(
      "Standby", "What a host does that is switched off to save energy.",
      {{0, "off", "it shuts down"},
       {1, "suspend", "it is suspended to RAM, with a timer that wakes it"}});
  return kType;
}

const Type& BmcSpec::type() {
  static const Type kType =
      describe<BmcSpec>("Bmc", "The controller that switches a host on and off.")
          .field("driver", &BmcSpec::driver,
                 "ipmi, redfish, hook, wol, or a fence agent (fence_apc, …); empty: there is none.",
                 {.max_length = 63})
          .field("address", &BmcSpec::address,
                 "Address or name; of hook, what its scripts' names begin with; of wol, none.",
                 {.max_length = 255})
          .field("port", &BmcSpec::port, "0: the driver's own; of wol, 9 of UDP.",
                 {.min = 0, .max = 65535})
          .field("user", &BmcSpec::user, "Whom it knows.", {.max_length = 255})
          .field("password", &BmcSpec::password,
                 "Given, never shown; kept sealed. Of wol, the card's SecureOn password, if it has "
                 "one.",
                 {.max_length = 255, .pattern = Pattern::kAny, .secret = true})
          .field("sealed", &BmcSpec::sealed, "",
                 {.max_length = 1024, .read_only = true, .secret = true})
          .field("cipher_suite", &BmcSpec::cipher_suite, "Of IPMI; -1: the BMC is asked.",
                 {.min = -1, .max = 17})
          .field("fingerprint", &BmcSpec::fingerprint,
                 "Of Redfish: SHA-256 of its certificate, in hex; empty: a CA must vouch for it.",
                 {.max_length = 128})
          .field("options", &BmcSpec::options, "Of a fence agent: what it takes besides.",
                 {.max_count = 32})
          .field("mac", &BmcSpec::mac,
                 "Of wol, and of a host that is suspended: the cards that magic packets wake.",
                 {.max_length = 17, .max_count = 8, .pattern = Pattern::kMac})
          .field("broadcast", &BmcSpec::broadcast,
                 "Where magic packets go: the broadcast address of the host's network, which "
                 "routers may pass on; empty: 255.255.255.255.",
                 {.max_length = 15})
          .field("interface", &BmcSpec::interface,
                 "The manager's, that magic packets leave through; empty: as it routes.",
                 {.max_length = 15})
          .field("standby", &BmcSpec::standby, "What it does when it is not needed.")
          .field("wake_after_s", &BmcSpec::wake_after,
                 "A suspended host comes back by itself after so long.",
                 {.min = 60, .max = 7 * 86400});
  return kType;
}

}  // namespace chorok::model
