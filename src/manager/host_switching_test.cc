// Power that is taken from hosts whose agents live: what they have to tell is on their disks before
// a BMC hears the first word, and a guest that nobody knew of stays. Manager, agents and BMCs in
// virtual time.
#include "manager/host_switching.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "manager/driven_cluster.h"

namespace chorok::manager {
namespace {

using model::PowerAction;
using model::TaskState;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

// A BMC was told to take a host's power: what its agent had on its disk then.
struct Told {
  std::string host;  // name
  PowerAction action;
  Time at{};
  Time stopping{};  // since when it was to be off
  Time kept{};      // the newest sample on the disk
};

// A BMC, or a plug of a rack that can do nothing but be pulled.
class Switch final : public ports::PowerSwitch {
 public:
  Switch(ports::PowerSwitch& bmc, bool is_plug, Loop& loop, std::function<void(PowerAction)> tell)
      : bmc_(bmc), is_plug_(is_plug), loop_(loop), tell_(std::move(tell)) {}
  void capabilities(Done<Result<model::PowerCapabilities>> done) override {
    bmc_.capabilities(std::move(done));
  }
  void status(Done<Result<model::ChassisPower>> done) override { bmc_.status(std::move(done)); }
  void act(PowerAction action, ports::PowerOrder order, Done<Result<>> done) override {
    if (action == PowerAction::kShutdown && is_plug_)
      return loop_.post([done = std::move(done)]() mutable {
        done(fail(Code::kUnsupported, "fence_apc has no way to ask a system"));
      });
    if (action == PowerAction::kShutdown || action == PowerAction::kOff) tell_(action);
    bmc_.act(action, std::move(order), std::move(done));
  }

 private:
  ports::PowerSwitch& bmc_;
  bool is_plug_;
  Loop& loop_;
  std::function<void(PowerAction)> tell_;
};

class HostSwitchingTest : public ::testing::Test, public DrivenCluster {
 protected:
  ~HostSwitchingTest() override { driver.reset(); }

  ports::PowerSwitch* find(const model::Host& host) override {
    ports::PowerSwitch* bmc = DrivenCluster::find(host);
    auto& made = switches_[host.meta.id];
    if (made == nullptr)
      made = std::make_unique<Switch>(
          *bmc, plugs, c.loop(),
          [this, id = host.meta.id](PowerAction action) { note(id, action); });
    return made.get();
  }
  void note(const std::string& id, PowerAction action) {
    const auto host = c.inventory().hosts().find(id);
    told.push_back({.host = host->meta.name,
                    .action = action,
                    .at = c.loop().now(),
                    .stopping = host->watch.since,
                    .kept = newest_kept(id)});
  }
  Time newest_kept(const std::string& id) {
    for (const auto& node : c.nodes) {
      std::string_view text = node->telemetry.content;
      if (node->id != id || text.empty()) continue;
      text.remove_suffix(1);
      const auto sample = json::decode<model::HostSample>(text.substr(text.rfind('\n') + 1),
                                                          {.max_bytes = 4 << 20, .stored = true});
      return sample ? sample->time : Time{};
    }
    return {};
  }
  // From now on no manager takes what agents measure.
  void take_no_telemetry() {
    c.manager->agents.on_telemetry(
        [](const std::string&, const model::TelemetryBatch&, Done<Result<>>) {});
  }
  // Loops that leave all to people.
  void drive_by_hand() {
    settle([](auto& s) {
      s.power.automation = model::Automation::kOff;
      s.balance.automation = model::Automation::kOff;
    });
    drive();
    c.loop().run_for(1min);
  }
  // Asked before it is passed on to the agent.
  void before_prepare(std::function<void(const std::string& host)> first) {
    settings.agents = reach();
    settings.agents.prepare = [this, first = std::move(first), pass_on = settings.agents.prepare](
                                  const std::string& host, const model::PrepareRequest& request,
                                  Duration limit, Done<Result<>> done) {
      if (request.hold > Duration{}) {
        ++asked;
        first(host);
      }
      pass_on(host, request, limit, std::move(done));
    };
  }
  void answer_prepare(Duration after, Error error) {
    settings.agents = reach();
    settings.agents.prepare = [this, after, error](const std::string&, const model::PrepareRequest&,
                                                   Duration limit, Done<Result<>> done) {
      c.loop().after(std::min(after, limit),
                     [done = std::move(done), error]() mutable { done(Unexpected(error)); });
    };
  }
  void begin_foreign_guest(const std::string& host) {
    for (const auto& node : c.nodes) {
      if (node->id != host) continue;
      model::DomainSpec domain = c.fake.describe_vm("by-hand", sim::kSharedPool);
      domain.vm.clear();
      c.fake.make_disk(node->index, domain.disks[0].path);
      (void)c.fake.world.define_foreign(node->index, domain, true);
    }
  }
  std::string done(std::string_view verb, const std::string& host) {
    const auto task = host_verb(verb, host);
    if (!task) return "refused: " + task.error().message;
    const model::Task ended = c.wait(*task, 40min);
    return fmt::format("{}: {}", name_of(ended.state), ended.message);
  }
  bool has_power(std::size_t at) { return bmcs[c.nodes[at]->id]->has_power(); }
  void expect_flushed() {
    ASSERT_FALSE(told.empty()) << events();
    for (const Told& each : told) {
      EXPECT_GE(each.kept, each.stopping) << each.host << " had not measured once more";
      EXPECT_LE(each.at - each.stopping, 5s) << each.host;
    }
  }
  bool is_up(const std::string& alarm) const {
    return std::ranges::any_of(c.inventory().alarms().all(), [&](const auto& each) {
      return each.second->kind == alarm && each.second->state != model::AlarmState::kCleared;
    });
  }

