// Alarms over a whole cluster in virtual time: they come with faults, go with them, and outlive
// managers that are killed.
#include "manager/alarms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "manager/seeds_cluster.h"
#include "manager/webhooks.h"

namespace chorok::manager {
namespace {

using model::Alarm;
using model::AlarmSeverity;
using model::AlarmState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

class AlarmsTest : public ::testing::Test {
 protected:
  AlarmsTest() : c(5, 2, {}) {
    c.loop().advance_until([&] { return c.all_connected(); }, 30s);
    c.loop().run_for(60s);
  }
  // The newest of a kind.
  std::shared_ptr<const Alarm> find(std::string_view kind) {
    std::shared_ptr<const Alarm> found;
    for (const auto& [id, alarm] : c.inventory().alarms().all())
      if (alarm->kind == kind) found = alarm;
    return found;
  }
  bool is_up(std::string_view kind) {
    const auto alarm = find(kind);
    return alarm != nullptr && alarm->state != AlarmState::kCleared;
  }
  void restart_manager() {
    c.kill_manager();
    c.start_manager();
    ASSERT_TRUE(c.loop().advance_until([&] { return c.manager_ready(); }, 60s));
  }
  void tell(std::string kind, std::string subject_kind, std::string subject,
            model::Severity severity = model::Severity::kError) {
    model::Event event;
    event.kind = std::move(kind);
    event.severity = severity;
    event.subject_kind = std::move(subject_kind);
    event.subject = event.subject_name = std::move(subject);
    event.message = "it is so";
    Changes changes;
    c.manager->engine.add_event(changes, std::move(event));
    c.manager->engine.commit(std::move(changes), [](Result<> r) { ASSERT_TRUE(r); });
    c.loop().run_for(2s);
  }

