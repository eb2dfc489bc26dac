// How a BMC is reached, of a host's record, as the drivers of adapters/ take it: for switches and
// meters alike.
#pragma once

#include <string>

#include "adapters/power/ipmi.h"
#include "adapters/redfish/redfish.h"
#include "model/bmc.h"

namespace chorok::manager {

adapters::power::IpmiOptions ipmi_options(const model::BmcSpec& spec, const std::string& password);
adapters::redfish::RedfishOptions redfish_options(const model::BmcSpec& spec,
                                                  const std::string& password);

}  // namespace chorok::manager
