// Moves that let VMs have more of what they ask for, now or likely, than they cost.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <queue>
#include <set>

#include "policy/steps.h"

namespace chorok::policy {

using model::SnapshotHost;

namespace {

constexpr std::size_t kTargets = 16;  // least loaded hosts looked at for a VM
constexpr std::size_t kSwapTargets = 4;
constexpr std::size_t kSmallCluster = 64;  // up to here all hosts are

// How often its cost a move must gain, by level; level 1 only repairs.
double gain_over_cost(std::int32_t level) {
  switch (level) {
    case 2:
      return 4;
    case 3:
      return 2;
    case 4:
      return 1.25;
    default:
      return 1;
  }
}

// Share of a host's CPU that has to be missing before anything is done about it: less is noise, and
// a plan that chases noise is undone by the next.
double missing_before_acting(std::int32_t level) {
  switch (level) {
    case 2:
      return 0.05;
    case 3:
      return 0.02;
    case 4:
      return 0.01;
    default:
      return 0;
  }
}

struct Trial {
  Index vm = kNone;
  Index to = kNone;
  Index back = kNone;  // the VM that takes its place, of a swap
  double gain = 0;     // joules, cost taken off
};

class Improver {
 public:
  explicit Improver(Round& round)
      : round_(round),
        settings_(round.snapshot().settings.balance),
        need_(gain_over_cost(settings_.level)) {
    for (Index h = 0; h < round.snapshot().hosts.size(); ++h) {
      if (!round.what.usable(h)) continue;
      loads_.insert({key(h), h});
    }
  }

  void run() {
    std::priority_queue<std::pair<double, Index>> donors;
    for (const auto& [_, h] : loads_) {
      if (in_need(h)) donors.push({badness(h, round_.what.load(h)), h});
    }
    while (!donors.empty()) {
      const auto [bad, h] = donors.top();
      donors.pop();
      // An entry is old when the host has changed since.
      if (bad != badness(h, round_.what.load(h)) || !in_need(h)) continue;
      Trial best = best_move(h);
      if (best.vm == kNone && settings_.swaps) best = best_swap(h);
      if (best.vm == kNone) continue;
      apply(h, best);
      for (const Index changed : {h, best.to}) {
        donors.push({badness(changed, round_.what.load(changed)), changed});
      }
      if (!round_.spend(0)) {
        round_.turn_down(Why::kWorkLimit);
        return;
      }
    }
  }

 private:
  double key(Index h) const {
    const SnapshotHost& at = round_.snapshot().hosts[h];
    const HostLoad& load = round_.what.load(h);
    return round_.what.upper(load, settings_.deviations) / std::max(at.capacity.cpu, 1.0);
  }

  // MHz that are not delivered, or likely not; memory above its target counts as the same share of
  // the CPU; and unevenness as far as it is asked for.
  double badness(Index h, const HostLoad& load) const {
    const SnapshotHost& at = round_.snapshot().hosts[h];
    double bad = round_.what.shortfall(load, at.capacity.cpu);
    const double cpu = at.capacity.cpu > 0 ? load.now.cpu / at.capacity.cpu : 0;
    const double memory = at.capacity.memory > 0 ? load.now.memory / at.capacity.memory : 0;
    const double over = memory - round_.snapshot().settings.power.memory_target;
    // Memory that swaps hurts from the first page on: an overload of 1 % costs 10 % of the CPU.
    if (over > 0 && load.size.memory > at.capacity.memory) bad += 10 * over * at.capacity.cpu;
    if (settings_.evenness > 0) {
      bad += settings_.evenness * at.capacity.cpu * (cpu * cpu + memory * memory) / 2;
    }
    return bad;
  }

  bool in_need(Index h) const {
    const double bad = badness(h, round_.what.load(h));
    return bad > missing_before_acting(settings_.level) * round_.snapshot().hosts[h].capacity.cpu;
  }

  double joules_per_mhz(Index h) const {
    const SnapshotHost& at = round_.snapshot().hosts[h];
    return round_.snapshot().curves[at.curve].watts[10] / std::max(at.capacity.cpu, 1.0);
  }

  double worth(Index from, double delivered) const {
    return delivered * seconds(settings_.stability) * joules_per_mhz(from) *
           settings_.performance_worth;
  }

  std::vector<Index> targets(Index except, std::size_t most) const {
    std::vector<Index> out;
    if (loads_.size() <= kSmallCluster) most = kSmallCluster;
    for (const auto& [_, h] : loads_) {
      if (h == except || round_.closed(h) || round_.powered_off(h)) continue;
      out.push_back(h);
      if (out.size() >= most) break;
    }
    return out;
  }

  bool room_after(Index host, const HostLoad& after) const {
    const double room =
        round_.snapshot().settings.power.target * round_.snapshot().hosts[host].capacity.cpu;
    return after.now.cpu <= room && round_.what.upper(after, settings_.deviations) <= room;
  }

