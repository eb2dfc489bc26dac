// BMCs by IPMI 2.0 over a LAN, with ipmitool as a child process: power, and DCMI's power reading.
// The password goes to its standard input.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "adapters/power/driver.h"
#include "base/units.h"

namespace chorok::adapters::power {

struct IpmiOptions {
  std::string address;  // or name
  int port = 623;
  std::string user;
  std::string password;  // at most 20 bytes, as IPMI has it
  // -1: ipmitool asks the BMC, which costs a round trip, and ten seconds with one that cannot say.
  int cipher_suite = -1;
  std::string ipmitool = "ipmitool";  // looked up in PATH
  // Long enough for four tries of a second each and an answer that takes its time.
  Duration call_limit = std::chrono::seconds(20);
  double meter_error = 0.05;  // no BMC says its own; data sheets of power supplies say 2 to 5 %
};

// kInvalid: names the option that cannot be.
Result<std::unique_ptr<PowerDriver>> make_ipmi_switch(IpmiOptions options);
Result<std::unique_ptr<MeterDriver>> make_ipmi_meter(IpmiOptions options);

// What `ipmitool dcmi power reading` prints. kUnavailable: the BMC is not measuring now.
Result<model::PowerReading> parse_dcmi_reading(std::string_view text);

}  // namespace chorok::adapters::power
