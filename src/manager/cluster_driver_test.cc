// DRS and DPM on a living cluster: manager, agents, hypervisors and BMCs in virtual time. Hosts are
// really switched: their agents and guests go and come with their power.
#include "manager/cluster_driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "manager/seeds_cluster.h"
#include "policy/named_plan.h"
#include "policy/planner.h"
#include "sim/fake_bmc.h"

namespace chorok::manager {
namespace {

using model::HostPower;
using model::TaskState;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

// What every VM is measured to use: the test says so.
class SaidLoads final : public VmLoads {
 public:
  const VmLoad* find(const std::string& vm, const model::PolicySettings&) const override {
    const auto it = loads.find(vm);
    return it == loads.end() ? nullptr : &it->second;
  }
  void say(const std::string& vm, double mhz) {
    loads[vm] = {.cpu = steady(mhz), .memory = steady(200), .consumed = 300};
  }
  static model::Demand steady(double amount) {
    return {.now = amount, .mean = amount, .peak = amount, .expected = amount, .upper = amount};
  }
  std::map<std::string, VmLoad> loads;
};

class Driver : public ::testing::Test, public PowerSwitches {
 protected:
  explicit Driver(int hosts = 3) : c(1, hosts, {}) {
    c.loop().advance_until([&] { return c.all_connected(); }, 30s);
    c.loop().run_for(1s);
    for (auto& node : c.nodes) {
      sim::BmcMachine machine{
          .boot = [this,
                   &node = *node] { c.loop().after(60s, [this, &node] { c.power_on(node); }); },
          .cut = [this, &node = *node] { c.power_off(node); },
          .ask_to_stop =
              [this, &node = *node] {
                c.loop().after(20s, [this, &node] {
                  c.power_off(node);
                  bmcs[node.id]->stopped();
                });
              },
          .draws = [] { return Watts(100); }};
      bmcs[node->id] = std::make_unique<sim::FakeBmc>(c.loop(), std::move(machine),
                                                      sim::BmcSettings{.host = node->name});
    }
  }
  ports::PowerSwitch* find(const model::Host& host) override {
    const auto it = bmcs.find(host.meta.id);
    return it == bmcs.end() ? nullptr : it->second.get();
  }

  void settle(std::function<void(model::PolicySettings&)> change) {
    model::Cluster cluster = c.manager->engine.cluster();
    change(cluster.settings);
    Changes changes;
    changes.put(std::move(cluster));
    c.manager->engine.commit(std::move(changes), [](Result<> r) { ASSERT_TRUE(r); });
    c.loop().run_for(1s);
  }
  void drive() {
    driver = std::make_unique<ClusterDriver>(c.manager->engine, c.manager->world, *this, &loads,
                                             c.manager->engine.cluster().meta.id, settings);
  }
  // Three VMs, each on a host of its own.
  void three_vms(double mhz) {
    for (int i = 0; i < 3; ++i) {
      const std::string name = "vm" + std::to_string(i);
      const auto task = create(name);
      ASSERT_TRUE(task) << task.error().message;
      c.wait(*task);
      c.loop().run_for(2s);
      model::TaskArgs args;
      args.host = c.nodes[static_cast<std::size_t>(i)]->id;
      if (c.vm(name)->host != args.host) c.wait(*c.verb("migrate", name, args));
      c.loop().run_for(2s);
      ASSERT_EQ(c.vm(name)->host, args.host);
      loads.say(c.vm(name)->meta.id, mhz);
    }
  }
  // Of half a host's cores: two that ask for all of it fill a host.
  Result<std::string> create(const std::string& name) {
    model::Vm vm;
    vm.meta.name = name;
    vm.spec.vcpus = c.inventory().hosts().all().begin()->second->inventory.cpu.online / 2;
    vm.spec.memory = Mib{1024};
    vm.spec.disks.push_back({.name = "root", .datastore = "shared", .size = Mib{2048}});
    return c.ask([&](Answered done) {
      c.manager->requests.create(c.admin(), "vm", json::encode(vm), true, {}, std::move(done));
    });
  }
  static void automatic(model::PolicySettings& of) {
    of.power.automation = model::Automation::kFull;
    of.balance.automation = model::Automation::kFull;
    of.power.require_wake_test = false;
  }
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

  int hosts_on() const {
    return static_cast<int>(
        std::ranges::count_if(bmcs, [](const auto& bmc) { return bmc.second->has_power(); }));
  }
  std::string events() const {
    std::string all;
    for (const auto& [id, event] : c.inventory().events().all())
      all += fmt::format("{} {} {}\n", event->kind, event->subject_name, event->message);
    return all;
  }
  void all_still_run() {
    for (int i = 0; i < 3; ++i)
      EXPECT_EQ(c.vm("vm" + std::to_string(i))->status.state, model::VmState::kOn) << events();
    EXPECT_THAT(c.fake.world.violations(), ::testing::IsEmpty());
  }

  SeedsCluster c;
  DriverSettings settings;
  SaidLoads loads;
  std::map<std::string, std::unique_ptr<sim::FakeBmc>> bmcs;
  std::unique_ptr<ClusterDriver> driver;
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
  int rounds = 0;
  driver->on_round([&](const PlanRecord& record) {
    ++rounds;
    const policy::Plan again = policy::plan_cluster(*record.snapshot);
    EXPECT_EQ(json::encode(policy::named(again, *record.snapshot)),
              json::encode(policy::named(*record.plan, *record.snapshot)));
  });
  c.loop().run_for(1h);
  EXPECT_GE(rounds, 60);
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

TEST_F(Driver, AHostIsSwitchedOffOnlyWhenItHasProvedThatItComesBack) {
  three_vms(200);
  settle([&](auto& s) {
    automatic(s);
    s.power.require_wake_test = true;
  });
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

TEST_F(Driver, WakeTestsOfAllHostsGoOneAfterTheOtherAndOutliveTheManager) {
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

TEST_F(Driver, AHostMayBeExcludedWithAReason) {
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

TEST_F(Driver, AScheduleGathersByNightAndSpreadsByDay) {
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
