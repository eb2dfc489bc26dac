// Moves that let VMs have more of what they ask for, now or likely, than they cost.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <queue>
#include <set>

#include "policy/gains.h"
#include "policy/steps.h"

namespace chorok::policy {

using model::SnapshotHost;

namespace {

constexpr std::size_t kTargets = 8;  // least loaded hosts looked at for a VM
constexpr std::size_t kSwapTargets = 4;
constexpr std::size_t kSmallCluster = 128;  // up to here all hosts are

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
  Index from = kNone;
  Index to = kNone;
  Index back = kNone;  // the VM that takes its place, of a swap
  double gain = 0;     // joules, cost taken off
  Why why = Why::kBalance;
  std::uint32_t version_from = 0;
  std::uint32_t version_to = 0;
  std::int64_t applied = 0;  // moves made when it was considered

  bool operator<(const Trial& other) const {
    return gain != other.gain ? gain < other.gain : vm > other.vm;
  }
};

class Improver {
  using Standing = Gains::Standing;

 public:
  explicit Improver(Round& round)
      : round_(round),
        settings_(round.snapshot().settings.balance),
        need_(gain_over_cost(settings_.level)),
        gains_(round),
        version_(round.snapshot().hosts.size()) {
    for (Index h = 0; h < round.snapshot().hosts.size(); ++h) {
      if (!round.what.usable(h)) continue;
      remember(h);
    }
  }

  // The best move of every host in need first, then that of the next; when no move pays any more,
  // swaps.
  void run() {
    while (pass(false)) {
    }
    if (settings_.swaps) (void)pass(true);
  }

 private:
  // Whether anything was moved. A trial holds as long as neither of its hosts has changed; what
  // became possible because a third host has is seen in the next pass.
  bool pass(bool swaps) {
    bool any = false;
    for (Index h = 0; h < version_.size(); ++h) {
      if (round_.what.usable(h)) consider(h, swaps);
    }
    while (!trials_.empty()) {
      const Trial trial = trials_.top();
      trials_.pop();
      if (version_[trial.from] != trial.version_from) continue;  // considered again already
      // What was moved since has changed the target, or at least what evenness is worth; of swaps,
      // which are many and small, only the first is worth another look.
      if (version_[trial.to] != trial.version_to || (!swaps && trial.applied != applied_)) {
        consider(trial.from, swaps);
        continue;
      }
      const std::size_t mark = round_.mark();
      apply(trial);
      // Others may have used them up since it was considered.
      if (round_.beyond_limits(trial.from, trial.to)) {
        undo(trial, mark);
        round_.turn_down(Why::kMovesLimit);
        continue;
      }
      any = true;
      ++applied_;
      consider(trial.from, swaps);
      consider(trial.to, swaps);
      if (!round_.spend(0)) {
        round_.turn_down(Why::kWorkLimit);
        trials_ = {};
        return false;
      }
    }
    return any;
  }

  double key(Index h) const {
    const SnapshotHost& at = round_.snapshot().hosts[h];
    const HostLoad& load = round_.what.load(h);
    return round_.what.upper(load, settings_.deviations) / std::max(at.capacity.cpu, 1.0);
  }

  void consider(Index h, bool swaps) {
    const bool needs = in_need(h);
    if (!needs && !gives_back(h)) return;
    Trial trial = best_move(h, !needs);
    if (trial.vm == kNone && swaps && needs) trial = best_swap(h);
    if (trial.vm == kNone) return;
    if (!needs) trial.why = Why::kHostIsBack;
    trial.from = h;
    trial.version_from = version_[h];
    trial.version_to = version_[trial.to];
    trial.applied = applied_;
    trials_.push(trial);
  }

  bool in_need(Index h) const {
    const HostLoad load = round_.what.settled_load(h);
    const bool small = loads_.size() <= kSmallCluster;
    if (settings_.evenness > 0 && (small ? load.vms > 0 : gains_.above_mean(h))) return true;
    return gains_.badness(h, load) >
           missing_before_acting(settings_.level) * round_.snapshot().hosts[h].capacity.cpu;
  }

  // Whether it has what a host that is back from maintenance can take.
  bool gives_back(Index h) const { return gains_.any_back() && gains_.above_mean(h); }