  SeedsCluster c;
};

TEST_F(AlarmsTest, AKilledAgentIsAnAlarmAndItsReturnClearsIt) {
  c.kill_agent(*c.nodes[0]);  // the clock of the first one stood at the epoch
  c.start_agent(*c.nodes[0]);
  c.loop().run_for(2h);
  EXPECT_FALSE(is_up("host.lost"));
  c.nodes[0]->unreachable = true;
  c.kill_agent(*c.nodes[0]);
  c.loop().run_for(2s);
  ASSERT_TRUE(is_up("host.lost"));
  EXPECT_EQ(find("host.lost")->subject, c.nodes[0]->id);
  EXPECT_EQ(find("host.lost")->count, 1);
  EXPECT_FALSE(find("host.lost")->action.empty());
  c.loop().run_for(10min);
  EXPECT_TRUE(is_up("host.lost"));  // as long as it is so
  c.nodes[0]->unreachable = false;
  c.start_agent(*c.nodes[0]);
  c.loop().run_for(90s);
  EXPECT_FALSE(is_up("host.lost"));
  EXPECT_NE(find("host.lost")->cleared_at, Time{});
  EXPECT_EQ(find("host.lost")->cleared_by, "");
  ASSERT_TRUE(is_up("host.agent_restarted"));
  c.loop().run_for(70min);
  EXPECT_FALSE(is_up("host.agent_restarted"));
}

TEST_F(AlarmsTest, ABriefLossIsSeenForAMinute) {
  c.kill_agent(*c.nodes[0]);
  c.start_agent(*c.nodes[0]);
  c.loop().run_for(20s);
  ASSERT_TRUE(c.all_connected());
  EXPECT_TRUE(is_up("host.lost"));
  c.loop().run_for(60s);
  EXPECT_FALSE(is_up("host.lost"));
}

TEST_F(AlarmsTest, ACrashedVmIsAnAlarmUntilItRuns) {
  auto asked = c.create("web", true);
  ASSERT_TRUE(asked);
  c.wait(*asked);
  c.loop().run_for(5s);
  ASSERT_TRUE(c.fake.world.crash_qemu(c.vm("web")->uuid));
  c.loop().run_for(20s);
  ASSERT_TRUE(is_up("vm.crashed")) << name_of(c.vm("web")->status.state);
  EXPECT_EQ(find("vm.crashed")->severity, AlarmSeverity::kCritical);
  restart_manager();
  c.loop().run_for(5min);
  EXPECT_TRUE(is_up("vm.crashed"));
  EXPECT_EQ(find("vm.crashed")->count, 1);
  c.wait(*c.verb("start", "web"));
  c.loop().run_for(10s);
  EXPECT_FALSE(is_up("vm.crashed"));
}

TEST_F(AlarmsTest, AManagerThatWasKilledSaysSo) {
  c.kill_manager();
  c.loop().run_for(7min);
  c.start_manager();
  ASSERT_TRUE(c.loop().advance_until([&] { return c.manager_ready(); }, 60s));
  c.loop().run_for(10s);
  ASSERT_TRUE(is_up("manager.away"));
  EXPECT_THAT(find("manager.away")->text, HasSubstr("ended without being told to"));
  // In good order and at once is no alarm.
  bool stopped = false;
  c.manager->alarms->stop([&](Result<>) { stopped = true; });
  c.loop().advance_until([&] { return stopped; }, 10s);
  restart_manager();
  c.loop().run_for(10s);
  EXPECT_EQ(find("manager.away")->count, 1);
}

TEST_F(AlarmsTest, WhatAnEventBeganOutlivesADeathRightAfterIt) {
  model::Event event;
  event.kind = "host.bmc_failed";
  event.severity = model::Severity::kError;
  event.subject_kind = "host";
  event.subject = c.nodes[0]->id;
  event.message = "did not come on";
  Changes changes;
  c.manager->engine.add_event(changes, std::move(event));
  bool stored = false;
  c.manager->engine.commit(std::move(changes), [&](Result<> r) { stored = r.has_value(); });
  c.loop().advance_until([&] { return stored; }, 10s);
  EXPECT_EQ(find("host.bmc"), nullptr) << "the alarm was faster; then this shows nothing";
  restart_manager();
  c.loop().run_for(5s);
  ASSERT_TRUE(is_up("host.bmc"));
  EXPECT_EQ(find("host.bmc")->severity, AlarmSeverity::kWarning);
  EXPECT_EQ(find("host.bmc")->count, 1);
}

TEST_F(AlarmsTest, PeopleAcknowledgeAndClear) {
  tell("task.leftover", "vm", "vm-x", model::Severity::kWarning);
  EXPECT_EQ(find("vm.leftover")->state, AlarmState::kCleared) << "there is no such VM";
  auto asked = c.create("web", false);
  c.wait(*asked);
  const std::string id = c.vm("web")->meta.id;
  tell("task.leftover", "vm", id, model::Severity::kWarning);
  ASSERT_TRUE(is_up("vm.leftover"));
  const std::string alarm = find("vm.leftover")->id;
  const auto ask = [&](auto what) {
    return c.ask(
        [&](Answered done) { (c.manager->requests.*what)(c.admin(), alarm, {}, std::move(done)); });
  };
  ASSERT_TRUE(ask(&Requests::acknowledge_alarm));
  EXPECT_EQ(find("vm.leftover")->acknowledged_by, "admin");
  ASSERT_TRUE(ask(&Requests::acknowledge_alarm)) << "again is well";
  ASSERT_TRUE(ask(&Requests::clear_alarm));
  EXPECT_EQ(find("vm.leftover")->cleared_by, "admin");
  EXPECT_FALSE(ask(&Requests::clear_alarm));
  c.loop().run_for(5min);
  restart_manager();
  c.loop().run_for(2min);
  EXPECT_FALSE(is_up("vm.leftover")) << "the same event begins it no second time";
  tell("task.leftover", "vm", id, model::Severity::kWarning);
  EXPECT_TRUE(is_up("vm.leftover"));
}

TEST_F(AlarmsTest, WhatHoldsIsNotCleared) {
  c.nodes[0]->unreachable = true;
  c.kill_agent(*c.nodes[0]);
  c.loop().run_for(2s);
  const std::string alarm = find("host.lost")->id;
  const auto cleared = c.ask([&](Answered done) {
    c.manager->requests.clear_alarm(c.admin(), alarm, {}, std::move(done));
  });
  ASSERT_FALSE(cleared);
  EXPECT_THAT(cleared.error().message, HasSubstr("acknowledge"));
}

TEST_F(AlarmsTest, ItsTextIsOfWhatHoldsNow) {
  c.manager->alarms->stop([](Result<>) {});
  c.loop().run_for(1s);
  c.manager->alarms.reset();
  std::string text = "rule a: vm1 can go nowhere else";
  const std::string cluster = c.manager->engine.cluster().meta.id;
  Alarms alarms(c.manager->engine, {.shortages = [&] {
                  return std::vector<control::Shortage>{{"cluster.unmet", cluster, "it", text}};
                }});
  c.loop().run_for(2min);
  ASSERT_TRUE(is_up("cluster.unmet"));
  const auto first = find("cluster.unmet");
  EXPECT_EQ(first->text, text);
  // Soon after it was told of, only its text is new; then people are told again.
  text = "rule b: vm2 can go nowhere else";
  c.loop().run_for(1min);
  EXPECT_EQ(find("cluster.unmet")->text, text);
  EXPECT_EQ(find("cluster.unmet")->sequence, first->sequence);
  c.loop().run_for(5min);
  text = "host1 is asked for 105.5 of 100 MHz";
  c.loop().run_for(1min);
  const auto second = find("cluster.unmet");
  EXPECT_EQ(second->text, text);
  EXPECT_GT(second->sequence, first->sequence);
  EXPECT_EQ(second->change, model::AlarmChange::kChanged);
  EXPECT_EQ(second->count, 1);
  EXPECT_EQ(second->id, first->id);
  // Numbers that drift are shown, and not told.
  c.loop().run_for(6min);
  text = "host1 is asked for 107 of 100 MHz";
  c.loop().run_for(1min);
  EXPECT_EQ(find("cluster.unmet")->text, text);
  EXPECT_EQ(find("cluster.unmet")->sequence, second->sequence);
}

TEST_F(AlarmsTest, TheyAreBounded) {
  AlarmsSettings settings;
  settings.active_max = 10;
  settings.cleared_max = 20;
  c.manager->alarms->stop([](Result<>) {});
  c.loop().run_for(1s);
  c.manager->alarms.reset();
  Alarms alarms(c.manager->engine, {}, settings);
  std::vector<std::string> vms;
  for (int i = 0; i < 40; ++i) {
    auto asked = c.create("vm" + std::to_string(i), false);
    c.wait(*asked);
    vms.push_back(c.vm("vm" + std::to_string(i))->meta.id);
  }
  const auto count = [&] {
    std::size_t up = 0;
    for (const auto& [id, alarm] : c.inventory().alarms().all())
      up += alarm->state != AlarmState::kCleared ? 1 : 0;
    return up;
  };
  for (const std::string& vm : vms) tell("vm.crashed", "vm", vm);
  EXPECT_EQ(count(), 11U);
  EXPECT_TRUE(is_up("manager.alarms"));
  for (int round = 0; round < 5; ++round)
    for (const std::string& vm : vms) {
      tell("vm.crashed", "vm", vm);
      tell("vm.off", "vm", vm, model::Severity::kInfo);
    }
  c.loop().run_for(2min);
  EXPECT_EQ(count(), 0U);
  EXPECT_LE(c.inventory().alarms().size(), 40U);
}

TEST(AlarmTable, TheDocumentationHasThemAll) {
  std::ifstream file(CHOROK_SOURCE "/docs/alarms.md");
  std::stringstream text;
  text << file.rdbuf();
  for (const control::AlarmKind& kind : control::alarm_kinds()) {
    EXPECT_THAT(text.str(),
                HasSubstr(fmt::format("| `{}` | {} |", kind.kind, name_of(kind.severity))));
    EXPECT_THAT(text.str(), HasSubstr(kind.action));
  }
}

// ---- Webhooks

class WebhooksTest : public AlarmsTest {
 protected:
  WebhooksTest() {
    model::Webhook hook;
    hook.meta.name = "ops";
    hook.url = "https://ops.example/hook";
    const auto made = c.ask([&](Answered done) {
      c.manager->requests.create(c.admin(), "webhook", json::encode(hook), false, {},
                                 std::move(done));
    });
    EXPECT_TRUE(made) << made.error().message;
    begin();
  }
  void begin() {
    hooks = std::make_unique<Webhooks>(
        c.manager->engine,
        [this](WebhookPost post, Done<Result<int>> done) {
          auto said = json::decode<model::WebhookMessage>(post.body, {.stored = true});
          ASSERT_TRUE(said) << said.error().message;
          ++tries;
          if (status == 200) told.push_back(*said);
          c.loop().after(50ms, [done = std::move(done), answer = status]() mutable {
            if (answer == 0) return done(fail(Code::kUnavailable, "nobody is there"));
            done(answer);
          });
        },
        nullptr);
  }
  std::vector<std::string> events() const {
    std::vector<std::string> out;
    for (const auto& each : told) out.push_back(each.event + " " + each.alarm.kind);
    return out;
  }
  std::shared_ptr<const model::Webhook> hook() { return c.inventory().webhooks().find_name("ops"); }

