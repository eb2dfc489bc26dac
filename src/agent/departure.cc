#include "agent/departure.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/flow.h"
#include "base/expiring.h"

namespace chorok::agent {
namespace {

using model::Standby;
using model::VmState;

bool may_run(VmState state) {
  return state != VmState::kOff && state != VmState::kSaved && state != VmState::kCrashed;
}

}  // namespace

Departure::Departure(Parts parts, DepartureSettings settings)
    : parts_(std::move(parts)), settings_(settings) {}

Departure::~Departure() {
  *alive_ = false;
  parts_.loop.cancel(patience_);
}

void Departure::ask(const model::StandbyRequest& request, ports::Channel::Reply reply) {
  if (goes()) return reply("{}");
  Result<> may = settings_.host == nullptr
                     ? fail(Code::kUnsupported, "this agent cannot switch its host off")
                     : settings_.host->can(request.how);
  if (!may) return reply(Unexpected(may.error()));
  begin({.standby = request, .reply = std::move(reply)});
}

void Departure::prepare(const model::PrepareRequest& request, ports::Channel::Reply reply) {
  if (request.hold <= Duration{}) {
    release();
    return reply("{}");
  }
  if (goes()) return reply("{}");
  begin({.standby = std::nullopt, .hold = request.hold, .reply = std::move(reply)});
}

void Departure::begin(Ask ask) {
  if (!parts_.idle())
    return ask.reply(fail(Code::kFailedPrecondition, "operations are under way on this host"));
  asks_.push_back(std::move(ask));
  if (stage_ == Stage::kPrepares) return;
  parts_.loop.cancel(std::exchange(patience_, 0));
  stage_ = Stage::kPrepares;
  parts_.hypervisor.list(expiring<std::vector<model::Instance>>(
      parts_.loop, settings_.list_timeout, "libvirt",
      [this, alive = alive_](const Result<std::vector<model::Instance>>& instances) {
        if (*alive) listed(instances);
      }));
}

// Whoever has asked for it does not want it any more.
void Departure::release() {
  std::vector<Ask> rest;
  for (Ask& each : std::exchange(asks_, {})) {
    if (each.standby)
      rest.push_back(std::move(each));
    else
      each.reply(fail(Code::kFailedPrecondition, "its power is to stay after all"));
  }
  asks_ = std::move(rest);
  if (stage_ != Stage::kReady) return;
  parts_.loop.cancel(std::exchange(patience_, 0));
  stage_ = Stage::kStays;
  log_.info("its power stays, and so does this host");
}

void Departure::listed(const Result<std::vector<model::Instance>>& instances) {
  if (!instances)
    return end(fail(Code::kFailedPrecondition, fmt::format("whether VMs run here is not known: {}",
                                                           instances.error().message)));
  for (const model::Instance& each : *instances)
    if (may_run(each.state))
      return end(fail(Code::kFailedPrecondition,
                      fmt::format("'{}' runs here; move it away first", each.name)));
  parts_.telemetry.flush([this, alive = alive_](const Result<>& done) {
    if (*alive) flushed(done);
  });
}

void Departure::flushed(const Result<>& flushed) {
  Result<> kept = flushed ? parts_.journal.sync() : flushed;
  if (!kept)
    kept = fail(kept.error().code,
                fmt::format("what it has to tell cannot be kept: {}", kept.error().message));
  end(kept);
}

void Departure::end(const Result<>& prepared) {
  std::vector<Ask> asks = std::exchange(asks_, {});
  std::optional<model::StandbyRequest> standby;
  Duration hold{};
  for (const Ask& each : asks) {
    if (each.standby) standby = each.standby;
    hold = std::max(hold, each.hold);
  }
  stage_ = Stage::kStays;
  if (prepared && standby)
    leave(*standby);
  else if (prepared && !asks.empty())
    be_ready(hold);
  for (Ask& each : asks)
    each.reply(prepared ? Result<std::string>("{}")
                        : Result<std::string>(Unexpected(prepared.error())));
}

void Departure::be_ready(Duration hold) {
  stage_ = Stage::kReady;
  log_.info("this host is prepared for its power to go");
  patience_ = parts_.loop.after(std::min(hold, settings_.hold_max), [this] {
    patience_ = 0;
    stay("its power was to be taken, and is still there");
  });
}

void Departure::leave(const model::StandbyRequest& request) {
  stage_ = Stage::kGoes;
  log_.info("this host goes to standby: {}", name_of(request.how));
  patience_ = parts_.loop.after(settings_.farewell, [this, request] {
    patience_ = 0;
    go(request);
  });
}

void Departure::go(const model::StandbyRequest& request) {
  // One that shuts down takes its leave when its system ends it; until then it is seen to be on.
  if (request.how == Standby::kSuspend) {
    stage_ = Stage::kSleeps;
    parts_.hang_up("this host is suspended");
  }
  settings_.host->go(request.how, request.wake_after,
                     [this, alive = alive_, how = request.how](Result<> result) {
                       if (!*alive) return;
                       if (!result) return stay(result.error().message);
                       if (how == Standby::kSuspend) return came_back();
                       patience_ = parts_.loop.after(settings_.patience, [this] {
                         patience_ = 0;
                         stay("it was asked to shut down, and is still there");
                       });
                     });
}

void Departure::came_back() {
  log_.info("this host has woken");
  stage_ = Stage::kStays;
  parts_.telemetry.resumed();
}

void Departure::stay(std::string_view why) {
  log_.error("this host stays on: {}", why);
  stage_ = Stage::kStays;
}

}  // namespace chorok::agent
