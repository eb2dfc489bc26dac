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

constexpr std::size_t kTargets = 8;  // least loaded hosts looked at for a VM
constexpr std::size_t kSwapTargets = 4;
constexpr std::size_t kSmallCluster = 128;  // up to here all hosts are

// Loads of all usable hosts, as shares of their capacity, so that a move's effect on their standard
// deviations is known in O(1) (as Ganeti's htools do it: n, sum, sum of squares).
class Unevenness {
 public:
  void add(const SnapshotHost& host, const HostLoad& load, double sign) {
    count_ += sign;
    capacity_ += sign * host.capacity.cpu;
    for (const model::Resource of : model::kResources) {
      const double x = share(host, load, of);
      sum_[of] += sign * x;
      squares_[of] += sign * x * x;
    }
  }
  // MHz: the standard deviations of CPU and memory load together, of the whole capacity.
  double mhz() const {
    double deviations = 0;
    for (const model::Resource of : model::kResources) {
      const double mean = sum_[of] / count_;
      deviations += std::sqrt(std::max(0.0, squares_[of] / count_ - mean * mean));
    }
    return deviations * capacity_;
  }
  // Whether the host carries more than the mean of one of them: those give, the others take.
  bool above_mean(const SnapshotHost& host, const HostLoad& load) const {
    return load.vms > 0 && std::ranges::any_of(model::kResources, [&](model::Resource of) {
             return share(host, load, of) > sum_[of] / count_;
           });
  }

 private:
  static double share(const SnapshotHost& host, const HostLoad& load, model::Resource of) {
    return host.capacity[of] > 0 ? load.now[of] / host.capacity[of] : 0;
  }
  double count_ = 0;
  double capacity_ = 0;
  Amounts sum_;
  Amounts squares_;
};

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
  std::uint32_t version_from = 0;
  std::uint32_t version_to = 0;
  std::int64_t applied = 0;  // moves made when it was considered

  bool operator<(const Trial& other) const {
    return gain != other.gain ? gain < other.gain : vm > other.vm;
  }
};

class Improver {
 public:
  explicit Improver(Round& round)
      : round_(round),
        settings_(round.snapshot().settings.balance),
        need_(gain_over_cost(settings_.level)),
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

  // MHz that are not delivered, or likely not; memory above its target counts as CPU.
  double badness(Index h, const HostLoad& load) const {
    const SnapshotHost& at = round_.snapshot().hosts[h];
    double bad = round_.what.shortfall(load, at.capacity.cpu);
    const double memory = at.capacity.memory > 0 ? load.now.memory / at.capacity.memory : 0;
    const double over = memory - round_.snapshot().settings.power.memory_target;
    // Memory that swaps hurts from the first page on: an overload of 1 % costs 10 % of the CPU.
    if (over > 0 && load.size.memory > at.capacity.memory) bad += 10 * over * at.capacity.cpu;
    return bad;
  }

  void consider(Index h, bool swaps) {
    if (!in_need(h)) return;
    Trial trial = best_move(h);
    if (trial.vm == kNone && swaps) trial = best_swap(h);
    if (trial.vm == kNone) return;
    trial.from = h;
    trial.version_from = version_[h];
    trial.version_to = version_[trial.to];
    trial.applied = applied_;
    trials_.push(trial);
  }

  bool in_need(Index h) const {
    if (settings_.evenness > 0) {
      const HostLoad& load = round_.what.load(h);
      if (loads_.size() <= kSmallCluster ? load.vms > 0
                                         : uneven_.above_mean(round_.snapshot().hosts[h], load)) {
        return true;
      }
    }
    const double bad = badness(h, round_.what.load(h));
    return bad > missing_before_acting(settings_.level) * round_.snapshot().hosts[h].capacity.cpu;
  }

