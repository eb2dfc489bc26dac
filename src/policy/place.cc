// Places the VMs that wait for a host, as one batch, and wakes hosts ahead of demand.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "policy/demand_ahead.h"
#include "policy/obstacle.h"
#include "policy/place.h"
#include "policy/replace.h"
#include "policy/steps.h"
#include "policy/survive.h"

namespace chorok::policy {

using model::Automation;
using model::HostPower;
using model::SnapshotHost;
using model::SnapshotVm;
using model::VmRun;

namespace {

constexpr int kDepth = 3;  // VMs that move aside, one for the other

// Finds a place for `vm` by letting one VM of a host move aside, which may push another, and so on.
bool make_room(Round& round, Index vm, const Wanted& wanted, int depth) {
  const auto hosts = static_cast<Index>(round.snapshot().hosts.size());
  for (Index h = 0; h < hosts; ++h) {
    if (!round.what.usable(h) || round.closed(h) || round.what.compatible(vm, h)) continue;
    std::vector<Index> others = round.what.vms_on(h);
    std::ranges::sort(others);
    for (const Index other : others) {
      if (!round.spend(1)) return false;
      if (round.immovable(other)) continue;
      const std::size_t mark = round.mark();
      round.move(other, kNone, Why::kPlace);
      if (round.has_room(vm, h, wanted) && !round.what.forbids(vm, h) &&
          round.within_limits(vm, h)) {
        round.move(vm, h, Why::kPlace);
        Wanted elsewhere = wanted;
        elsewhere.except = h;
        const Index to = round.best_target(other, elsewhere);
        if (to != kNone) {
          round.move(other, to, Why::kPlace);
          return true;
        }
        if (depth > 1) {
          round.close(h);
          const bool made = make_room(round, other, wanted, depth - 1);
          round.open(h);
          if (made) return true;
        }
      }
      round.undo_to(mark);
    }
  }
  return false;
}

// The host with most CPU left of those that nothing hard speaks against. kNone: there is none.
Index least_busy(const Round& round, Index vm) {
  const Snapshot& s = round.snapshot();
  Index best = kNone;
  double best_used = 0;
  for (Index h = 0; h < s.hosts.size(); ++h) {
    if (!round.what.usable(h) || round.what.forbids(vm, h)) continue;
    const double used = round.what.load(h).now.cpu / std::max(s.hosts[h].capacity.cpu, 1.0);
    const int soft = round.what.soft_rules(vm, h);
    const int best_soft = best == kNone ? 0 : round.what.soft_rules(vm, best);
    if (best == kNone || soft < best_soft || (soft == best_soft && used < best_used)) {
      best = h;
      best_used = used;
    }
  }
  return best;
}

// What it is like there, and what stood against the others.
std::string chosen_text(const Round& round, Index vm, Index host) {
  const WhatIf& what = round.what;
  const SnapshotHost& at = round.snapshot().hosts[host];
  const Wanted least{.deviations = 0, .target = round.snapshot().settings.power.target};
  Refusals refusals;
  std::int64_t others = 0;
  for (Index h = 0; h < round.snapshot().hosts.size(); ++h) {
    if (h == host) continue;
    if (!what.usable(h))
      refusals.add(Why::kHostNotReady);
    else if (const auto hard = what.forbids(vm, h))
      refusals.add(*hard);
    else if (!round.has_room(vm, h, least))
      refusals.add(Why::kNoCpu);
    else
      ++others;
  }
  const HostLoad after = what.with(what.load(host), vm);
  const bool all_would = others + 1 == static_cast<std::int64_t>(round.snapshot().hosts.size());
  const std::string against = all_would ? std::string() : "; not " + refusals.text();
  return fmt::format(
      "{} is the best of {}: {:.0f} W more, {:.0f} of {:.0f} MHz and {:.0f} of {:.0f} MiB used "
      "there "
      "then{}",
      at.name, counted(others + 1, "host"),
      what.watts(host, after) - what.watts(host, what.load(host)), after.now.cpu, at.capacity.cpu,
      after.size.memory, at.capacity.memory, against);
}

bool place(Round& round, Index vm) {
  const model::PowerSettings& settings = round.snapshot().settings.power;
  Wanted wanted{.deviations = settings.deviations, .target = settings.target};
  switch (round.settle(vm, wanted, Why::kPlace)) {
    case Settled::kThere:
    case Settled::kLater:  // it starts when the host is there: the next round places it
      return true;
    case Settled::kNowhere:
      break;
  }
  wanted.deviations = 0;
  return make_room(round, vm, wanted, kDepth);
}

// Wakes hosts until any `failures` of those that run may fail, counting those on their way.
void wake_for_reserve(Round& round, const std::vector<Index>& asleep) {
  const Snapshot& snapshot = round.snapshot();
  const model::HaSettings& ha = snapshot.settings.ha;
  if (!ha.enabled) return;
  std::vector<Index> on_their_way;
  auto count = [&](Index h) {
    if (round.what.usable(h)) return;
    round.what.set_usable(h, true);
    on_their_way.push_back(h);
  };
  for (Index h = 0; h < snapshot.hosts.size(); ++h) {
    const bool waking = snapshot.hosts[h].power == HostPower::kWaking && round.what.could_run(h);
    if (waking || round.powered_on(h)) count(h);
  }
  for (const Index h : asleep) {
    if (check_failures(round.what, ha.failures, {.first_only = true, .curable_only = true})
            .survives())
      break;
    if (round.powered_on(h)) continue;
    round.wake(h, Why::kWakeReserve,
               fmt::format("{} of the running hosts could not fail without VMs that stay down",
                           ha.failures));
    if (!round.powered_on(h)) break;  // not in this round
    count(h);
  }
  for (const Index h : on_their_way) {
    const bool at_once = round.powered_on(h) && snapshot.hosts[h].time_on <= Duration::zero();
    round.what.set_usable(h, at_once);
  }
}

}  // namespace

Placement place_one(Round& round, Index vm) {
  using Found = Placement::Found;
  const model::PolicySettings& settings = round.snapshot().settings;
  Wanted wanted{.deviations = settings.power.deviations, .target = settings.power.target};
  Index to = round.best_target(vm, wanted);
  if (to == kNone) {
    wanted.deviations = 0;
    wanted.back = true;
    to = round.best_target(vm, wanted);
  }
  if (to == kNone) to = least_busy(round, vm);
  if (to != kNone) return {Found::kNow, to, chosen_text(round, vm, to)};
  const Obstacle against = obstacle_of(round, vm);
  if (settings.power.automation == Automation::kFull) {
    wanted.running_only = false;
    to = round.best_target(vm, wanted);
    if (to != kNone) return {Found::kLater, to, against.text};
    wanted.running_only = true;
  }
  const bool others_move = settings.balance.automation == Automation::kFull;
  if (others_move && make_room(round, vm, wanted, kDepth))
    return {Found::kLater, kNone, against.text};
  return {Found::kNowhere, kNone, against.text};
}

void place_waiting(Round& round) {
  const Snapshot& snapshot = round.snapshot();
  std::vector<Index> waiting;
  Amounts capacity;
  for (const SnapshotHost& host : snapshot.hosts) capacity += host.capacity;
  for (Index v = 0; v < snapshot.vms.size(); ++v) {
    const bool starts = round.what.host_of(v) != kNone;
    if (snapshot.vms[v].run == VmRun::kWaiting && !starts) waiting.push_back(v);
  }
  if (waiting.empty()) return;
  auto weight = [&](Index vm) {
    const VmLoad& load = round.what.vm_load(vm);
    return std::max(load.size.memory / std::max(capacity.memory, 1.0),
                    std::max(load.mean, load.reserved.cpu) / std::max(capacity.cpu, 1.0));
  };
  std::ranges::sort(waiting, [&](Index a, Index b) {
    const double left = weight(a);
    const double right = weight(b);
    return left != right ? left > right : a < b;
  });
  for (const Index vm : waiting) {
    if (round.what.host_of(vm) != kNone || place(round, vm)) continue;
    const Obstacle against = obstacle_of(round, vm);
    round.violate(against.why, vm, kNone,
                  fmt::format("{} fits on no host: {}", size_text(round.what, vm), against.text));
  }
}

void wake_ahead(Round& round) {
  const Snapshot& snapshot = round.snapshot();
  const model::PowerSettings& settings = snapshot.settings.power;
  if (settings.automation == Automation::kOff) return;
  const DemandAhead ahead = demand_ahead(round);
  Amounts capacity;
  std::int32_t running = 0;
  std::vector<Index> asleep;
  for (Index h = 0; h < snapshot.hosts.size(); ++h) {
    const SnapshotHost& host = snapshot.hosts[h];
    if (round.what.usable(h) || round.powered_on(h) ||
        (host.power == HostPower::kWaking && round.what.could_run(h))) {
      capacity += host.capacity;
      ++running;
    } else if (round.what.could_run(h)) {
      asleep.push_back(h);
    } else if (!host.keep_off.empty()) {
      round.turn_down(Why::kKeepOff);
    }
  }
  std::ranges::sort(asleep, [&](Index a, Index b) {
    const double left = round.watts_per_vm(a);
    const double right = round.watts_per_vm(b);
    if (left != right) return left < right;
    const Duration on_a = snapshot.hosts[a].time_on;
    const Duration on_b = snapshot.hosts[b].time_on;
    return on_a != on_b ? on_a < on_b : a < b;
  });
  for (const Index h : asleep) {
    if (!ahead.cpu_fits(capacity.cpu) || !ahead.memory_fits(capacity.memory, settings))
      round.wake(h, Why::kWakeDemand,
                 fmt::format("{:.0f} MHz and {:.0f} MiB are about to be asked for; {:.0f} MHz and "
                             "{:.0f} MiB are running or waking",
                             ahead.cpu, ahead.memory_now, capacity.cpu, capacity.memory));
    else if (running < settings.hosts_on_min)
      round.wake(h, Why::kWakeReserve,
                 fmt::format("{} are to run always", counted(settings.hosts_on_min, "host")));
    else
      break;
    capacity += snapshot.hosts[h].capacity;
    ++running;
  }
  wake_for_reserve(round, asleep);
}

}  // namespace chorok::policy
