// What a round came to, as a plan that can be carried out.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "policy/round.h"

namespace chorok::policy {

using model::HostPower;
using model::SnapshotVm;

Action Round::migration(Index vm) const {
  const SnapshotVm& it = snapshot().vms[vm];
  const Index from = origin_[vm];
  const Index to = what.host_of(vm);
  Action action;
  action.kind = from == kNone ? ActionKind::kStart : ActionKind::kMigrate;
  action.vm = vm;
  action.from = from;
  action.to = to;
  action.why = why_[vm].value_or(Why::kBalance);
  action.cost = from == kNone ? 0 : move_cost(vm, to);
  action.gain = gain_[vm];
  if (auto weighed = alternatives_.find(vm); weighed != alternatives_.end()) {
    action.alternatives = weighed->second;
    std::erase_if(action.alternatives, [&](const Alternative& a) { return a.host == to; });
  }
  action.priority = action.why <= Why::kReservation || action.why == Why::kPlace ? 1 : 3;
  action.reason = fmt::format("{} {:.0f} MHz to {} ({:.0f} of {:.0f} MHz used there then)", it.name,
                              it.cpu_demand.now, snapshot().hosts[to].name, what.load(to).now.cpu,
                              snapshot().hosts[to].capacity.cpu);
  return action;
}

Action Round::switching(Index host) const {
  const Switch& to = *power_[host];
  Action action;
  action.kind = to.on ? ActionKind::kPowerOn : ActionKind::kPowerOff;
  action.to = host;
  action.why = to.why;
  action.gain = to.gain;
  action.cost = to.cost;
  action.reason = to.reason;
  action.priority = to.on ? 1 : 3;
  return action;
}

// A memory that is nearly full cannot take a VM in before another has left: what is planned at once
// does not happen at once. Each move is put behind those that make room for it. Those that wait
// for each other in a circle (two large VMs that would change places) never begin: they are given
// up. O(moves), but for those that wait for one host.
std::vector<Round::Step> Round::in_order() {
  struct Move {
    Index vm;
    Index to;
  };
  std::vector<Move> moves;  // in the order planned; a VM that was tried in several places once
  std::vector<bool> listed(origin_.size());
  for (const Moved& moved : journal_) {
    const Index to = what.host_of(moved.vm);
    if (listed[moved.vm] || !why_[moved.vm] || to == origin_[moved.vm]) continue;
    listed[moved.vm] = true;
    moves.push_back({moved.vm, to});
  }
  for (const Move& move : moves) what.move(move.vm, origin_[move.vm]);

  const std::size_t hosts = snapshot().hosts.size();
  std::vector<Step> steps;
  std::vector<std::vector<Move>> waiting(hosts);        // for room, by target
  std::vector<std::vector<std::uint32_t>> gone(hosts);  // steps that leave a host
  std::vector<Index> open;                              // hosts that somebody has left just now
  const auto go = [&](const Move& move) {
    if (what.forbids_arrival(move.vm, move.to)) {
      waiting[move.to].push_back(move);
      return;
    }
    const bool waits = needs_those_gone(move.vm, move.to, steps, gone[move.to]);
    what.move(move.vm, move.to);
    if (const Index from = origin_[move.vm]; from != kNone) {
      gone[from].push_back(static_cast<std::uint32_t>(steps.size()));
      open.push_back(from);
    }
    steps.push_back({move.vm, waits ? gone[move.to] : std::vector<std::uint32_t>()});
  };
  for (const Move& move : moves) {
    go(move);
    while (!open.empty()) {
      const Index host = open.back();
      open.pop_back();
      for (const Move& next : std::exchange(waiting[host], {})) go(next);
    }
  }
  for (Index h = 0; h < waiting.size(); ++h)
    for (const Move& move : waiting[h]) cannot_go(move.vm, h);
  return steps;
}

// Whether `vm` could not come to `to` if those that have left it were still there.
bool Round::needs_those_gone(Index vm, Index to, const std::vector<Step>& steps,
                             const std::vector<std::uint32_t>& gone) {
  std::vector<Index> are;
  for (const std::uint32_t step : gone) {
    are.push_back(what.host_of(steps[step].vm));
    what.move(steps[step].vm, to);
  }
  const bool needs = what.forbids_arrival(vm, to).has_value();
  for (std::size_t i = 0; i < gone.size(); ++i) what.move(steps[gone[i]].vm, are[i]);
  return needs;
}

void Round::cannot_go(Index vm, Index to) {
  const Why why = what.forbids_arrival(vm, to).value_or(Why::kNoMemory);
  turn_down(why);
  const Index host = origin_[vm];
  if (host == kNone || why_[vm] <= Why::kReservation) {
    violate(why, vm, host,
            fmt::format("{} is to go to {}, and what would make room for it there waits for it in "
                        "turn",
                        snapshot().vms[vm].name, snapshot().hosts[to].name));
  }
  if (host != kNone && powered_off(host)) undo_power(host);
}

// Hosts wake first, then VMs move, then hosts that are empty go to sleep.
Plan Round::finish(const std::string& nothing) {
  Plan plan;
  const auto hosts = static_cast<Index>(snapshot().hosts.size());
  const std::vector<Step> steps = in_order();
  std::vector<std::uint32_t> woken(hosts, kNone);
  std::vector<std::vector<std::uint32_t>> leaving(hosts);
  for (Index h = 0; h < hosts; ++h) {
    plan.stats.hosts_on_before += snapshot().hosts[h].power == HostPower::kOn ? 1 : 0;
    if (!powered_on(h)) continue;
    woken[h] = static_cast<std::uint32_t>(plan.actions.size());
    plan.actions.push_back(switching(h));
  }
  const auto first_move = static_cast<std::uint32_t>(plan.actions.size());
  for (const Step& step : steps) {
    Action action = migration(step.vm);
    if (woken[action.to] != kNone) action.after.push_back(woken[action.to]);
    for (const std::uint32_t before : step.after) action.after.push_back(first_move + before);
    if (action.from != kNone) {
      leaving[action.from].push_back(static_cast<std::uint32_t>(plan.actions.size()));
    }
    plan.actions.push_back(std::move(action));
  }
  plan.stats.hosts_on_after = plan.stats.hosts_on_before;
  for (Index h = 0; h < hosts; ++h) {
    if (powered_on(h)) ++plan.stats.hosts_on_after;
    if (!powered_off(h)) continue;
    --plan.stats.hosts_on_after;
    Action action = switching(h);
    action.after = leaving[h];
    plan.actions.push_back(std::move(action));
  }
  // What one step could not mend a later one may have: an overload that a swap ended.
  std::erase_if(violations_, [&](const Violation& v) {
    return v.why == Why::kOverload && v.host != kNone && what.broken(v.host) != Why::kOverload;
  });
  plan.violations = std::move(violations_);
  for (std::size_t why = 0; why < turned_down_.size(); ++why) {
    if (turned_down_[why] > 0) {
      plan.turned_down.push_back({static_cast<Why>(why), turned_down_[why]});
    }
  }
  const bool under_way = std::ranges::find(leaving_, true) != leaving_.end();
  if (plan.actions.empty())
    plan.nothing = !plan.violations.empty() ? "no action mends what is wrong"
                   : under_way              ? "what is to be done is under way"
                                            : nothing;
  plan.stats.candidates = work_;
  return plan;
}

}  // namespace chorok::policy
