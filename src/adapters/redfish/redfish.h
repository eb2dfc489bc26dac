// BMCs by Redfish: DSP0266, over HTTPS, with libcurl. What a service can do is read from it; the
// reset that stands for an intent is chosen from a chain, since makers differ in what they offer.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "adapters/power/driver.h"
#include "base/units.h"

namespace chorok::adapters::redfish {

struct RedfishOptions {
  std::string address;  // or name
  int port = 443;
  std::string user;
  std::string password;
  // Whom to trust: exactly this certificate (SHA-256 of it in hex, as `openssl x509 -fingerprint
  // -sha256` prints it), or a CA's file, or, with neither, the system's CAs.
  std::string fingerprint;
  std::string ca_file;
  // "/redfish/v1/Systems/1"; empty: the only one there is.
  std::string system;
  Duration call_limit = std::chrono::seconds(20);  // some controllers take ten for a page
  double meter_error = 0.05;
};

// kInvalid: names the option that cannot be.
Result<std::unique_ptr<power::PowerDriver>> make_redfish_switch(RedfishOptions options);
Result<std::unique_ptr<power::MeterDriver>> make_redfish_meter(RedfishOptions options);

// The resets to try for a command, best first: of the chain, those that the service allows; the
// whole chain where it does not say.
std::vector<std::string> resets_for(power::PowerDriver::Command command,
                                    const std::vector<std::string>& allowed);

}  // namespace chorok::adapters::redfish
