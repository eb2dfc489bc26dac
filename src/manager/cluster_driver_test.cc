// DRS and DPM on a living cluster: manager, agents, hypervisors and BMCs in virtual time. Hosts are
// really switched: their agents and guests go and come with their power.
#include "manager/cluster_driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  Driver() : c(1, 3, {}) {
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
  c.loop().run_for(3min);
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

TEST_F(Driver, AHostWithoutBmcStaysOnAndTheReasonIsKnown) {
  three_vms(200);
  bmcs.clear();
  settle([&](auto& s) { automatic(s); });
  drive();
  c.loop().run_for(2h);
  for (const auto& [id, host] : c.inventory().hosts().all()) EXPECT_EQ(host->power, HostPower::kOn);
  EXPECT_THAT(driver->plans().back().snapshot->hosts[0].keep_on, HasSubstr("no BMC"));
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
