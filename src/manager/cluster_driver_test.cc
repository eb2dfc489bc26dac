// DRS and DPM on a living cluster: manager, agents, hypervisors and BMCs in virtual time. Hosts are
// really switched: their agents and guests go and come with their power.
#include "manager/cluster_driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "manager/driven_cluster.h"
#include "model/snapshot_text.h"
#include "policy/named_plan.h"
#include "policy/planner.h"

namespace chorok::manager {
namespace {

using model::HostPower;
using model::TaskState;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

class Driver : public ::testing::Test, public DrivenCluster {
 protected:
  explicit Driver(int hosts = 3) : DrivenCluster(1, {}, hosts) {}

  // From now on every round's snapshot is planned again, to the same plan.
  void replay_each_round() {
    driver->on_round([this](const PlanRecord& record) {
      ++rounds;
      const policy::Plan again = policy::plan_cluster(*record.snapshot);
      EXPECT_EQ(json::encode(policy::named(again, *record.snapshot)),
                json::encode(policy::named(*record.plan, *record.snapshot)));
    });
  }
  int rounds = 0;
};

TEST_F(Driver, LoadFallsHostsGoOffLoadRisesTheyComeBack) {
  three_vms(200);
  settle([&](auto& s) { automatic(s); });
  drive();
  c.loop().run_for(3h);
  EXPECT_EQ(hosts_on(), 1) << events();
  all_still_run();
  EXPECT_THAT(events(), HasSubstr("cluster.host_asleep"));
  int off = 0;
  for (const auto& [id, host] : c.inventory().hosts().all()) off += host->power == HostPower::kOff;
  EXPECT_EQ(off, 2);
  bool said = false;
  for (const auto& [id, task] : c.inventory().tasks().all())
    if (task->user == "chorok" && task->kind == "vm.migrate") {
      said = true;
      EXPECT_EQ(task->state, TaskState::kSucceeded) << task->message;
      EXPECT_THAT(task->reason, HasSubstr("consolidate"));
    }
  EXPECT_TRUE(said);

  const double most = driver->plans().back().snapshot->vms[0].size.cpu;
  for (auto& [id, load] : loads.loads) load.cpu = SaidLoads::steady(most);
  c.loop().run_for(30min);
  EXPECT_GT(hosts_on(), 1) << events();
  all_still_run();
  EXPECT_THAT(events(), HasSubstr("cluster.host_awake"));
}

// A host that has just come on is not switched off again at once, however short the peak was.
TEST_F(Driver, AHostThatCameOnStaysOnForAWhile) {
  three_vms(200);
  settle([&](auto& s) { automatic(s); });
  drive();
  c.loop().run_for(3h);
  ASSERT_EQ(hosts_on(), 1) << events();
  std::vector<sim::FakeBmc*> off;
  for (const auto& [id, bmc] : bmcs)
    if (!bmc->has_power()) off.push_back(bmc.get());
  const double most = driver->plans().back().snapshot->vms[0].size.cpu;
  for (auto& [id, load] : loads.loads) load.cpu = SaidLoads::steady(most);
  c.loop().advance_until([&] { return hosts_on() > 1; }, 30min);
  std::erase_if(off, [](const auto* bmc) { return !bmc->has_power(); });
  ASSERT_FALSE(off.empty()) << events();
  for (auto& [id, load] : loads.loads) load.cpu = SaidLoads::steady(200);
  c.loop().run_for(15min);
  for (const auto* bmc : off) EXPECT_TRUE(bmc->has_power()) << events();
  c.loop().run_for(1h);
  EXPECT_EQ(hosts_on(), 1) << events();
}

// Rounds are as long as a migration here, and two migrations of a host at a time take three rounds
// for six VMs: whatever a round sees half done, the next one goes on with.
TEST_F(Driver, EachVmTravelsOnce) {
  three_vms(200);
  for (int i = 3; i < 9; ++i) {
    const std::string name = "vm" + std::to_string(i);
    c.wait(*create(name));
    model::TaskArgs args;
    args.host = c.nodes[static_cast<std::size_t>(i) % 3]->id;
    if (c.vm(name)->host != args.host) c.wait(*c.verb("migrate", name, args));
    loads.say(c.vm(name)->meta.id, 200);
  }
  settle([&](auto& s) { automatic(s); });
  settings.time_scale = 60;
  drive();
  c.loop().run_for(10min);
  EXPECT_EQ(hosts_on(), 1) << events();
  std::map<std::string, int> moves;
  for (const auto& [id, task] : c.inventory().tasks().all())
    if (task->user == "chorok" && task->kind == "vm.migrate") ++moves[task->target_name];
  EXPECT_EQ(moves.size(), 6U);
  for (const auto& [vm, count] : moves) EXPECT_EQ(count, 1) << vm;
}

TEST_F(Driver, EveryRoundReplaysByteForByte) {
  three_vms(200);
  settle([&](auto& s) { automatic(s); });
  drive();
  replay_each_round();
  c.loop().run_for(1h);
  EXPECT_GE(rounds, 60);
}

// As with a worker thread that takes a while for each look and for each plan.
class Elsewhere : public Driver {
 protected:
  explicit Elsewhere() {
    settings.offload = [this](Work work, Work then) {
      c.loop().after(takes, [work = std::move(work), then = std::move(then)]() mutable {
        work();
        work = nullptr;
        then();
      });
    };
  }
  // A look has begun, and no other is due for most of a minute.
  void begin_look() {
    drive();
    c.loop().run_for(30s);
    const std::size_t before = driver->plans().size();
    driver->plan_soon();
    ASSERT_TRUE(c.loop().advance_until([&] { return driver->plans().size() > before; }, 2min));
    c.loop().run_for(10s);
    driver->plan_soon();
    ASSERT_TRUE(c.loop().advance_until([&] { return driver->fleet().has_begun(); }, 10s));
  }
  // Hosts with HA; a look has begun that takes so long, others take what they took.
  void begin_long_look(Duration time) {
    three_vms(200);
    settle([](model::PolicySettings& s) { s.ha.enabled = true; });
    drive();
    c.loop().run_for(2min);
    const Duration others = std::exchange(takes, time);
    driver->plan_soon();
    ASSERT_TRUE(c.loop().advance_until([&] { return driver->fleet().has_begun(); }, 2min));
    takes = others;
  }
  template <class T>
  void put(T record) {
    Changes changes;
    changes.put(std::move(record));
    c.manager->engine.commit(std::move(changes), [](Result<> r) { ASSERT_TRUE(r); });
  }
  model::Host record(std::size_t node) { return *c.inventory().hosts().find(c.nodes[node]->id); }
  // Of a record alone: it has never been on.
  void newcomer(const std::string& name) {
    model::Vm vm;
    vm.meta.id = "vm-" + name;
    vm.meta.name = name;
    vm.uuid = "uuid-" + name;
    put(std::move(vm));
  }
  Duration takes = 2s;
};

// A VM comes every three seconds.
TEST_F(Elsewhere, RoundsDoTheSameAndSurviveNewcomers) {
  three_vms(200);
  settle([&](auto& s) { automatic(s); });
  drive();
  replay_each_round();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(create("new" + std::to_string(i)));
    c.loop().run_for(3s);
  }
  EXPECT_GE(rounds, 5);
  EXPECT_TRUE(c.loop().advance_until([&] { return driver->fleet().vm_ids().size() == 23; }, 10s));
  for (int i = 0; i < 20; ++i) c.wait(*c.verb("stop", "new" + std::to_string(i), {}));
  c.loop().run_for(3h);
  EXPECT_EQ(hosts_on(), 1) << events();
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(c.vm("vm" + std::to_string(i))->status.state, model::VmState::kOn);
}

TEST_F(Elsewhere, WhoComesAndGoesDuringALookIsNotRemembered) {
  settle([&](auto& s) { automatic(s); });
  begin_look();
  driver->plan_soon();
  ASSERT_TRUE(c.loop().advance_until([&] { return !driver->fleet().has_begun(); }, 10s));
  takes = 5s;
  ASSERT_TRUE(create("brief"));
  ASSERT_TRUE(c.loop().advance_until([&] { return driver->fleet().has_begun(); }, 10s));
  c.wait(*c.verb("stop", "brief", {}));
  c.wait(*c.ask([&](Answered done) {
    c.manager->requests.remove(c.admin(), "vm", "brief", {}, {}, std::move(done));
  }));
  ASSERT_TRUE(driver->fleet().has_begun());
  takes = 100ms;
  ASSERT_TRUE(c.loop().advance_until([&] { return !driver->fleet().has_begun(); }, 10s));
  ASSERT_THAT(driver->fleet().vm_ids(), testing::SizeIs(1)) << "it was there when the look began";
  c.loop().run_for(1s);
  EXPECT_THAT(driver->fleet().vm_ids(), testing::IsEmpty());
}

// One is deleted, one is another cluster's now.
TEST_F(Elsewhere, AHostThatGoesDuringALookIsInNoRound) {
  settle([&](auto& s) { automatic(s); });
  begin_look();
  std::size_t members = 3;
  std::set<std::size_t> seen;
  driver->on_round([&](const PlanRecord& round) {
    seen.insert(round.snapshot->hosts.size());
    EXPECT_EQ(round.snapshot->hosts.size(), members);
  });
  Changes changes;
  changes.erase<model::Host>(c.nodes[2]->id);
  c.manager->engine.commit(std::move(changes), [](Result<> r) { ASSERT_TRUE(r); });
  members = 2;
  c.loop().run_for(10s);
  EXPECT_THAT(driver->fleet().host_ids(), testing::SizeIs(2));
  model::Cluster other;
  other.meta.id = "cluster-other";
  other.meta.name = "other";
  put(other);
  c.loop().run_for(10s);
  driver->plan_soon();
  ASSERT_TRUE(c.loop().advance_until([&] { return driver->fleet().has_begun(); }, 10s));
  model::Host moved = record(1);
  moved.cluster = other.meta.id;
  put(std::move(moved));
  members = 1;
  c.loop().run_for(20s);
  EXPECT_THAT(driver->fleet().host_ids(), testing::SizeIs(1));
  EXPECT_THAT(seen, testing::ElementsAre(1, 2));
}

TEST_F(Elsewhere, WhatIsAskedDuringALookDoesNotWaitAMinute) {
  three_vms(200);
  settle([&](auto& s) { automatic(s); });
  begin_look();
  model::Host host = record(0);
  host.admin = model::HostAdmin::kDraining;
  put(std::move(host));
  c.loop().run_for(20s);
  EXPECT_NE(driver->plans().back().snapshot->hosts[0].admin, model::HostAdmin::kEnabled);
}

TEST_F(Elsewhere, ARuleThatComesDuringALookHoldsInItsRound) {
  three_vms(200);
  begin_look();
  std::vector<std::size_t> rules;
  driver->on_round([&](const PlanRecord& round) { rules.push_back(round.snapshot->rules.size()); });
  model::Rule rule;
  rule.meta.id = "rule-apart";
  rule.meta.name = "apart";
  rule.cluster = c.manager->engine.cluster().meta.id;
  rule.vms = {c.vm("vm0")->meta.id, c.vm("vm1")->meta.id};
  put(std::move(rule));
  c.loop().run_for(20s);
  ASSERT_FALSE(rules.empty());
  EXPECT_EQ(rules.front(), 1U);
}

TEST_F(Elsewhere, ABmcThatIsGivenDuringALookIsThereAtOnce) {
  const std::string id = c.nodes[0]->id;
  std::unique_ptr<sim::FakeBmc> bmc = std::move(bmcs[id]);
  bmcs.erase(id);
  begin_look();
  EXPECT_FALSE(driver->fleet().test_wish(0).switchable);
  bmcs[id] = std::move(bmc);
  model::Host host = record(0);
  host.bmc.driver = "ipmi";
  host.bmc.address = "10.0.0.1";
  put(std::move(host));
  c.loop().run_for(1s);
  ASSERT_TRUE(driver->fleet().has_begun());
  EXPECT_TRUE(driver->fleet().test_wish(0).switchable);
}

// What restarts where is planned of all VMs, and nobody waits for the look at the new one.
TEST_F(Elsewhere, AHostFailsWhileANewcomerIsLookedAt) {
  takes = 100ms;
  begin_long_look(45s);
  ASSERT_TRUE(create("new"));
  bmcs[c.nodes[0]->id]->stopped();
  c.loop().run_for(40s);
  EXPECT_THAT(events(), HasSubstr("cluster.vm_lost vm0"));
  EXPECT_THAT(driver->fleet().vm_ids(), testing::SizeIs(4));
  EXPECT_NE(c.vm("vm0")->host, c.nodes[0]->id) << events();
}

// As when a hundred VMs are made by a script: each look finds others when it comes.
TEST_F(Elsewhere, AHostFailsWhileVmsComeAllTheTime) {
  three_vms(200);
  settle([](model::PolicySettings& s) { s.ha.enabled = true; });
  drive();
  c.loop().run_for(2min);
  bmcs[c.nodes[0]->id]->stopped();
  for (int i = 0; i < 60; ++i) {
    newcomer("new" + std::to_string(i));
    c.loop().run_for(1s);
  }
  EXPECT_EQ(c.vm("vm0")->status.state, model::VmState::kOn) << events();
  EXPECT_NE(c.vm("vm0")->host, c.nodes[0]->id) << events();
}

TEST_F(Elsewhere, ANewcomerCallsForOneRound) {
  settle([&](auto& s) { automatic(s); });
  begin_look();
  c.loop().run_for(20s);
  const std::size_t before = driver->plans().size();
  newcomer("quiet");
  c.loop().run_for(15s);
  EXPECT_EQ(driver->plans().size(), before + 1);
}

// Nobody came: nobody waits for the look.
TEST_F(Elsewhere, AHostFailsDuringALook) {
  begin_long_look(10min);
  bmcs[c.nodes[0]->id]->stopped();
  c.loop().run_for(1min);
  EXPECT_EQ(c.vm("vm0")->status.state, model::VmState::kOn) << events();
  EXPECT_NE(c.vm("vm0")->host, c.nodes[0]->id);
}

TEST_F(Driver, AHostThatDoesNotWakeIsLeftAloneAndAnotherIsWoken) {
  three_vms(200);
  settle([&](auto& s) { automatic(s); });
  drive();
  c.loop().run_for(3h);
  ASSERT_EQ(hosts_on(), 1) << events();
  // The one that would be woken first does not come.
  const double most = driver->plans().back().snapshot->vms[0].size.cpu;
  for (auto& [id, load] : loads.loads) load.cpu = SaidLoads::steady(most);
  for (auto& [id, bmc] : bmcs) bmc->faults().stuck_off = !bmc->has_power();
  c.loop().run_for(20min);
  EXPECT_THAT(events(), HasSubstr("wake_failed"));
  for (auto& [id, bmc] : bmcs) bmc->faults().stuck_off = false;
  c.loop().run_for(2h);
  EXPECT_GT(hosts_on(), 1) << events();
  all_still_run();
}

TEST_F(Driver, WithAutomationOffNothingIsTouched) {
  three_vms(200);
  drive();
  c.loop().run_for(2h);
  EXPECT_EQ(hosts_on(), 3);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(c.vm("vm" + std::to_string(i))->host, c.nodes[static_cast<std::size_t>(i)]->id);
}

TEST_F(Driver, RoundsAreRememberedAsFarAsTheirVmsFit) {
  three_vms(200);
  settings.plans_vms_max = 10;
  drive();
  c.loop().run_for(1h);
  EXPECT_EQ(driver->plans().size(), 3U);
  EXPECT_GT(driver->plans().back().number, 50);
}

TEST_F(Driver, AHostWithoutBmcStaysOnAndTheReasonIsKnown) {
  three_vms(200);
  bmcs.clear();
  settle([&](auto& s) { automatic(s); });
  drive();
  c.loop().run_for(2h);
  for (const auto& [id, host] : c.inventory().hosts().all()) EXPECT_EQ(host->power, HostPower::kOn);
  EXPECT_THAT(driver->plans().back().snapshot->hosts[0].keep_on, HasSubstr("no BMC"));
}

TEST_F(Driver, PlansReckonWithWhatMetersHaveShown) {
  three_vms(200);
  model::PowerCurve metered{.name = "metered"};
  for (std::size_t i = 0; i < 11; ++i) metered.watts[i] = 120 + 20.0 * static_cast<double>(i);
  settings.curve = [&](const std::string& host) {
    return host == c.nodes[0]->id ? std::optional(metered) : std::nullopt;
  };
  settle([&](auto& s) { automatic(s); });
  drive();
  c.loop().run_for(5min);
  const model::Snapshot& seen = *driver->plans().back().snapshot;
  for (const model::SnapshotHost& host : seen.hosts) {
    const model::PowerCurve& curve = seen.curves[host.curve];
    EXPECT_EQ(curve == metered, host.name == "host1") << host.name << " " << curve.name;
    if (host.name == "host1") EXPECT_EQ(host.boot_energy, 220 * seconds(host.time_on));
  }
}

// A transaction of the store takes a hundred keys.
class ManyHosts : public Driver {
 protected:
  ManyHosts() : Driver(130) {}
};

TEST_F(ManyHosts, WhatIsRememberedOfEachIsStored) {
  drive();
  c.loop().run_for(3min + 1s);
  for (const auto& [id, host] : c.inventory().hosts().all())
    EXPECT_EQ(host->watch.phase, model::HostPhase::kUp) << host->meta.name;
  EXPECT_EQ(c.manager->engine.store_problem(), "");
  EXPECT_LE(driver->plans().size(), 5U) << "a round a minute, and one or two for what came";
}

TEST_F(Driver, ManagersMayDieAtAnyMoment) {
  three_vms(200);
  settle([&](auto& s) { automatic(s); });
  for (int i = 0; i < 40; ++i) {
    drive();
    c.loop().run_for(4min + i * 7s);
    driver.reset();
    c.kill_manager();
    c.start_manager();
    ASSERT_TRUE(c.loop().advance_until([&] { return c.manager_ready(); }, 60s));
    c.loop().run_for(10s);
  }
  drive();
  c.loop().run_for(3h);
  EXPECT_EQ(hosts_on(), 1) << events();
  all_still_run();
}

}  // namespace
}  // namespace chorok::manager
