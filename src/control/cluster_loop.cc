#include "control/cluster_loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "control/host_power.h"
#include "control/waketest.h"
#include "policy/planner.h"
#include "policy/restart.h"

namespace chorok::control {

namespace {

using model::Automation;
using model::Snapshot;
using model::SnapshotOperation;
using model::VmRun;
using policy::Action;
using policy::ActionKind;
using policy::Why;

void expect_what_is(Snapshot& snapshot) {
  for (model::SnapshotVm& vm : snapshot.vms)
    for (model::Demand* demand : {&vm.cpu_demand, &vm.memory_demand})
      *demand = {.now = demand->now,
                 .mean = demand->now,
                 .peak = demand->now,
                 .expected = demand->now,
                 .upper = demand->now};
}

}  // namespace

Brain chorok_brain(const model::PolicySettings& settings) {
  auto forecast = std::make_shared<policy::ClusterForecast>();
  return {.settings = settings,
          .forecast = [forecast](Snapshot& snapshot) { forecast->observe(snapshot); },
          .plan = policy::plan_cluster,
          .place = policy::plan_place,
          .restart = policy::plan_restart};
}

Result<Turn> ClusterLoop::turn(Fleet& fleet) {
  Turn turn;
  if (snapshot_ == nullptr || watches_.size() != fleet.hosts()) snapshot_ = &fleet.looked_at();
  watches_.resize(fleet.hosts());
  settings_.watch.restart = settings_.failover && brain_.settings.ha.enabled;
  watch_hosts(fleet, turn);
  if (std::exchange(look_for_lost_, false)) find_lost(fleet, nullptr);
  const auto is_due = [&] { return brain_.plan && !fleet.is_looking() && round_due(fleet.now()); };
  if (is_due()) find_lost(fleet, &turn);
  test_hosts(fleet, turn);
  power_hosts(fleet, turn);
  see_restarted(fleet, turn);
  // A restart that cannot begin as planned is planned anew: no round does it, while it counts as on
  // its way.
  if (new_losses_ || restarts_.stuck(fleet.now(), settings_.round)) TRY(restart(fleet, turn));
  if (thinking_ && thinking_->done) {
    const std::shared_ptr<Thinking> thought = std::exchange(thinking_, nullptr);
    planned_ = thought->snapshot;
    TRY(take(std::move(thought->plan), fleet, turn));
  }
  if (!turn.planned && is_due()) TRY(round(fleet, turn));

  PlanRun::Site site{
      .fleet = fleet,
      .watches = watches_,
      .hosts = snapshot_->hosts,
      .switch_host = [&](Index host, bool on) { return switch_by_plan(fleet, host, on); }};
  const std::vector<Command>::size_type before = turn.commands.size();
  turn.wake = std::min(turn.wake, restarts_.work(site, turn.commands, turn.events));
  turn.wake = std::min(turn.wake, applied_.work(site, turn.commands, turn.events));
  turn.wake = std::min(turn.wake, run_.work(site, turn.commands, turn.events));
  for (auto i = before; i < turn.commands.size(); ++i) {
    const Command& command = turn.commands[i];
    if (command.vm != kNone) continue;
    turn.watched = true;
    turn.wake = std::min(turn.wake, watches_[command.host].until);
  }
  if (!fleet.is_looking()) {
    seen_calls_ = std::nullopt;
    if (brain_.plan && !thinking_) turn.wake = std::min(turn.wake, next_due());
  }
  return turn;
}

void ClusterLoop::restore(std::vector<HostWatch> watches) {
  watches_ = std::move(watches);
  snapshot_ = nullptr;
  give_up();
  dropped_ += run_.waiting();
  run_ = {};
  restarts_ = {};
  applied_ = {};
  restarting_.clear();
  new_losses_ = false;
  look_for_lost_ = true;
  plan_soon();
  if (seen_calls_) ++*seen_calls_;  // by the look that has found the others
}

Result<void> ClusterLoop::carry_on(policy::Plan plan, std::span<const std::uint32_t> begun,
                                   const Fleet& fleet) {
  TRY(applied_.take(std::move(plan), fleet));
  applied_.resume(begun);
  return {};
}

std::optional<Command> ClusterLoop::switch_by_plan(const Fleet& fleet, Index host, bool on) {
  HostWatch& watch = watches_[host];
  std::optional<Command> command =
      switch_host(host, snapshot_->hosts[host], on, fleet.now(), settings_.watch, watch);
  if (command && !on)
    watch.off_by = brain_.settings.power.automation == Automation::kFull
                       ? model::HostOffBy::kDpm
                       : model::HostOffBy::kApplied;
  return command;
}

void ClusterLoop::watch_hosts(Fleet& fleet, Turn& turn) {
  for (Index h = 0; h < fleet.hosts(); ++h) {
    HostWatch& watch = watches_[h];
    const HostPhase phase = watch.phase;
    const std::int32_t tries = watch.tries;
    WatchStep step =
        look(h, snapshot_->hosts[h], fleet.host(h), fleet.now(), settings_.watch, watch);
    turn.wake = std::min(turn.wake, step.wake);
    turn.watched |= phase != watch.phase || tries != watch.tries;
    // What there is has changed, and not as the plan in hand has it: the next round does not wait.
    const bool came = phase != HostPhase::kUnknown && phase != watch.phase &&
                      watch.phase == HostPhase::kUp && !run_.awaits(h) && !restarts_.awaits(h) &&
                      !applied_.awaits(h);
    if (came || step.lost_vms) plan_soon();
    if (step.command) turn.commands.push_back(std::move(*step.command));
    std::ranges::move(step.events, std::back_inserter(turn.events));
    if (step.lost_vms) find_lost(fleet, &turn);
  }
}

// VMs of failed hosts that are not being restarted yet. Most are found when their host fails; one
// that was on its way there, or whose restart has failed, is found later. O(VMs).
void ClusterLoop::find_lost(const Fleet& fleet, Turn* tell) {
  if (!settings_.watch.restart) return;
  const std::set<Index> known(restarting_.begin(), restarting_.end());
  for (Index v = 0; v < fleet.vms(); ++v) {
    const Index host = fleet.host_of(v);
    const bool gone = host == kNone ? fleet.owed(v) : lost(host);
    if (!gone || known.contains(v)) continue;
    restarting_.push_back(v);
    new_losses_ = true;
    if (tell == nullptr) continue;
    tell->events.push_back({.kind = LoopEvent::Kind::kVmLost,
                            .host = host,
                            .vm = v,
                            .text = "its host has failed; it is to start elsewhere"});
  }
}

// One host at a time: nobody asks for so much capacity at once as `--all` would take away.
void ClusterLoop::test_hosts(Fleet& fleet, Turn& turn) {
  const auto under_test = [](const HostWatch& watch) {
    return watch.test.stage != model::WakeStage::kNone;
  };
  bool busy = std::ranges::any_of(watches_, under_test);
  for (Index h = 0; h < fleet.hosts(); ++h) {
    HostWatch& watch = watches_[h];
    const TestWish wish = fleet.test_wish(h);
    TestStep step = step_test({.host = h,
                               .about = snapshot_->hosts[h],
                               .wish = wish,
                               .free = wish.asked != Time{} && !busy && fleet.empty(h),
                               .now = fleet.now(),
                               .power = brain_.settings.power,
                               .settings = settings_.watch},
                              watch);
    busy = busy || under_test(watch);
    turn.watched |= step.changed;
    turn.wake = std::min(turn.wake, step.wake);
    if (step.command) turn.commands.push_back(std::move(*step.command));
    if (step.event) turn.events.push_back(std::move(*step.event));
  }
}

void ClusterLoop::power_hosts(Fleet& fleet, Turn& turn) {
  for (Index h = 0; h < fleet.hosts(); ++h) {
    PowerWish wish = fleet.power_wish(h);
    const bool asked = !wish.task.empty();
    const HostSeen seen = asked ? fleet.host(h) : HostSeen{};
    PowerStep step = step_power({.host = h,
                                 .about = snapshot_->hosts[h],
                                 .wish = std::move(wish),
                                 .empty = asked && fleet.empty(h),
                                 .is_off = seen.bmc == BmcSays::kOff && seen.bmc_proven,
                                 .now = fleet.now(),
                                 .power = brain_.settings.power,
                                 .settings = settings_.watch},
                                watches_[h]);
    turn.watched |= step.changed;
    turn.wake = std::min(turn.wake, step.wake);
    if (step.command) turn.commands.push_back(std::move(*step.command));
  }
}

void ClusterLoop::see_restarted(const Fleet& fleet, Turn& turn) {
  std::erase_if(restarting_, [&](Index vm) {
    const Index host = fleet.host_of(vm);
    if (host == kNone || lost(host) || fleet.busy(vm)) return false;
    turn.events.push_back({.kind = LoopEvent::Kind::kVmRestarted, .host = host, .vm = vm});
    return true;
  });
}

Snapshot& ClusterLoop::marked(Snapshot& snapshot, Time now) {
  snapshot_ = &snapshot;
  snapshot.settings = brain_.settings;
  mark_watched(snapshot, now);
  return snapshot;
}

bool ClusterLoop::mark_watched(Snapshot& snapshot, Time now) const {
  if (watches_.size() != snapshot.hosts.size()) return false;
  // Where every host that is there has failed lately none is better than another: VMs that are to
  // run do not wait until one has proven itself.
  const bool is_choosy = std::ranges::any_of(watches_, [&](const HostWatch& watch) {
    return watch.phase == HostPhase::kUp && !failed_lately(watch, now, settings_.watch);
  });
  for (Index h = 0; h < snapshot.hosts.size(); ++h) {
    const HostWatch& watch = watches_[h];
    const std::int32_t failures = snapshot.hosts[h].recent_failures;
    mark(watch, now, settings_.watch, snapshot.hosts[h]);
    if (!is_choosy && watch.phase == HostPhase::kUp) snapshot.hosts[h].recent_failures = failures;
    if (watch.test.stage != model::WakeStage::kNone)
      snapshot.hosts[h].keep_on = kept_on_by_test(watch.test, brain_.settings.power);
    if (watch.phase == HostPhase::kWaking || watch.phase == HostPhase::kStopping)
      snapshot.operations.push_back({.kind = watch.phase == HostPhase::kWaking
                                                 ? SnapshotOperation::Kind::kPowerOn
                                                 : SnapshotOperation::Kind::kPowerOff,
                                     .to = h,
                                     .since = std::min(watch.since, snapshot.now)});
  }
  mark_lost(snapshot);
  return true;
}

// VMs of failed hosts run nowhere, whatever was reported last.
void ClusterLoop::mark_lost(Snapshot& snapshot) const {
  if (std::ranges::none_of(watches_,
                           [](const HostWatch& w) { return w.phase == HostPhase::kFailed; }))
    return;
  for (model::SnapshotVm& vm : snapshot.vms) {
    if (vm.host == kNone || !lost(vm.host)) continue;
    vm.run = settings_.watch.restart ? VmRun::kWaiting : VmRun::kOff;
    vm.host = kNone;
  }
}

// Restarts that wait for their turn count where they will be, and are not planned twice.
void ClusterLoop::mark_restarts(Snapshot& snapshot) const {
  const std::vector<PlanRun::State>& states = restarts_.states();
  for (std::size_t i = 0; i < states.size(); ++i) {
    const Action& action = restarts_.plan().actions[i];
    if (states[i] != PlanRun::State::kWaiting || action.kind != ActionKind::kStart) continue;
    snapshot.operations.push_back({.kind = SnapshotOperation::Kind::kStart,
                                   .vm = action.vm,
                                   .to = action.to,
                                   .since = snapshot.now});
  }
}

Result<void> ClusterLoop::restart(Fleet& fleet, Turn& turn) {
  new_losses_ = false;
  if (thinking_) {  // of hosts and VMs that are lost now
    give_up();
    plan_soon();
  }
  if (!brain_.restart) return {};
  Snapshot& seen = fleet.snapshot();
  if (fleet.is_looking()) {  // at others than these; a turn follows
    new_losses_ = true;
    return {};
  }
  Snapshot& snapshot = marked(seen, fleet.now());
  std::vector<Index> failed;
  for (Index h = 0; h < watches_.size(); ++h)
    if (lost(h)) failed.push_back(h);
  policy::Plan plan = brain_.restart(snapshot, failed);
  for (const policy::Violation& violation : plan.violations)
    turn.events.push_back({.kind = LoopEvent::Kind::kCannotRestart,
                           .host = violation.host,
                           .vm = violation.vm,
                           .text = violation.text});
  return restarts_.take(std::move(plan), fleet);
}

Result<void> ClusterLoop::round(Fleet& fleet, Turn& turn) {
  Snapshot& seen = fleet.looked_at();
  if (fleet.is_looking()) return {};  // at others than these; a turn follows
  // Rounds keep their beat, however late one was and whatever comes between them.
  const Time now = fleet.now();
  answered_calls_ = std::exchange(seen_calls_, std::nullopt).value_or(calls_);
  last_round_ = now;
  if (now >= next_round_)
    next_round_ =
        next_round_ + settings_.round > now ? next_round_ + settings_.round : now + settings_.round;
  Snapshot& snapshot = marked(seen, now);
  mark_restarts(snapshot);
  // What a person has switched off meanwhile is not owed a restart any more. A look may be from
  // before it was started where it was lost.
  std::erase_if(restarting_, [&](Index vm) {
    const Index host = fleet.host_of(vm);
    const bool is_lost = host != kNone && lost(host) && settings_.watch.restart;
    return snapshot.vms[vm].run == VmRun::kOff && !is_lost;
  });
  if (brain_.forecast)
    brain_.forecast(snapshot);
  else
    expect_what_is(snapshot);
  turn.began = true;
  if (!brain_.elsewhere) return take(brain_.plan(snapshot), fleet, turn);
  think(snapshot);
  return {};
}

// Nothing of this loop is touched there: it may be gone before the plan is made.
void ClusterLoop::think(const Snapshot& snapshot) {
  auto thinking =
      std::make_shared<Thinking>(Thinking{.snapshot = std::make_shared<const Snapshot>(snapshot)});
  thinking_ = thinking;
  brain_.elsewhere([thinking, plan = brain_.plan] { thinking->plan = plan(*thinking->snapshot); },
                   [this, thinking] {
                     if (thinking->given_up) return;
                     thinking->done = true;
                     if (thought_) thought_();
                   });
}

void ClusterLoop::give_up() {
  if (thinking_) thinking_->given_up = true;
  thinking_ = nullptr;
}

Result<void> ClusterLoop::take(policy::Plan plan, const Fleet& fleet, Turn& turn) {
  dropped_ += run_.waiting();
  turn.planned = true;
  const Snapshot& seen = this->snapshot();
  return run_.take(std::move(plan), fleet,
                   [&](const Action& action) { return is_held(action, seen); });
}

bool ClusterLoop::is_held(const Action& action, const Snapshot& snapshot) const {
  const bool owed = action.kind == ActionKind::kStart &&
                    std::ranges::find(restarting_, action.vm) != restarting_.end();
  return !owed && is_for_person(action, snapshot);
}

bool is_for_person(const Action& action, const Snapshot& snapshot) {
  if (action.recommended) return true;
  const Automation moves = snapshot.settings.balance.automation;
  const Automation power = snapshot.settings.power.automation;
  switch (action.kind) {
    case ActionKind::kPowerOn:
    case ActionKind::kPowerOff:
      return power != Automation::kFull;
    case ActionKind::kStart:
      return moves < Automation::kPartial;
    case ActionKind::kMigrate:
      if (action.why == Why::kMaintenance) return false;  // a person has asked for it already
      if (action.why == Why::kConsolidate && power != Automation::kFull) return true;
      return moves != Automation::kFull;
  }
  return true;
}

}  // namespace chorok::control
