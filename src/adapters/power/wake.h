// Wake-on-LAN: the last resort for hosts without a BMC. Nobody answers such a packet; that the host
// wakes is seen when its agent comes.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "adapters/power/driver.h"

namespace chorok::adapters::power {

struct WakeOptions {
  std::string mac;                            // of the card that listens while the host is off
  std::string broadcast = "255.255.255.255";  // or its network's: routers pass that one on
  int port = 9;
};

// Six bytes of ones, then the address sixteen times (AMD, "Magic Packet Technology", 1995).
using MagicPacket = std::array<std::uint8_t, 102>;
Result<MagicPacket> magic_packet(std::string_view mac);

// Can only switch on, and never says whether it did: send() answers kUnknown when the packet has
// gone out, status() kUnknown always. Off is the agent's part.
Result<std::unique_ptr<PowerDriver>> make_wake_switch(WakeOptions options);

}  // namespace chorok::adapters::power