  std::vector<Standing> targets(Index except, std::size_t most, bool back_only = false) const {
    std::vector<Standing> out;
    if (loads_.size() <= kSmallCluster) most = kSmallCluster;
    for (const auto& [_, h] : loads_) {
      if (h == except || round_.closed(h) || round_.powered_off(h)) continue;
      if (back_only && !gains_.is_back(h)) continue;
      out.push_back(gains_.standing(h));
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
  // One whose VMs catch up may hope for room, but what has none now is helped by nobody.
  bool allowed(Index vm, Index to, const HostLoad& after, double worst) {
    const bool no_room =
        !room_after(to, after) && round_.what.upper(after, settings_.deviations) > worst;
    const bool none_now =
        round_.is_settling(to) && after.now.cpu > round_.snapshot().hosts[to].capacity.cpu;
    if (no_room || none_now) {
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
    const WhatIf& what = round_.what;
    const Index now = what.host_of(vm);
    if (what.straddles(vm, to) > (now == kNone ? 0 : what.straddles(vm, now))) {
      round_.turn_down(Why::kNoNuma);
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

  Trial best_move(Index from, bool back_only) {
    Trial best;
    const std::vector<Standing> open = targets(from, kTargets, back_only);
    const Standing source = gains_.standing(from);
    const HostLoad& here = source.load;
    const double worst = round_.what.upper(here, settings_.deviations);
    std::int64_t not_worth_it = 0;
    for (const Index vm : round_.what.vms_on(from)) {
      if (round_.leaves(vm)) continue;
      const Gains::Leaving leaving = gains_.leaving(source, round_.what.without(here, vm));
      CopyCost copy(round_, vm);
      round_.spend(static_cast<std::int64_t>(open.size()));
      for (const Standing& to : open) {
        const double gain = gains_.of(leaving, to, round_.what.with(to.load, vm));
        const double cost = copy.to(to.host);
        if (gain <= need_ * cost) {
          ++not_worth_it;
          continue;
        }
        const double net = gain - cost;
        if (net < best.gain || (net == best.gain && vm >= best.vm)) continue;
        const HostLoad after = round_.what.with(round_.what.load(to.host), vm);
        if (stays(vm, to.host) || !allowed(vm, to.host, after, worst)) continue;
        best = {.vm = vm, .to = to.host, .gain = net};
      }
    }
    round_.turn_down(Why::kCostExceedsGain, not_worth_it);
    return best;
  }

  // One VM there for a smaller one back, when no single move fits.
  Trial best_swap(Index from) {
    // A VM of one of the hosts, the host without it, and joules to move it to the other.
    struct Leaver {
      Index vm;
      double cpu;
      double cost;
      HostLoad without;
    };
    auto leavers = [&](const Standing& host, Index other) {
      std::vector<Leaver> out;
      for (const Index vm : round_.what.vms_on(host.host)) {
        if (round_.leaves(vm)) continue;
        out.push_back({vm, round_.what.vm_load(vm).now.cpu, round_.move_cost(vm, other),
                       round_.what.without(host.load, vm)});
      }
      return out;
    };
    Trial best;
    const Standing source = gains_.standing(from);
    for (const Standing& to : targets(from, kSwapTargets)) {
      const std::vector<Leaver> here = leavers(source, to.host);
      const std::vector<Leaver> there = leavers(to, from);
      if (!round_.spend(static_cast<std::int64_t>(here.size() * there.size()))) return best;
      for (const Leaver& a : here) {
        for (const Leaver& b : there) {
          if (a.cpu <= b.cpu) continue;
          const double gain = gains_.of(gains_.leaving(source, round_.what.with(a.without, b.vm)),
                                        to, round_.what.with(b.without, a.vm));
          const double cost = a.cost + b.cost;
          if (gain <= need_ * cost || gain - cost <= best.gain) continue;
          if (may_swap(a.vm, from, b.vm, to.host))
            best = {.vm = a.vm, .to = to.host, .back = b.vm, .gain = gain - cost};
        }
      }
    }
    return best;
  }

  // Whether `a` of `from` and `b` of `to` may change places.
  bool may_swap(Index a, Index from, Index b, Index to) {
    if (stays(a, to) || stays(b, from)) return false;
    if (!round_.can_exchange(a, b)) {
      round_.turn_down(Why::kNoMemory);
      return false;
    }
    const WhatIf& what = round_.what;
    const double worst = what.upper(what.load(from), settings_.deviations);
    const HostLoad left = what.with(what.without(what.load(from), a), b);
    const HostLoad got = what.with(what.without(what.load(to), b), a);
    const std::size_t mark = round_.mark();
    round_.move(b, kNone, Why::kBalance);
    bool fits = allowed(a, to, got, worst);
    if (fits) {
      round_.move(a, to, Why::kBalance);
      fits = allowed(b, from, left, worst);
    }
    round_.undo_to(mark);
    return fits;
  }

  void forget(Index h) {
    loads_.erase({key(h), h});
    gains_.forget(h);
  }
  void remember(Index h) {
    loads_.insert({key(h), h});
    gains_.remember(h);
  }

  void apply(const Trial& trial) {
    for (const Index h : {trial.from, trial.to}) forget(h);
    if (trial.back != kNone) round_.move(trial.back, kNone, trial.why);
    // What a swap gains is in equal parts its two moves'.
    const double gain = trial.back == kNone ? trial.gain : trial.gain / 2;
    round_.move(trial.vm, trial.to, trial.why, gain);
    if (trial.back != kNone) round_.move(trial.back, trial.from, trial.why, gain);
    for (const Index h : {trial.from, trial.to}) {
      remember(h);
      ++version_[h];
    }
  }

  void undo(const Trial& trial, std::size_t mark) {
    for (const Index h : {trial.from, trial.to}) forget(h);
    round_.undo_to(mark);
    for (const Index h : {trial.from, trial.to}) remember(h);
  }

  Round& round_;
  const model::BalanceSettings& settings_;
  double need_;
  std::set<std::pair<double, Index>> loads_;  // hosts by load, least first
  Gains gains_;
  std::int64_t applied_ = 0;
  std::priority_queue<Trial> trials_;   // the best of each host in need
  std::vector<std::uint32_t> version_;  // of each host's load
};

}  // namespace

void improve(Round& round) {
  const model::BalanceSettings& settings = round.snapshot().settings.balance;
  if (settings.automation == model::Automation::kOff || settings.level <= 1) return;
  Improver(round).run();
}

}  // namespace chorok::policy
