#include "control/plan_run.h"

#include <fmt/format.h>

#include <algorithm>

namespace chorok::control {

namespace {

using policy::Action;
using policy::ActionKind;

bool is_of_vm(const Action& action) {
  return action.kind == ActionKind::kMigrate || action.kind == ActionKind::kStart;
}

Result<void> check(const Action& action, std::uint32_t i, const Fleet& fleet) {
  if (action.to >= fleet.hosts() || (is_of_vm(action) && action.vm >= fleet.vms()))
    return fail(Code::kInternal,
                fmt::format("action {} of a plan names VM {} and host {}; there are {} and {}", i,
                            action.vm, action.to, fleet.vms(), fleet.hosts()));
  for (const std::uint32_t before : action.after)
    if (before >= i)
      return fail(
          Code::kInternal,
          fmt::format("action {} of a plan waits for {}, which stands after it", i, before));
  return {};
}

}  // namespace

Result<void> PlanRun::take(policy::Plan plan, const Fleet& fleet,
                           const std::function<bool(const Action&)>& hold) {
  for (std::uint32_t i = 0; i < plan.actions.size(); ++i) TRY(check(plan.actions[i], i, fleet));
  plan_ = std::move(plan);
  state_.assign(plan_.actions.size(), State::kWaiting);
  ended_at_.assign(plan_.actions.size(), Time{});
  waiting_.clear();
  running_.clear();
  taken_ = fleet.now();
  for (std::uint32_t i = 0; i < plan_.actions.size(); ++i) {
    const Action& action = plan_.actions[i];
    const bool held = (hold && hold(action)) || std::ranges::any_of(action.after, [&](auto before) {
                        return state_[before] == State::kHeld;
                      });
    if (held)
      state_[i] = State::kHeld;
    else
      waiting_.push_back(i);
  }
  return {};
}

void PlanRun::resume(std::span<const std::uint32_t> actions) {
  for (const std::uint32_t i : actions) {
    if (i >= state_.size() || state_[i] != State::kWaiting) continue;
    state_[i] = State::kRunning;
    running_.push_back(i);
  }
  std::erase_if(waiting_, [&](std::uint32_t i) { return state_[i] == State::kRunning; });
}

PlanRun::State PlanRun::now(const Action& action, const Site& site) const {
  const HostPhase phase = site.watches[action.to].phase;
  switch (action.kind) {
    case ActionKind::kMigrate:
    case ActionKind::kStart:
      if (site.fleet.busy(action.vm)) return State::kRunning;
      return site.fleet.host_of(action.vm) == action.to ? State::kDone : State::kFailed;
    case ActionKind::kPowerOn:
      if (phase == HostPhase::kWaking) return State::kRunning;
      return phase == HostPhase::kUp ? State::kDone : State::kFailed;
    case ActionKind::kPowerOff:
      if (phase == HostPhase::kStopping) return State::kRunning;
      return phase == HostPhase::kDown ? State::kDone : State::kFailed;
  }
  return State::kFailed;
}

void PlanRun::see_ends(const Site& site, std::vector<LoopEvent>& events) {
  std::erase_if(running_, [&](std::uint32_t i) {
    const Action& action = plan_.actions[i];
    state_[i] = now(action, site);
    if (state_[i] == State::kRunning) return false;
    ended_at_[i] = site.fleet.now();
    if (state_[i] == State::kFailed && is_of_vm(action))
      events.push_back({.kind = LoopEvent::Kind::kActionFailed,
                        .host = action.to,
                        .vm = action.vm,
                        .text = "did not arrive; the next round decides anew"});
    return true;
  });
}

bool PlanRun::awaits(Index host) const {
  return std::ranges::any_of(waiting_, [&](std::uint32_t i) {
    const Action& action = plan_.actions[i];
    return action.to == host && !action.after.empty();
  });
}

bool PlanRun::stuck(Time now, Duration patience) const {
  if (now - taken_ < patience) return false;
  return std::ranges::any_of(waiting_, [&](std::uint32_t i) {
    const Action& action = plan_.actions[i];
    if (std::ranges::any_of(action.after,
                            [&](auto before) { return state_[before] == State::kFailed; }))
      return true;
    const Time at = due(action);
    return at != Time::max() && now - at >= patience;
  });
}

// Max: what it waits for has not ended, or has failed.
Time PlanRun::due(const Action& action) const {
  Time due{};
  for (const std::uint32_t before : action.after) {
    if (state_[before] != State::kDone) return Time::max();
    due = std::max(due, ended_at_[before] + action.delay);
  }
  return due;
}

bool PlanRun::start(const Action& action, Site& site, std::vector<Command>& commands) const {
  const Fleet& fleet = site.fleet;
  const auto up = [&](Index host) { return site.watches[host].phase == HostPhase::kUp; };
  const auto link_free = [&](Index host) {
    const auto more = site.ordered.migrations.find(host);
    return fleet.migrations(host) + (more == site.ordered.migrations.end() ? 0 : more->second) <
           site.hosts[host].migrations_parallel;
  };
  const auto memory_free = [&] {
    const auto more = site.ordered.memory.find(action.to);
    return fleet.needed_memory(action.vm) +
               (more == site.ordered.memory.end() ? 0 : more->second) <=
           fleet.free_memory(action.to);
  };
  Command command{.kind = Command::Kind::kMigrate,
                  .vm = action.vm,
                  .host = action.to,
                  .why = action.why,
                  .reason = action.reason};
  if (is_of_vm(action)) {
    Index from = fleet.host_of(action.vm);
    if (from != kNone && site.watches[from].phase == HostPhase::kFailed) from = kNone;
    const bool move = action.kind == ActionKind::kMigrate;
    if (move != (from != kNone) || fleet.busy(action.vm) || site.ordered.vms.contains(action.vm) ||
        !up(action.to) || !memory_free())
      return false;
    if (move) {
      if (from == action.to || !up(from) || !link_free(from) || !link_free(action.to)) return false;
      ++site.ordered.migrations[from];
      ++site.ordered.migrations[action.to];
    }
    site.ordered.vms.insert(action.vm);
    site.ordered.memory[action.to] += fleet.needed_memory(action.vm);
    command.kind = move ? Command::Kind::kMigrate : Command::Kind::kStart;
    commands.push_back(std::move(command));
    return true;
  }
  const bool on = action.kind == ActionKind::kPowerOn;
  if (!on && (!fleet.empty(action.to) || site.ordered.memory.contains(action.to))) return false;
  const std::optional<Command> ordered = site.switch_host(action.to, on);
  if (!ordered) return false;
  command.kind = ordered->kind;
  commands.push_back(std::move(command));
  return true;
}

Time PlanRun::work(Site& site, std::vector<Command>& commands, std::vector<LoopEvent>& events) {
  see_ends(site, events);
  Time next = Time::max();
  std::erase_if(waiting_, [&](std::uint32_t i) {
    const Action& action = plan_.actions[i];
    const Time at = due(action);
    if (at > site.fleet.now()) {
      next = std::min(next, at);
      return false;
    }
    if (!start(action, site, commands)) return false;
    state_[i] = State::kRunning;
    running_.push_back(i);
    return true;
  });
  return next;
}

}  // namespace chorok::control
