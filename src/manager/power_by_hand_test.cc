// Hosts that people switch, and hosts that DPM gives back: manager, agents and BMCs in virtual
// time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "manager/driven_cluster.h"
#include "manager/plan_view.h"

namespace chorok::manager {
namespace {

using model::Automation;
using model::HostLink;
using model::HostOffBy;
using model::HostPhase;
using model::HostPower;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

class PowerByHand : public ::testing::Test, public DrivenCluster {
 protected:
  Result<std::string> verb(std::string_view name, const std::string& host) {
    return c.ask([&](Answered done) {
      c.manager->requests.verb(c.admin(), *model::find_verb("host", name), host, {}, {},
                               std::move(done));
    });
  }
  std::string result(std::string_view name, const std::string& host) {
    const auto task = verb(name, host);
    if (!task) return "refused: " + task.error().message;
    const model::Task done = c.wait(*task, 40min);
    c.loop().run_for(1s);
    return fmt::format("{}: {}", name_of(done.state), done.message);
  }
  std::string dry(std::string_view name, const std::string& host) {
    std::string said = "no answer";
    c.manager->requests.verb(c.admin(), *model::find_verb("host", name), host, {},
                             {.dry_run = true}, [&](Result<Answer> answer) {
                               ASSERT_TRUE(answer) << answer.error().message;
                               ASSERT_TRUE(answer->dry_run);
                               said = answer->dry_run->ok ? "ok: " + answer->dry_run->message
                                                          : answer->dry_run->problems[0].message;
                             });
    c.loop().run_for(1s);
    return said;
  }
  std::shared_ptr<const model::Host> host(const std::string& name) {
    return c.inventory().hosts().find_name(name);
  }
  Result<std::string> patch(const std::string& name, const std::string& body) {
    return c.ask([&](Answered done) {
      c.manager->requests.patch(c.admin(), "host", name, body, {}, std::move(done));
    });
  }
  bool has_power(std::size_t at) { return bmcs[c.nodes[at]->id]->has_power(); }
  // One VM a host, little to do; DPM has had its time, and one host is left.
  void gathered() {
    three_vms(200);
    settle([](auto& s) { automatic(s); });
    drive();
    c.loop().run_for(3h);
    ASSERT_EQ(hosts_on(), 1) << events();
  }
};

TEST_F(PowerByHand, OffStaysOffHoweverMuchIsAskedForAndOnStaysOnForAWhile) {
  three_vms(200);
  settle([](auto& s) { automatic(s); });
  settle([](auto& s) { s.balance.automation = Automation::kOff; });
  settle([](auto& s) { s.power.automation = Automation::kOff; });
  drive();
  c.loop().run_for(1min);
  EXPECT_THAT(result("power-off", "host1"), HasSubstr("refused: VMs run on it: vm0"));
  EXPECT_THAT(dry("power-off", "host1"), HasSubstr("VMs run on it: vm0"));
  EXPECT_THAT(result("maintenance", "host1"), HasSubstr("succeeded"));
  EXPECT_THAT(dry("power-off", "host1"), HasSubstr("ok: it would be switched off"));
  EXPECT_TRUE(has_power(0)) << "that was a dry run";
  EXPECT_THAT(result("power-off", "host1"), HasSubstr("succeeded: is off")) << events();
  EXPECT_FALSE(has_power(0));
  EXPECT_EQ(host("host1")->power, HostPower::kOff);
  EXPECT_EQ(host("host1")->link, HostLink::kAsleep);
  EXPECT_EQ(host("host1")->watch.off_by, HostOffBy::kPerson);
  EXPECT_THAT(events(), Not(HasSubstr("host.lost")));
  EXPECT_THAT(result("enable", "host1"), HasSubstr("admin has switched it off"));

  // DPM would wake it, were it its own.
  settle([](auto& s) {
    automatic(s);
    s.power.hosts_on_min = 3;
  });
  c.loop().run_for(1h);
  EXPECT_FALSE(has_power(0)) << events();

  settle([](auto& s) { s.power.hosts_on_min = 1; });
  EXPECT_THAT(result("power-on", "host1"), HasSubstr("succeeded: is on")) << events();
  EXPECT_EQ(host("host1")->link, HostLink::kConnected);
  EXPECT_EQ(host("host1")->watch.off_by, HostOffBy::kNobody);
  c.loop().run_for(15min);
  EXPECT_TRUE(has_power(0)) << "uptime_min holds for it as for any\n" << events();
  all_still_run();
}

TEST_F(PowerByHand, DpmSwitchedOffGivesItsHostsBack) {
  gathered();
  int asleep = 0;
  for (const auto& [id, each] : c.inventory().hosts().all())
    asleep += each->link == HostLink::kAsleep && each->watch.off_by == HostOffBy::kDpm;
  EXPECT_EQ(asleep, 2);
  EXPECT_THAT(events(), Not(HasSubstr("host.lost")));
  settle([](auto& s) { s.power.automation = Automation::kOff; });
  c.loop().run_for(5min);
  EXPECT_EQ(hosts_on(), 3) << events();
  EXPECT_THAT(events(), HasSubstr("DPM, which had switched it off, is off now"));
  all_still_run();
}

TEST_F(PowerByHand, AnExcludedHostComesBackAndSaysWhyItWasExcluded) {
  gathered();
  std::string name;
  for (const auto& [id, each] : c.inventory().hosts().all())
    if (each->watch.phase == HostPhase::kDown) name = each->meta.name;
  const auto refused = patch(name, R"({"dpm": "excluded"})");
  ASSERT_FALSE(refused) << "without a reason";
  EXPECT_EQ(refused.error().field, "/dpm_reason");
  ASSERT_TRUE(patch(name, R"({"dpm": "excluded", "dpm_reason": "a dongle"})"));
  c.loop().run_for(5min);
  EXPECT_EQ(host(name)->watch.phase, HostPhase::kUp) << events();
  EXPECT_THAT(events(), HasSubstr("excluded from DPM (a dongle)"));
  EXPECT_FALSE(patch("host1", R"({"dpm_reason": "for nothing"})") &&
               host("host1")->dpm == model::HostDpm::kAutomatic);
  ASSERT_TRUE(patch(name, R"({"dpm": "automatic"})"));
  EXPECT_EQ(host(name)->dpm_reason, "");
}

TEST_F(PowerByHand, MaintenanceKeepsASleepingHostOff) {
  gathered();
  std::string name;
  for (const auto& [id, each] : c.inventory().hosts().all())
    if (each->watch.phase == HostPhase::kDown) name = each->meta.name;
  EXPECT_THAT(dry("wake-test", name), HasSubstr("it is off; chorok host power-on " + name));
  EXPECT_THAT(result("maintenance", name), HasSubstr("succeeded: is off and in maintenance"));
  settle([](auto& s) { s.power.automation = Automation::kOff; });
  c.loop().run_for(5min);
  EXPECT_EQ(hosts_on(), 2) << events();
  EXPECT_EQ(host(name)->watch.phase, HostPhase::kDown);
  EXPECT_THAT(result("enable", name), HasSubstr("takes VMs when it is on"));
  c.loop().run_for(5min);
  EXPECT_EQ(hosts_on(), 3) << events();
}

TEST_F(PowerByHand, AnAgentThatThisMachineDoesNotHaveIsRefused) {
  const auto refused =
      patch("host1", R"({"bmc": {"driver": "fence_nosuch", "address": "10.0.0.9"}})");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().field, "/bmc/driver");
  EXPECT_TRUE(patch("host1", R"({"bmc": {"driver": "fence_apc", "address": "10.0.0.9"}})"));
}

TEST_F(PowerByHand, ManagersMayDieMeanwhile) {
  settle([](auto& s) { s.power.automation = Automation::kOff; });
  drive();
  c.loop().run_for(1min);
  const auto again = [&] {
    driver.reset();
    c.kill_manager();
    c.start_manager();
    ASSERT_TRUE(c.loop().advance_until([&] { return c.manager_ready(); }, 60s));
    drive();
  };
  for (const bool on : {false, true}) {
    const auto task = verb(on ? "power-on" : "power-off", "host2");
    ASSERT_TRUE(task) << task.error().message;
    for (int i = 0; i < 3; ++i) {
      c.loop().run_for(7s);
      again();
    }
    const model::Task done = c.wait(*task, 20min);
    EXPECT_EQ(done.state, model::TaskState::kSucceeded) << done.message << events();
    EXPECT_EQ(has_power(1), on);
  }
}

}  // namespace
}  // namespace chorok::manager
