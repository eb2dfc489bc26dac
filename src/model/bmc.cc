#include "model/bmc.h"

namespace chorok::model {

const Type& BmcSpec::type() {
  static const Type kType =
      describe<BmcSpec>("Bmc", "The controller that switches a host on and off.")
          .field("driver", &BmcSpec::driver,
                 "ipmi, redfish, hook, or a fence agent (fence_apc, …); empty: there is none.",
                 {.max_length = 63})
          .field("address", &BmcSpec::address,
                 "Address or name; of hook, what its scripts' names begin with.",
                 {.max_length = 255})
          .field("port", &BmcSpec::port, "0: the driver's own.", {.min = 0, .max = 65535})
          .field("user", &BmcSpec::user, "Whom it knows.", {.max_length = 255})
          .field("password", &BmcSpec::password, "Given, never shown; kept sealed.",
                 {.max_length = 255, .pattern = Pattern::kAny, .secret = true})
          .field("sealed", &BmcSpec::sealed, "",
                 {.max_length = 1024, .read_only = true, .secret = true})
          .field("cipher_suite", &BmcSpec::cipher_suite, "Of IPMI; -1: the BMC is asked.",
                 {.min = -1, .max = 17})
          .field("fingerprint", &BmcSpec::fingerprint,
                 "Of Redfish: SHA-256 of its certificate, in hex; empty: a CA must vouch for it.",
                 {.max_length = 128})
          .field("options", &BmcSpec::options, "Of a fence agent: what it takes besides.",
                 {.max_count = 32});
  return kType;
}

}  // namespace chorok::model
