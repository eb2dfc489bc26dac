// What every PowerSwitch and PowerMeter must do, once, for the fake and for real BMCs. A test file
// defines a Fixture and instantiates the suites:
//
//   struct Fixture {
//     static std::string missing();               // why it cannot run here; empty: it can
//     ports::PowerSwitch& power();                // of a host that is on at first
//     ports::PowerMeter& meter();                 // of the same host
//     bool wait(const std::function<bool()>& done);  // runs the loop; false: too long
//     bool has_power();                           // asked of the host itself, not of the switch
//     int turns();                                // how often its power has changed
//     void unplug();                              // the BMC answers nothing from now on
//     void sticks();                              // takes commands, does nothing
//     void load(double busy);                     // 0..1, for the meter
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Fake, PowerSwitchContract, Fixture);
//   INSTANTIATE_TYPED_TEST_SUITE_P(Fake, PowerMeterContract, Fixture);
//
// Only tests include this.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "ports/power_meter.h"
#include "ports/power_switch.h"

namespace chorok::ports {

template <class Fixture>
class PowerContract : public testing::Test {
 protected:
  void SetUp() override {
    std::string missing = Fixture::missing();
    if (!missing.empty()) GTEST_SKIP() << missing;
    fixture_ = std::make_unique<Fixture>();
  }

  template <class T>
  struct Answer {
    std::optional<Result<T>> result;
    bool inside = true;
  };
  // Starts a call; its answer comes while the fixture waits.
  template <class T, class Start>
  std::shared_ptr<Answer<T>> ask(Start start) {
    auto answer = std::make_shared<Answer<T>>();
    start([answer](Result<T> result) {
      EXPECT_FALSE(answer->inside) << "completed inside the call";
      EXPECT_FALSE(answer->result.has_value()) << "completed twice";
      answer->result = std::move(result);
    });
    answer->inside = false;
    return answer;
  }
  template <class T>
  Result<T> take(const std::shared_ptr<Answer<T>>& answer) {
    if (!fixture_->wait([&] { return answer->result.has_value(); })) {
      ADD_FAILURE() << "never completed";
      return fail(Code::kTimeout, "never completed");
    }
    return *answer->result;
  }

  auto begin(model::PowerAction action, std::string operation, std::int64_t term = 1) {
    return ask<void>([&](auto done) {
      fixture_->power().act(action, {std::move(operation), term}, std::move(done));
    });
  }
  Result<> act(model::PowerAction action, std::string operation, std::int64_t term = 1) {
    return take(begin(action, std::move(operation), term));
  }
  model::ChassisPower status() {
    auto found = take(
        ask<model::ChassisPower>([&](auto done) { fixture_->power().status(std::move(done)); }));
    if (!found) ADD_FAILURE() << found.error().message;
    return found.value_or(model::ChassisPower::kUnknown);
  }
  Result<model::PowerReading> read() {
    return take(
        ask<model::PowerReading>([&](auto done) { fixture_->meter().read(std::move(done)); }));
  }

  std::unique_ptr<Fixture> fixture_;
};

template <class Fixture>
class PowerSwitchContract : public PowerContract<Fixture> {};
TYPED_TEST_SUITE_P(PowerSwitchContract);

TYPED_TEST_P(PowerSwitchContract, SaysWhatItCan) {
  auto can = this->take(this->template ask<model::PowerCapabilities>(
      [&](auto done) { this->fixture_->power().capabilities(std::move(done)); }));
  ASSERT_TRUE(can) << can.error().message;
  EXPECT_TRUE(can->status && can->on && can->off && can->cycle);
  EXPECT_FALSE(can->driver.empty());
}

TYPED_TEST_P(PowerSwitchContract, WhenItSaysOffTheHostHasNoPower) {
  EXPECT_EQ(this->status(), model::ChassisPower::kOn);
  auto off = this->act(model::PowerAction::kOff, "op-1");
  ASSERT_TRUE(off) << off.error().message;
  EXPECT_FALSE(this->fixture_->has_power());
  EXPECT_EQ(this->status(), model::ChassisPower::kOff);
  auto on = this->act(model::PowerAction::kOn, "op-2");
  ASSERT_TRUE(on) << on.error().message;
  EXPECT_TRUE(this->fixture_->has_power());
  EXPECT_EQ(this->status(), model::ChassisPower::kOn);
}

TYPED_TEST_P(PowerSwitchContract, WhatIsSoAlreadyIsLeftAlone) {
  ASSERT_TRUE(this->act(model::PowerAction::kOn, "op-1"));
  EXPECT_EQ(this->fixture_->turns(), 0);
  ASSERT_TRUE(this->act(model::PowerAction::kOff, "op-2"));
  ASSERT_TRUE(this->act(model::PowerAction::kOff, "op-3"));
  ASSERT_TRUE(this->act(model::PowerAction::kShutdown, "op-4"));
  EXPECT_EQ(this->fixture_->turns(), 1);
}

TYPED_TEST_P(PowerSwitchContract, CyclesAHostThatIsOnAndStartsOneThatIsOff) {
  auto cycled = this->act(model::PowerAction::kCycle, "op-1");
  ASSERT_TRUE(cycled) << cycled.error().message;
  EXPECT_EQ(this->fixture_->turns(), 2);
  EXPECT_TRUE(this->fixture_->has_power());
  ASSERT_TRUE(this->act(model::PowerAction::kOff, "op-2"));
  ASSERT_TRUE(this->act(model::PowerAction::kCycle, "op-3"));
  EXPECT_TRUE(this->fixture_->has_power());
  EXPECT_EQ(this->fixture_->turns(), 4);
}

TYPED_TEST_P(PowerSwitchContract, AnOperationHappensOnce) {
  auto first = this->begin(model::PowerAction::kCycle, "op-1");
  auto again = this->begin(model::PowerAction::kCycle, "op-1");  // while it is under way
  ASSERT_TRUE(this->take(first));
  ASSERT_TRUE(this->take(again));
  ASSERT_TRUE(this->act(model::PowerAction::kCycle, "op-1"));  // and after it
  EXPECT_EQ(this->fixture_->turns(), 2);
  auto other = this->act(model::PowerAction::kOff, "op-1");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::kConflict);
  EXPECT_TRUE(this->fixture_->has_power());
}

