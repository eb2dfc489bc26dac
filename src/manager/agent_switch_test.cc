// A switch by agent and magic packets, by hand: the test is the card, the agent and the BMC.
#include "manager/agent_switch.h"

#include <gtest/gtest.h>

#include "sim/fake_bmc.h"
#include "sim/virtual_loop.h"

namespace chorok::manager {
namespace {

using model::ChassisPower;
using model::PowerAction;
using namespace std::chrono_literals;

class AgentSwitchTest : public ::testing::Test {
 protected:
  AgentSwitchTest() {
    reach = {.is_connected = [this](const std::string&) { return is_connected; },
             .connections = [this](const std::string&) { return connections; },
             .put_to_standby =
                 [this](const std::string& host, const model::StandbyRequest& request,
                        Done<Result<>> done) {
                   told.push_back(host);
                   last_request = request;
                   loop.post([done = std::move(done), answer = answer]() mutable { done(answer); });
                 }};
    make();
  }
  void make(std::unique_ptr<ports::PowerSwitch> bmc = nullptr) {
    model::BmcSpec spec{.driver = "wol"};
    spec.standby = model::Standby::kSuspend;
    spec.wake_after = 5h;
    power = std::make_unique<AgentSwitch>(AgentSwitch::Parts{
        .loop = loop,
        .reach = reach,
        .host = "host-1",
        .spec = spec,
        .wake =
            [this](Done<Result<>> done) {
              ++packets;
              if (packets == wakes_at) loop.after(40s, [this] { come(); });
              loop.post([done = std::move(done), sent = sent]() mutable { done(sent); });
            },
        .bmc = std::move(bmc)});
  }
  void come() {
    is_connected = true;
    ++connections;
  }
  using Answer = std::shared_ptr<std::optional<Result<>>>;
  Answer begin(PowerAction action) {
    auto said = std::make_shared<std::optional<Result<>>>();
    power->act(action, {.operation = "op-" + std::to_string(++last), .term = 1},
               [said](Result<> result) { *said = std::move(result); });
    return said;
  }
  Result<> act(PowerAction action) {
    const Answer said = begin(action);
    loop.advance_until([&] { return said->has_value(); }, 1h);
    return *said ? **said : Result<>(fail(Code::kTimeout, "never answered"));
  }
  ChassisPower status() {
    std::optional<Result<ChassisPower>> said;
    power->status([&](Result<ChassisPower> result) { said = std::move(result); });
    loop.advance_until([&] { return said.has_value(); }, 1min);
    return said->value();
  }

  sim::VirtualLoop loop;
  AgentReach reach;
  std::unique_ptr<AgentSwitch> power;
  bool is_connected = true;
  std::uint64_t connections = 1;
  Result<> answer;
  Result<> sent = fail(Code::kUnknown, "a magic packet was sent");
  std::vector<std::string> told;
  model::StandbyRequest last_request;
  int packets = 0;
  int wakes_at = 0;  // the packet that it hears
  int last = 0;
};

TEST_F(AgentSwitchTest, NeverSaysWhetherItHasPowerAndCannotTakeItAway) {
  EXPECT_EQ(status(), ChassisPower::kUnknown) << "although its agent answers";
  is_connected = false;
  EXPECT_EQ(status(), ChassisPower::kUnknown);
  EXPECT_EQ(act(PowerAction::kOff).error().code, Code::kUnsupported);
  EXPECT_TRUE(told.empty());
}

TEST_F(AgentSwitchTest, ItsAgentPutsItToStandby) {
  EXPECT_TRUE(act(PowerAction::kShutdown));
  EXPECT_EQ(told, std::vector<std::string>{"host-1"});
  EXPECT_EQ(last_request.how, model::Standby::kSuspend);
  EXPECT_EQ(last_request.wake_after, 5h);
  answer = fail(Code::kFailedPrecondition, "'web' runs here");
  EXPECT_EQ(act(PowerAction::kShutdown).error().message, "'web' runs here");
  answer = fail(Code::kTimeout, "no answer");
  EXPECT_EQ(act(PowerAction::kShutdown).error().code, Code::kUnknown) << "it may have been heard";
}

TEST_F(AgentSwitchTest, OneThatIsThereIsNotWoken) {
  EXPECT_TRUE(act(PowerAction::kOn));
  EXPECT_EQ(packets, 0);
}

TEST_F(AgentSwitchTest, PacketsGoOnUntilTheAgentComes) {
  is_connected = false;
  wakes_at = 4;
  EXPECT_TRUE(act(PowerAction::kOn));
  EXPECT_TRUE(is_connected);
  EXPECT_GE(packets, 4);
  const int before = packets;
  loop.run_for(1h);
  EXPECT_EQ(packets, before);
}

// Switched off by somebody else between two packets, it is not switched on again.
TEST_F(AgentSwitchTest, OneThatCameAndWentIsAwakeAndNotWokenAgain) {
  is_connected = false;
  const Answer woken = begin(PowerAction::kOn);
  loop.run_for(6s);
  EXPECT_EQ(packets, 2);
  come();
  loop.run_for(1s);
  is_connected = false;
  loop.run_for(1h);
  EXPECT_EQ(packets, 2);
  ASSERT_TRUE(*woken);
  EXPECT_TRUE(**woken);
}

TEST_F(AgentSwitchTest, OneThatDoesNotComeIsUnknownInTheEnd) {
  is_connected = false;
  EXPECT_EQ(act(PowerAction::kOn).error().code, Code::kUnknown);
  const int before = packets;
  loop.run_for(1h);
  EXPECT_EQ(packets, before);
}

TEST_F(AgentSwitchTest, WhatCannotBeSentEndsIt) {
  is_connected = false;
  sent = fail(Code::kUnavailable, "no such interface");
  EXPECT_EQ(act(PowerAction::kOn).error().code, Code::kUnavailable);
  EXPECT_EQ(packets, 1);
}

TEST_F(AgentSwitchTest, AnotherOrderEndsTheWaking) {
  is_connected = false;
  const Answer first = begin(PowerAction::kOn);
  loop.run_for(20s);
  EXPECT_FALSE(*first);
  wakes_at = packets + 3;
  const Answer second = begin(PowerAction::kCycle);
  loop.run_for(1s);
  ASSERT_TRUE(*first);
  EXPECT_EQ((*first)->error().code, Code::kUnknown);
  loop.run_for(2min);
  ASSERT_TRUE(*second);
  EXPECT_TRUE(**second);
}

// A BMC beside it is asked, and pulls the plug where it has to.
TEST_F(AgentSwitchTest, ABmcBesideItIsTheWitness) {
  auto bmc = std::make_unique<sim::FakeBmc>(loop, sim::BmcMachine{});
  const sim::FakeBmc& seen = *bmc;
  make(std::move(bmc));
  EXPECT_EQ(status(), ChassisPower::kOn);
  EXPECT_TRUE(act(PowerAction::kShutdown));
  EXPECT_EQ(told.size(), 1U) << "its own agent still puts it to standby";
  EXPECT_TRUE(act(PowerAction::kOff));
  EXPECT_FALSE(seen.has_power());
  is_connected = false;
  wakes_at = 1;
  EXPECT_TRUE(act(PowerAction::kOn));
  EXPECT_TRUE(seen.has_power());
}

}  // namespace
}  // namespace chorok::manager
