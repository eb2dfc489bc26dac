// What a host's record makes of its power, with real packets on the loopback.
#include "manager/bmc_switches.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adapters/power/wake.h"
#include "ports/real_loop.h"

namespace chorok::manager {
namespace {

using namespace std::chrono_literals;

// A card: packets to a port of the loopback.
class Card {
 public:
  Card() {
    sockaddr_in here{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&here), sizeof here), 0);
    socklen_t size = sizeof here;
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&here), &size), 0);
    port = ntohs(here.sin_port);
  }
  ~Card() { close(fd_); }
  Card(const Card&) = delete;
  Card& operator=(const Card&) = delete;
  // Empty: none has come.
  std::vector<std::uint8_t> packet() const {
    std::vector<std::uint8_t> got(256);
    const ssize_t size = recv(fd_, got.data(), got.size(), MSG_DONTWAIT);
    got.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    return got;
  }
  int port = 0;

 private:
  int fd_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
};

class BmcSwitchesTest : public ::testing::Test {
 protected:
  BmcSwitchesTest() {
    switches.reach_agents({.is_connected = [this](const std::string&) { return is_connected; },
                           .put_to_standby =
                               [this](const std::string& id, const model::StandbyRequest& request,
                                      Done<Result<>> done) {
                                 told = {id, request};
                                 loop.post([done = std::move(done)]() mutable { done({}); });
                               }});
    host.meta.id = "host-1";
    host.bmc = {.driver = "wol", .port = card.port};
    host.bmc.mac = {"52:54:00:12:34:56"};
    host.bmc.broadcast = "127.0.0.1";
  }
  Result<> act(model::PowerAction action) {
    std::optional<Result<>> answer;
    switches.find(host)->act(action, {.operation = fmt::format("op-{}", ++last), .term = 1},
                             [&](Result<> result) { answer = std::move(result); });
    loop.run_until(
        [&] {
          if (std::vector<std::uint8_t> heard = card.packet(); !heard.empty()) {
            packet = std::move(heard);
            is_connected = true;
          }
          return answer.has_value();
        },
        30s);
    return answer ? *answer : Result<>(fail(Code::kTimeout, "never answered"));
  }

  ports::RealLoop loop;
  Card card;
  std::string opened;
  BmcSwitches switches{loop, [this](const std::string& sealed, const std::string& place) {
                         opened = place;
                         return Result<std::string>(sealed.substr(7));
                       }};
  model::Host host;
  bool is_connected = false;
  std::pair<std::string, model::StandbyRequest> told;
  std::vector<std::uint8_t> packet;
  int last = 0;
};

TEST_F(BmcSwitchesTest, AMagicPacketWakesAndTheAgentSwitchesOff) {
  host.bmc.sealed = "sealed 01:02:03:04:05:06";
  host.bmc.standby = model::Standby::kSuspend;
  host.bmc.wake_after = 8h;
  ASSERT_TRUE(act(model::PowerAction::kOn));
  EXPECT_EQ(packet, *adapters::power::magic_packet("52:54:00:12:34:56", "01:02:03:04:05:06"));
  EXPECT_EQ(opened, "host/host-1/bmc");
  ASSERT_TRUE(act(model::PowerAction::kShutdown));
  EXPECT_EQ(told.first, "host-1");
  EXPECT_EQ(told.second.how, model::Standby::kSuspend);
  EXPECT_EQ(told.second.wake_after, 8h);
  EXPECT_EQ(act(model::PowerAction::kOff).error().code, Code::kUnsupported);
}

TEST_F(BmcSwitchesTest, WhatCannotBeSentIsSaidAtOnce) {
  host.bmc.interface = "nosuch0";
  const Result<> answer = act(model::PowerAction::kOn);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kUnavailable);
  EXPECT_TRUE(answer.error().message.contains("nosuch0")) << answer.error().message;
}

// Its BMC stays what says whether it is on; only its way to standby is another.
TEST_F(BmcSwitchesTest, AHostWithABmcMaySuspendToo) {
  host.bmc = {.driver = "hook", .address = "no-such-script"};
  host.bmc.standby = model::Standby::kSuspend;
  ASSERT_TRUE(act(model::PowerAction::kShutdown));
  EXPECT_EQ(told.second.how, model::Standby::kSuspend);
  const Result<> off = act(model::PowerAction::kOff);
  ASSERT_FALSE(off);
  EXPECT_EQ(off.error().code, Code::kUnavailable) << "it goes to the BMC: " << off.error().message;
  told = {};
  host.bmc.standby = model::Standby::kOff;
  EXPECT_FALSE(act(model::PowerAction::kShutdown));
  EXPECT_EQ(told.first, "") << "its BMC asks the system";
}

TEST_F(BmcSwitchesTest, AFenceAgentHasToBeHere) {
  const Result<> nowhere = switches.can_reach({.driver = "fence_nosuch", .address = "10.0.0.9"});
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().field, "/bmc/driver");
  EXPECT_NE(nowhere.error().message.find("has no fence_nosuch"), std::string::npos);
  EXPECT_TRUE(switches.can_reach({.driver = "ipmi", .address = "10.0.0.9"}));
}

}  // namespace
}  // namespace chorok::manager