  std::unique_ptr<Webhooks> hooks;
  std::vector<model::WebhookMessage> told;
  int status = 200;
  int tries = 0;
};

TEST_F(WebhooksTest, EveryChangeIsToldInOrder) {
  c.nodes[0]->unreachable = true;
  c.kill_agent(*c.nodes[0]);
  c.loop().run_for(90s);
  c.nodes[0]->unreachable = false;
  c.start_agent(*c.nodes[0]);
  c.loop().run_for(90s);
  EXPECT_THAT(events(), ElementsAre("raised host.lost", "cleared host.lost"))
      << "what is only information is not asked for";
  EXPECT_LT(told[0].sequence, told[1].sequence);
  EXPECT_EQ(told[0].version, 1);
  EXPECT_EQ(told[0].webhook, "ops");
}

TEST_F(WebhooksTest, AReceiverThatIsAwayGetsItAllLaterAndSeldom) {
  status = 0;
  c.nodes[0]->unreachable = c.nodes[1]->unreachable = true;
  c.kill_agent(*c.nodes[0]);
  c.kill_agent(*c.nodes[1]);
  c.loop().run_for(1h);
  EXPECT_THAT(told, ::testing::IsEmpty());
  EXPECT_GE(tries, 15);
  EXPECT_LE(tries, 25) << "1, 2, 4 … 300 s";
  EXPECT_EQ(hook()->failure, "nobody is there");
  EXPECT_TRUE(is_up("webhook.failing"));
  status = 200;
  c.loop().run_for(6min);
  ASSERT_GE(told.size(), 2U);
  EXPECT_EQ(told[0].alarm.kind, "host.lost");
  EXPECT_EQ(told[1].alarm.kind, "host.lost");
  EXPECT_TRUE(std::ranges::is_sorted(told, {}, &model::WebhookMessage::sequence));
  EXPECT_EQ(hook()->failures, 0);
}

TEST_F(WebhooksTest, ADeathLosesNothing) {
  status = 503;
  c.nodes[0]->unreachable = true;
  c.kill_agent(*c.nodes[0]);
  c.loop().run_for(10s);
  hooks.reset();
  restart_manager();
  status = 200;
  begin();
  c.loop().run_for(20s);
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told[0].alarm.kind, "host.lost");
  const auto before = told.size();
  hooks.reset();
  restart_manager();
  begin();
  c.loop().run_for(10s);
  for (std::size_t i = before; i < told.size(); ++i)
    EXPECT_NE(told[i].alarm.kind, "host.lost") << "what was taken is not told again";
}

}  // namespace
}  // namespace chorok::manager
