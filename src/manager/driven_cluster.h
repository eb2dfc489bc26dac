// For tests: a cluster in virtual time with its loops and its BMCs. Hosts are really switched:
// their agents and guests go and come with their power.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "manager/cluster_driver.h"
#include "manager/seeds_cluster.h"
#include "sim/fake_bmc.h"

namespace chorok::manager {

// What every VM is measured to use: the test says so.
class SaidLoads final : public VmLoads {
 public:
  const VmLoad* find(const model::Vm& vm, const model::PolicySettings&) const override {
    const auto it = loads.find(vm.meta.id);
    return it == loads.end() ? nullptr : &it->second;
  }
  std::unique_ptr<const VmLoads> frozen() const override {
    return std::make_unique<const SaidLoads>(*this);
  }
  void say(const std::string& vm, double mhz) {
    loads[vm] = {.cpu = steady(mhz), .memory = steady(200), .consumed = 300};
  }
  static model::Demand steady(double amount) {
    return {.now = amount, .mean = amount, .peak = amount, .expected = amount, .upper = amount};
  }
  std::map<std::string, VmLoad> loads;
};

class DrivenCluster : public PowerSwitches {
 public:
  explicit DrivenCluster(std::uint64_t seed = 1, sim::WorldSettings world = {}, int hosts = 3)
      : c(seed, hosts, std::move(world)) {
    c.loop().advance_until([&] { return c.all_connected(); }, std::chrono::seconds(30));
    c.loop().run_for(std::chrono::seconds(1));
    for (auto& node : c.nodes) {
      const auto has_power = [this, id = node->id] {
        const auto it = bmcs.find(id);
        return it == bmcs.end() || it->second->has_power();
      };
      sim::BmcMachine machine{
          .boot =
              [this, has_power, &node = *node] {
                c.loop().after(std::chrono::seconds(60), [this, has_power, &node] {
                  if (has_power()) c.power_on(node);
                });
              },
          .cut = [this, &node = *node] { c.power_off(node); },
          .ask_to_stop =
              [this, has_power, &node = *node] {
                c.loop().after(std::chrono::seconds(20), [this, has_power, &node] {
                  if (!has_power()) return;
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

  Result<std::string> host_verb(std::string_view name, const std::string& host) {
    return c.ask([&](Answered done) {
      c.manager->requests.verb(c.admin(), *model::find_verb("host", name), host, {}, {},
                               std::move(done));
    });
  }
  void settle(std::function<void(model::PolicySettings&)> change) {
    model::Cluster cluster = c.manager->engine.cluster();
    change(cluster.settings);
    Changes changes;
    changes.put(std::move(cluster));
    c.manager->engine.commit(std::move(changes), [](Result<> r) { ASSERT_TRUE(r); });
    c.loop().run_for(std::chrono::seconds(1));
  }
  // Its agents, whichever manager they belong to now.
  AgentReach reach() {
    return {.is_connected =
                [this](const std::string& host) {
                  return c.manager != nullptr && c.manager->agents.connected(host);
                },
            .connections =
                [this](const std::string& host) {
                  return c.manager == nullptr ? 0 : c.manager->agents.connections(host);
                },
            .put_to_standby =
                [this](const std::string& host, const model::StandbyRequest& request,
                       Done<Result<>> done) {
                  c.manager->agents.put_to_standby(host, request, std::move(done));
                },
            .prepare =
                [this](const std::string& host, const model::PrepareRequest& request,
                       Duration limit, Done<Result<>> done) {
                  c.manager->agents.prepare(host, request, limit, std::move(done));
                }};
  }
  void drive() {
    if (!settings.agents.is_connected) settings.agents = reach();
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
      c.loop().run_for(std::chrono::seconds(2));
      model::TaskArgs args;
      args.host = c.nodes[static_cast<std::size_t>(i)]->id;
      if (c.vm(name)->host != args.host) c.wait(*c.verb("migrate", name, args));
      c.loop().run_for(std::chrono::seconds(2));
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
    EXPECT_TRUE(c.fake.world.violations().empty()) << c.fake.world.describe_violations();
  }

  SeedsCluster c;
  DriverSettings settings;
  SaidLoads loads;
  std::map<std::string, std::unique_ptr<sim::FakeBmc>> bmcs;
  std::unique_ptr<ClusterDriver> driver;
};

}  // namespace chorok::manager