TYPED_TEST_P(PowerSwitchContract, ActionsHappenInTheirOrder) {
  auto off = this->begin(model::PowerAction::kOff, "op-1");
  auto on = this->begin(model::PowerAction::kOn, "op-2");
  ASSERT_TRUE(this->take(on));
  EXPECT_TRUE(off->result.has_value());
  EXPECT_TRUE(this->fixture_->has_power());
  EXPECT_EQ(this->fixture_->turns(), 2);
}

TYPED_TEST_P(PowerSwitchContract, AnOlderLeaderIsRefused) {
  ASSERT_TRUE(this->act(model::PowerAction::kOn, "op-1", 5));
  auto old = this->act(model::PowerAction::kOff, "op-2", 4);
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().code, Code::kConflict);
  EXPECT_TRUE(this->fixture_->has_power());
}

TYPED_TEST_P(PowerSwitchContract, AnActionNeedsAnOperation) {
  auto nameless = this->act(model::PowerAction::kOff, "");
  ASSERT_FALSE(nameless);
  EXPECT_EQ(nameless.error().code, Code::kInvalid);
  EXPECT_TRUE(this->fixture_->has_power());
}

TYPED_TEST_P(PowerSwitchContract, ABmcThatDoesNotAnswerIsNoSuccess) {
  this->fixture_->unplug();
  auto off = this->act(model::PowerAction::kOff, "op-1");
  ASSERT_FALSE(off);
  EXPECT_TRUE(off.error().code == Code::kUnavailable || off.error().code == Code::kUnknown)
      << to_string(off.error().code);
  auto status = this->take(this->template ask<model::ChassisPower>(
      [&](auto done) { this->fixture_->power().status(std::move(done)); }));
  EXPECT_TRUE(!status || *status == model::ChassisPower::kUnknown);
  EXPECT_TRUE(this->fixture_->has_power());
}

TYPED_TEST_P(PowerSwitchContract, AStuckHostIsNoSuccess) {
  this->fixture_->sticks();
  auto off = this->act(model::PowerAction::kOff, "op-1");
  ASSERT_FALSE(off);
  EXPECT_EQ(off.error().code, Code::kFailedPrecondition) << off.error().message;
  EXPECT_TRUE(this->fixture_->has_power());
}

REGISTER_TYPED_TEST_SUITE_P(PowerSwitchContract, SaysWhatItCan, WhenItSaysOffTheHostHasNoPower,
                            WhatIsSoAlreadyIsLeftAlone, CyclesAHostThatIsOnAndStartsOneThatIsOff,
                            AnOperationHappensOnce, ActionsHappenInTheirOrder,
                            AnOlderLeaderIsRefused, AnActionNeedsAnOperation,
                            ABmcThatDoesNotAnswerIsNoSuccess, AStuckHostIsNoSuccess);

template <class Fixture>
class PowerMeterContract : public PowerContract<Fixture> {};
TYPED_TEST_SUITE_P(PowerMeterContract);

TYPED_TEST_P(PowerMeterContract, SaysWhereItsWattsComeFrom) {
  this->fixture_->load(0.5);
  auto reading = this->read();
  ASSERT_TRUE(reading) << reading.error().message;
  EXPECT_TRUE(reading->watts || reading->energy);
  EXPECT_GT(reading->error, 0) << "no meter is exact";
  EXPECT_LT(reading->error, 1);
  EXPECT_NE(reading->at, Time{});
}

TYPED_TEST_P(PowerMeterContract, FollowsTheLoad) {
  auto watts = [&](double busy) -> double {
    this->fixture_->load(busy);
    double last = -1;
    // A counter's first reading has no watts yet.
    for (int i = 0; i < 3; ++i) {
      auto reading = this->read();
      if (!reading) ADD_FAILURE() << reading.error().message;
      if (reading && reading->watts) last = reading->watts->value;
    }
    return last;
  };
  double idle = watts(0);
  double busy = watts(1);
  EXPECT_GT(idle, 0);
  EXPECT_GT(busy, idle * 1.2);
}

TYPED_TEST_P(PowerMeterContract, ACounterOnlyGrows) {
  this->fixture_->load(1);
  std::optional<model::PowerReading> before;
  for (int i = 0; i < 4; ++i) {
    auto reading = this->read();
    ASSERT_TRUE(reading) << reading.error().message;
    EXPECT_EQ(reading->energy.has_value(),
              before ? before->energy.has_value() : reading->energy.has_value());
    if (before) EXPECT_GE(reading->at, before->at);
    if (before && before->energy && before->energy_since == reading->energy_since)
      EXPECT_GE(reading->energy->value, before->energy->value);
    before = *reading;
  }
}

TYPED_TEST_P(PowerMeterContract, OneThatDoesNotAnswerSaysNoNumber) {
  this->fixture_->unplug();
  EXPECT_FALSE(this->read());
}

REGISTER_TYPED_TEST_SUITE_P(PowerMeterContract, SaysWhereItsWattsComeFrom, FollowsTheLoad,
                            ACounterOnlyGrows, OneThatDoesNotAnswerSaysNoNumber);

}  // namespace chorok::ports
