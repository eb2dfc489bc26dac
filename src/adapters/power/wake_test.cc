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
  EXPECT_EQ(packet->size(), 102U);
  EXPECT_TRUE(std::all_of(packet->begin(), packet->begin() + 6, [](auto b) { return b == 0xff; }));
  const std::array<std::uint8_t, 6> address = {0x52, 0x54, 0x00, 0xab, 0xcd, 0xef};
  for (int i = 0; i < 16; ++i)
    EXPECT_TRUE(std::equal(address.begin(), address.end(), packet->begin() + 6 + (6 * i)));
  for (const char* bad : {"", "52:54:00:ab:cd", "52-54-00-ab-cd-ef", "52:54:00:ab:cd:eg",
                          "ff:ff:ff:ff:ff:ff", "52:54:00:ab:cd:ef:00"})
    EXPECT_FALSE(magic_packet(bad)) << bad;
}

TEST(Wake, APasswordFollowsTheAddresses) {
  auto six = magic_packet("52:54:00:ab:cd:ef", "01:02:03:04:05:ff");
  ASSERT_TRUE(six);
  EXPECT_EQ(std::vector(six->begin() + 102, six->end()),
            (std::vector<std::uint8_t>{1, 2, 3, 4, 5, 255}));
  auto four = magic_packet("52:54:00:ab:cd:ef", "10.0.0.1");
  ASSERT_TRUE(four);
  EXPECT_EQ(std::vector(four->begin() + 102, four->end()),
            (std::vector<std::uint8_t>{10, 0, 0, 1}));
  auto bad = magic_packet("52:54:00:ab:cd:ef", "hunter2");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().field, "/bmc/password");
  EXPECT_FALSE(bad.error().message.contains("hunter2"));
}

TEST(Wake, WhatIsWrongIsNamed) {
  const auto field = [](const WakeOptions& options) {
    auto made = make_wake_switch(options);
    return made ? std::string("none") : made.error().field;
  };
  const std::vector<std::string> card = {"52:54:00:ab:cd:ef"};
  EXPECT_EQ(field({.macs = card}), "none");
  EXPECT_EQ(field({}), "/bmc/mac");
  EXPECT_EQ(field({.macs = {card[0], "ff:ff:ff:ff:ff:ff"}}), "/bmc/mac/1");
  EXPECT_EQ(field({.macs = card, .broadcast = "rack7"}), "/bmc/broadcast");
  EXPECT_EQ(field({.macs = card, .interface = "no such one"}), "/bmc/interface");
  EXPECT_EQ(field({.macs = card, .port = 70000}), "/bmc/port");
  EXPECT_EQ(field({.macs = card, .password = "x"}), "/bmc/password");
}

TEST(Wake, SendsItAndClaimsNothing) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in here{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&here), sizeof here), 0);
  socklen_t size = sizeof here;
  ASSERT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&here), &size), 0);

  RealFixture host;
  host.use(make_wake_switch({.macs = {"52:54:00:ab:cd:ef", "52:54:00:ab:cd:f0"},
                             .broadcast = "127.0.0.1",
                             .port = ntohs(here.sin_port)})
               .value());
  std::optional<Result<>> answer;
  host.power().on({"op-1", 1}, [&](Result<> result) { answer = std::move(result); });
  ASSERT_TRUE(host.wait([&] { return answer.has_value(); }));
  EXPECT_EQ(answer->error().code, Code::kUnknown);
  for (const char* card : {"52:54:00:ab:cd:ef", "52:54:00:ab:cd:f0"}) {
    std::vector<std::uint8_t> got(200);
    got.resize(static_cast<std::size_t>(
        std::max<ssize_t>(0, recv(fd, got.data(), got.size(), MSG_DONTWAIT))));
    EXPECT_EQ(got, *magic_packet(card));
  }
  close(fd);

  answer.reset();
  host.power().off({"op-2", 1}, [&](Result<> result) { answer = std::move(result); });
  ASSERT_TRUE(host.wait([&] { return answer.has_value(); }));
  EXPECT_EQ(answer->error().code, Code::kUnsupported);
}

}  // namespace
}  // namespace chorok::adapters::power
