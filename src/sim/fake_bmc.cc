#include "sim/fake_bmc.h"

#include <utility>

namespace chorok::sim {

namespace {

Unexpected no_answer_to_command() {
  return fail(Code::kUnknown, "the BMC was sent the command and has not answered");
}
Unexpected unreachable() {
  return fail(Code::kUnavailable, "the BMC cannot be reached");
}

// How FaultPlan's kinds look from this side.
bool loses_command(Fault fault) {
  return fault == Fault::kUnknownBefore;
}
bool loses_answer(Fault fault) {
  return fault == Fault::kUnknownAfter || fault == Fault::kErrorAfter ||
         fault == Fault::kLostAnswer || fault == Fault::kDisconnect;
}

}  // namespace

FakeBmc::FakeBmc(Loop& loop, BmcMachine machine, BmcSettings settings, FaultPlan* plan)
    : loop_(loop),
      machine_(std::move(machine)),
      settings_(std::move(settings)),
      plan_(plan),
      on_(settings_.on),
      energy_since_(loop.now()),
      energy_at_(loop.now()),
      orders_(loop, [this](model::PowerAction action, Done<Result<>> done) {
        perform(action, std::move(done));
      }) {}

void FakeBmc::capabilities(Done<Result<model::PowerCapabilities>> done) {
  Decision decision = decide("power.capabilities");
  if (silent(decision))
    return later(settings_.answer_limit,
                 [done = std::move(done)]() mutable { done(unreachable()); });
  later(answer_time(decision), [done = std::move(done)]() mutable {
    done(model::PowerCapabilities{.status = true,
                                  .on = true,
                                  .off = true,
                                  .shutdown = true,
                                  .cycle = true,
                                  .driver = "fake",
                                  .device = "simulated BMC"});
  });
}

void FakeBmc::status(Done<Result<model::ChassisPower>> done) {
  Decision decision = decide("power.status");
  if (silent(decision))
    return later(settings_.answer_limit,
                 [done = std::move(done)]() mutable { done(unreachable()); });
  later(answer_time(decision), [this, done = std::move(done)]() mutable {
    done(on_ ? model::ChassisPower::kOn : model::ChassisPower::kOff);
  });
}

void FakeBmc::act(model::PowerAction action, ports::PowerOrder order, Done<Result<>> done) {
  orders_.submit(action, std::move(order), std::move(done));
}

void FakeBmc::perform(model::PowerAction action, Done<Result<>> done) {
  Decision decision = decide("power.act");
  if (faults_.unreachable || decision.fault == Fault::kErrorBefore)
    return later(settings_.answer_limit,
                 [done = std::move(done)]() mutable { done(unreachable()); });
  later(answer_time(decision), [this, action, decision, done = std::move(done)]() mutable {
    switch (action) {
      case model::PowerAction::kOn:
        return turn(true, decision, std::move(done));
      case model::PowerAction::kOff:
        return turn(false, decision, std::move(done));
      case model::PowerAction::kShutdown:
        return ask_to_stop(decision, std::move(done));
      case model::PowerAction::kCycle:
        return cycle(decision, std::move(done));
    }
  });
}

void FakeBmc::cycle(const Decision& decision, Done<Result<>> done) {
  turn(false, decision, [this, decision, done = std::move(done)](Result<> off) mutable {
    if (!off) return done(std::move(off));
    turn(true, decision, std::move(done));
  });
}

void FakeBmc::turn(bool on, const Decision& decision, Done<Result<>> done) {
  if (on_ == on) return later({}, [done = std::move(done)]() mutable { done({}); });
  bool stuck = on ? faults_.stuck_off : faults_.stuck_on;
  bool lost = faults_.commands_lost || loses_command(decision.fault);
  if (!stuck && !lost) later(settings_.turns_in, [this, on] { set(on); });
  if (lost || faults_.answers_lost || loses_answer(decision.fault))
    return later(settings_.answer_limit,
                 [done = std::move(done)]() mutable { done(no_answer_to_command()); });
  if (stuck)
    return later(settings_.confirm_limit, [on, done = std::move(done)]() mutable {
      done(fail(Code::kFailedPrecondition, on ? "the BMC took the command and still says off"
                                              : "the BMC took the command and still says on"));
    });
  later(settings_.turns_in + answer_time(decision),
        [done = std::move(done)]() mutable { done({}); });
}

void FakeBmc::ask_to_stop(const Decision& decision, Done<Result<>> done) {
  bool lost = faults_.commands_lost || loses_command(decision.fault);
  bool hears = on_ && !lost && !faults_.ignores_shutdown && !faults_.stuck_on;
  if (hears)
    later({}, [this] {
      if (on_ && machine_.ask_to_stop) machine_.ask_to_stop();
    });
  if (on_ && (lost || faults_.answers_lost || loses_answer(decision.fault)))
    return later(settings_.answer_limit,
                 [done = std::move(done)]() mutable { done(no_answer_to_command()); });
  later({}, [done = std::move(done)]() mutable { done({}); });
}

void FakeBmc::read(Done<Result<model::PowerReading>> done) {
  Decision decision = decide("power.read");
  if (silent(decision))
    return later(settings_.answer_limit,
                 [done = std::move(done)]() mutable { done(unreachable()); });
  later(answer_time(decision), [this, done = std::move(done)]() mutable {
    if (faults_.no_meter) return done(fail(Code::kUnsupported, "the BMC has no power reading"));
    count_energy();
    model::PowerReading reading;
    reading.watts = drawn() * faults_.watts_factor;
    reading.energy = energy_;
    reading.energy_since = energy_since_;
    reading.source = model::WattSource::kSimulated;
    reading.method = model::MeterMethod::kIpmiDcmi;
    reading.error = settings_.error;
    reading.at = loop_.now();
    done(reading);
  });
}

void FakeBmc::stopped() {
  set(false);
}
void FakeBmc::push_on() {
  set(true);
}

void FakeBmc::set(bool on) {
  if (on_ == on) return;
  count_energy();
  on_ = on;
  ++turns_;
  const auto& tell = on ? machine_.boot : machine_.cut;
  if (tell && !(on && faults_.wake_fails)) tell();
}

// What it drew since is taken to be what it draws now: good as long as somebody reads or the load
// does not change between.
void FakeBmc::count_energy() {
  Time now = loop_.now();
  energy_ += (drawn() * faults_.watts_factor) * (now - energy_at_);
  energy_at_ = now;
}

Watts FakeBmc::drawn() const {
  if (!on_ || !machine_.draws) return settings_.standby;
  return machine_.draws();
}

Decision FakeBmc::decide(const char* op) {
  return plan_ == nullptr ? Decision{} : plan_->decide(op, settings_.host);
}

// A question that gets no answer; what was asked changes nothing, so all such faults are one.
bool FakeBmc::silent(const Decision& decision) const {
  return faults_.unreachable || (decision.fault != Fault::kNone && decision.fault != Fault::kSlow);
}

Duration FakeBmc::answer_time(const Decision& decision) const {
  return from_seconds(seconds(settings_.answers_in) * faults_.slowness * decision.slowness);
}

void FakeBmc::later(Duration delay, Work work) {
  loop_.after(delay, [alive = std::weak_ptr(alive_), work = std::move(work)]() mutable {
    if (!alive.expired()) work();
  });
}

}  // namespace chorok::sim
