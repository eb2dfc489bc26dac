#include "adapters/power/driven_switch.h"

#include <fmt/format.h>

#include <utility>

namespace chorok::adapters::power {

using model::ChassisPower;
using model::PowerAction;

// One change of a chassis, from the command to its effect.
struct DrivenSwitch::Turn {
  bool on;
  Done<Result<>> done;
  bool answered = true;  // the BMC answered the command
  Time deadline{};
  ChassisPower wanted() const { return on ? ChassisPower::kOn : ChassisPower::kOff; }
};

DrivenSwitch::DrivenSwitch(Loop& loop, work::WorkerPool& pool, std::unique_ptr<PowerDriver> driver,
                           DrivenOptions options)
    : loop_(loop),
      options_(options),
      driver_(std::move(driver)),
      blocking_(loop, pool),
      orders_(loop, [this](PowerAction action, Done<Result<>> done) {
        perform(action, std::move(done));
      }) {}

DrivenSwitch::~DrivenSwitch() {
  driver_->stop();
}

void DrivenSwitch::capabilities(Done<Result<model::PowerCapabilities>> done) {
  blocking_.run<model::PowerCapabilities>(
      "", [driver = driver_] { return driver->capabilities(); }, std::move(done));
}

void DrivenSwitch::status(Done<Result<ChassisPower>> done) {
  blocking_.run<ChassisPower>("", [driver = driver_] { return driver->status(); }, std::move(done));
}

void DrivenSwitch::act(PowerAction action, ports::PowerOrder order, Done<Result<>> done) {
  orders_.submit(action, std::move(order), std::move(done));
}

void DrivenSwitch::perform(PowerAction action, Done<Result<>> done) {
  switch (action) {
    case PowerAction::kOn:
      return turn(true, std::move(done));
    case PowerAction::kOff:
      return turn(false, std::move(done));
    case PowerAction::kShutdown:
      return soft_off(std::move(done));
    case PowerAction::kCycle:
      break;
  }
  // In two steps that can each be seen: a BMC's own cycle is refused by some while the host is off,
  // and says nothing of whether the power was ever gone.
  turn(false, [this, done = std::move(done)](Result<> off) mutable {
    if (!off) return done(std::move(off));
    loop_.after(options_.cycle_pause,
                [this, alive = std::weak_ptr(alive_), done = std::move(done)]() mutable {
                  if (!alive.expired()) turn(true, std::move(done));
                });
  });
}

void DrivenSwitch::turn(bool on, Done<Result<>> done) {
  auto turn = std::make_shared<Turn>(on, std::move(done));
  status([this, turn](Result<ChassisPower> now) mutable {
    if (!now) return turn->done(Unexpected(now.error()));
    if (*now == turn->wanted()) return turn->done({});
    send(std::move(turn));
  });
}

void DrivenSwitch::send(std::shared_ptr<Turn> turn) {
  auto what = turn->on ? PowerDriver::Command::kOn : PowerDriver::Command::kOff;
  command(what, [this, turn](Result<> sent) mutable {
    // A command that may have arrived is looked for, like one that did.
    if (!sent && sent.error().code != Code::kUnknown) return turn->done(std::move(sent));
    turn->answered = sent.has_value();
    turn->deadline = loop_.now() + options_.confirm_limit;
    confirm(std::move(turn));
  });
}

void DrivenSwitch::confirm(std::shared_ptr<Turn> turn) {
  status([this, turn](Result<ChassisPower> now) mutable {
    look_again(std::move(turn), std::move(now));
  });
}

void DrivenSwitch::look_again(std::shared_ptr<Turn> turn, Result<ChassisPower> now) {
  if (now && *now == turn->wanted()) return turn->done({});
  if (loop_.now() < turn->deadline) {
    loop_.after(options_.confirm_every,
                [this, alive = std::weak_ptr(alive_), turn = std::move(turn)]() mutable {
                  if (!alive.expired()) confirm(std::move(turn));
                });
    return;
  }
  if (!now)
    return turn->done(
        fail(Code::kUnknown, fmt::format("the command to switch {} was sent, and "
                                         "nothing says whether it took effect: {}",
                                         turn->on ? "on" : "off", now.error().message)));
  if (!turn->answered || *now == ChassisPower::kUnknown)
    return turn->done(
        fail(Code::kUnknown,
             fmt::format("the BMC did not answer the command to switch {}, and says "
                         "'{}' after {:.0f} s",
                         turn->on ? "on" : "off", name_of(*now), seconds(options_.confirm_limit))));
  turn->done(
      fail(Code::kFailedPrecondition,
           fmt::format("the BMC took the command to switch {} and still says '{}' after "
                       "{:.0f} s: look at the machine",
                       turn->on ? "on" : "off", name_of(*now), seconds(options_.confirm_limit))));
}

void DrivenSwitch::soft_off(Done<Result<>> done) {
  status([this, done = std::move(done)](Result<ChassisPower> now) mutable {
    if (!now) return done(Unexpected(now.error()));
    // Pressing the button of a host that is off would switch it on.
    if (*now == ChassisPower::kOff) return done({});
    if (*now == ChassisPower::kUnknown)
      return done(fail(Code::kUnavailable, "the BMC does not know whether the host is on"));
    command(PowerDriver::Command::kSoftOff, std::move(done));
  });
}

void DrivenSwitch::command(PowerDriver::Command command, Done<Result<>> done) {
  blocking_.run<void>(
      "", [driver = driver_, command] { return driver->send(command); }, std::move(done));
}

}  // namespace chorok::adapters::power
