#include "control/waketest.h"

#include <fmt/format.h>

#include <algorithm>

namespace chorok::control {

namespace {

using model::WakeStage;
using model::WakeStanding;
using model::WakeTest;

// Nothing tells of a reading; while one is waited for, it is looked for this often.
constexpr Duration kLookForReading = std::chrono::seconds(1);
// A BMC's reading is the mean of about a second, and may be a second old.
constexpr Duration kReadingSpan = std::chrono::seconds(2);

class Step {
 public:
  Step(const TestInput& in, HostWatch& watch) : in_(in), watch_(watch), test_(watch.test) {}

  TestStep run() {
    const WakeTest before = test_;
    switch (test_.stage) {
      case WakeStage::kNone:
        age();
        begin();
        break;
      case WakeStage::kStopping:
        stopping();
        break;
      case WakeStage::kStandby:
        standby();
        break;
      case WakeStage::kWaking:
        waking();
        break;
    }
    out_.changed = !(before == test_);
    return std::move(out_);
  }

 private:
  void due(std::string why) {
    test_.standing = WakeStanding::kDue;
    test_.why = std::move(why);
  }

  // What was proved holds for this BMC, and not for ever.
  void age() {
    if (test_.standing == WakeStanding::kDue) return;
    if (in_.wish.bmc_changed > test_.at) return due("how its power is reached has changed since");
    if (test_.standing == WakeStanding::kPassed && in_.now - test_.at > in_.power.wake_test_every)
      due(fmt::format("the last one was {:.0f} days ago", seconds(in_.now - test_.at) / 86400));
  }

  void begin() {
    if (in_.wish.asked == Time{} || in_.wish.asked <= test_.at) return;
    if (!in_.wish.switchable)
      return end(WakeStanding::kFailed,
                 "nothing can switch it; chorok host bmc says how its power is reached");
    if (watch_.phase != HostPhase::kUp || !in_.free) return;
    watch_.rest_until = {};  // a person has asked for it
    switch_to(false);
    test_.begun = in_.now;
    test_.stage = WakeStage::kStopping;
  }

  void switch_to(bool on) {
    out_.command = switch_host(in_.host, in_.about, on, in_.now, in_.settings, watch_);
    if (!out_.command) return;
    if (!on) watch_.off_by = model::HostOffBy::kTest;
    out_.command->reason = on ? "a wake test: it is to come back" : "a wake test begins";
    out_.wake = watch_.until;
  }

  bool rests() const { return in_.now < watch_.rest_until; }

  void stopping() {
    if (watch_.phase == HostPhase::kStopping) return;
    if (rests()) return end(WakeStanding::kFailed, "it " + watch_.rest_why);
    if (watch_.phase != HostPhase::kDown)
      return end(WakeStanding::kDue, "it was switched on by somebody else meanwhile");
    test_.time_off = in_.now - test_.begun;
    test_.standby_watts.reset();
    test_.stage = WakeStage::kStandby;
    standby();
  }

  // Its meter was read when it had been off for a while. A BMC that is asked rarely, or was slow to
  // answer, has only said yet what the host drew while it was on.
  bool drawn_off() const {
    const Duration settles = std::max(in_.settings.standby / 2, kReadingSpan);
    return in_.wish.draws && in_.wish.drew_at >= watch_.since + settles;
  }

  void standby() {
    if (watch_.phase == HostPhase::kUp)
      return end(WakeStanding::kDue, "it was switched on by somebody else meanwhile");
    if (watch_.phase == HostPhase::kDown) {
      // What it draws then is read when it has settled.
      const Time settled = watch_.since + in_.settings.standby;
      if (in_.now < settled) {
        out_.wake = settled;
        return;
      }
      if (in_.wish.draws && !drawn_off() && in_.now < settled + in_.settings.standby_read) {
        out_.wake = in_.now + kLookForReading;
        return;
      }
      if (drawn_off()) test_.standby_watts = in_.wish.draws;
      switch_to(true);
      if (!out_.command) return end(WakeStanding::kFailed, "it " + watch_.rest_why);
    }
    test_.stage = WakeStage::kWaking;  // by this, or because it is needed
  }

  void waking() {
    if (watch_.phase == HostPhase::kWaking) return;
    if (watch_.phase != HostPhase::kUp)
      return end(WakeStanding::kFailed,
                 "it " + (rests() ? watch_.rest_why : std::string("did not come on")));
    test_.time_on = watch_.time_on;
    end(WakeStanding::kPassed, {});
  }

  void end(WakeStanding standing, std::string why) {
    test_.standing = standing;
    test_.why = std::move(why);
    test_.stage = WakeStage::kNone;
    test_.at = in_.now;
    const bool passed = standing == WakeStanding::kPassed;
    out_.event = LoopEvent{
        .kind = passed ? LoopEvent::Kind::kWakeTestPassed : LoopEvent::Kind::kWakeTestFailed,
        .host = in_.host,
        .text = passed
                    ? fmt::format("{} passed its wake test: off in {:.0f} s, on in {:.0f} s",
                                  in_.about.name, seconds(test_.time_off), seconds(test_.time_on))
                    : fmt::format("the wake test of {} did not come to its end: {}", in_.about.name,
                                  test_.why)};
  }

  const TestInput& in_;
  HostWatch& watch_;
  WakeTest& test_;
  TestStep out_;
};

}  // namespace

TestStep step_test(const TestInput& in, HostWatch& watch) {
  return Step(in, watch).run();
}

std::string kept_on_by_test(const WakeTest& test, const model::PowerSettings& power) {
  if (test.stage != WakeStage::kNone) return "its wake test is under way";
  if (!power.require_wake_test) return {};
  switch (test.standing) {
    case WakeStanding::kPassed:
      return {};
    case WakeStanding::kFailed:
      return "its wake test failed: " + test.why;
    case WakeStanding::kDue:
      break;
  }
  return test.why.empty() ? "its wake test is due (chorok host wake-test)"
                          : "its wake test is due: " + test.why;
}

}  // namespace chorok::control
