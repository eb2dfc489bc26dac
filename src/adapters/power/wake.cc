#include "adapters/power/wake.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace chorok::adapters::power {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<> broadcast(const MagicPacket& packet, const sockaddr_in& to) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int yes = 1;
  bool sent = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &yes, sizeof yes) == 0 &&
              sendto(fd, packet.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&to),
                     sizeof to) == static_cast<ssize_t>(packet.size());
  int error = errno;
  if (fd >= 0) close(fd);
  if (sent) return {};
  return fail(Code::kUnavailable,
              fmt::format("cannot send a magic packet: {}", std::strerror(error)));
}

class WakeSwitch final : public PowerDriver {
 public:
  WakeSwitch(const MagicPacket& packet, const sockaddr_in& to) : packet_(packet), to_(to) {}

  Result<model::PowerCapabilities> capabilities() override {
    return model::PowerCapabilities{
        .on = true,
        .driver = "wake-on-lan",
        .warnings = {
            "it cannot say whether the host has power, nor take it away: a host that hangs "
            "cannot be fenced"}};
  }
  Result<model::ChassisPower> status() override { return model::ChassisPower::kUnknown; }
  Result<> send(Command command) override {
    if (command != Command::kOn)
      return fail(Code::kUnsupported, "Wake-on-LAN only wakes: the agent switches its host off");
    TRY(broadcast(packet_, to_));
    return fail(Code::kUnknown, "a magic packet was sent: the host is awake when its agent comes");
  }
  void stop() override {}

 private:
  MagicPacket packet_;
  sockaddr_in to_;
};

}  // namespace

Result<MagicPacket> magic_packet(std::string_view mac) {
  std::array<std::uint8_t, 6> address{};
  bool good = mac.size() == 17;
  for (std::size_t i = 0; good && i < address.size(); ++i) {
    const int high = hex_digit(mac[i * 3]);
    const int low = hex_digit(mac[(i * 3) + 1]);
    good = high >= 0 && low >= 0 && (i == 5 || mac[(i * 3) + 2] == ':');
    address[i] = static_cast<std::uint8_t>((high << 4) | low);
  }
  // The lowest bit of the first byte marks a group: no card has such an address.
  if (!good || (address[0] & 1) != 0)
    return fail(Code::kInvalid, "a card's address is aa:bb:cc:dd:ee:ff", "/mac");
  MagicPacket packet;
  auto at = std::fill_n(packet.begin(), 6, std::uint8_t{0xff});
  while (at != packet.end()) at = std::ranges::copy(address, at).out;
  return packet;
}

Result<std::unique_ptr<PowerDriver>> make_wake_switch(WakeOptions options) {
  MagicPacket packet = TRY(magic_packet(options.mac));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  if (options.port < 1 || options.port > 65535)
    return fail(Code::kInvalid, "a port is 1 to 65535", "/port");
  to.sin_port = htons(static_cast<std::uint16_t>(options.port));
  if (inet_pton(AF_INET, options.broadcast.c_str(), &to.sin_addr) != 1)
    return fail(Code::kInvalid, "a broadcast address such as 10.0.0.255", "/broadcast");
  return std::make_unique<WakeSwitch>(packet, to);
}

}  // namespace chorok::adapters::power
