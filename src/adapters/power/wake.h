// Wake-on-LAN: the last resort for hosts without a BMC. Nobody answers such a packet; that the host
// wakes is seen when its agent comes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/power/driver.h"

namespace chorok::adapters::power {

struct WakeOptions {
  std::vector<std::string> macs;  // of the cards that listen while the host sleeps; one at least
  std::string broadcast = "255.255.255.255";  // or its network's: routers pass that one on
  std::string interface;  // packets leave through it; empty: as the kernel routes them
  int port = 9;           // of UDP; cards look at none
  std::string password;   // SecureOn: aa:bb:cc:dd:ee:ff, or an IPv4 address; empty: none
};

// Six bytes of ones, then the address sixteen times (AMD, "Magic Packet Technology", 1995), then
// the password of cards that ask for one: 102, 106 or 108 bytes. kInvalid: one of both is none; the
// password is not repeated in the message.
Result<std::vector<std::uint8_t>> magic_packet(std::string_view mac,
                                               std::string_view password = {});

// Can only switch on, and never says whether it did: send() answers kUnknown when a packet for each
// card has gone out, status() kUnknown always. Off is the agent's part. kInvalid names the field of
// a host's record (/bmc/mac/0, …).
Result<std::unique_ptr<PowerDriver>> make_wake_switch(WakeOptions options);

}  // namespace chorok::adapters::power
