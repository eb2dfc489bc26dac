// The life of VMs through manager, agents and a fake hypervisor, without faults: each verb does
// what it says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "manager/seeds_cluster.h"

namespace chorok::manager {
namespace {

using model::TaskState;
using model::VmState;

class Cluster : public ::testing::Test {
 protected:
  Cluster() : c(1, 3, {}) {
    c.loop().advance_until([&] { return c.all_connected(); }, std::chrono::seconds(30));
    c.loop().run_for(std::chrono::seconds(1));
  }
  model::Task done(Result<std::string> asked) {
    EXPECT_TRUE(asked) << asked.error().message;
    if (!asked) return {};
    model::Task task = c.wait(*asked);
    c.loop().run_for(std::chrono::seconds(2));
    EXPECT_EQ(task.state, TaskState::kSucceeded) << task.kind << ": " << task.message;
    return task;
  }
  VmState state(std::string_view name) { return c.vm(name)->status.state; }

  SeedsCluster c;
};

TEST_F(Cluster, AVmIsCreatedStartedMovedStoppedAndDeleted) {
  ASSERT_TRUE(c.all_connected());
  done(c.create("web", true));
  EXPECT_EQ(state("web"), VmState::kOn);
  std::string before = c.vm("web")->host;
  model::Task moved = done(c.verb("migrate", "web"));
  EXPECT_NE(c.vm("web")->host, before);
  EXPECT_EQ(state("web"), VmState::kOn);
  ASSERT_TRUE(moved.result.migration);
  EXPECT_GT(moved.result.migration->total, Duration{});
  done(c.verb("suspend", "web"));
  EXPECT_EQ(state("web"), VmState::kPaused);
  done(c.verb("resume", "web"));
  EXPECT_EQ(state("web"), VmState::kOn);
  done(c.verb("stop", "web"));
  EXPECT_EQ(state("web"), VmState::kOff);
  done(c.ask([&](Answered d) {
    c.manager->requests.remove(c.admin(), "vm", "web", {}, {}, std::move(d));
  }));
  EXPECT_EQ(c.vm("web"), nullptr);
  EXPECT_THAT(c.check_settled(), ::testing::IsEmpty());
}

TEST_F(Cluster, AVmOnALocalDatastoreMovesWithItsDisks) {
  done(c.create("db", true, "local"));
  std::string before = c.vm("db")->host;
  done(c.verb("migrate", "db"));
  EXPECT_NE(c.vm("db")->host, before);
  done(c.verb("stop", "db"));
  std::string middle = c.vm("db")->host;
  done(c.verb("migrate", "db"));  // off: held paused, copied, and off again
  EXPECT_NE(c.vm("db")->host, middle);
  EXPECT_EQ(state("db"), VmState::kOff);
  done(c.verb("start", "db"));
  EXPECT_THAT(c.check_settled(), ::testing::IsEmpty());
}

TEST_F(Cluster, SaveAndStartGoesOnWhereItWas) {
  done(c.create("a", true));
  done(c.verb("save", "a"));
  EXPECT_EQ(state("a"), VmState::kSaved);
  done(c.verb("start", "a"));
  EXPECT_EQ(state("a"), VmState::kOn);
  EXPECT_THAT(c.check_settled(), ::testing::IsEmpty());
}

TEST_F(Cluster, StorageOfARunningVmMoves) {
  done(c.create("s", true, "local"));
  model::TaskArgs args;
  args.datastore = "shared";
  done(c.verb("migrate", "s", args));
  EXPECT_EQ(c.vm("s")->spec.disks[0].datastore, "ds-1");
  EXPECT_EQ(state("s"), VmState::kOn);
  EXPECT_THAT(c.check_settled(), ::testing::IsEmpty());
}

TEST_F(Cluster, WhatCannotBeIsRefusedWithAllReasons) {
  auto refused = c.verb("start", "nobody");
  EXPECT_EQ(refused.error().code, Code::kNotFound);
  done(c.create("web", true));
  EXPECT_EQ(c.create("web", true).error().code, Code::kAlreadyExists);
  model::TaskArgs args;
  args.host = c.vm("web")->host;
  EXPECT_EQ(c.verb("migrate", "web", args).error().code, Code::kFailedPrecondition);
  EXPECT_EQ(c.verb("start", "web").error().code, Code::kFailedPrecondition);
}

TEST_F(Cluster, AHostThatHasJustConnectedIsNotKnownYetRatherThanEmpty) {
  model::Host host = *c.inventory().hosts().find(c.nodes[0]->id);
  host.inventory = {};
  Changes changes;
  changes.put_volatile(host);
  c.manager->engine.commit(std::move(changes), [](Result<>) {});
  model::Vm vm;
  vm.meta.name = "early";
  vm.host = host.meta.id;
  std::optional<DryRun> dry;
  c.manager->requests.create(c.admin(), "vm", json::encode(vm), true, {.dry_run = true},
                             [&](Result<Answer> answer) {
                               ASSERT_TRUE(answer) << answer.error().message;
                               dry = answer->dry_run;
                             });
  c.loop().run_for(std::chrono::seconds(1));
  ASSERT_TRUE(dry);
  EXPECT_FALSE(dry->ok);
  EXPECT_EQ(dry->message, "it would be refused");
  ASSERT_EQ(dry->problems.size(), 1U);
  EXPECT_THAT(dry->problems[0].message, ::testing::HasSubstr("not known yet"));
}

TEST_F(Cluster, AnotherVmsDiskIsNeitherUsedNorCopied) {
  done(c.create("mine", false));
  std::string path = fmt::format("vms/{}/root.qcow2", c.vm("mine")->meta.id);
  for (auto [disk_path, image] :
       {std::pair(path, std::string()), std::pair(std::string(), "shared:" + path)}) {
    model::TaskArgs args;
    args.disk.emplace();
    args.disk->name = "stolen";
    args.disk->datastore = "shared";
    args.disk->size = Mib{16};
    args.disk->path = disk_path;
    args.disk->image = image;
    done(c.create("thief", false));
    auto refused = c.verb("attach-disk", "thief", args);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().field, disk_path.empty() ? "/disk/image" : "/disk/path");
    done(c.ask([&](Answered d) {
      c.manager->requests.remove(c.admin(), "vm", "thief", {}, {}, std::move(d));
    }));
  }
}

TEST_F(Cluster, MaintenanceEmptiesAHostAndEnableTakesItBack) {
  for (const char* name : {"a", "b", "c", "d"}) done(c.create(name, true));
  std::string host = c.vm("a")->host;
  auto host_verb = [&](std::string_view verb) {
    return c.ask([&](Answered d) {
      c.manager->requests.verb(c.admin(), *model::find_verb("host", verb), host, {}, {},
                               std::move(d));
    });
  };
  done(host_verb("maintenance"));
  for (const auto& [id, vm] : c.inventory().vms().all()) EXPECT_NE(vm->host, host);
  EXPECT_EQ(c.inventory().hosts().find(host)->admin, model::HostAdmin::kMaintenance);
  EXPECT_EQ(c.inventory().hosts().find(host)->enabled_since, Time{});
  const Time before = c.loop().now();
  done(host_verb("enable"));
  EXPECT_EQ(c.inventory().hosts().find(host)->admin, model::HostAdmin::kEnabled);
  EXPECT_GE(c.inventory().hosts().find(host)->enabled_since, before);
  EXPECT_THAT(c.check_settled(), ::testing::IsEmpty());
}

// ---- Autostart

class Autostart : public Cluster {
 protected:
  // On the first host.
  void put(const std::string& name, bool start, model::AutostartSpec autostart) {
    done(c.create(name, start, "shared", autostart));
    if (c.vm(name)->host == home().id) return;
    model::TaskArgs args;
    args.host = home().id;
    done(c.verb("migrate", name, args));
  }
  Node& home() { return *c.nodes[0]; }
  void boot(Duration pause) {
    c.power_off(home());
    c.loop().run_for(pause);
    c.power_on(home());
    c.loop().run_for(std::chrono::minutes(1));
    c.history.tick();
  }
  std::size_t starts() {
    return static_cast<std::size_t>(
        std::ranges::count_if(c.inventory().tasks().all(), [](const auto& entry) {
          return entry.second->kind == "vm.start" && entry.second->user == "chorok";
        }));
  }
};

TEST_F(Autostart, VmsThatWereOnStartInOrderAfterABootOfTheirHost) {
  put("last", true, {true, 2, std::chrono::seconds(5)});
  put("first", true, {true, 1, {}});
  put("plain", true, {});
  put("stopped", true, {true, 0, {}});
  done(c.verb("stop", "stopped"));
  put("quiet", true, {true, 0, {}});
  ASSERT_TRUE(c.fake.world.guest_poweroff(c.vm("quiet")->uuid));
  c.loop().run_for(std::chrono::seconds(5));
  for (Duration pause : {Duration(std::chrono::seconds(30)), Duration(std::chrono::seconds(1))}) {
    std::size_t before = starts();
    boot(pause);
    EXPECT_EQ(state("first"), VmState::kOn);
    EXPECT_EQ(state("last"), VmState::kOn);
    EXPECT_EQ(state("plain"), VmState::kOff);
    EXPECT_EQ(state("stopped"), VmState::kOff);
    EXPECT_EQ(state("quiet"), VmState::kOff);
    EXPECT_EQ(starts(), before + 2);
    Duration between = c.vm("last")->status.since - c.vm("first")->status.since;
    EXPECT_GE(between, std::chrono::seconds(5));
    EXPECT_LT(between, std::chrono::seconds(10));
  }
  EXPECT_THAT(c.check_settled(), ::testing::IsEmpty());
}

TEST_F(Autostart, AManagerThatWasAwayDuringTheBootStartsThem) {
  put("web", true, {true, 0, {}});
  c.kill_manager();
  boot(std::chrono::seconds(3));
  c.start_manager();
  c.loop().run_for(std::chrono::minutes(1));
  EXPECT_EQ(state("web"), VmState::kOn);
  EXPECT_EQ(starts(), 1U);
  EXPECT_THAT(c.check_settled(), ::testing::IsEmpty());
}

TEST_F(Autostart, WithoutABootWhatWentOffStaysOff) {
  put("web", true, {true, 0, {}});
  c.kill_agent(home());
  ASSERT_TRUE(c.fake.world.guest_poweroff(c.vm("web")->uuid));
  c.loop().run_for(std::chrono::seconds(30));
  c.start_agent(home());
  c.loop().run_for(std::chrono::minutes(1));
  EXPECT_EQ(state("web"), VmState::kOff);
  EXPECT_EQ(starts(), 0U);
}

TEST_F(Autostart, AHostInMaintenanceStartsNothingUntilItIsEnabled) {
  put("web", true, {true, 0, {}});
  for (std::size_t i : {1U, 2U}) c.power_off(*c.nodes[i]);
  c.power_off(home());
  c.loop().run_for(std::chrono::seconds(20));
  model::Host host = *c.inventory().hosts().find(home().id);
  host.admin = model::HostAdmin::kMaintenance;
  Changes changes;
  changes.put(host);
  c.manager->engine.commit(std::move(changes), [](Result<>) {});
  c.power_on(home());
  c.loop().run_for(std::chrono::minutes(10));
  EXPECT_EQ(state("web"), VmState::kOff);
  EXPECT_EQ(starts(), 0U);
  done(c.ask([&](Answered d) {
    c.manager->requests.verb(c.admin(), *model::find_verb("host", "enable"), home().id, {}, {},
                             std::move(d));
  }));
  c.loop().run_for(std::chrono::minutes(1));
  EXPECT_EQ(state("web"), VmState::kOn);
}

TEST_F(Autostart, AStartThatFailsIsNotRepeatedForEver) {
  put("web", true, {true, 0, {}});
  c.fake.world.cut_datastore(home().index, sim::kSharedPool, true);
  boot(std::chrono::seconds(10));
  EXPECT_EQ(starts(), 0U);  // its datastore is waited for
  c.loop().run_for(std::chrono::minutes(20));
  EXPECT_EQ(starts(), 1U);
  EXPECT_EQ(state("web"), VmState::kOff);
  EXPECT_EQ(c.vm("web")->power, model::VmPower::kOff);
  EXPECT_EQ(c.inventory().hosts().find(home().id)->autostart_boot,
            c.inventory().hosts().find(home().id)->inventory.boot_id);
}

TEST_F(Cluster, ACancelledMigrationLeavesTheVmWhereItWas) {
  done(c.create("big", true));
  std::string before = c.vm("big")->host;
  auto task = c.verb("migrate", "big");
  ASSERT_TRUE(task);
  c.loop().run_for(std::chrono::milliseconds(400));
  auto cancelled = c.ask(
      [&](Answered d) { c.manager->requests.cancel_task(c.admin(), *task, {}, std::move(d)); });
  ASSERT_TRUE(cancelled) << cancelled.error().message;
  EXPECT_EQ(c.wait(*task).state, TaskState::kCancelled);
  EXPECT_EQ(c.vm("big")->host, before);
  EXPECT_EQ(state("big"), VmState::kOn);
  EXPECT_THAT(c.check_settled(), ::testing::IsEmpty());
}

// DRS is partial in a new cluster and full in policies without one: "full" was lost on the way.
TEST_F(Cluster, WhatItIsSetToOutlivesTheManager) {
  using model::Automation;
  for (const Automation each :
       {Automation::kOff, Automation::kManual, Automation::kPartial, Automation::kFull}) {
    model::Cluster cluster = c.manager->engine.cluster();
    cluster.settings.balance.automation = cluster.settings.power.automation = each;
    Changes changes;
    changes.put(std::move(cluster));
    c.manager->engine.commit(std::move(changes), [](Result<> r) { ASSERT_TRUE(r); });
    c.loop().run_for(std::chrono::seconds(1));
    c.kill_manager();
    c.start_manager();
    ASSERT_TRUE(
        c.loop().advance_until([&] { return c.manager_ready(); }, std::chrono::seconds(60)));
    EXPECT_EQ(c.manager->engine.cluster().settings.balance.automation, each);
    EXPECT_EQ(c.manager->engine.cluster().settings.power.automation, each);
  }
}

TEST_F(Cluster, AManagerThatIsKilledInAMigrationFinishesItAfterwards) {
  done(c.create("web", true));
  std::string before = c.vm("web")->host;
  auto task = c.verb("migrate", "web");
  ASSERT_TRUE(task);
  c.loop().run_for(std::chrono::milliseconds(300));
  c.kill_manager();
  c.loop().run_for(std::chrono::seconds(5));
  c.start_manager();
  c.loop().advance_until([&] { return c.manager_ready(); }, std::chrono::seconds(5));
  EXPECT_EQ(c.wait(*task).state, TaskState::kSucceeded);
  EXPECT_NE(c.vm("web")->host, before);
  c.loop().run_for(std::chrono::seconds(2));
  EXPECT_THAT(c.check_settled(), ::testing::IsEmpty());
}

}  // namespace
}  // namespace chorok::manager
