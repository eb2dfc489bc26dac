// Hosts are emptied onto others and switched off. All of a host's VMs go or none; a VM that is
// moved twice in the what-if travels once in the plan.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "policy/demand_ahead.h"
#include "policy/steps.h"
#include "policy/survive.h"

namespace chorok::policy {

using model::Automation;
using model::HostPower;
using model::SnapshotHost;

namespace {

struct Candidate {
  Index host;
  double watts_per_vm;  // when full: the worse half of a mixed cluster goes first
  double upper;         // then those with least to move
};

double idle_saving(const Snapshot& snapshot, Index host) {
  const model::PowerCurve& curve = snapshot.curves[snapshot.hosts[host].curve];
  return curve.watts[0] - curve.standby;
}

std::optional<Why> may_sleep(const Round& round, Index host) {
  const SnapshotHost& at = round.snapshot().hosts[host];
  const model::PowerSettings& settings = round.snapshot().settings.power;
  if (!at.keep_on.empty()) return Why::kKeepOn;
  // Where switching costs nothing, nothing is to be waited for.
  const bool free = at.time_on <= Duration::zero() && at.boot_energy <= 0;
  if (!free && at.power_since != Time{} &&
      round.snapshot().now - at.power_since < settings.uptime_min) {
    return Why::kUptime;
  }
  return std::nullopt;
}

std::vector<Candidate> candidates(Round& round) {
  const Snapshot& snapshot = round.snapshot();
  std::vector<Candidate> out;
  for (Index h = 0; h < snapshot.hosts.size(); ++h) {
    if (!round.what.usable(h) || round.closed(h) || round.powered_on(h)) continue;
    if (round.is_for_people() && !round.asks_first(h)) continue;
    if (const auto why = may_sleep(round, h)) {
      round.turn_down(*why);
      continue;
    }
    out.push_back({h, round.watts_per_vm(h),
                   round.what.upper(round.what.load(h), snapshot.settings.power.deviations)});
  }
  std::ranges::sort(out, [](const Candidate& a, const Candidate& b) {
    if (a.watts_per_vm != b.watts_per_vm) return a.watts_per_vm > b.watts_per_vm;
    return a.upper != b.upper ? a.upper < b.upper : a.host < b.host;
  });
  return out;
}

// Its VMs but those that are leaving it already: it is as good as rid of them.
std::vector<Index> staying_on(const Round& round, Index host) {
  std::vector<Index> vms = round.what.vms_on(host);
  std::erase_if(vms, [&](Index vm) { return round.leaves(vm); });
  return vms;
}

// Moves every VM of the host elsewhere, or nothing. Largest demand first: what is hard to place is
// placed while there is room.
bool empty(Round& round, Index host, std::vector<bool>& taken) {
  const model::PowerSettings& settings = round.snapshot().settings.power;
  const Wanted wanted{.deviations = settings.deviations,
                      .target = settings.target,
                      .running_only = true,
                      .empty_too = false,
                      .except = host,
                      .for_gain = true};
  std::vector<Index> vms = staying_on(round, host);
  std::ranges::sort(vms, [&](Index a, Index b) {
    const double left = round.what.vm_load(a).mean;
    const double right = round.what.vm_load(b).mean;
    if (left != right) return left > right;
    const double size_a = round.what.vm_load(a).size.memory;
    const double size_b = round.what.vm_load(b).size.memory;
    return size_a != size_b ? size_a > size_b : a < b;
  });
  // What the host saves while it is off, in equal parts.
  const double gain_each = idle_saving(round.snapshot(), host) * seconds(settings.judge_off) /
                           static_cast<double>(std::max<std::size_t>(vms.size(), 1));
  const std::size_t mark = round.mark();
  std::vector<Index> targets;
  for (const Index vm : vms) {
    if (round.what.host_of(vm) != host) continue;  // it left with one that it has to be with
    const Index to =
        round.move_together(round.what.together_with(vm), wanted, Why::kConsolidate, gain_each);
    if (to == kNone) {
      round.undo_to(mark);
      return false;
    }
    targets.push_back(to);
  }
  for (const Index to : targets) taken[to] = true;
  return true;
}

// Joules that emptying the host costs, over what was planned since `mark`.
double evacuation_cost(const Round& round, const std::vector<Index>& vms) {
  double cost = 0;
  for (const Index vm : vms) cost += round.move_cost(vm, round.what.host_of(vm));
  return cost;
}

// Time off from which switching has paid, seconds; 0 where switching is free.
double break_even_seconds(const Snapshot& snapshot, Index host, double cost) {
  const SnapshotHost& at = snapshot.hosts[host];
  const double saving = idle_saving(snapshot, host);
  return saving > 0 ? (at.boot_energy + at.shutdown_energy + cost) / saving : HUGE_VAL;
}

std::string what_for(std::size_t vms) {
  if (vms == 0) return "nothing";
  return fmt::format("{} that {} elsewhere", counted(static_cast<std::int64_t>(vms), "VM"),
                     vms == 1 ? "fits" : "fit");
}

struct Emptied {
  Index host;
  std::size_t mark;  // of the round, before it was emptied
};

// Gives hosts back, the last emptied first, until any `failures` hosts may fail again: twice as
// many each time, since the check is a placement of every host's VMs. What was given back too much
// is tried again next round.
void keep_reserve(Round& round, std::vector<Emptied>& emptied) {
  const model::HaSettings& ha = round.snapshot().settings.ha;
  if (!ha.enabled || emptied.empty()) return;
  for (std::size_t give_back = 1; !emptied.empty(); give_back *= 2) {
    if (check_failures(round.what, ha.failures, {.first_only = true, .curable_only = true})
            .survives())
      return;
    for (std::size_t i = 0; i < give_back && !emptied.empty(); ++i) {
      round.undo_power(emptied.back().host);
      round.undo_to(emptied.back().mark);
      round.turn_down(Why::kHaReserve);
      emptied.pop_back();
    }
  }
}

}  // namespace

void consolidate(Round& round) {
  const Snapshot& snapshot = round.snapshot();
  const model::PowerSettings& settings = snapshot.settings.power;
  if (settings.automation == Automation::kOff) return;
  const DemandAhead ahead = demand_ahead(round);
  double capacity = 0;
  std::int32_t running = 0;
  for (Index h = 0; h < snapshot.hosts.size(); ++h) {
    if (!round.what.usable(h)) continue;
    capacity += snapshot.hosts[h].capacity.cpu;
    ++running;
  }
  std::vector<bool> taken(snapshot.hosts.size());
  // Nor is a host emptied to which VMs are on their way.
  for (const model::SnapshotOperation& operation : snapshot.operations)
    if (operation.vm != kNone && operation.to != kNone) taken[operation.to] = true;
  // A host that a person's VM keeps on is rid of all its VMs, if of any.
  round.move_others_too(round.is_for_people());
  std::int32_t switched = 0;
  std::vector<Emptied> emptied;
  for (const Candidate& candidate : candidates(round)) {
    const Index h = candidate.host;
    if (running <= settings.hosts_on_min) break;
    if (settings.changes_max > 0 && switched >= settings.changes_max) {
      round.turn_down(Why::kMovesLimit);
      break;
    }
    // What others were just gathered on stays, or VMs would travel on and on.
    if (taken[h] && round.what.load(h).vms > 0) continue;
    const double left = capacity - snapshot.hosts[h].capacity.cpu;
    if (!ahead.cpu_fits(left)) {
      round.turn_down(Why::kForecast);
      continue;  // a smaller one may be spared
    }
    const std::vector<Index> vms = staying_on(round, h);
    const std::size_t mark = round.mark();
    if (!empty(round, h, taken)) {
      if (!round.spend(0)) {
        round.turn_down(Why::kWorkLimit);
        break;
      }
      continue;
    }
    const double cost = evacuation_cost(round, vms);
    const double saving = idle_saving(snapshot, h);
    // Off for as long as demand was seen to stay: the window that power-off is judged over.
    const double stay = seconds(settings.judge_off);
    if (break_even_seconds(snapshot, h, cost) * settings.break_even_factor > stay) {
      round.undo_to(mark);
      round.turn_down(Why::kCostExceedsGain);
      continue;
    }
    const SnapshotHost& at = snapshot.hosts[h];
    const double paid = cost + at.boot_energy + at.shutdown_energy;
    round.power(h, false, vms.empty() ? Why::kIdleHost : Why::kConsolidate, saving * stay, paid,
                fmt::format("{} draws {:.0f} W for {}; off for {:.0f} min it saves {:.0f} kJ at a "
                            "cost of {:.0f} kJ",
                            at.name, saving, what_for(vms.size()), stay / 60, saving * stay / 1000,
                            paid / 1000));
    emptied.push_back({h, mark});
    capacity = left;
    --running;
    ++switched;
  }
  keep_reserve(round, emptied);
  round.move_others_too(false);
}

}  // namespace chorok::policy
