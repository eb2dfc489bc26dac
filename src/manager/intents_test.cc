// When a cluster's rounds are taken: each minute, and at once for what people do and what comes to
// run; never for what rounds themselves bring about. A living cluster in virtual time.
#include "manager/intents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "manager/driven_cluster.h"

namespace chorok::manager {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using namespace std::chrono_literals;

class IntentsTest : public ::testing::Test, public DrivenCluster {
 protected:
  ~IntentsTest() override { driver.reset(); }

  // Three VMs, and loops that move nothing; a round was taken some seconds ago.
  void begin() {
    three_vms(200);
    drive();
    driver->on_round([this](const PlanRecord& record) { rounds.push_back(record.at); });
    c.loop().run_for(3min);
    after_a_round();
  }
  void after_a_round() {
    rounds.clear();
    ASSERT_TRUE(c.loop().advance_until([&] { return !rounds.empty(); }, 61s));
    c.loop().run_for(10s);
    rounds.clear();
  }
  Result<std::string> patch(std::string_view kind, const std::string& name,
                            const std::string& body) {
    return c.ask([&](Answered done) {
      c.manager->requests.patch(c.admin(), kind, name, body, {}, std::move(done));
    });
  }
  // Until the round that something has called for; the next by the clock is 50 s away at first.
  Duration waited() {
    const Time from = c.loop().now();
    rounds.clear();
    c.loop().advance_until([&] { return !rounds.empty(); }, 2min);
    return c.loop().now() - from;
  }
  std::size_t migrations() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(c.inventory().tasks().all(), [](const auto& each) {
          return each.second->kind == "vm.migrate" && each.second->user == "chorok";
        }));
  }

  std::vector<Time> rounds;
};

TEST_F(IntentsTest, WithNothingHappeningARoundAMinuteIsAllThereIs) {
  begin();
  c.loop().run_for(10min);
  EXPECT_THAT(rounds, SizeIs(10));
}

TEST_F(IntentsTest, AVmThatHasComeToRunIsLookedAtAtOnce) {
  begin();
  model::TaskArgs hard;
  hard.hard = true;
  c.wait(*c.verb("stop", "vm0", hard));
  after_a_round();
  c.wait(*c.verb("start", "vm0"));
  EXPECT_EQ(c.vm("vm0")->status.state, model::VmState::kOn);
  EXPECT_LE(waited(), 6s);
}

TEST_F(IntentsTest, SoIsWhatPeopleWantOfAVm) {
  begin();
  for (const char* wish :
       {R"({"spec": {"cpu": {"reservation": 100}}})", R"({"spec": {"cpu": {"shares": 500}}})",
        R"({"spec": {"cpu": {"limit": 900}}})",
        R"({"spec": {"memory_allocation": {"reservation": 100}}})", R"({"automation": "manual"})",
        R"({"restart": {"priority": 1}})"}) {
    after_a_round();
    const auto answer = patch("vm", "vm0", wish);
    ASSERT_TRUE(answer) << wish << answer.error().field << answer.error().message;
    EXPECT_LE(waited(), 6s) << wish;
  }
}

TEST_F(IntentsTest, AndOfAHost) {
  begin();
  ASSERT_TRUE(patch("host", "host2", R"({"dpm": "excluded", "dpm_reason": "a dongle"})"));
  EXPECT_LE(waited(), 6s);
  after_a_round();
  ASSERT_TRUE(patch("host", "host2", R"({"dpm": "automatic"})"));
  EXPECT_LE(waited(), 6s);
  c.wait(*c.verb("migrate", "vm0", {.host = c.nodes[1]->id}));
  after_a_round();
  const auto task = host_verb("maintenance", "host1");
  ASSERT_TRUE(task);
  EXPECT_LE(waited(), 6s);
  c.wait(*task);
  after_a_round();
  ASSERT_TRUE(host_verb("enable", "host1"));
  EXPECT_LE(waited(), 6s);
}

TEST_F(IntentsTest, WhatIsSaidOfAVmAndWhereItGoesCallsForNone) {
  begin();
  ASSERT_TRUE(patch("vm", "vm0", R"({"meta": {"labels": {"shop": "yes"}}})"));
  c.loop().run_for(10s);
  EXPECT_THAT(rounds, IsEmpty());
  after_a_round();
  const model::Task moved = c.wait(*c.verb("migrate", "vm0", {.host = c.nodes[1]->id}), 45s);
  EXPECT_EQ(moved.state, model::TaskState::kSucceeded) << moved.message;
  c.loop().run_for(6s);
  EXPECT_THAT(rounds, IsEmpty());
}

TEST_F(IntentsTest, AStormOfWishesBringsARoundAGap) {
  begin();
  const Time from = c.loop().now();
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(
        patch("vm", "vm0", fmt::format(R"({{"spec": {{"cpu": {{"shares": {}}}}}}})", 100 + i)));
    c.loop().run_for(500ms);
  }
  const Duration took = c.loop().now() - from;
  ASSERT_GE(rounds.size(), 3U);
  EXPECT_LE(rounds.size(), static_cast<std::size_t>(seconds(took) / 5) + 1);
  for (std::size_t i = 1; i < rounds.size(); ++i) EXPECT_GE(rounds[i] - rounds[i - 1], 5s);
  // And when it is over, the beat is what it was.
  c.loop().run_for(70s);
  rounds.clear();
  c.loop().run_for(5min);
  EXPECT_THAT(rounds, SizeIs(5));
}

TEST_F(IntentsTest, AfterMaintenanceLoadComesBack) {
  three_vms(200);
  for (int i = 3; i < 9; ++i) c.wait(*create("vm" + std::to_string(i)));
  settle([](auto& s) { s.balance.automation = model::Automation::kFull; });
  drive();
  c.loop().run_for(2min);
  const double most = driver->plans().back().snapshot->vms[0].size.cpu;
  for (int i = 0; i < 9; ++i) loads.say(c.vm("vm" + std::to_string(i))->meta.id, most * 0.4);
  c.loop().run_for(1h);
  const auto on_host1 = [&] {
    return std::ranges::count_if(c.inventory().vms().all(), [&](const auto& each) {
      return each.second->status.host == c.nodes[0]->id;
    });
  };
  const model::Task emptied = c.wait(*host_verb("maintenance", "host1"), 30min);
  ASSERT_EQ(emptied.state, model::TaskState::kSucceeded) << emptied.message;
  ASSERT_EQ(on_host1(), 0);
  c.loop().run_for(10min);
  ASSERT_EQ(on_host1(), 0) << "none goes there meanwhile";
  const std::size_t before = migrations();
  ASSERT_TRUE(host_verb("enable", "host1"));
  c.loop().run_for(8s);
  EXPECT_GT(migrations(), before) << "the round at once sends the first back\n" << events();
  c.loop().run_for(30min);
  EXPECT_GE(on_host1(), 2) << events();
  EXPECT_LE(on_host1(), 4);
  for (int i = 0; i < 9; ++i)
    EXPECT_EQ(c.vm("vm" + std::to_string(i))->status.state, model::VmState::kOn);
}

}  // namespace
}  // namespace chorok::manager
