// Where a VM without a named host starts: rules, promises, hosts that have to be woken first.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "manager/driven_cluster.h"

namespace chorok::manager {
namespace {

using model::Automation;
using model::TaskState;
using model::VmState;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

class Placement : public ::testing::Test, public DrivenCluster {
 protected:
  explicit Placement(int hosts = 3) : DrivenCluster(1, {}, hosts) {}

  Result<Answer> ask_create(const std::string& name, Mib memory, bool start, bool dry = false) {
    model::Vm vm;
    vm.meta.name = name;
    vm.spec.memory = memory;
    vm.spec.disks.push_back({.name = "root", .datastore = "shared", .size = Mib{2048}});
    std::optional<Result<Answer>> answer;
    c.manager->requests.create(c.admin(), "vm", json::encode(vm), start, {.dry_run = dry},
                               [&](Result<Answer> result) { answer = std::move(result); });
    c.loop().advance_until([&] { return answer.has_value(); }, 30s);
    return answer ? *answer : Result<Answer>(fail(Code::kTimeout, "no answer"));
  }
  std::string create_vm(const std::string& name, Mib memory, bool start) {
    const auto answer = ask_create(name, memory, start);
    EXPECT_TRUE(answer) << answer.error().message;
    return answer ? answer->task->id : "";
  }
  Result<Answer> dry(std::string_view verb, const std::string& vm, model::TaskArgs args = {}) {
    std::optional<Result<Answer>> answer;
    c.manager->requests.verb(c.admin(), *model::find_verb("vm", verb), vm, std::move(args),
                             {.dry_run = true},
                             [&](Result<Answer> result) { answer = std::move(result); });
    c.loop().advance_until([&] { return answer.has_value(); }, 30s);
    return answer ? *answer : Result<Answer>(fail(Code::kTimeout, "no answer"));
  }
  void rule(const std::string& body) {
    const auto made = c.ask([&](Answered done) {
      c.manager->requests.create(c.admin(), "rule", body, false, {}, std::move(done));
    });
    ASSERT_TRUE(made) << made.error().message;
  }
  std::string host_of(std::string_view vm) {
    return c.inventory().hosts().find(c.vm(vm)->host)->meta.name;
  }
  std::string told(const std::string& task) {
    const auto found = c.inventory().tasks().find(task);
    return found == nullptr ? "gone" : fmt::format("{}: {}", name_of(found->state), found->message);
  }
  std::string end_of(const Result<std::string>& task) {
    EXPECT_TRUE(task) << task.error().message;
    if (!task) return task.error().message;
    c.wait(*task, 1h);
    c.loop().run_for(2s);
    return told(*task);
  }
  // Two of three hosts asleep.
  void most_sleep() {
    three_vms(200);
    settle([](auto& s) { automatic(s); });
    drive();
    c.loop().advance_until([&] { return hosts_on() == 1; }, 5h);
    c.loop().run_for(2min);
    ASSERT_EQ(hosts_on(), 1) << events();
  }
};

TEST_F(Placement, AStartKeepsToTheRulesThatMustHold) {
  for (const Automation automation : {Automation::kPartial, Automation::kOff}) {
    settle([&](auto& s) { s.balance.automation = automation; });
    const std::string name = fmt::format("web-{}", name_of(automation));
    end_of(create_vm(name, Mib{1024}, false));
    const std::string home = host_of(name);
    rule(fmt::format(R"({{"meta":{{"name":"never-{0}"}},"kind":"hosts_never","vms":["{0}"],)"
                     R"("hosts":["{1}"]}})",
                     name, home));
    const std::string end = end_of(c.verb("start", name));
    EXPECT_THAT(end, HasSubstr("succeeded")) << home;
    EXPECT_EQ(c.vm(name)->status.state, VmState::kOn);
    EXPECT_NE(host_of(name), home);
    EXPECT_THAT(end, HasSubstr(host_of(name))) << "the message says where and why";
    EXPECT_TRUE(c.check_settled().empty()) << c.check_settled().front();
  }
}

TEST_F(Placement, WhereNoHostMayHaveItTheRuleIsNamed) {
  end_of(create_vm("web", Mib{1024}, false));
  rule(R"({"meta":{"name":"here"},"kind":"hosts_only","vms":["web"],"hosts":["host1"]})");
  c.cut_off(*c.nodes[0]);
  c.loop().run_for(30s);
  const auto asked = c.verb("start", "web");
  ASSERT_FALSE(asked);
  EXPECT_THAT(asked.error().message, HasSubstr("rule 'here'"));
}

// DRS learns of them at its next turn; a start that is placed before finds them.
TEST_F(Placement, HostsWhoseAgentsHaveJustComeAreTaken) {
  for (auto& node : c.nodes) c.cut_off(*node);
  c.loop().run_for(10s);
  drive();
  c.loop().run_for(3min);
  const auto powers = [&] {
    ClusterSnapshot made = make_snapshot(c.inventory(), c.manager->engine.cluster().meta.id,
                                         c.loop().now(), {.world = &c.manager->world});
    driver->complete(made);
    std::vector<model::HostPower> all;
    for (const model::SnapshotHost& host : made.snapshot.hosts) all.push_back(host.power);
    return all;
  };
  EXPECT_THAT(powers(), Each(model::HostPower::kUnknown));
  for (auto& node : c.nodes) node->unreachable = false;
  const auto heard = [&] {
    return std::ranges::all_of(c.nodes,
                               [&](const auto& node) { return c.manager->world.fresh(node->id); });
  };
  ASSERT_TRUE(c.loop().advance_until(heard, 30s));
  EXPECT_THAT(powers(), Each(model::HostPower::kOn));
}

// Starts that are asked for at once know of each other: two of these fill a host.
TEST_F(Placement, StartsAtOnceDoNotTakeEachOthersRoom) {
  std::vector<std::string> tasks;
  for (int i = 0; i < 6; ++i) {
    model::Vm vm;
    vm.meta.name = fmt::format("big{}", i);
    vm.spec.memory = Mib{14 * 1024};
    vm.spec.disks.push_back({.name = "root", .datastore = "shared", .size = Mib{2048}});
    c.manager->requests.create(c.admin(), "vm", json::encode(vm), true, {}, [&](auto answer) {
      ASSERT_TRUE(answer) << answer.error().message;
      tasks.push_back(answer->task->id);
    });
  }
  c.loop().run_for(5min);
  ASSERT_EQ(tasks.size(), 6U);
  std::map<std::string, int> on;
  for (int i = 0; i < 6; ++i) ++on[host_of(fmt::format("big{}", i))];
  for (const auto& [host, vms] : on) EXPECT_EQ(vms, 2) << host;
  // Stopped, and started in one go.
  for (int i = 0; i < 6; ++i) end_of(c.verb("stop", fmt::format("big{}", i), {.hard = true}));
  tasks.clear();
  for (int i = 0; i < 6; ++i)
    c.manager->requests.verb(c.admin(), *model::find_verb("vm", "start"), fmt::format("big{}", i),
                             {}, {}, [&](auto answer) {
                               ASSERT_TRUE(answer) << answer.error().message;
                               tasks.push_back(answer->task->id);
                             });
  c.loop().run_for(5min);
  ASSERT_EQ(tasks.size(), 6U);
  for (const std::string& task : tasks) EXPECT_THAT(told(task), HasSubstr("succeeded"));
  EXPECT_TRUE(c.check_settled().empty()) << c.check_settled().front();
}

TEST_F(Placement, WhatOnlyASleepingHostHoldsWaitsForIt) {
  most_sleep();
  const auto would = ask_create("huge", Mib{30 * 1024}, true, true);
  ASSERT_TRUE(would);
  EXPECT_TRUE(would->dry_run->ok);
  EXPECT_THAT(would->dry_run->message, HasSubstr("switched on"));
  EXPECT_EQ(hosts_on(), 1);
  const std::string task = create_vm("huge", Mib{30 * 1024}, true);
  c.loop().run_for(20s);
  EXPECT_THAT(told(task), AllOf(HasSubstr("queued"), HasSubstr("waits for"), HasSubstr("host")));
  c.wait(task, 1h);
  c.loop().run_for(5s);
  EXPECT_THAT(told(task), HasSubstr("succeeded")) << events();
  EXPECT_EQ(c.vm("huge")->status.state, VmState::kOn);
  EXPECT_EQ(hosts_on(), 2) << events();
  all_still_run();
}

TEST_F(Placement, VmsWhoseHomesSleepStartWhereTheyCanAndAreTidiedAway) {
  for (int i = 0; i < 3; ++i) {
    const std::string name = fmt::format("idle{}", i);
    end_of(create_vm(name, Mib{1024}, false));
    model::TaskArgs there;
    there.host = c.nodes[static_cast<std::size_t>(i)]->id;
    if (c.vm(name)->host != there.host) end_of(c.verb("migrate", name, there));
    ASSERT_EQ(c.vm(name)->host, there.host);
  }
  most_sleep();
  for (int i = 0; i < 3; ++i) {
    const std::string name = fmt::format("idle{}", i);
    EXPECT_THAT(end_of(c.verb("start", name)), HasSubstr("succeeded"));
    EXPECT_EQ(c.vm(name)->status.state, VmState::kOn);
  }
  EXPECT_EQ(hosts_on(), 1) << events();
  for (auto& [id, bmc] : bmcs)
    if (!bmc->has_power()) bmc->push_on();
  c.loop().run_for(15min);
  EXPECT_TRUE(c.check_settled().empty()) << c.check_settled().front();
}

TEST_F(Placement, AWaitingStartCanBeCancelled) {
  most_sleep();
  end_of(create_vm("huge", Mib{30 * 1024}, false));  // needs no memory anywhere
  const auto task = c.verb("start", "huge");
  ASSERT_TRUE(task) << task.error().message;
  c.loop().run_for(10s);
  ASSERT_THAT(told(*task), HasSubstr("waits for"));
  EXPECT_EQ(c.vm("huge")->status.state, VmState::kOff);
  const auto cancelled = c.ask([&](Answered done) {
    c.manager->requests.cancel_task(c.admin(), *task, {}, std::move(done));
  });
  ASSERT_TRUE(cancelled);
  c.loop().run_for(10s);
  EXPECT_THAT(told(*task), HasSubstr("cancelled"));
  c.loop().run_for(20min);
  EXPECT_EQ(c.vm("huge")->status.state, VmState::kOff);
  EXPECT_EQ(c.vm("huge")->power, model::VmPower::kOff);
}

TEST_F(Placement, AManagerThatIsKilledMeanwhileGoesOn) {
  most_sleep();
  const std::string task = create_vm("huge", Mib{30 * 1024}, true);
  c.loop().run_for(3s);
  driver.reset();
  c.kill_manager();
  c.loop().run_for(10s);
  c.start_manager();
  c.loop().advance_until([&] { return c.manager_ready(); }, 10s);
  drive();
  c.wait(task, 1h);
  c.loop().run_for(5s);
  EXPECT_THAT(told(task), HasSubstr("succeeded")) << events();
  EXPECT_EQ(c.vm("huge")->status.state, VmState::kOn);
}

TEST_F(Placement, AHostThatDoesNotComeIsWaitedForSoLong) {
  most_sleep();
  for (auto& [id, bmc] : bmcs)
    if (!bmc->has_power()) bmc->faults().wake_fails = true;
  const std::string task = create_vm("huge", Mib{30 * 1024}, true);
  const model::Task end = c.wait(task, 2h);
  EXPECT_EQ(end.state, TaskState::kFailed) << events();
  EXPECT_THAT(end.message, AllOf(HasSubstr("no host came for it"), HasSubstr("min")));
  EXPECT_LT(end.finished - end.created, 30min);
}

TEST_F(Placement, NobodyWaitsForAHostThatThisClusterMayNotWake) {
  most_sleep();
  settle([](auto& s) { s.power.automation = Automation::kManual; });
  c.loop().run_for(1min);
  const auto asked = ask_create("huge", Mib{30 * 1024}, true);
  ASSERT_FALSE(asked);
  EXPECT_THAT(asked.error().message, HasSubstr("no host can run it"));
  EXPECT_TRUE(ask_create("huge", Mib{30 * 1024}, false));
}

// A stop takes the start back that still waits, and does not boot the VM for it.
TEST_F(Placement, StoppingAVmWhoseStartWaitsTakesTheStartBack) {
  most_sleep();
  end_of(create_vm("huge", Mib{30 * 1024}, false));
  const auto start = c.verb("start", "huge");
  ASSERT_TRUE(start) << start.error().message;
  c.loop().run_for(10s);
  ASSERT_THAT(told(*start), HasSubstr("waits for"));
  EXPECT_THAT(end_of(c.verb("stop", "huge")), HasSubstr("succeeded"));
  EXPECT_THAT(told(*start), HasSubstr("cancelled"));
  EXPECT_EQ(c.vm("huge")->status.task, "");
  c.loop().run_for(30min);
  EXPECT_EQ(c.vm("huge")->status.state, VmState::kOff);
  // One that is not made yet has nothing to stop.
  const std::string made = create_vm("next", Mib{30 * 1024}, true);
  c.loop().run_for(10s);
  const auto refused = c.verb("stop", "next");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("chorok task cancel " + made));
}

// What its firmware remembers lies on its host: that one is woken, though others have room.
TEST_F(Placement, AVmThatStartsAtHomeOnlyWaitsForItsHome) {
  end_of(create_vm("efi", Mib{1024}, false));
  model::Vm efi = *c.vm("efi");
  efi.spec.firmware = model::Firmware::kUefi;
  Changes changes;
  changes.put(efi);
  c.manager->engine.commit(std::move(changes), [](Result<> r) { ASSERT_TRUE(r); });
  most_sleep();
  if (bmcs.at(efi.host)->has_power()) {  // the one that is on
    for (auto& [id, bmc] : bmcs)
      if (!bmc->has_power()) efi.host = id;
    Changes moved;
    moved.put(efi);
    c.manager->engine.commit(std::move(moved), [](Result<> r) { ASSERT_TRUE(r); });
    c.loop().run_for(1s);
  }
  const std::string home = host_of("efi");
  const auto start = c.verb("start", "efi");
  ASSERT_TRUE(start) << start.error().message;
  c.loop().run_for(20s);
  EXPECT_THAT(told(*start), AllOf(HasSubstr("waits for '" + home + "'")));
  c.loop().run_for(10min);
  EXPECT_TRUE(bmcs.at(efi.host)->has_power()) << told(*start) << "\n" << events();
}

// Each alone would leave the others, and yet the host is to be empty.
TEST_F(Placement, VmsThatMustBeTogetherCanLeaveForMaintenance) {
  for (const char* name : {"web", "db", "cache"}) {
    end_of(create_vm(name, Mib{1024}, true));
    model::TaskArgs there;
    there.host = c.nodes[0]->id;
    if (c.vm(name)->host != there.host) end_of(c.verb("migrate", name, there));
  }
  rule(R"({"meta":{"name":"one"},"kind":"together","vms":["web","db","cache"]})");
  const auto evacuated = c.ask([&](Answered done) {
    c.manager->requests.verb(c.admin(), *model::find_verb("host", "maintenance"), c.nodes[0]->id,
                             {}, {}, std::move(done));
  });
  EXPECT_THAT(end_of(evacuated), HasSubstr("succeeded"));
  for (const char* name : {"web", "db", "cache"}) EXPECT_NE(c.vm(name)->host, c.nodes[0]->id);
  settle([](auto& s) { s.balance.automation = Automation::kFull; });
  drive();
  c.loop().run_for(10min);
  EXPECT_NE(c.vm("web")->host, c.nodes[0]->id);
  EXPECT_EQ(c.vm("db")->host, c.vm("web")->host);
  EXPECT_EQ(c.vm("cache")->host, c.vm("web")->host);
}

TEST_F(Placement, NothingStartsWhereTheHostIsBeingSwitchedOff) {
  end_of(create_vm("web", Mib{1024}, false));
  model::Host home = *c.inventory().hosts().find(c.vm("web")->host);
  home.watch.phase = model::HostPhase::kStopping;
  Changes changes;
  changes.put(home);
  c.manager->engine.commit(std::move(changes), [](Result<> r) { ASSERT_TRUE(r); });
  c.loop().run_for(1s);
  for (const Automation automation : {Automation::kOff, Automation::kFull}) {
    settle([&](auto& s) { s.balance.automation = automation; });
    EXPECT_THAT(end_of(c.verb("start", "web")), HasSubstr("succeeded"));
    EXPECT_NE(c.vm("web")->host, home.meta.id);
    end_of(c.verb("stop", "web", {.hard = true}));
    model::Vm web = *c.vm("web");
    web.host = home.meta.id;
    Changes back;
    back.put(web);
    c.manager->engine.commit(std::move(back), [](Result<> r) { ASSERT_TRUE(r); });
    c.loop().run_for(1s);
  }
}

TEST_F(Placement, APersonIsNotLetIntoARulesViolation) {
  end_of(create_vm("web", Mib{1024}, true));
  const std::string to = host_of("web") == "host1" ? "host2" : "host1";
  rule(fmt::format(R"({{"meta":{{"name":"not-there"}},"kind":"hosts_never","vms":["web"],)"
                   R"("hosts":["{}"]}})",
                   to));
  model::TaskArgs there;
  there.host = to;
  const auto refused = c.verb("migrate", "web", there);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("rule 'not-there'"));
  const auto would = dry("migrate", "web", there);
  ASSERT_TRUE(would);
  EXPECT_FALSE(would->dry_run->ok);
  there.force = true;
  const std::string forced = end_of(c.verb("migrate", "web", there));
  EXPECT_EQ(host_of("web"), to);
  EXPECT_THAT(forced, HasSubstr("rule 'not-there'"));
}

TEST_F(Placement, AShouldRuleOnlyWarns) {
  end_of(create_vm("web", Mib{1024}, true));
  end_of(create_vm("db", Mib{1024}, true));
  if (host_of("web") == host_of("db")) {
    model::TaskArgs away;
    away.host = host_of("web") == "host1" ? "host2" : "host1";
    end_of(c.verb("migrate", "db", away));
  }
  rule(R"({"meta":{"name":"spread"},"must":false,"vms":["web","db"]})");
  model::TaskArgs beside;
  beside.host = host_of("web");
  EXPECT_THAT(end_of(c.verb("migrate", "db", beside)),
              AllOf(HasSubstr("succeeded"), HasSubstr("rule 'spread'")));
}

}  // namespace
}  // namespace chorok::manager
