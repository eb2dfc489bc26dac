// Hosts that nothing but their own agents can switch off, and magic packets can wake: living agents
// in virtual time, under the cluster's loops. What nobody can know of them starts no VM.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "manager/agent_switch.h"
#include "manager/driven_cluster.h"

namespace chorok::manager {
namespace {

using model::HostPhase;
using model::HostPower;
using model::Standby;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

// A machine with a card that listens while it sleeps.
class Sleeper final : public ports::HostStandby {
 public:
  Sleeper(SeedsCluster& c, Node& node) : c_(c), node_(node) {
    node_.standby = this;
    c_.kill_agent(node_);
    c_.start_agent(node_);
  }
  Result<> can(Standby) override { return {}; }
  void go(Standby how, Duration wake_after, Done<Result<>> done) override {
    ++went;
    if (refuses) return done(fail(Code::kFailedPrecondition, "systemctl ended with 1"));
    if (how == Standby::kSuspend) {
      suspended_ = true;
      node_.unreachable = true;
      woken_ = std::move(done);
      const int night = ++night_;
      c_.loop().after(wake_after, [this, night] {
        if (suspended_ && night == night_) wake();
      });
      return;
    }
    c_.loop().after(20s, [this] { c_.power_off(node_); });
  }
  // What its card sees.
  void packet() {
    ++packets;
    if (lost_packets-- > 0) return;
    if (suspended_) c_.loop().after(3s, [this] { wake(); });
    if (!node_.powered && !std::exchange(booting_, true))
      c_.loop().after(60s, [this] {
        booting_ = false;
        c_.power_on(node_);
      });
  }
  void wake() {
    if (!std::exchange(suspended_, false)) return;
    node_.unreachable = false;
    woken_({});
  }
  bool suspended() const { return suspended_; }

  int went = 0;
  int packets = 0;
  int lost_packets = 0;
  bool refuses = false;

 private:
  SeedsCluster& c_;
  Node& node_;
  bool suspended_ = false;
  bool booting_ = false;
  int night_ = 0;
  Done<Result<>> woken_;
};

class Sleepers : public ::testing::Test, public DrivenCluster {
 protected:
  Sleepers() { reach_ = reach(); }
  ~Sleepers() override { driver.reset(); }

