// HA on a living cluster, on the evidence of BMCs: hosts lose their power, their network or their
// agent, BMCs hang or lie, managers die. What was on runs again; nothing ever runs twice, which the
// fake world watches at every instant.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "manager/driven_cluster.h"

namespace chorok::manager {
namespace {

using model::VmState;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

class Failover : public ::testing::Test, public DrivenCluster {
 protected:
  // Three VMs, each on a host of its own; every BMC has shown to be its own.
  void begin() {
    three_vms(200);
    settle([](model::PolicySettings& s) {
      s.ha.enabled = true;
      s.balance.automation = model::Automation::kOff;
    });
    drive();
    run(2min);
  }
  void run(Duration span) {
    for (const Time end = c.loop().now() + span; c.loop().now() < end;) {
      c.loop().run_for(std::min<Duration>(1s, end - c.loop().now()));
      c.history.tick();
    }
    ASSERT_TRUE(c.fake.world.violations().empty())
        << c.fake.world.describe_violations() << events();
  }
  bool runs_on(const std::string& name, const Node& node) {
    const auto vm = c.vm(name);
    return std::ranges::any_of(c.fake.world.running(), [&](const sim::Sighting& each) {
      return each.uuid == vm->uuid && each.host == node.index;
    });
  }
  void expect_runs_elsewhere(const std::string& name, const Node& node) {
    EXPECT_EQ(c.vm(name)->status.state, VmState::kOn) << events();
    EXPECT_NE(c.vm(name)->host, node.id) << events();
    EXPECT_FALSE(runs_on(name, node));
  }
  void restart_manager() {
    driver.reset();
    c.kill_manager();
    c.start_manager();
    ASSERT_TRUE(c.loop().advance_until([&] { return c.manager_ready(); }, 60s));
    drive();
  }
  // Everything is as it was, but for where VMs are.
  void expect_settled() {
    run(12min);
    all_still_run();
    for (const std::string& wrong : c.check_settled()) ADD_FAILURE() << wrong << "\n" << events();
  }
  Node& node() { return *c.nodes[0]; }
  sim::FakeBmc& bmc() { return *bmcs[node().id]; }
};

TEST_F(Failover, AHostLosesItsPowerAndItsVmsStartElsewhere) {
  begin();
  bmc().stopped();
  run(45s);
  expect_runs_elsewhere("vm0", node());
  EXPECT_THAT(events(), HasSubstr("its BMC says that it is off"));
  EXPECT_THAT(events(), HasSubstr("cluster.vm_lost vm0"));
  EXPECT_THAT(events(), Not(HasSubstr("host.fence")));
  for (const auto& [id, task] : c.inventory().tasks().all())
    if (task->kind == "vm.start" && task->user == "chorok") {
      EXPECT_EQ(task->state, model::TaskState::kSucceeded) << task->message;
      EXPECT_THAT(task->reason, HasSubstr("restart"));
    }
  run(10min);
  EXPECT_THAT(events(), HasSubstr("cluster.vm_restarted vm0"));
  // What it still has of them is not started, and is tidied.
  bmc().push_on();
  run(3min);
  expect_runs_elsewhere("vm0", node());
  expect_settled();
}

TEST_F(Failover, AHostThatIsCutOffIsSwitchedOffFirst) {
  begin();
  c.cut_off(node());
  run(50s);
  EXPECT_TRUE(bmc().has_power());
  EXPECT_TRUE(runs_on("vm0", node()));
  run(40s);
  EXPECT_FALSE(bmc().has_power());
  expect_runs_elsewhere("vm0", node());
  EXPECT_THAT(events(), HasSubstr("host.fence host1"));
  EXPECT_THAT(events(), HasSubstr("it was switched off"));
  node().unreachable = false;
  bmc().push_on();
  expect_settled();
}

TEST_F(Failover, AHostThatCannotBeSwitchedOffKeepsItsVms) {
  begin();
  bmc().faults().stuck_on = true;
  c.cut_off(node());
  run(30min);
  EXPECT_TRUE(runs_on("vm0", node()));
  EXPECT_THAT(events(), HasSubstr("cluster.fence_failed host1"));
  EXPECT_THAT(events(), HasSubstr("wait until its BMC says that it is off"));
  node().unreachable = false;
  run(2min);
  EXPECT_TRUE(runs_on("vm0", node()));
  expect_settled();
}

TEST_F(Failover, ABmcThatDoesNotAnswerIsNoEvidence) {
  begin();
  bmc().faults().unreachable = true;
  c.power_off(node());
  run(30min);
  EXPECT_EQ(c.vm("vm0")->status.state, VmState::kUnknown);
  EXPECT_THAT(events(), HasSubstr("cluster.fence_failed host1"));
  bmc().faults().unreachable = false;
  bmc().stopped();
  run(6min);
  expect_runs_elsewhere("vm0", node());
}

TEST_F(Failover, AHostWithoutBmcIsLeftAloneAndThatIsSaid) {
  bmcs.erase(node().id);
  begin();
  c.cut_off(node());
  run(30min);
  EXPECT_TRUE(runs_on("vm0", node()));
  EXPECT_EQ(hosts_on(), 2);
  EXPECT_THAT(events(), HasSubstr("it has no BMC that has shown to be its own"));
  node().unreachable = false;
  expect_settled();
}

TEST_F(Failover, ABmcThatIsAnothersIsNotBelieved) {
  begin();
  // Somebody mistyped its address: this chassis has nothing in it, and is off.
  bmcs[node().id] = std::make_unique<sim::FakeBmc>(c.loop(), sim::BmcMachine{},
                                                   sim::BmcSettings{.host = "x", .on = false});
  run(15min);
  EXPECT_THAT(events(), HasSubstr("host.bmc_contradicts host1"));
  c.cut_off(node());
  run(30min);
  EXPECT_TRUE(runs_on("vm0", node()));
  EXPECT_THAT(events(), Not(HasSubstr("cluster.vm_lost")));
  node().unreachable = false;
  expect_settled();
}

TEST_F(Failover, WhenMostAreSilentItMayBeTheManager) {
  begin();
  for (auto& each : c.nodes) c.cut_off(*each);
  run(30min);
  EXPECT_EQ(hosts_on(), 3) << events();
  EXPECT_THAT(events(), HasSubstr("it may be the manager that is cut off"));
  for (auto& each : c.nodes) each->unreachable = false;
  expect_settled();
}

TEST_F(Failover, AnAgentOrALibvirtThatIsAwayIsNoFailure) {
  begin();
  c.kill_agent(node());
  run(30s);
  c.start_agent(node());
  run(30s);
  c.fake.world.stop_libvirtd(node().index);
  run(10min);
  EXPECT_EQ(hosts_on(), 3) << events();
  EXPECT_TRUE(runs_on("vm0", node()));
  c.fake.world.start_libvirtd(node().index);
  expect_settled();
}

TEST_F(Failover, AHostThatIsBackBeforeAnybodyKnowsStartsItsVmsItself) {
  begin();
  c.power_off(node());  // it crashed; its chassis has power all along
  run(20s);
  c.power_on(node());
  run(1min);
  EXPECT_TRUE(runs_on("vm0", node())) << events();
  expect_settled();
}

TEST_F(Failover, AMoveThatLosesEitherEndIsNoLoss) {
  begin();
  for (const bool source : {true, false}) {
    model::TaskArgs args;
    Node& from = **std::ranges::find(c.nodes, c.vm("vm0")->host, [](auto& n) { return n->id; });
    Node& to = **std::ranges::find_if(c.nodes, [&](auto& n) { return n.get() != &from; });
    args.host = to.id;
    ASSERT_TRUE(c.verb("migrate", "vm0", args));
    run(400ms);
    Node& dies = source ? from : to;
    bmcs[dies.id]->stopped();
    run(90s);
    expect_runs_elsewhere("vm0", dies);
    bmcs[dies.id]->push_on();
    expect_settled();
  }
}

TEST_F(Failover, WhatAPersonStopsIsNotStarted) {
  begin();
  settle([](model::PolicySettings& s) { s.ha.enabled = false; });
  bmc().stopped();
  run(1min);
  EXPECT_EQ(c.vm("vm0")->status.state, VmState::kUnknown);
  model::TaskArgs elsewhere;
  elsewhere.host = c.nodes[1]->id;
  const auto stopped = c.verb("stop", "vm0");
  ASSERT_TRUE(stopped) << stopped.error().message;
  EXPECT_EQ(c.wait(*stopped).state, model::TaskState::kSucceeded);
  settle([](model::PolicySettings& s) { s.ha.enabled = true; });
  run(5min);
  EXPECT_EQ(c.vm("vm0")->status.state, VmState::kOff);
  // And a person may start it where there is power.
  const auto started = c.verb("start", "vm0", elsewhere);
  ASSERT_TRUE(started) << started.error().message;
  EXPECT_EQ(c.wait(*started).state, model::TaskState::kSucceeded);
  expect_runs_elsewhere("vm0", node());
}

TEST_F(Failover, NobodyStartsElsewhereWhatMayRunStill) {
  begin();
  settle([](model::PolicySettings& s) { s.ha.enabled = false; });
  c.cut_off(node());
  run(1min);
  model::TaskArgs elsewhere;
  elsewhere.host = c.nodes[1]->id;
  const auto refused = c.verb("start", "vm0", elsewhere);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("it may run on 'host1' still"));
}

// A manager that dies at any moment of it goes on.
class ManagerDies : public Failover, public ::testing::WithParamInterface<int> {};

TEST_P(ManagerDies, WhileAHostLosesItsPower) {
  begin();
  bmc().stopped();
  run(GetParam() * 1300ms);
  restart_manager();
  run(2min);
  expect_runs_elsewhere("vm0", node());
  bmc().push_on();
  expect_settled();
}

TEST_P(ManagerDies, WhileAHostIsFenced) {
  begin();
  c.cut_off(node());
  run(50s + GetParam() * 1700ms);
  restart_manager();
  run(4min);
  expect_runs_elsewhere("vm0", node());
  node().unreachable = false;
  bmc().push_on();
  expect_settled();
}

INSTANTIATE_TEST_SUITE_P(After, ManagerDies, ::testing::Range(1, 16));

}  // namespace
}  // namespace chorok::manager
