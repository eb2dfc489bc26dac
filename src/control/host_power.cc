#include "control/host_power.h"

#include <fmt/format.h>

#include <algorithm>

namespace chorok::control {

namespace {

using model::Automation;
using model::HostOffBy;
using model::PowerByHand;
using model::WakeStage;

class Step {
 public:
  Step(const PowerInput& in, HostWatch& watch) : in_(in), watch_(watch), hand_(watch.hand) {}

  PowerStep run() {
    const HostWatch before = watch_;
    if (hand_.open) under_way();
    if (!hand_.open) begin();
    if (!out_.command) give_back();
    out_.changed = !(before == watch_);
    return std::move(out_);
  }

 private:
  bool rests() const { return in_.now < watch_.rest_until; }

  void under_way() {
    const HostPhase phase = watch_.phase;
    if (phase == (hand_.on ? HostPhase::kWaking : HostPhase::kStopping)) return;
    if (phase == (hand_.on ? HostPhase::kUp : HostPhase::kDown) && !rests()) return end({});
    if (rests()) return end("it " + watch_.rest_why);
    end(hand_.on ? "it did not come on" : "it was switched on by somebody else meanwhile");
  }

  void begin() {
    if (in_.wish.task.empty() || in_.wish.task == hand_.task) return;
    if (watch_.test.stage != WakeStage::kNone) return;  // until that is over
    if (in_.wish.on)
      begin_on();
    else
      begin_off();
  }

  void begin_on() {
    switch (watch_.phase) {
      case HostPhase::kUp:
        return take({});
      case HostPhase::kWaking:
        return take({}, true);  // for whatever reason: it comes
      case HostPhase::kFailed:
        // Until its VMs have started elsewhere: nobody could tell them from those that it ran.
        if (in_.settings.restart && !in_.empty) return;
        if (!in_.is_off) return take("it has failed, and whether it is off is not known");
        watch_.phase = HostPhase::kDown;
        break;
      case HostPhase::kDown:
        break;
      case HostPhase::kSilent:
        if (!watch_.told) return;
        [[fallthrough]];
      case HostPhase::kFencing:
        return take("it does not answer, and whether it is off is not known");
      case HostPhase::kStopping:
      case HostPhase::kUnknown:
        return;
    }
    by_hand(true);
  }

  void begin_off() {
    switch (watch_.phase) {
      case HostPhase::kDown:
        keep_off();
        return take({});
      case HostPhase::kStopping:
        keep_off();
        return take({}, true);
      case HostPhase::kUp:
        if (!in_.empty) return;
        return by_hand(false);
      case HostPhase::kSilent:
        if (!watch_.told) return;  // after a manager's restart all are
        [[fallthrough]];
      case HostPhase::kFailed:
      case HostPhase::kFencing:
        return take("it does not answer, and what runs there is not known");
      case HostPhase::kWaking:
      case HostPhase::kUnknown:
        return;
    }
  }

  void by_hand(bool on) {
    if (!in_.wish.switchable)
      return take("nothing can switch it; chorok host bmc says how its power is reached");
    watch_.rest_until = {};  // a person has asked for it
    switch_to(on, fmt::format("{} has asked for it", in_.wish.user));
    if (!on) keep_off();
    take({}, true);
  }

  void keep_off() {
    watch_.off_by = HostOffBy::kPerson;
    watch_.off_user = in_.wish.user;
  }

  void switch_to(bool on, std::string reason) {
    out_.command = switch_host(in_.host, in_.about, on, in_.now, in_.settings, watch_);
    if (!out_.command) return;
    out_.command->reason = std::move(reason);
    out_.wake = watch_.until;
  }

  void take(std::string failure, bool open = false) {
    hand_ = PowerByHand{
        .task = in_.wish.task, .on = in_.wish.on, .open = open, .failure = std::move(failure)};
  }
  void end(std::string failure) {
    hand_.open = false;
    hand_.failure = std::move(failure);
  }

  // A person who takes power management back wants the hosts back that it had switched off.
  void give_back() {
    if (watch_.phase != HostPhase::kDown || rests() || !in_.wish.enabled || !in_.wish.switchable ||
        watch_.test.stage != WakeStage::kNone)
      return;
    const Automation dpm = in_.power.automation;
    const bool by_dpm = watch_.off_by == HostOffBy::kDpm;
    if (!by_dpm && watch_.off_by != HostOffBy::kApplied) return;
    if (in_.wish.excluded)
      return switch_to(true, in_.wish.excluded_why.empty()
                                 ? std::string("it is excluded from DPM, which had switched it off")
                                 : fmt::format("it is excluded from DPM ({}), which had switched "
                                               "it off",
                                               in_.wish.excluded_why));
    // What was recommended and applied by a person stays while recommendations are made.
    if (dpm == Automation::kOff || (by_dpm && dpm != Automation::kFull))
      switch_to(true, fmt::format("DPM, which had switched it off, is {} now", name_of(dpm)));
  }

  const PowerInput& in_;
  HostWatch& watch_;
  PowerByHand& hand_;
  PowerStep out_;
};

}  // namespace

PowerStep step_power(const PowerInput& in, HostWatch& watch) {
  // Of most hosts in most turns there is nothing to look at.
  const bool by_hand = !in.wish.task.empty() || watch.hand.open;
  const bool sleeps = watch.phase == HostPhase::kDown && watch.off_by != HostOffBy::kNobody;
  if (!by_hand && !sleeps) return {};
  return Step(in, watch).run();
}

}  // namespace chorok::control