  // Joules gained when `from` and `to` carry these loads instead of theirs; costs are not taken
  // off.
  double gained(Index from, const HostLoad& left, Index to, const HostLoad& after) const {
    const HostLoad& here = round_.what.load(from);
    const HostLoad& there = round_.what.load(to);
    double delivered =
        badness(from, here) - badness(from, left) + badness(to, there) - badness(to, after);
    if (settings_.evenness > 0) {
      Unevenness then = uneven_;
      const SnapshotHost& source = round_.snapshot().hosts[from];
      const SnapshotHost& target = round_.snapshot().hosts[to];
      then.add(source, here, -1);
      then.add(source, left, 1);
      then.add(target, there, -1);
      then.add(target, after, 1);
      delivered += settings_.evenness * (uneven_.mhz() - then.mhz());
    }
    return round_.worth(from, delivered);
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
    const double worst = round_.what.upper(here, settings_.deviations);
    const std::vector<Index> open = targets(from, kTargets);
    for (const Index vm : round_.what.vms_on(from)) {
      const HostLoad left = round_.what.without(here, vm);
      round_.spend(static_cast<std::int64_t>(open.size()));
      for (const Index to : open) {
        const HostLoad after = round_.what.with(round_.what.load(to), vm);
        const double gain = gained(from, left, to, after);
        const double cost = round_.move_cost(vm, to);
        if (gain <= need_ * cost) {
          round_.turn_down(Why::kCostExceedsGain);
          continue;
        }
        const double net = gain - cost;
        if (net < best.gain || (net == best.gain && vm >= best.vm)) continue;
        if (stays(vm, to) || !allowed(vm, to, after, worst)) continue;
        best = {.vm = vm, .to = to, .gain = net};
      }
    }
    return best;
  }

  // One VM there for a smaller one back, when no single move fits.
  Trial best_swap(Index from) {
    Trial best;
    const double worst = round_.what.upper(round_.what.load(from), settings_.deviations);
    const std::vector<Index> here = round_.what.vms_on(from);
    for (const Index to : targets(from, kSwapTargets)) {
      const std::vector<Index> there = round_.what.vms_on(to);
      if (!round_.spend(static_cast<std::int64_t>(here.size() * there.size()))) return best;
      for (const Index a : here) {
        for (const Index b : there) {
          if (round_.what.vm_load(a).now.cpu <= round_.what.vm_load(b).now.cpu) continue;
          const HostLoad left = round_.what.with(round_.what.without(round_.what.load(from), a), b);
          const HostLoad got = round_.what.with(round_.what.without(round_.what.load(to), b), a);
          const double gain = gained(from, left, to, got);
          const double cost = round_.move_cost(a, to) + round_.move_cost(b, from);
          if (gain <= need_ * cost || gain - cost <= best.gain) continue;
          if (stays(a, to) || stays(b, from)) continue;
          const std::size_t mark = round_.mark();
          round_.move(b, kNone, Why::kBalance);
          bool fits = allowed(a, to, got, worst);
          if (fits) {
            round_.move(a, to, Why::kBalance);
            fits = allowed(b, from, left, worst);
          }
          round_.undo_to(mark);
          if (fits) best = {.vm = a, .to = to, .back = b, .gain = gain - cost};
        }
      }
    }
    return best;
  }

  void forget(Index h) {
    loads_.erase({key(h), h});
    uneven_.add(round_.snapshot().hosts[h], round_.what.load(h), -1);
  }
  void remember(Index h) {
    loads_.insert({key(h), h});
    uneven_.add(round_.snapshot().hosts[h], round_.what.load(h), 1);
  }

  void apply(const Trial& trial) {
    for (const Index h : {trial.from, trial.to}) forget(h);
    if (trial.back != kNone) round_.move(trial.back, kNone, Why::kBalance);
    round_.move(trial.vm, trial.to, Why::kBalance, trial.gain);
    if (trial.back != kNone) round_.move(trial.back, trial.from, Why::kBalance);
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
  Unevenness uneven_;
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