  // `worst` is the demand at the settings' certainty on the host that is to be helped: a target may
  // have little room, but never less than that one.
  bool allowed(Index vm, Index to, const HostLoad& after, double worst) {
    if (!room_after(to, after) && round_.what.upper(after, settings_.deviations) > worst) {
      round_.turn_down(Why::kNoCpu);
      return false;
    }
    if (const auto why = round_.what.forbids(vm, to)) {
      round_.turn_down(*why);
      return false;
    }
    if (round_.what.soft_rules(vm, to) > 0) {
      round_.turn_down(Why::kRuleForbids);
      return false;
    }
    if (!round_.within_limits(vm, to)) {
      round_.turn_down(Why::kMovesLimit);
      return false;
    }
    return true;
  }

  bool stays(Index vm, Index to) {
    if (const auto why = round_.immovable(vm)) {
      round_.turn_down(*why);
      return true;
    }
    if (round_.would_return(vm, to)) {
      round_.turn_down(Why::kTooSoon);
      return true;
    }
    return false;
  }

  Trial best_move(Index from) {
    Trial best;
    const HostLoad& here = round_.what.load(from);
    const double before = badness(from, here);
    const double worst = round_.what.upper(here, settings_.deviations);
    const std::vector<Index> open = targets(from, kTargets);
    for (const Index vm : round_.what.vms_on(from)) {
      const HostLoad left = round_.what.without(here, vm);
      const double relief = before - badness(from, left);
      if (relief <= 0) continue;
      round_.spend(static_cast<std::int64_t>(open.size()));
      for (const Index to : open) {
        const HostLoad& there = round_.what.load(to);
        const HostLoad after = round_.what.with(there, vm);
        const double gained = worth(from, relief - (badness(to, after) - badness(to, there)));
        const double cost = round_.move_cost(vm, to);
        if (gained <= need_ * cost) {
          round_.turn_down(Why::kCostExceedsGain);
          continue;
        }
        const double net = gained - cost;
        if (net < best.gain || (net == best.gain && vm >= best.vm)) continue;
        if (stays(vm, to) || !allowed(vm, to, after, worst)) continue;
        best = {vm, to, kNone, net};
      }
    }
    return best;
  }

  // One VM there for a smaller one back, when no single move fits.
  Trial best_swap(Index from) {
    Trial best;
    const double before = badness(from, round_.what.load(from));
    const double worst = round_.what.upper(round_.what.load(from), settings_.deviations);
    const std::vector<Index> here = round_.what.vms_on(from);
    for (const Index to : targets(from, kSwapTargets)) {
      const std::vector<Index> there = round_.what.vms_on(to);
      const double before_there = badness(to, round_.what.load(to));
      if (!round_.spend(static_cast<std::int64_t>(here.size() * there.size()))) return best;
      for (const Index a : here) {
        for (const Index b : there) {
          if (round_.what.vm_load(a).now.cpu <= round_.what.vm_load(b).now.cpu) continue;
          const HostLoad left = round_.what.with(round_.what.without(round_.what.load(from), a), b);
          const HostLoad got = round_.what.with(round_.what.without(round_.what.load(to), b), a);
          const double gained =
              worth(from, before - badness(from, left) + before_there - badness(to, got));
          const double cost = round_.move_cost(a, to) + round_.move_cost(b, from);
          if (gained <= need_ * cost || gained - cost <= best.gain) continue;
          if (stays(a, to) || stays(b, from)) continue;
          const std::size_t mark = round_.mark();
          round_.move(b, kNone, Why::kBalance);
          bool fits = allowed(a, to, got, worst);
          if (fits) {
            round_.move(a, to, Why::kBalance);
            fits = allowed(b, from, left, worst);
          }
          round_.undo_to(mark);
          if (fits) best = {a, to, b, gained - cost};
        }
      }
    }
    return best;
  }

  void apply(Index from, const Trial& trial) {
    for (const Index h : {from, trial.to}) loads_.erase({key(h), h});
    if (trial.back != kNone) round_.move(trial.back, kNone, Why::kBalance);
    round_.move(trial.vm, trial.to, Why::kBalance);
    if (trial.back != kNone) round_.move(trial.back, from, Why::kBalance);
    for (const Index h : {from, trial.to}) loads_.insert({key(h), h});
  }

  Round& round_;
  const model::BalanceSettings& settings_;
  double need_;
  std::set<std::pair<double, Index>> loads_;  // hosts by load, least first
};

}  // namespace

void improve(Round& round) {
  const model::BalanceSettings& settings = round.snapshot().settings.balance;
  if (settings.automation == model::Automation::kOff || settings.level <= 1) return;
  Improver(round).run();
}

}  // namespace chorok::policy
