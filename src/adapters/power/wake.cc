#include "adapters/power/wake.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

namespace chorok::adapters::power {

namespace {

using Bytes = std::vector<std::uint8_t>;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Six bytes as aa:bb:cc:dd:ee:ff.
std::optional<Bytes> six_bytes(std::string_view text) {
  if (text.size() != 17) return std::nullopt;
  Bytes out;
  for (std::size_t at = 0; at < text.size(); at += 3) {
    const int high = hex_digit(text[at]);
    const int low = hex_digit(text[at + 1]);
    const bool ends = at + 2 == text.size() || text[at + 2] == ':';
    if (high < 0 || low < 0 || !ends) return std::nullopt;
    out.push_back(static_cast<std::uint8_t>((high << 4) | low));
  }
  return out;
}

std::optional<Bytes> secure_on(std::string_view text) {
  if (text.empty()) return Bytes();
  std::array<std::uint8_t, 4> four{};
  if (inet_pton(AF_INET, std::string(text).c_str(), four.data()) == 1)
    return Bytes(four.begin(), four.end());
  return six_bytes(text);
}

bool set_options(int fd, const std::string& interface) {
  const int yes = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &yes, sizeof yes) != 0) return false;
  return interface.empty() || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(),
                                         static_cast<socklen_t>(interface.size())) == 0;
}

Result<> broadcast(const Bytes& packet, const sockaddr_in& to, const std::string& interface) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  bool sent = fd >= 0 && set_options(fd, interface) &&
              sendto(fd, packet.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&to),
                     sizeof to) == static_cast<ssize_t>(packet.size());
  int error = errno;
  if (fd >= 0) close(fd);
  if (sent) return {};
  return fail(Code::kUnavailable,
              fmt::format("cannot send a magic packet{}{}: {}",
                          interface.empty() ? "" : " through ", interface, std::strerror(error)));
}

class WakeSwitch final : public PowerDriver {
 public:
  WakeSwitch(std::vector<Bytes> packets, const sockaddr_in& to, std::string interface)
      : packets_(std::move(packets)), to_(to), interface_(std::move(interface)) {}

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
    for (const Bytes& packet : packets_) TRY(broadcast(packet, to_, interface_));
    return fail(Code::kUnknown, "a magic packet was sent: the host is awake when its agent comes");
  }
  void stop() override {}

 private:
  std::vector<Bytes> packets_;  // one a card
  sockaddr_in to_;
  std::string interface_;
};

}  // namespace

Result<Bytes> magic_packet(std::string_view mac, std::string_view password) {
  const std::optional<Bytes> address = six_bytes(mac);
  // The lowest bit of the first byte marks a group: no card has such an address.
  if (!address || (address->front() & 1) != 0)
    return fail(Code::kInvalid, "a card's address is aa:bb:cc:dd:ee:ff", "/bmc/mac");
  const std::optional<Bytes> secret = secure_on(password);
  if (!secret)
    return fail(Code::kInvalid, "a SecureOn password is aa:bb:cc:dd:ee:ff or like 10.0.0.1",
                "/bmc/password");
  Bytes packet(6, 0xff);
  for (int i = 0; i < 16; ++i) packet.insert(packet.end(), address->begin(), address->end());
  packet.insert(packet.end(), secret->begin(), secret->end());
  return packet;
}

Result<std::unique_ptr<PowerDriver>> make_wake_switch(WakeOptions options) {
  if (options.macs.empty())
    return fail(Code::kInvalid, "which card is to be woken? (its address: ip link on the host)",
                "/bmc/mac");
  std::vector<Bytes> packets;
  for (std::size_t i = 0; i < options.macs.size(); ++i) {
    auto packet = magic_packet(options.macs[i], options.password);
    if (!packet && packet.error().field == "/bmc/mac")
      return fail(Code::kInvalid, packet.error().message, fmt::format("/bmc/mac/{}", i));
    packets.push_back(TRY(std::move(packet)));
  }
  sockaddr_in to{};
  to.sin_family = AF_INET;
  if (options.port < 1 || options.port > 65535)
    return fail(Code::kInvalid, "a port is 1 to 65535", "/bmc/port");
  to.sin_port = htons(static_cast<std::uint16_t>(options.port));
  if (inet_pton(AF_INET, options.broadcast.c_str(), &to.sin_addr) != 1)
    return fail(Code::kInvalid, "a broadcast address such as 10.0.0.255", "/bmc/broadcast");
  const bool named =
      options.interface.size() < 16 &&
      std::ranges::none_of(
          options.interface, [](unsigned char c) { return c <= ' ' || c == '/' || c == ':'; });
  if (!named)
    return fail(Code::kInvalid, "an interface of the manager's machine, such as eth0",
                "/bmc/interface");
  return std::make_unique<WakeSwitch>(std::move(packets), to, std::move(options.interface));
}

}  // namespace chorok::adapters::power
