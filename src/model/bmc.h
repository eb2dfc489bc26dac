// How a host's power is reached, and what it does when it is not needed. A password is given and
// never shown: what is kept of it is sealed (crypto/seal.h), and bound to the host.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/reflect.h"
#include "base/units.h"

namespace chorok::model {

// What a host that is switched off to save energy does. Suspended to RAM it comes back within
// seconds and draws a few watts more than off; its own agent has to do it.
enum class Standby : std::uint8_t { kOff, kSuspend };
const Type& enum_type(const Standby*);

inline constexpr std::string_view kWakeOnLan = "wol";

struct BmcSpec {
  std::string driver;  // ipmi, redfish, hook, wol, or a fence agent; empty: there is none
  std::string address;
  std::int32_t port = 0;  // 0: the driver's own
  std::string user;
  std::string password;            // as given
  std::string sealed;              // as kept
  std::int32_t cipher_suite = -1;  // ipmi; -1: the BMC is asked
  std::string fingerprint;         // redfish: SHA-256 of its certificate; empty: a CA vouches
  std::map<std::string, std::string> options;  // of a fence agent
  std::vector<std::string> mac;                // of the cards that magic packets wake it through
  std::string broadcast;                       // where such packets go; empty: 255.255.255.255
  std::string interface;  // through which of the manager's; empty: as it routes
  Standby standby = Standby::kOff;
  // A suspended host whose wake-up is lost comes back by itself after so long: half a day loses
  // little energy, and no host for longer than a night.
  Duration wake_after = std::chrono::hours(12);
  static const Type& type();
  bool operator==(const BmcSpec&) const = default;
};

// Whether something beside its agent can say that the host has no power: without such a witness no
// silent host is taken for failed, and none is fenced (docs/design/019-power-without-a-witness.md).
bool has_witness(const BmcSpec& spec);
// Whether its agent carries out its going to standby, so that the end of the agent's link is what
// says that it is there.
bool sleeps_by_agent(const BmcSpec& spec);

}  // namespace chorok::model
