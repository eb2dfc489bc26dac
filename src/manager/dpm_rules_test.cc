// What DPM may do with a host: only what has proved that it comes back, is not excluded, and as the
// schedule has it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "manager/driven_cluster.h"
#include "model/snapshot_text.h"

namespace chorok::manager {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

class DpmRulesTest : public ::testing::Test, public DrivenCluster {
 protected:
  DpmRulesTest() : DrivenCluster(1, {}, 3) {}

  std::string wake_test(const std::string& host) {
    const auto task = c.ask([&](Answered done) {
      c.manager->requests.verb(c.admin(), *model::find_verb("host", "wake-test"), host, {}, {},
                               std::move(done));
    });
    EXPECT_TRUE(task) << task.error().message;
    return task.value_or("");
  }
  std::string answer(const std::string& task) const {
    const auto found = c.inventory().tasks().find(task);
    return fmt::format("{}: {}", name_of(found->state), found->message);
  }
  const model::WakeTest& tested(const std::string& host) const {
    return c.inventory().hosts().resolve(host)->watch.test;
  }
  std::string kept_on(const std::string& host) const {
    for (const model::SnapshotHost& each : driver->plans().back().snapshot->hosts)
      if (each.name == host) return each.keep_on;
    return "no such host";
  }
};

TEST_F(DpmRulesTest, AHostIsSwitchedOffOnlyWhenItHasProvedThatItComesBack) {
  three_vms(200);
  settle([&](auto& s) {
    automatic(s);
    s.power.require_wake_test = true;
  });
  // By a meter that answers for host1 alone.
  settings.draws = [&](const std::string& host) {
    return host == c.nodes[0]->id
               ? std::optional(WattsLine::Reading{.at = c.loop().now(), .watts = 9.4})
               : std::nullopt;
  };
  drive();
  c.loop().run_for(3h);
  EXPECT_EQ(hosts_on(), 3) << events();
  EXPECT_THAT(kept_on("host1"), HasSubstr("its wake test is due"));

  // VMs run there: refused. Once they are moved away it is done.
  EXPECT_THAT(answer(wake_test("host1")), HasSubstr("VMs run on it"));
  const auto drained = c.ask([&](Answered done) {
    c.manager->requests.verb(c.admin(), *model::find_verb("host", "maintenance"), "host1", {}, {},
                             std::move(done));
  });
  ASSERT_TRUE(drained);
  c.wait(*drained);
  const std::string test = wake_test("host1");
  c.loop().run_for(20min);
  EXPECT_THAT(answer(test), HasSubstr("succeeded: passed")) << events();
  EXPECT_EQ(tested("host1").standing, model::WakeStanding::kPassed);
  EXPECT_GE(tested("host1").time_on, 60s);
  EXPECT_GE(tested("host1").time_off, 20s);
  EXPECT_EQ(tested("host1").standby_watts, 9.4);
  EXPECT_THAT(answer(test), HasSubstr("9.4 W in standby"));
  const auto text = model::write_snapshot(*driver->plans().back().snapshot);
  ASSERT_TRUE(text);
  EXPECT_THAT(*text, HasSubstr(".off9"));
  const auto back = model::read_snapshot(*text);
  EXPECT_TRUE(back) << back.error().field << back.error().message;
  EXPECT_EQ(hosts_on(), 3);
  const auto enabled = c.ask([&](Answered done) {
    c.manager->requests.verb(c.admin(), *model::find_verb("host", "enable"), "host1", {}, {},
                             std::move(done));
  });
  ASSERT_TRUE(enabled);
  c.loop().run_for(3h);
  EXPECT_EQ(hosts_on(), 2) << "host1 alone may go off\n" << events();
  all_still_run();
}

TEST_F(DpmRulesTest, WakeTestsOfAllHostsGoOneAfterTheOtherAndOutliveTheManager) {
  settle([&](auto& s) { automatic(s); });
  settle([&](auto& s) { s.power.automation = model::Automation::kOff; });
  drive();
  bmcs[c.nodes[1]->id]->faults().wake_fails = true;
  for (const char* host : {"host1", "host2", "host3"}) wake_test(host);
  int least = 3;
  for (int i = 0; i < 30; ++i) {
    c.loop().run_for(1min);
    least = std::min(least, hosts_on());
    if (i % 4 != 1) continue;
    driver.reset();
    c.kill_manager();
    c.start_manager();
    ASSERT_TRUE(c.loop().advance_until([&] { return c.manager_ready(); }, 60s));
    drive();
  }
  EXPECT_GE(least, 1);
  EXPECT_EQ(tested("host1").standing, model::WakeStanding::kPassed) << events();
  EXPECT_EQ(tested("host2").standing, model::WakeStanding::kFailed) << events();
  EXPECT_EQ(tested("host3").standing, model::WakeStanding::kPassed) << events();
  for (const auto& [id, task] : c.inventory().tasks().all())
    EXPECT_TRUE(task->finished_state()) << task->kind << " " << task->message;
}

TEST_F(DpmRulesTest, AHostMayBeExcludedWithAReason) {
  three_vms(200);
  settle([&](auto& s) { automatic(s); });
  Changes changes;
  model::Host host = *c.inventory().hosts().resolve("host2");
  host.dpm = model::HostDpm::kExcluded;
  host.dpm_reason = "the licence server's dongle";
  changes.put(std::move(host));
  c.manager->engine.commit(std::move(changes), [](Result<>) {});
  drive();
  c.loop().run_for(3h);
  EXPECT_EQ(hosts_on(), 1);
  EXPECT_TRUE(bmcs[c.nodes[1]->id]->has_power());
  EXPECT_THAT(kept_on("host2"), HasSubstr("excluded from DPM: the licence server's dongle"));
}

TEST_F(DpmRulesTest, AScheduleGathersByNightAndSpreadsByDay) {
  three_vms(200);
  settle([&](auto& s) {
    automatic(s);
    s.power.automation = model::Automation::kOff;
  });
  // The clock of the test: an hour from now it is night, for four hours.
  const double hour = seconds(c.loop().now().time_since_epoch()) / 3600;
  model::Cluster cluster = c.manager->engine.cluster();
  cluster.schedule.bands.push_back({.name = "night",
                                    .from_hour = std::fmod(hour + 1, 24),
                                    .to_hour = std::fmod(hour + 5, 24),
                                    .dpm = model::Automation::kFull});
  cluster.schedule.bands.push_back({.name = "day", .dpm = model::Automation::kOff});
  Changes changes;
  changes.put(std::move(cluster));
  c.manager->engine.commit(std::move(changes), [](Result<>) {});
  drive();
  c.loop().run_for(55min);
  EXPECT_EQ(hosts_on(), 3);
  c.loop().run_for(3h);
  EXPECT_EQ(hosts_on(), 1) << events();
  EXPECT_THAT(events(), HasSubstr("'night' of the schedule begins"));
  c.loop().run_for(2h);
  EXPECT_THAT(events(), HasSubstr("'day' of the schedule begins"));
  all_still_run();
}

}  // namespace
}  // namespace chorok::manager