  bool plugs = false;
  int asked = 0;
  std::vector<Told> told;

 private:
  std::map<std::string, std::unique_ptr<Switch>> switches_;
};

TEST_F(HostSwitchingTest, WhatAgentsHaveToTellIsKeptBeforeDpmTakesTheirPower) {
  three_vms(200);
  settle([](auto& s) { automatic(s); });
  take_no_telemetry();
  drive();
  c.loop().run_for(3h);
  EXPECT_EQ(hosts_on(), 1) << events();
  EXPECT_EQ(told.size(), 2U);
  expect_flushed();
  EXPECT_THAT(events(), Not(HasSubstr("standby_refused")));
  EXPECT_THAT(events(), Not(HasSubstr("not_prepared")));
  all_still_run();
}

TEST_F(HostSwitchingTest, NorIsAPlugPulledBefore) {
  plugs = true;
  take_no_telemetry();
  drive_by_hand();
  EXPECT_THAT(done("power-off", "host1"), HasSubstr("succeeded: is off")) << events();
  expect_flushed();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].action, PowerAction::kOff);
}

TEST_F(HostSwitchingTest, NorForAWakeTest) {
  take_no_telemetry();
  drive_by_hand();
  EXPECT_THAT(done("wake-test", "host2"), HasSubstr("succeeded: passed")) << events();
  expect_flushed();
}

// It began after everybody had last looked.
TEST_F(HostSwitchingTest, AGuestThatNobodyKnowsOfKeepsItOn) {
  before_prepare([this](const std::string& host) { begin_foreign_guest(host); });
  drive_by_hand();
  const auto task = host_verb("power-off", "host1");
  ASSERT_TRUE(task) << task.error().message;
  c.loop().run_for(30s);
  EXPECT_THAT(events(), HasSubstr("host.standby_refused host1"));
  EXPECT_THAT(events(), HasSubstr("'by-hand' runs here"));
  EXPECT_TRUE(is_up("host.standby_refused"));
  const model::Task ended = c.wait(*task, 40min);
  EXPECT_EQ(ended.state, TaskState::kFailed) << ended.message;
  EXPECT_EQ(asked, 2) << "it is told again";
  EXPECT_TRUE(told.empty()) << "also not at the second try, which pulls the plug";
  EXPECT_TRUE(has_power(0));
  EXPECT_EQ(c.fake.world.running().size(), 1U);
}

// Its agent is to suspend it and cannot; the second try would be its BMC's, and pulls the plug.
TEST_F(HostSwitchingTest, AlsoWhereTheFirstTryWasItsAgents) {
  plugs = true;
  before_prepare([this](const std::string& host) { begin_foreign_guest(host); });
  drive_by_hand();
  model::Host host = *c.inventory().hosts().find(c.nodes[0]->id);
  host.bmc = {.driver = "ipmi", .address = "10.0.0.9"};
  host.bmc.standby = model::Standby::kSuspend;
  Changes changes;
  changes.put(std::move(host));
  c.manager->engine.commit(std::move(changes), [](Result<> stored) { ASSERT_TRUE(stored); });
  c.loop().run_for(2min);
  EXPECT_THAT(done("power-off", "host1"), HasSubstr("failed: it did not go off")) << events();
  EXPECT_EQ(asked, 1) << "before the second";
  EXPECT_TRUE(told.empty());
  EXPECT_TRUE(has_power(0));
}

