#include "manager/bmc_options.h"

namespace chorok::manager {

adapters::power::IpmiOptions ipmi_options(const model::BmcSpec& spec, const std::string& password) {
  adapters::power::IpmiOptions options{.address = spec.address,
                                       .user = spec.user,
                                       .password = password,
                                       .cipher_suite = spec.cipher_suite};
  if (spec.port != 0) options.port = spec.port;
  return options;
}

adapters::redfish::RedfishOptions redfish_options(const model::BmcSpec& spec,
                                                  const std::string& password) {
  adapters::redfish::RedfishOptions options{.address = spec.address,
                                            .user = spec.user,
                                            .password = password,
                                            .fingerprint = spec.fingerprint};
  if (spec.port != 0) options.port = spec.port;
  return options;
}

}  // namespace chorok::manager
