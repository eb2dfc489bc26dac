// A host's power by hand, and what DPM gives back: what is ordered, what is refused, what is kept.
#include "control/host_power.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chorok::control {
namespace {

using model::Automation;
using model::HostOffBy;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

class HostPowerTest : public ::testing::Test {
 protected:
  HostPowerTest() {
    about.name = "rack1";
    about.time_on = 100s;
    about.time_off = 10s;
    watch.phase = HostPhase::kUp;
    wish.switchable = true;
    power.automation = Automation::kFull;
  }
  // A turn: the watch first, as the loop has it.
  PowerStep turn() {
    look(0, about, seen, now, settings, watch);
    return step_power({.host = 0,
                       .about = about,
                       .wish = wish,
                       .empty = empty,
                       .is_off = seen.bmc == BmcSays::kOff,
                       .now = now,
                       .power = power,
                       .settings = settings},
                      watch);
  }
  void ask(bool on) {
    wish.task = "task-" + std::to_string(++tasks);
    wish.on = on;
    wish.user = "kim";
  }
  void goes_off() { seen = {.connected = false, .bmc = BmcSays::kOff}; }
  void comes_on() { seen = {.connected = true, .bmc = BmcSays::kOn}; }
  // By DPM, some time ago.
  void asleep(HostOffBy by) {
    goes_off();
    watch.phase = HostPhase::kDown;
    watch.off_by = by;
  }

  model::SnapshotHost about;
  HostSeen seen{.connected = true, .bmc = BmcSays::kOn};
  HostWatch watch;
  PowerWish wish;
  bool empty = true;
  int tasks = 0;
  Time now{1000h};
  model::PowerSettings power;
  WatchSettings settings;
};

TEST_F(HostPowerTest, OffByHandStaysOffUntilAPersonSwitchesItOn) {
  EXPECT_FALSE(turn().changed) << "nobody has asked for anything";
  ask(false);
  const PowerStep off = turn();
  ASSERT_TRUE(off.command);
  EXPECT_EQ(off.command->kind, Command::Kind::kPowerOff);
  EXPECT_THAT(off.command->reason, HasSubstr("kim"));
  EXPECT_TRUE(watch.hand.open);
  EXPECT_FALSE(turn().changed) << "looking twice changes nothing";
  now += 12s;
  goes_off();
  turn();
  EXPECT_FALSE(watch.hand.open);
  EXPECT_EQ(watch.hand.failure, "");
  EXPECT_EQ(watch.off_by, HostOffBy::kPerson);
  model::SnapshotHost shown = about;
  mark(watch, now, settings, shown);
  EXPECT_THAT(shown.keep_off, HasSubstr("kim has switched it off")) << "DPM does not wake it";
  power.automation = Automation::kOff;
  EXPECT_FALSE(turn().command) << "DPM had no part in it";
  ask(true);
  const PowerStep on = turn();
  ASSERT_TRUE(on.command);
  EXPECT_EQ(on.command->kind, Command::Kind::kPowerOn);
  now += 95s;
  comes_on();
  turn();
  EXPECT_FALSE(watch.hand.open);
  EXPECT_EQ(watch.hand.failure, "");
  EXPECT_EQ(watch.off_by, HostOffBy::kNobody);
}

TEST_F(HostPowerTest, OnlyAnEmptyHostGoesOff) {
  empty = false;
  ask(false);
  EXPECT_FALSE(turn().command);
  empty = true;
  EXPECT_TRUE(turn().command);
}

TEST_F(HostPowerTest, WhatCannotBeDoneSaysWhy) {
  wish.switchable = false;
  ask(false);
  EXPECT_FALSE(turn().command);
  EXPECT_THAT(watch.hand.failure, HasSubstr("nothing can switch it"));
  wish.switchable = true;
  ask(true);
  EXPECT_FALSE(turn().command) << "it is on";
  EXPECT_EQ(watch.hand.failure, "");
  // It is silent: nobody knows what runs there, nor whether it is off.
  seen = {.connected = false, .bmc = BmcSays::kOn};
  ask(false);
  turn();
  EXPECT_EQ(watch.hand.failure, "") << "not yet: its agent may only dial again";
  for (const bool on : {false, true}) {
    ask(on);
    now += 1min;
    turn();
    EXPECT_THAT(watch.hand.failure, HasSubstr("does not answer"));
  }
}

TEST_F(HostPowerTest, AHostThatDoesNotComeOnFailsTheOrderAndAPersonMayTryAgain) {
  asleep(HostOffBy::kPerson);
  ask(true);
  EXPECT_TRUE(turn().command);
  for (int i = 0; i < settings.tries; ++i) {
    EXPECT_TRUE(watch.hand.open);
    now = watch.until;
    turn();
  }
  EXPECT_FALSE(watch.hand.open);
  EXPECT_THAT(watch.hand.failure, HasSubstr("did not come on"));
  EXPECT_FALSE(is_asleep(watch)) << "it should be on, and is missed";
  ask(true);
  EXPECT_TRUE(turn().command) << "however long it was to be left alone";
}

TEST_F(HostPowerTest, AFailedHostComesOnOnceItsVmsAreElsewhere) {
  settings.restart = true;
  goes_off();
  watch.phase = HostPhase::kFailed;
  watch.failed_at = now;
  empty = false;
  ask(true);
  EXPECT_FALSE(turn().command);
  empty = true;
  EXPECT_TRUE(turn().command);
  EXPECT_EQ(watch.phase, HostPhase::kWaking);
}

TEST_F(HostPowerTest, WhatDpmPutToSleepComesBackWhenItMayNotAnyMore) {
  asleep(HostOffBy::kDpm);
  EXPECT_FALSE(turn().command) << "it may";
  power.automation = Automation::kManual;
  const PowerStep woken = turn();
  ASSERT_TRUE(woken.command);
  EXPECT_EQ(woken.command->kind, Command::Kind::kPowerOn);
  EXPECT_THAT(woken.command->reason, HasSubstr("DPM, which had switched it off, is manual now"));

  asleep(HostOffBy::kDpm);
  power.automation = Automation::kFull;
  wish.excluded = true;
  wish.excluded_why = "a dongle";
  const PowerStep excluded = turn();
  ASSERT_TRUE(excluded.command);
  EXPECT_THAT(excluded.command->reason, HasSubstr("a dongle"));
}

TEST_F(HostPowerTest, WhatAPersonAppliedStaysWhileRecommendationsAreMade) {
  asleep(HostOffBy::kApplied);
  power.automation = Automation::kManual;
  EXPECT_FALSE(turn().command);
  power.automation = Automation::kOff;
  EXPECT_TRUE(turn().command);
}

TEST_F(HostPowerTest, InMaintenanceASleepingHostStaysOff) {
  asleep(HostOffBy::kDpm);
  power.automation = Automation::kOff;
  wish.enabled = false;
  EXPECT_FALSE(turn().command);
  wish.enabled = true;
  EXPECT_TRUE(turn().command);
}

TEST_F(HostPowerTest, OneThatDoesNotWakeIsTriedAgainAfterItsRest) {
  asleep(HostOffBy::kDpm);
  power.automation = Automation::kOff;
  EXPECT_TRUE(turn().command);
  for (int i = 0; i < settings.tries; ++i) {
    now = watch.until;
    turn();
  }
  ASSERT_EQ(watch.phase, HostPhase::kDown);
  EXPECT_FALSE(turn().command);
  now = watch.rest_until;
  EXPECT_TRUE(turn().command);
}

}  // namespace
}  // namespace chorok::control