TEST_F(HostSwitchingTest, AnAgentThatHangsDelaysItByItsDeadline) {
  answer_prepare(1h, {Code::kTimeout, "no answer", {}});
  drive_by_hand();
  EXPECT_THAT(done("power-off", "host1"), HasSubstr("succeeded: is off")) << events();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_GE(told[0].at - told[0].stopping, 15s);
  EXPECT_LE(told[0].at - told[0].stopping, 17s);
  EXPECT_THAT(events(), HasSubstr("host.not_prepared host1 its power goes although"));
}

TEST_F(HostSwitchingTest, AnAgentThatIsTooOldDelaysNothing) {
  answer_prepare(1ms, {Code::kUnsupported, "this agent does not know 'host.prepare'", {}});
  drive_by_hand();
  EXPECT_THAT(done("power-off", "host1"), HasSubstr("succeeded: is off")) << events();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_LE(told[0].at - told[0].stopping, 2s);
  EXPECT_THAT(events(), HasSubstr("does not know 'host.prepare'"));
}

TEST_F(HostSwitchingTest, AnAgentThatStopsAnsweringInTheMiddleHoldsNothingBack) {
  before_prepare([this](const std::string&) { c.nodes[0]->link->stall(true); });
  drive_by_hand();
  EXPECT_THAT(done("power-off", "host1"), HasSubstr("succeeded: is off")) << events();
  ASSERT_FALSE(told.empty());
  EXPECT_LE(told[0].at - told[0].stopping, 17s);
}

TEST_F(HostSwitchingTest, AFullDiskHoldsItBackOnce) {
  take_no_telemetry();
  drive_by_hand();
  c.nodes[0]->telemetry.full = true;
  EXPECT_THAT(done("power-off", "host1"), HasSubstr("succeeded: is off")) << events();
  EXPECT_THAT(events(), HasSubstr("host.standby_refused host1"));
  EXPECT_THAT(events(), HasSubstr("host.not_prepared host1"));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].action, PowerAction::kOff) << "the second try";
}

TEST_F(HostSwitchingTest, AHostThatIsGivenUpTakesVmsAgainAtOnce) {
  drive_by_hand();
  bmcs[c.nodes[0]->id]->faults().stuck_on = true;
  EXPECT_THAT(done("power-off", "host1"), HasSubstr("failed")) << events();
  EXPECT_GE(told.size(), 2U);
  ASSERT_EQ(c.inventory().hosts().find(c.nodes[0]->id)->watch.phase, model::HostPhase::kUp);
  const auto made = c.create("web", false);
  ASSERT_TRUE(made);
  c.wait(*made);
  model::TaskArgs args;
  args.host = "host1";
  const model::Task begun = c.wait(*c.verb("start", "web", args), 1min);
  EXPECT_EQ(begun.state, TaskState::kSucceeded) << begun.message;
  EXPECT_EQ(c.vm("web")->status.host_name, "host1");
}

// Its agent has prepared, and whoever asked it is dead before the BMC hears of it.
TEST_F(HostSwitchingTest, AManagerThatComesAfterAsksAgain) {
  bool is_heard = false;
  settings.agents = reach();
  settings.agents.prepare = [this, &is_heard, pass_on = settings.agents.prepare](
                                const std::string& host, const model::PrepareRequest& request,
                                Duration limit, Done<Result<>> done) {
    ++asked;
    pass_on(host, request, limit, [&is_heard, done = std::move(done)](Result<> answer) mutable {
      EXPECT_TRUE(answer) << answer.error().message;
      if (is_heard) done(std::move(answer));
    });
  };
  drive_by_hand();
  const auto task = host_verb("power-off", "host1");
  ASSERT_TRUE(task);
  c.loop().run_for(5s);
  EXPECT_EQ(asked, 1);
  EXPECT_TRUE(told.empty());
  driver.reset();
  c.kill_manager();
  c.start_manager();
  ASSERT_TRUE(c.loop().advance_until([&] { return c.manager_ready(); }, 60s));
  is_heard = true;
  drive();
  const model::Task ended = c.wait(*task, 40min);
  EXPECT_EQ(ended.state, TaskState::kSucceeded) << ended.message << events();
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(told.size(), 1U);
  EXPECT_FALSE(has_power(0));
}

TEST_F(HostSwitchingTest, AHostThatIsFencedIsNotAsked) {
  three_vms(200);
  before_prepare([](const std::string&) {});
  settle([](auto& s) {
    s.ha.enabled = true;
    s.balance.automation = model::Automation::kOff;
  });
  drive();
  c.loop().run_for(2min);
  c.cut_off(*c.nodes[0]);
  c.loop().run_for(10min);
  EXPECT_EQ(asked, 0);
  EXPECT_FALSE(has_power(0)) << events();
  EXPECT_NE(c.vm("vm0")->status.host_name, "host1") << events();
}

}  // namespace
}  // namespace chorok::manager
