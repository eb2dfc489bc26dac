#include "adapters/power/wake.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "adapters/power/test_support.h"

namespace chorok::adapters::power {
namespace {

TEST(Wake, ThePacketIsSixteenTimesTheAddress) {
  auto packet = magic_packet("52:54:00:Ab:cd:ef");
  ASSERT_TRUE(packet);
  EXPECT_TRUE(std::all_of(packet->begin(), packet->begin() + 6, [](auto b) { return b == 0xff; }));
  const std::array<std::uint8_t, 6> address = {0x52, 0x54, 0x00, 0xab, 0xcd, 0xef};
  for (int i = 0; i < 16; ++i)
    EXPECT_TRUE(std::equal(address.begin(), address.end(), packet->begin() + 6 + (6 * i)));
  for (const char* bad : {"", "52:54:00:ab:cd", "52-54-00-ab-cd-ef", "52:54:00:ab:cd:eg",
                          "ff:ff:ff:ff:ff:ff", "52:54:00:ab:cd:ef:00"})
    EXPECT_FALSE(magic_packet(bad)) << bad;
}

TEST(Wake, SendsItAndClaimsNothing) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in here{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&here), sizeof here), 0);
  socklen_t size = sizeof here;
  ASSERT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&here), &size), 0);

  RealFixture host;
  host.use(make_wake_switch(
               {.mac = "52:54:00:ab:cd:ef", .broadcast = "127.0.0.1", .port = ntohs(here.sin_port)})
               .value());
  std::optional<Result<>> answer;
  host.power().on({"op-1", 1}, [&](Result<> result) { answer = std::move(result); });
  ASSERT_TRUE(host.wait([&] { return answer.has_value(); }));
  EXPECT_EQ(answer->error().code, Code::kUnknown);
  MagicPacket got;
  EXPECT_EQ(recv(fd, got.data(), got.size(), MSG_DONTWAIT), 102);
  EXPECT_EQ(got, *magic_packet("52:54:00:ab:cd:ef"));
  close(fd);

  answer.reset();
  host.power().off({"op-2", 1}, [&](Result<> result) { answer = std::move(result); });
  ASSERT_TRUE(host.wait([&] { return answer.has_value(); }));
  EXPECT_EQ(answer->error().code, Code::kUnsupported);
}

}  // namespace
}  // namespace chorok::adapters::power
