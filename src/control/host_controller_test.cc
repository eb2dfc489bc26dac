// What a host's verbs say of themselves, and what becomes of their tasks.
#include "control/host_controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chorok::control {
namespace {

using model::HostPhase;
using model::TaskState;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

class NoWorld final : public Lookup {
 public:
  const model::Host* host(std::string_view) const override { return nullptr; }
  const model::Datastore* datastore(std::string_view) const override { return nullptr; }
  const model::Network* network(std::string_view) const override { return nullptr; }
  const model::Cluster& cluster_of(std::string_view) const override { return cluster_; }
  bool at_home(const model::Vm&, const model::Host&) const override { return true; }
  bool fresh(std::string_view) const override { return true; }
  std::vector<const model::Host*> hosts() const override { return {}; }
  Committed committed(std::string_view) const override { return {}; }
  Placed place(const model::Vm&) const override { return {}; }
  std::vector<BrokenRule> broken_rules(const model::Vm&, const model::Host&) const override {
    return {};
  }

 private:
  model::Cluster cluster_;
};

class HostControllerTest : public ::testing::Test {
 protected:
  HostControllerTest() {
    host.meta.name = "rack1";
    host.link = model::HostLink::kConnected;
    host.watch.phase = HostPhase::kUp;
    task.id = "task-1";
    task.user = "kim";
    vm.meta.name = "web1";
    vm.status.state = model::VmState::kOn;
  }
  // One pass; the records are as it leaves them.
  const model::Task& pass() {
    HostInput input{now, host, &task, {}, {}, world};
    if (runs) input.vms.push_back(&vm);
    for (const model::Task& move : moves) input.children.push_back(&move);
    HostOutcome outcome = reconcile_host(input);
    for (const model::Task& move : outcome.new_tasks) moves.push_back(move);
    if (outcome.host) host = *outcome.host;
    if (outcome.task) task = *outcome.task;
    return task;
  }
  std::string foreseen(std::string_view verb) {
    const std::vector<const model::Vm*> vms = {&vm};
    const auto said = foresee_host(verb, host, std::span(vms).first(runs ? 1 : 0));
    return said ? "yes: " + *said : "no: " + said.error().message;
  }