  // From now on the host has a card instead of a BMC.
  Sleeper& make_sleeper(std::size_t at, Standby standby = Standby::kOff) {
    Node& node = *c.nodes[at];
    model::Host host = *c.inventory().hosts().find(node.id);
    host.bmc = {.driver = "wol"};
    host.bmc.mac = {"52:54:00:00:00:01"};
    host.bmc.standby = standby;
    host.bmc.wake_after = 4h;
    host.watch.bmc_proven = true;  // of the BMC that it had before
    Changes changes;
    changes.put(std::move(host));
    c.manager->engine.commit(std::move(changes), [](Result<> r) { ASSERT_TRUE(r); });
    sleepers_[node.id] = std::make_unique<Sleeper>(c, node);
    c.loop().run_for(5s);
    EXPECT_TRUE(c.all_connected());
    return *sleepers_[node.id];
  }
  ports::PowerSwitch* find(const model::Host& host) override {
    const auto it = sleepers_.find(host.meta.id);
    if (it == sleepers_.end()) return DrivenCluster::find(host);
    auto& made = switches_[host.meta.id];
    if (made == nullptr)
      made = std::make_unique<AgentSwitch>(
          AgentSwitch::Parts{.loop = c.loop(),
                             .reach = reach_,
                             .host = host.meta.id,
                             .spec = host.bmc,
                             .wake =
                                 [this, sleeper = it->second.get()](Done<Result<>> done) {
                                   sleeper->packet();
                                   c.loop().post([done = std::move(done)]() mutable {
                                     done(fail(Code::kUnknown, "a magic packet was sent"));
                                   });
                                 },
                             .bmc = nullptr});
    return made.get();
  }
  ports::PowerSwitch& power_of(std::size_t at) {
    return *find(*c.inventory().hosts().find(c.nodes[at]->id));
  }
  const model::Host& host(std::size_t at) {
    held_ = c.inventory().hosts().find(c.nodes[at]->id);
    return *held_;
  }
  std::string wake_test(const std::string& name) {
    const auto task = c.ask([&](Answered done) {
      c.manager->requests.verb(c.admin(), *model::find_verb("host", "wake-test"), name, {}, {},
                               std::move(done));
    });
    EXPECT_TRUE(task) << task.error().message;
    const model::Task done = c.wait(task.value_or(""), 40min);
    return fmt::format("{}: {}", name_of(done.state), done.message);
  }
  Result<> act(std::size_t at, model::PowerAction action, Duration limit = 20min) {
    std::optional<Result<>> answer;
    power_of(at).act(action,
                     {.operation = fmt::format("op-{}", ++last_),
                      .term = static_cast<std::int64_t>(c.manager->engine.term())},
                     [&](Result<> result) { answer = std::move(result); });
    c.loop().advance_until([&] { return answer.has_value(); }, limit);
    return answer ? *answer : Result<>(fail(Code::kTimeout, "never answered"));
  }
  std::map<std::string, std::unique_ptr<Sleeper>> sleepers_;
  AgentReach reach_;
  std::map<std::string, std::unique_ptr<ports::PowerSwitch>> switches_;
  std::shared_ptr<const model::Host> held_;
  int last_ = 0;
};

TEST_F(Sleepers, PassTheirWakeTestByTheLinkAlone) {
  Sleeper& sleeper = make_sleeper(0);
  settle([&](auto& s) { s.power.automation = model::Automation::kOff; });
  drive();
  c.loop().run_for(1min);
  EXPECT_THAT(wake_test("host1"), HasSubstr("succeeded: passed")) << events();
  const model::WakeTest& test = host(0).watch.test;
  EXPECT_GE(test.time_off, 20s);
  EXPECT_GE(test.time_on, 60s);
  EXPECT_FALSE(test.standby_watts) << "nobody has measured it";
  EXPECT_EQ(sleeper.went, 1);
  EXPECT_FALSE(host(0).watch.bmc_proven && model::has_witness(host(0).bmc));
  EXPECT_THAT(events(), Not(HasSubstr("bmc_failed")));
}

TEST_F(Sleepers, AWakeTestThatFailsSaysWhy) {
  Sleeper& sleeper = make_sleeper(0);
  sleeper.refuses = true;
  settle([&](auto& s) { s.power.automation = model::Automation::kOff; });
  drive();
  c.loop().run_for(1min);
  EXPECT_THAT(wake_test("host1"), HasSubstr("did not go off")) << events();
  EXPECT_TRUE(c.nodes[0]->powered) << "nothing pulls its plug";
}

TEST_F(Sleepers, SleepWhileTheyAreNotNeededAndComeBackWhenTheyAre) {
  three_vms(200);
  for (std::size_t at : {0U, 1U, 2U}) make_sleeper(at, at == 1 ? Standby::kSuspend : Standby::kOff);
  for (auto& [id, sleeper] : sleepers_) sleeper->lost_packets = 1;
  settle([&](auto& s) { automatic(s); });
  drive();
  c.loop().run_for(3h);
  const auto sleeping = [&] {
    return std::ranges::count_if(c.inventory().hosts().all(), [](const auto& each) {
      return each.second->power == HostPower::kOff || each.second->power == HostPower::kStandby;
    });
  };
  EXPECT_EQ(sleeping(), 2) << events();
  all_still_run();
  const double most = driver->plans().back().snapshot->vms[0].size.cpu;
  for (auto& [id, load] : loads.loads) load.cpu = SaidLoads::steady(most);
  c.loop().run_for(30min);
  EXPECT_LT(sleeping(), 2) << events();
  EXPECT_THAT(events(), HasSubstr("cluster.host_awake"));
  all_still_run();
}

TEST_F(Sleepers, ASuspendedHostWhoseWakeUpIsLostComesBackByItself) {
  Sleeper& sleeper = make_sleeper(0, Standby::kSuspend);
  drive();
  c.loop().run_for(1min);
  const std::string boot = host(0).inventory.boot_id;
  ASSERT_TRUE(act(0, model::PowerAction::kShutdown));
  c.loop().run_for(1min);
  ASSERT_TRUE(sleeper.suspended());
  EXPECT_FALSE(c.manager->agents.connected(c.nodes[0]->id));
  c.loop().run_for(3h);
  EXPECT_TRUE(sleeper.suspended());
  c.loop().run_for(2h);
  EXPECT_TRUE(c.manager->agents.connected(c.nodes[0]->id));
  EXPECT_EQ(host(0).watch.phase, HostPhase::kUp) << events();
  EXPECT_EQ(host(0).inventory.boot_id, boot);
  EXPECT_THAT(events(), Not(HasSubstr("agent_restarted")));
  // Nothing was used meanwhile, and nothing is told of it as use.
  const auto usage = c.manager->telemetry.host(c.nodes[0]->id);
  ASSERT_TRUE(usage);
  EXPECT_LT(usage->interval, 10min);
}

// Silence of such a host is no evidence: not when its power is really gone, and not when a BMC that
// it had before was once believed.
TEST_F(Sleepers, HaStartsNothingElsewhereOnTheirSilence) {
  three_vms(200);
  make_sleeper(0);
  settle([](model::PolicySettings& s) {
    s.ha.enabled = true;
    s.balance.automation = model::Automation::kOff;
  });
  drive();
  c.loop().run_for(2min);
  c.cut_off(*c.nodes[0]);
  c.loop().run_for(30min);
  EXPECT_EQ(c.vm("vm0")->host, c.nodes[0]->id) << events();
  EXPECT_THAT(events(), HasSubstr("whether VMs run on host1 is not known"));
  EXPECT_THAT(events(), Not(HasSubstr("host.fence")));
  EXPECT_THAT(events(), Not(HasSubstr("cluster.host_failed host1")));
  EXPECT_EQ(host(0).watch.phase, HostPhase::kSilent);
  c.nodes[0]->unreachable = false;
  c.loop().run_for(2min);
  all_still_run();
}

TEST_F(Sleepers, PeopleSwitchThemByTheSameVerbs) {
  Sleeper& sleeper = make_sleeper(0, Standby::kSuspend);
  settle([](auto& s) { s.power.automation = model::Automation::kOff; });
  drive();
  c.loop().run_for(1min);
  const auto by_hand = [&](std::string_view verb) {
    const auto task = c.ask([&](Answered done) {
      c.manager->requests.verb(c.admin(), *model::find_verb("host", verb), "host1", {}, {},
                               std::move(done));
    });
    EXPECT_TRUE(task) << task.error().message;
    const model::Task done = c.wait(task.value_or(""), 20min);
    c.loop().run_for(1s);
    return fmt::format("{}: {}", name_of(done.state), done.message);
  };
  EXPECT_THAT(by_hand("power-off"), HasSubstr("succeeded: is off")) << events();
  EXPECT_TRUE(sleeper.suspended());
  EXPECT_EQ(host(0).link, model::HostLink::kAsleep);
  EXPECT_EQ(host(0).power, HostPower::kStandby);
  EXPECT_THAT(by_hand("power-on"), HasSubstr("succeeded: is on")) << events();
  EXPECT_FALSE(sleeper.suspended());
  EXPECT_EQ(host(0).link, model::HostLink::kConnected);
}

// It is cut off before its agent hears that it is to go: believed to be asleep, and welcome when it
// turns out that it is not.
TEST_F(Sleepers, ALinkThatBreaksWhileItGoesLosesNoVm) {
  three_vms(200);
  for (std::size_t at : {0U, 1U, 2U}) make_sleeper(at);
  settle([](model::PolicySettings& s) {
    s.ha.enabled = true;
    automatic(s);
    s.power.hosts_on_min = 2;
  });
  drive();
  std::size_t goes = 3;
  c.loop().advance_until(
      [&] {
        for (std::size_t at : {0U, 1U, 2U})
          if (host(at).watch.phase == HostPhase::kStopping) goes = at;
        return goes < 3;
      },
      3h);
  ASSERT_LT(goes, 3U) << events();
  c.cut_off(*c.nodes[goes]);
  c.loop().run_for(5min);
  EXPECT_EQ(host(goes).watch.phase, HostPhase::kDown) << events();
  EXPECT_EQ(sleepers_[c.nodes[goes]->id]->went, 0);
  c.nodes[goes]->unreachable = false;
  c.loop().run_for(10s);
  EXPECT_TRUE(c.manager->agents.connected(c.nodes[goes]->id));
  EXPECT_THAT(events(), HasSubstr("woke by its timer, or was switched on by somebody else"));
  all_still_run();
}

}  // namespace
}  // namespace chorok::manager
