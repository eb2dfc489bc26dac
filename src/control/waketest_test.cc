// A host's wake test by hand: what its agent and its BMC say is what the test says.
#include "control/waketest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chorok::control {
namespace {

using model::WakeStage;
using model::WakeStanding;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

class WakeTest : public ::testing::Test {
 protected:
  WakeTest() {
    about.name = "rack1";
    about.time_on = 100s;
    about.time_off = 10s;
    watch.phase = HostPhase::kUp;
    wish.switchable = true;
  }
  // A turn: the watch first, as the loop has it.
  TestStep turn() {
    ordered.reset();
    WatchStep seen_step = look(0, about, seen, now, settings, watch);
    if (seen_step.command) ordered = seen_step.command;
    TestStep step = step_test({.host = 0,
                               .about = about,
                               .wish = wish,
                               .free = free,
                               .now = now,
                               .power = power,
                               .settings = settings},
                              watch);
    if (step.command) ordered = step.command;
    if (step.event) told = step.event;
    return step;
  }
  void ask() { wish.asked = now; }
  void goes_off() { seen = {.connected = false, .bmc = BmcSays::kOff}; }
  void comes_on() { seen = {.connected = true, .bmc = BmcSays::kOn}; }
  std::string kept_on() const { return kept_on_by_test(watch.test, power); }
  // Until it is off and was told to come back.
  void to_waking() {
    ask();
    turn();
    now += 12s;
    goes_off();
    turn();
    now += settings.standby;
    turn();
    ASSERT_EQ(watch.test.stage, WakeStage::kWaking);
  }

  model::SnapshotHost about;
  HostSeen seen{.connected = true, .bmc = BmcSays::kOn};
  HostWatch watch;
  TestWish wish;
  bool free = true;
  Time now{1000h};
  model::PowerSettings power;
  WatchSettings settings;
  std::optional<Command> ordered;
  std::optional<LoopEvent> told;
};

TEST_F(WakeTest, OffAndOnAndMeasured) {
  EXPECT_THAT(kept_on(), HasSubstr("is due"));
  EXPECT_FALSE(turn().changed) << "nobody has asked for it";
  ask();
  EXPECT_TRUE(turn().changed);
  ASSERT_TRUE(ordered);
  EXPECT_EQ(ordered->kind, Command::Kind::kPowerOff);
  EXPECT_THAT(kept_on(), HasSubstr("under way"));
  EXPECT_FALSE(turn().changed) << "looking twice changes nothing";
  now += 12s;
  goes_off();
  turn();
  EXPECT_EQ(watch.test.stage, WakeStage::kStandby);
  EXPECT_FALSE(ordered) << "what it draws has not settled";
  now += settings.standby;
  wish.draws = 7.5;
  wish.drew_at = now;
  turn();
  ASSERT_TRUE(ordered);
  EXPECT_EQ(ordered->kind, Command::Kind::kPowerOn);
  now += 95s;
  comes_on();
  turn();
  EXPECT_EQ(watch.test.standing, WakeStanding::kPassed);
  EXPECT_EQ(watch.test.stage, WakeStage::kNone);
  EXPECT_EQ(watch.test.time_off, 12s);
  EXPECT_EQ(watch.test.time_on, 95s);
  EXPECT_EQ(watch.test.standby_watts, 7.5);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->kind, LoopEvent::Kind::kWakeTestPassed);
  EXPECT_EQ(kept_on(), "");
  EXPECT_FALSE(turn().changed) << "it was asked for once";
}

TEST_F(WakeTest, WaitsUntilTheHostIsFree) {
  free = false;
  ask();
  EXPECT_FALSE(turn().changed);
  EXPECT_FALSE(ordered);
  free = true;
  turn();
  EXPECT_TRUE(ordered);
}

TEST_F(WakeTest, AHostThatDoesNotComeBackHasFailed) {
  to_waking();
  for (int i = 0; i < settings.tries; ++i) {
    now = watch.until;
    turn();
  }
  EXPECT_EQ(watch.test.standing, WakeStanding::kFailed);
  EXPECT_THAT(watch.test.why, HasSubstr("did not come on"));
  EXPECT_EQ(told->kind, LoopEvent::Kind::kWakeTestFailed);
  EXPECT_THAT(kept_on(), HasSubstr("failed"));
  // It comes on in the end, by somebody's hand: that proves nothing.
  now += 2h;
  comes_on();
  turn();
  EXPECT_EQ(watch.test.standing, WakeStanding::kFailed);
  ask();
  turn();
  EXPECT_EQ(ordered->kind, Command::Kind::kPowerOff) << "a person may try again";
}

TEST_F(WakeTest, AHostThatDoesNotGoOffHasFailedAndRuns) {
  ask();
  turn();
  for (int i = 0; i < settings.tries; ++i) {
    now = watch.until;
    turn();
  }
  EXPECT_EQ(watch.test.standing, WakeStanding::kFailed);
  EXPECT_EQ(watch.phase, HostPhase::kUp);
}

TEST_F(WakeTest, OneThatSomebodySwitchedOnMeanwhileIsDueStill) {
  ask();
  turn();
  now += 12s;
  goes_off();
  turn();
  comes_on();
  turn();
  EXPECT_EQ(watch.test.standing, WakeStanding::kDue);
  EXPECT_EQ(watch.test.stage, WakeStage::kNone);
}