  model::Host host;
  model::Task task;
  model::Vm vm;
  bool runs = false;
  std::vector<model::Task> moves;  // what it has asked for
  NoWorld world;
  Time now{1000h};
};

// Its agent was killed: of its VMs nobody knows, which is not that there are none.
TEST_F(HostControllerTest, MaintenanceIsNotOverWhileNobodyKnowsWhatRuns) {
  task.kind = "host.maintenance";
  runs = true;
  vm.status.state = model::VmState::kUnknown;
  host.link = model::HostLink::kLost;
  EXPECT_EQ(pass().state, TaskState::kRunning);
  EXPECT_EQ(host.admin, model::HostAdmin::kDraining);
  EXPECT_THAT(task.message, HasSubstr("web1"));
  EXPECT_THAT(task.message, HasSubstr("not known"));
  EXPECT_TRUE(moves.empty());
  host.link = model::HostLink::kConnected;
  vm.status.state = model::VmState::kOn;
  pass();
  ASSERT_EQ(moves.size(), 1u);
  EXPECT_EQ(moves[0].target_name, "web1");
  runs = false;
  EXPECT_EQ(pass().state, TaskState::kSucceeded);
  EXPECT_EQ(host.admin, model::HostAdmin::kMaintenance);
}

TEST_F(HostControllerTest, MaintenanceOfAHostThatIsOffIsOver) {
  task.kind = "host.maintenance";
  runs = true;
  vm.status.state = model::VmState::kUnknown;
  host.watch.phase = HostPhase::kDown;
  EXPECT_EQ(pass().state, TaskState::kSucceeded);
}

TEST_F(HostControllerTest, MaintenanceAsksAgainForAMoveThatWasInterrupted) {
  task.kind = "host.maintenance";
  runs = true;
  pass();
  const auto fails = [this](Code code) {
    moves.back().state = TaskState::kFailed;
    moves.back().error =
        model::Problem{std::string(to_string(code)), "migrating was not to be", {}};
  };
  for (std::size_t i = 1; i < 3; ++i) {
    ASSERT_EQ(moves.size(), i);
    fails(Code::kUnknown);
    EXPECT_EQ(pass().state, TaskState::kRunning) << "try " << i;
  }
  ASSERT_EQ(moves.size(), 3u);
  fails(Code::kUnknown);
  EXPECT_EQ(pass().state, TaskState::kFailed) << "not for ever";
  EXPECT_THAT(task.message, HasSubstr("web1: migrating was not to be"));
  EXPECT_EQ(host.admin, model::HostAdmin::kEnabled);
}

TEST_F(HostControllerTest, MaintenanceTakesARefusalForWhatItIs) {
  task.kind = "host.maintenance";
  runs = true;
  pass();
  moves.back().state = TaskState::kFailed;
  moves.back().error =
      model::Problem{std::string(to_string(Code::kFailedPrecondition)), "no room", {}};
  EXPECT_EQ(pass().state, TaskState::kFailed);
  EXPECT_EQ(moves.size(), 1u);
}

TEST_F(HostControllerTest, PowerOffGoesAsTheWatchGoes) {
  task.kind = "host.power-off";
  EXPECT_EQ(pass().state, TaskState::kRunning);
  host.watch.hand = {.task = "task-1", .on = false, .open = true, .failure = {}};
  host.watch.phase = HostPhase::kStopping;
  host.watch.time_off = 20s;
  EXPECT_THAT(pass().message, HasSubstr("the last time it took 20 s"));
  EXPECT_EQ(task.percent, 50);
  host.watch.hand.open = false;
  host.watch.phase = HostPhase::kDown;
  EXPECT_EQ(pass().state, TaskState::kSucceeded);
  EXPECT_THAT(task.message, HasSubstr("stays off until a person"));
}

TEST_F(HostControllerTest, PowerOffIsRefusedWithTheVmsThatRunThere) {
  runs = true;
  EXPECT_THAT(foreseen("power-off"), HasSubstr("no: VMs run on it: web1; chorok host maintenance"));
  EXPECT_THAT(foreseen("wake-test"), HasSubstr("no: VMs run on it: web1"));
  EXPECT_THAT(foreseen("maintenance"), HasSubstr("yes: would be moved away: web1"));
  task.kind = "host.power-off";
  EXPECT_EQ(pass().state, TaskState::kFailed);
  EXPECT_THAT(task.message, HasSubstr("web1"));
  runs = false;
  EXPECT_THAT(foreseen("power-off"), HasSubstr("yes: "));
  EXPECT_THAT(foreseen("wake-test"), HasSubstr("yes: "));
}

TEST_F(HostControllerTest, WhatIsUnderWayIsNotTakenBackButLetGo) {
  task.kind = "host.power-on";
  host.watch.phase = HostPhase::kDown;
  EXPECT_EQ(pass().state, TaskState::kRunning);
  host.watch.hand = {.task = "task-1", .on = true, .open = true, .failure = {}};
  task.cancel_requested = true;
  EXPECT_EQ(pass().state, TaskState::kCancelled);
  EXPECT_THAT(task.message, HasSubstr("comes on"));
}

TEST_F(HostControllerTest, AnOrderOfAnotherTaskIsNotThisOnes) {
  task.kind = "host.power-on";
  host.watch.phase = HostPhase::kDown;
  host.watch.hand = {.task = "task-0", .on = false, .open = false, .failure = "it hung"};
  EXPECT_EQ(pass().state, TaskState::kRunning);
  host.watch.hand = {.task = "task-1", .on = true, .open = false, .failure = "it did not come on"};
  EXPECT_EQ(pass().state, TaskState::kFailed);
  EXPECT_EQ(task.message, "it did not come on");
}

TEST_F(HostControllerTest, ASleepingHostIsSpokenOfAsOne) {
  host.link = model::HostLink::kAsleep;
  host.watch.phase = HostPhase::kDown;
  host.watch.off_by = model::HostOffBy::kDpm;
  EXPECT_THAT(foreseen("wake-test"), HasSubstr("no: it is off; chorok host power-on rack1 first"));
  EXPECT_THAT(foreseen("power-on"), HasSubstr("yes: it would be switched on"));
  task.kind = "host.maintenance";
  EXPECT_EQ(pass().state, TaskState::kSucceeded);
  EXPECT_THAT(task.message, HasSubstr("it stays off"));
  EXPECT_EQ(host.admin, model::HostAdmin::kMaintenance);
  task = {};
  task.kind = "host.enable";
  EXPECT_THAT(pass().message, HasSubstr("when it is needed"));
  EXPECT_EQ(host.admin, model::HostAdmin::kEnabled);
  host.watch.off_by = model::HostOffBy::kPerson;
  host.watch.off_user = "kim";
  EXPECT_THAT(foreseen("enable"), HasSubstr("kim has switched it off"));
}

TEST_F(HostControllerTest, ASilentHostIsNotSwitchedByHand) {
  host.link = model::HostLink::kLost;
  host.watch.phase = HostPhase::kSilent;
  EXPECT_THAT(foreseen("power-off"), HasSubstr("yes: ")) << "a manager that has just begun";
  host.watch.told = true;
  EXPECT_THAT(foreseen("power-off"), HasSubstr("no: it does not answer"));
  EXPECT_THAT(foreseen("power-on"), HasSubstr("no: it does not answer"));
  EXPECT_THAT(foreseen("wake-test"), HasSubstr("no: it does not answer"));
}

}  // namespace
}  // namespace chorok::control
