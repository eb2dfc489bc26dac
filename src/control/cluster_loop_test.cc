// The loops over a cluster made by hand: hosts that fall silent, switches that fail, plans that
// come to nothing. Time is what the test says.
#include "control/cluster_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "control/hand_fleet.h"

namespace chorok::control {
namespace {

using policy::Action;
using policy::ActionKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Event = LoopEvent::Kind;
using enum Command::Kind;
using namespace std::chrono_literals;

TEST_F(LoopTest, ASilentHostIsFencedAndItsVmsStartElsewhereOnlyThen) {
  const Index vm = fleet.vm(0);
  ClusterLoop loop(only_ha(), {});
  turn(loop);
  fleet.seen[0].connected = false;
  EXPECT_THAT(ordered(turn(loop, 1s)), IsEmpty());
  EXPECT_THAT(ordered(turn(loop, 5s)), ElementsAre(kFence));
  // Ordered is not done.
  EXPECT_THAT(ordered(turn(loop, 1s)), IsEmpty());
  fleet.seen[0].bmc = BmcSays::kOff;
  const Turn restart = turn(loop, 1s);
  ASSERT_THAT(ordered(restart), ElementsAre(kStart));
  EXPECT_EQ(restart.commands[0].vm, vm);
  EXPECT_NE(restart.commands[0].host, 0U);
  fleet.cluster.vms[vm].host = restart.commands[0].host;
  turn(loop, 1s);
  EXPECT_THAT(kinds, ElementsAre(Event::kHostSilent, Event::kHostFailed, Event::kVmLost,
                                 Event::kVmRestarted));
}

TEST_F(LoopTest, ABmcThatSaysOffIsEvidenceWithoutFencing) {
  fleet.vm(0);
  ClusterLoop loop(only_ha(), {});
  turn(loop);
  fleet.seen[0] = {.connected = false, .bmc = BmcSays::kOff};
  turn(loop, 1s);
  EXPECT_THAT(ordered(turn(loop, 5s)), ElementsAre(kStart));
}

TEST_F(LoopTest, ADeadBmcDoesNotBlockRecovery) {
  fleet.vm(0);
  ClusterLoop loop(only_ha(), {});
  turn(loop);
  fleet.seen[0] = {.connected = false, .bmc = BmcSays::kSilent};
  EXPECT_THAT(ordered(turn(loop, 1s)), IsEmpty());
  EXPECT_THAT(ordered(turn(loop, 5s)), ElementsAre(kFence));
  EXPECT_THAT(ordered(turn(loop, 15s)), ElementsAre(kFence));  // again
  EXPECT_THAT(ordered(turn(loop, 8s)), IsEmpty());             // 29 s: its lease may still run
  EXPECT_THAT(ordered(turn(loop, 1s)), ElementsAre(kStart));
  EXPECT_THAT(text, HasSubstr("lease has ended"));
}

TEST_F(LoopTest, AHostThatIsBackInTimeKeepsItsVms) {
  fleet.vm(0);
  ClusterLoop loop(only_ha(), {});
  turn(loop);
  fleet.seen[0].connected = false;
  EXPECT_THAT(ordered(turn(loop, 4s)), IsEmpty());
  fleet.seen[0].connected = true;
  EXPECT_THAT(ordered(turn(loop, 10min)), IsEmpty());
  EXPECT_THAT(kinds, IsEmpty());
  EXPECT_EQ(loop.watches()[0].phase, HostPhase::kUp);
}

TEST_F(LoopTest, WithoutHaNobodyIsFenced) {
  fleet.vm(0);
  Brain brain = chorok_brain(automatic(false));
  brain.plan = [](const model::Snapshot&) { return policy::Plan{}; };
  ClusterLoop loop(std::move(brain), {});
  turn(loop);
  fleet.seen[0].connected = false;
  for (int i = 0; i < 100; ++i) EXPECT_THAT(ordered(turn(loop, 5s)), IsEmpty());
  EXPECT_THAT(kinds, ElementsAre(Event::kHostSilent));
}

// As the manager has it: agents keep no leases.
LoopSettings no_leases() {
  LoopSettings settings;
  settings.watch.leases = false;
  settings.watch.fence_after = 60s;
  return settings;
}

TEST_F(LoopTest, WithoutLeasesOnlyItsBmcIsEvidence) {
  fleet.vm(0);
  ClusterLoop loop(only_ha(), no_leases());
  turn(loop);
  fleet.seen[0].connected = false;
  turn(loop, 1s);
  EXPECT_THAT(ordered(turn(loop, 59s)), IsEmpty());
  EXPECT_THAT(ordered(turn(loop, 1s)), ElementsAre(kFence));
  EXPECT_THAT(ordered(turn(loop, 15s)), ElementsAre(kFence));
  EXPECT_THAT(ordered(turn(loop, 15s)), IsEmpty());  // ever more seldom
  EXPECT_THAT(ordered(turn(loop, 15s)), ElementsAre(kFence));
  for (int i = 0; i < 100; ++i)
    for (const Command::Kind kind : ordered(turn(loop, 1min))) EXPECT_EQ(kind, kFence);
  fleet.seen[0].bmc = BmcSays::kOff;
  EXPECT_THAT(ordered(turn(loop, 1s)), ElementsAre(kStart));
}

TEST_F(LoopTest, ABmcThatMayBeAnothersIsNeitherEvidenceNorTold) {
  fleet.vm(0);
  ClusterLoop loop(only_ha(), no_leases());
  turn(loop);
  fleet.seen[0] = {.connected = false, .bmc = BmcSays::kOff, .bmc_proven = false};
  for (int i = 0; i < 100; ++i) EXPECT_THAT(ordered(turn(loop, 30s)), IsEmpty());
  EXPECT_THAT(kinds, ElementsAre(Event::kHostSilent, Event::kFenceFailed));
}

TEST_F(LoopTest, AHostWhoseAgentAnswersIsAlive) {
  fleet.vm(0);
  ClusterLoop loop(only_ha(), no_leases());
  turn(loop);
  fleet.seen[0] = {.connected = false, .answers = true, .bmc = BmcSays::kOff};
  for (int i = 0; i < 100; ++i) EXPECT_THAT(ordered(turn(loop, 30s)), IsEmpty());
  EXPECT_THAT(text, HasSubstr("libvirt on h0"));
}

TEST_F(LoopTest, WhenMostAreSilentNobodyIsFenced) {
  fleet.vm(0);
  ClusterLoop loop(only_ha(), no_leases());
  turn(loop);
  fleet.seen[0] = {.connected = false, .bmc = BmcSays::kOn, .others_heard = false};
  for (int i = 0; i < 100; ++i) EXPECT_THAT(ordered(turn(loop, 30s)), IsEmpty());
  EXPECT_THAT(text, HasSubstr("the manager that is cut off"));
}

TEST_F(LoopTest, AFailedHostThatWasHeardSinceMayRunAnything) {
  fleet.vm(0);
  ClusterLoop loop(only_ha(), no_leases());
  turn(loop);
  fleet.seen[0] = {.connected = false, .bmc = BmcSays::kOff};
  turn(loop, 1s);
  turn(loop, 5s);
  ASSERT_EQ(loop.watches()[0].phase, HostPhase::kFailed);
  // It came and went between two looks.
  fleet.seen[0] = {.connected = false, .bmc = BmcSays::kOn, .heard = fleet.time + 1s};
  turn(loop, 2s);
  EXPECT_NE(loop.watches()[0].phase, HostPhase::kFailed);
}

TEST_F(LoopTest, TwoTurnsAtOneMomentOrderOnce) {
  fleet.vm(0);
  ClusterLoop loop(only_ha(), {});
  turn(loop);
  fleet.seen[0].connected = false;
  turn(loop, 1s);
  EXPECT_THAT(ordered(turn(loop, 5s)), ElementsAre(kFence));
  EXPECT_THAT(ordered(turn(loop)), IsEmpty());
}

// A plan with one action, once.
Brain once(Action action) {
  Brain brain{.settings = automatic(false)};
  brain.plan = [action, asked = false](const model::Snapshot&) mutable {
    policy::Plan plan;
    if (!asked) plan.actions.push_back(action);
    asked = true;
    return plan;
  };
  return brain;
}

TEST_F(LoopTest, AHostThatDoesNotWakeIsTriedAgainThenLeftAlone) {
  fleet.seen[2] = {.connected = false, .bmc = BmcSays::kOff};
  std::vector<std::string> kept_off;
  Brain brain = once({.kind = ActionKind::kPowerOn, .to = 2});
  brain.plan = [plan = brain.plan, &kept_off](const model::Snapshot& snapshot) {
    kept_off.push_back(snapshot.hosts[2].keep_off);
    return plan(snapshot);
  };
  ClusterLoop loop(std::move(brain), {});
  EXPECT_THAT(ordered(turn(loop)), ElementsAre(kPowerOn));
  EXPECT_THAT(ordered(turn(loop, 259s)), IsEmpty());  // twice 100 s and a minute
  EXPECT_THAT(ordered(turn(loop, 1s)), ElementsAre(kPowerOn));
  EXPECT_THAT(ordered(turn(loop, 260s)), IsEmpty());
  EXPECT_THAT(kinds, ElementsAre(Event::kWakeFailed));
  turn(loop, 60s);
  EXPECT_THAT(kept_off.back(), HasSubstr("did not come on"));
  turn(loop, 1h);
  EXPECT_EQ(kept_off.back(), "");
}

TEST_F(LoopTest, HowLongAHostTakesToWakeIsRemembered) {
  fleet.seen[2] = {.connected = false, .bmc = BmcSays::kOff};
  ClusterLoop loop(once({.kind = ActionKind::kPowerOn, .to = 2}), {});
  turn(loop);
  turn(loop, 70s);
  fleet.seen[2] = {.connected = true, .bmc = BmcSays::kOn};
  turn(loop, 1s);
  EXPECT_EQ(loop.watches()[2].time_on, 71s);
  EXPECT_EQ(loop.watches()[2].phase, HostPhase::kUp);
}

TEST_F(LoopTest, AHostThatDoesNotGoOffServesOn) {
  ClusterLoop loop(once({.kind = ActionKind::kPowerOff, .to = 2}), {});
  EXPECT_THAT(ordered(turn(loop)), ElementsAre(kPowerOff));
  EXPECT_THAT(ordered(turn(loop, 80s)), ElementsAre(kPowerOff));
  EXPECT_THAT(ordered(turn(loop, 80s)), IsEmpty());
  EXPECT_THAT(kinds, ElementsAre(Event::kStopFailed));
  EXPECT_EQ(loop.watches()[2].phase, HostPhase::kUp);
  turn(loop, 60s);
  EXPECT_THAT(loop.snapshot().hosts[2].keep_on, HasSubstr("did not go off"));
}

TEST_F(LoopTest, AnOccupiedHostIsNotSwitchedOff) {
  fleet.vm(2);
  ClusterLoop loop(once({.kind = ActionKind::kPowerOff, .to = 2}), {});
  EXPECT_THAT(ordered(turn(loop)), IsEmpty());
  fleet.cluster.vms[0].host = 1;
  EXPECT_THAT(ordered(turn(loop, 1s)), ElementsAre(kPowerOff));
}

// Work that is done when the test says so, as if on another thread.
struct Elsewhere {
  std::vector<std::pair<std::move_only_function<void()>, std::move_only_function<void()>>> given;
  Brain& serve(Brain& brain) {
    brain.elsewhere = [this](std::move_only_function<void()> work,
                             std::move_only_function<void()> then) {
      given.emplace_back(std::move(work), std::move(then));
    };
    return brain;
  }
  void finish() {
    auto now = std::exchange(given, {});
    for (auto& [work, then] : now) {
      work();
      then();
    }
  }
};

TEST_F(LoopTest, APlanMadeElsewhereIsTakenByALaterTurn) {
  fleet.vm(0);
  Elsewhere elsewhere;
  Brain brain = once({.kind = ActionKind::kMigrate, .vm = 0, .from = 0, .to = 1});
  ClusterLoop loop(elsewhere.serve(brain), {});
  int told = 0;
  loop.on_thought([&] { ++told; });
  Turn begun = turn(loop);
  EXPECT_TRUE(begun.began);
  EXPECT_FALSE(begun.planned);
  EXPECT_GT(begun.wake, fleet.time);
  // However late it is: no second round beside the first.
  Turn between = turn(loop, 2min);
  EXPECT_FALSE(between.began);
  EXPECT_GT(between.wake, fleet.time);
  ASSERT_EQ(elsewhere.given.size(), 1U);
  elsewhere.finish();
  EXPECT_EQ(told, 1);
  fleet.cluster.vms[0].size.memory = 2048;  // what it was planned from stays as it was
  Turn taken = turn(loop, 1s);
  EXPECT_TRUE(taken.planned);
  EXPECT_THAT(ordered(taken), ElementsAre(kMigrate));
  EXPECT_EQ(loop.snapshot().vms[0].size.memory, 1024);
  EXPECT_EQ(loop.kept_snapshot().get(), &loop.snapshot());
}

TEST_F(LoopTest, APlanForAClusterThatIsNoMoreIsGivenUp) {
  fleet.vm(0);
  Elsewhere elsewhere;
  Brain brain = only_ha();
  ClusterLoop loop(elsewhere.serve(brain), {});
  turn(loop);
  ASSERT_TRUE(loop.is_thinking());
  fleet.seen[0] = {.connected = false, .bmc = BmcSays::kOff};
  turn(loop, 1s);
  EXPECT_THAT(ordered(turn(loop, 5s)), ElementsAre(kStart));
  // The old round's plan comes to nothing, and a round that knows of the loss takes its place.
  ASSERT_EQ(elsewhere.given.size(), 2U);
  auto late = std::move(elsewhere.given.front());
  elsewhere.given.erase(elsewhere.given.begin());
  late.first();
  late.second();
  EXPECT_FALSE(turn(loop, 1s).planned);
  elsewhere.finish();
  EXPECT_TRUE(turn(loop, 1s).planned);
  EXPECT_EQ(loop.snapshot().vms[0].host, kNone);
}

// What was planned under settings that a person has changed since is not done.
TEST_F(LoopTest, APlanOfOldSettingsIsGivenUp) {
  fleet.vm(0);
  Elsewhere elsewhere;
  Brain brain = once({.kind = ActionKind::kMigrate, .vm = 0, .from = 0, .to = 1});
  ClusterLoop loop(elsewhere.serve(brain), {});
  turn(loop);
  ASSERT_TRUE(loop.is_thinking());
  loop.plan_anew();
  elsewhere.finish();
  const Turn next = turn(loop, 1s);
  EXPECT_FALSE(next.planned);
  EXPECT_THAT(ordered(next), IsEmpty());
  EXPECT_TRUE(turn(loop, 10s).began || next.began);
}

TEST_F(LoopTest, NoRoundBeginsInTheTurnThatTakesAPlan) {
  fleet.vm(0);
  Elsewhere elsewhere;
  Brain brain = only_ha();
  ClusterLoop loop(elsewhere.serve(brain), {});
  turn(loop);
  loop.plan_soon();
  elsewhere.finish();
  const Turn taken = turn(loop, 30s);
  EXPECT_TRUE(taken.planned);
  EXPECT_FALSE(taken.began);
  EXPECT_LE(taken.wake, fleet.time);
  EXPECT_TRUE(turn(loop, 1s).began);
}

TEST_F(LoopTest, APlanMayComeWhenItsLoopIsGone) {
  Elsewhere elsewhere;
  {
    Brain brain = only_ha();
    ClusterLoop loop(elsewhere.serve(brain), {});
    turn(loop);
  }
  ASSERT_EQ(elsewhere.given.size(), 1U);
  elsewhere.finish();
}

TEST_F(LoopTest, WhatAPersonDecidesIsHeld) {
  fleet.vm(0);
  for (const bool manual : {false, true}) {
    Brain brain = once({.kind = ActionKind::kMigrate, .vm = 0, .from = 0, .to = 1});
    if (manual) brain.settings.balance.automation = model::Automation::kManual;
    ClusterLoop loop(std::move(brain), {});
    EXPECT_EQ(turn(loop).commands.empty(), manual);
    ASSERT_EQ(loop.states().size(), 1U);
    EXPECT_EQ(loop.states()[0], manual ? PlanRun::State::kHeld : PlanRun::State::kRunning);
  }
}

TEST_F(LoopTest, AMoveThatCameToNothingIsSaid) {
  fleet.vm(0);
  ClusterLoop loop(once({.kind = ActionKind::kMigrate, .vm = 0, .from = 0, .to = 1}), {});
  EXPECT_THAT(ordered(turn(loop)), ElementsAre(kMigrate));
  fleet.in_flight[0] = true;
  turn(loop, 1s);
  EXPECT_THAT(kinds, IsEmpty());
  fleet.in_flight[0] = false;
  EXPECT_THAT(ordered(turn(loop, 1s)), IsEmpty());
  EXPECT_THAT(kinds, ElementsAre(Event::kActionFailed));
}

TEST_F(LoopTest, MigrationsOfAHostAreBounded) {
  for (int i = 0; i < 5; ++i) fleet.vm(0);
  fleet.cluster.hosts[0].migrations_parallel = 2;
  Brain brain{.settings = automatic(false)};
  brain.plan = [](const model::Snapshot&) {
    policy::Plan plan;
    for (Index v = 0; v < 5; ++v)
      plan.actions.push_back({.kind = ActionKind::kMigrate, .vm = v, .from = 0, .to = 1 + v % 2});
    return plan;
  };
  ClusterLoop loop(std::move(brain), {});
  EXPECT_THAT(ordered(turn(loop)), ElementsAre(kMigrate, kMigrate));
}

TEST_F(LoopTest, RestartsKeepTheirOrderAndDelays) {
  const Index database = fleet.vm(0);
  const Index web = fleet.vm(0);
  fleet.cluster.vms[web].restart_after = {database};
  fleet.cluster.vms[web].restart_delay = 30s;
  ClusterLoop loop(only_ha(), {});
  turn(loop);
  fleet.seen[0] = {.connected = false, .bmc = BmcSays::kOff};
  turn(loop, 1s);
  const Turn first = turn(loop, 5s);
  ASSERT_EQ(first.commands.size(), 1U);
  EXPECT_EQ(first.commands[0].vm, database);
  fleet.cluster.vms[database].host = first.commands[0].host;
  const Turn waits = turn(loop, 1s);
  EXPECT_THAT(ordered(waits), IsEmpty());
  EXPECT_EQ(waits.wake - fleet.time, 30s);
  EXPECT_THAT(ordered(turn(loop, 29s)), IsEmpty());
  const Turn second = turn(loop, 1s);
  ASSERT_EQ(second.commands.size(), 1U);
  EXPECT_EQ(second.commands[0].vm, web);
}

TEST_F(LoopTest, ARestartBehindOneThatFailedIsPlannedAnew) {
  const Index first = fleet.vm(0);
  const Index second = fleet.vm(0);
  fleet.cluster.vms[second].restart_after = {first};
  ClusterLoop loop(only_ha(), {});
  turn(loop);
  fleet.seen[0] = {.connected = false, .bmc = BmcSays::kOff};
  turn(loop, 1s);
  Turn next = turn(loop, 5s);
  ASSERT_THAT(ordered(next), ElementsAre(kStart));
  ASSERT_EQ(next.commands[0].vm, first);
  // It comes to nothing, and is ordered again, to begin with.
  EXPECT_THAT(ordered(turn(loop, 1s)), IsEmpty());
  EXPECT_THAT(ordered(turn(loop, 58s)), IsEmpty());
  next = turn(loop, 1s);
  ASSERT_THAT(ordered(next), ElementsAre(kStart));
  EXPECT_EQ(next.commands[0].vm, first);
  fleet.cluster.vms[first].host = next.commands[0].host;
  next = turn(loop, 1s);
  ASSERT_THAT(ordered(next), ElementsAre(kStart));
  EXPECT_EQ(next.commands[0].vm, second);
}

TEST_F(LoopTest, ARestartWhosePlaceWasTakenGoesElsewhere) {
  fleet.vm(0);
  ClusterLoop loop(only_ha(), {});
  turn(loop);
  fleet.seen[0] = {.connected = false, .bmc = BmcSays::kOff};
  turn(loop, 1s);
  // Its place is taken in the moment in which it is planned: others see less memory than there is.
  fleet.held[1] = fleet.held[2] = 8000;
  EXPECT_THAT(ordered(turn(loop, 5s)), IsEmpty());
  fleet.held[2] = 0;
  fleet.seen[1].connected = false;
  EXPECT_THAT(ordered(turn(loop, 60s)), ElementsAre(kStart));
}

TEST_F(LoopTest, APlanThatNamesWhatIsNotThereIsAnError) {
  ClusterLoop loop(once({.kind = ActionKind::kPowerOn, .to = 9}), {});
  const Result<Turn> turn = loop.turn(fleet);
  ASSERT_FALSE(turn);
  EXPECT_THAT(turn.error().message, HasSubstr("host 9"));
}

}  // namespace
}  // namespace chorok::control