TEST_F(WakeTest, IsDueAgainAfterItsTimeAndWhenTheBmcIsAnother) {
  to_waking();
  now += 95s;
  comes_on();
  turn();
  ASSERT_EQ(watch.test.standing, WakeStanding::kPassed);
  now += power.wake_test_every;
  turn();
  EXPECT_EQ(watch.test.standing, WakeStanding::kPassed);
  now += 24h;
  turn();
  EXPECT_EQ(watch.test.standing, WakeStanding::kDue);
  EXPECT_THAT(kept_on(), HasSubstr("days ago"));

  to_waking();
  now += 95s;
  comes_on();
  turn();
  ASSERT_EQ(watch.test.standing, WakeStanding::kPassed);
  wish.bmc_changed = now + 1s;
  now += 2s;
  turn();
  EXPECT_EQ(watch.test.standing, WakeStanding::kDue);
  EXPECT_THAT(kept_on(), HasSubstr("has changed"));
}

TEST_F(WakeTest, WithoutABmcThereIsNothingToTry) {
  wish.switchable = false;
  ask();
  turn();
  EXPECT_EQ(watch.test.standing, WakeStanding::kFailed);
  EXPECT_THAT(watch.test.why, HasSubstr("nothing can switch it"));
  EXPECT_FALSE(ordered);
}

TEST_F(WakeTest, WhereItIsNotRequiredNothingIsKeptOn) {
  power.require_wake_test = false;
  EXPECT_EQ(kept_on(), "");
  ask();
  turn();
  EXPECT_THAT(kept_on(), HasSubstr("under way"));
}

// Its agent puts it to standby: that it is not heard any more is all that is known.
TEST_F(WakeTest, ByItsLinkAlone) {
  seen = {.connected = true, .bmc_proven = false, .by_link = true};
  ask();
  turn();
  ASSERT_EQ(watch.phase, HostPhase::kStopping);
  now += 10s;
  seen = {.connected = false, .heard = now, .bmc_proven = false, .by_link = true};
  EXPECT_EQ(turn().wake, Time::max());
  EXPECT_EQ(watch.phase, HostPhase::kStopping) << "an agent that only dials again";
  now += settings.silent_after - 1s;
  turn();
  EXPECT_EQ(watch.phase, HostPhase::kStopping);
  now += 1s;
  turn();
  EXPECT_EQ(watch.phase, HostPhase::kDown);
  EXPECT_EQ(watch.test.stage, WakeStage::kStandby);
  now += settings.standby;
  turn();
  EXPECT_EQ(watch.phase, HostPhase::kWaking);
  now += 40s;
  seen = {.connected = true, .bmc_proven = false, .by_link = true};
  turn();
  EXPECT_EQ(watch.test.standing, WakeStanding::kPassed);
  EXPECT_FALSE(watch.test.standby_watts);
  EXPECT_EQ(watch.test.time_on, 40s);
}

// Of a thousand hosts a meter is read every 50 s: what it says when the host has been off for 30 s
// may be what it drew while it was on.
TEST_F(WakeTest, AReadingFromBeforeIsNotWhatItDrawsInStandby) {
  ask();
  turn();
  now += 12s;
  wish.draws = 250;
  wish.drew_at = now - 2s;
  goes_off();
  turn();
  now += settings.standby;
  const TestStep waits = turn();
  EXPECT_EQ(watch.test.stage, WakeStage::kStandby);
  EXPECT_LE(waits.wake, now + 5s) << "nothing tells of a reading";
  now += 18s;
  wish.draws = 9;
  wish.drew_at = now;
  turn();
  EXPECT_EQ(watch.test.stage, WakeStage::kWaking);
  EXPECT_EQ(watch.test.standby_watts, 9);
}

// However short the windows are: the second that a reading is the mean of may be one that it was
// on.
TEST_F(WakeTest, AReadingOfTheSecondThatItWentIsNotTaken) {
  settings.standby = 1500ms;
  ask();
  turn();
  now += 12s;
  goes_off();
  turn();
  now += 1600ms;
  wish.draws = 120;
  wish.drew_at = now;
  turn();
  EXPECT_EQ(watch.test.stage, WakeStage::kStandby);
  now += 500ms;
  wish.draws = 10;
  wish.drew_at = now;
  turn();
  EXPECT_EQ(watch.test.stage, WakeStage::kWaking);
  EXPECT_EQ(watch.test.standby_watts, 10);
}

TEST_F(WakeTest, AMeterThatSaysNothingNewIsNotWaitedForForEver) {
  wish.draws = 250;
  wish.drew_at = now;
  ask();
  turn();
  now += 12s;
  goes_off();
  turn();
  now += settings.standby + settings.standby_read;
  turn();
  EXPECT_EQ(watch.test.stage, WakeStage::kWaking);
  EXPECT_FALSE(watch.test.standby_watts);
}

// One that was not told to go is silent like any other: nothing is known of its VMs, however long.
TEST_F(WakeTest, ALinkThatEndsIsNoEvidence) {
  settings.restart = true;
  settings.leases = false;
  seen = {.connected = false, .heard = now, .bmc_proven = false, .by_link = true};
  for (int minute = 0; minute < 120; ++minute) {
    const WatchStep step = look(0, about, seen, now, settings, watch);
    EXPECT_FALSE(step.command);
    EXPECT_FALSE(step.lost_vms);
    now += 1min;
  }
  EXPECT_EQ(watch.phase, HostPhase::kSilent);
}

}  // namespace
}  // namespace chorok::control
