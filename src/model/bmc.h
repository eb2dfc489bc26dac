// How a host's power is reached. A password is given and never shown: what is kept of it is sealed
// (crypto/seal.h), and bound to the host.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/reflect.h"

namespace chorok::model {

struct BmcSpec {
  std::string driver;  // ipmi, redfish, or the name of a fence agent; empty: there is none
  std::string address;
  std::int32_t port = 0;  // 0: the driver's own
  std::string user;
  std::string password;            // as given
  std::string sealed;              // as kept
  std::int32_t cipher_suite = -1;  // ipmi; -1: the BMC is asked
  std::string fingerprint;         // redfish: SHA-256 of its certificate; empty: a CA vouches
  std::map<std::string, std::string> options;  // of a fence agent
  static const Type& type();
  bool operator==(const BmcSpec&) const = default;
};

}  // namespace chorok::model
