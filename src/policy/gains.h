// What a move or a swap of balance gains, in joules: MHz that VMs get and did not get before, and,
// where the settings want it, evenness. O(1) a trial and in the header, since a round weighs tens
// of millions of them; what does not depend on the target is worked out once (Standing, Leaving).
#pragma once

#include <algorithm>
#include <cmath>

#include "policy/round.h"

namespace chorok::policy {

// Loads of all usable hosts, as shares of their capacity, so that a move's effect on their standard
// deviations is known in O(1) (as Ganeti's htools do it: n, sum, sum of squares).
class Unevenness {
 public:
  static Amounts shares(const model::SnapshotHost& host, const HostLoad& load) {
    const auto share = [&](Resource of) {
      return host.capacity[of] > 0 ? load.now[of] / host.capacity[of] : 0;
    };
    return {share(Resource::kCpu), share(Resource::kMemory)};
  }
  void count(const model::SnapshotHost& host, double sign) {
    count_ += sign;
    capacity_ += sign * host.capacity.cpu;
  }
  void add(const Amounts& shares, double sign) {
    for (const Resource of : model::kResources) {
      sum_[of] += sign * shares[of];
      squares_[of] += sign * shares[of] * shares[of];
    }
  }
  // MHz: the standard deviations of CPU and memory load together, of the whole capacity.
  double mhz() const {
    double deviations = 0;
    for (const Resource of : model::kResources) {
      const double mean = sum_[of] / count_;
      deviations += std::sqrt(std::max(0.0, squares_[of] / count_ - mean * mean));
    }
    return deviations * capacity_;
  }
  // Whether the host carries more than the mean of one of them: those give, the others take.
  bool above_mean(const model::SnapshotHost& host, const HostLoad& load) const {
    const Amounts part = shares(host, load);
    return load.vms > 0 && std::ranges::any_of(model::kResources, [&](Resource of) {
             return part[of] > sum_[of] / count_;
           });
  }

 private:
  double count_ = 0;
  double capacity_ = 0;
  Amounts sum_;
  Amounts squares_;
};

// The load of every host that takes part is counted in; who changes one forgets it before and
// remembers it afterwards.
class Gains {
 public:
  explicit Gains(const Round& round)
      : round_(round),
        hosts_(round.snapshot().hosts.data()),
        evenness_(round.snapshot().settings.balance.evenness),
        memory_target_(round.snapshot().settings.power.memory_target),
        back_(round.snapshot().hosts.size()) {
    for (Index h = 0; h < back_.size(); ++h) {
      back_[h] = round.came_back(h);
      any_back_ = any_back_ || back_[h];
    }
  }

  // Whether evenness counts for moves to this host whatever the settings say: it is back from
  // maintenance, and what left it comes back.
  bool is_back(Index h) const { return back_[h]; }
  bool any_back() const { return any_back_; }

  void remember(Index h) { count(h, 1); }
  void forget(Index h) { count(h, -1); }

  // MHz that are not delivered, or likely not; memory above its target counts as CPU.
  double badness(Index h, const HostLoad& load) const {
    const model::SnapshotHost& at = hosts_[h];
    double bad = round_.is_settling(h) ? round_.what.lasting_shortfall(load, at.capacity.cpu)
                                       : round_.what.shortfall(load, at.capacity.cpu);
    // Memory that swaps hurts from the first page on: an overload of 1 % costs 10 % of the CPU.
    if (load.size.memory > at.capacity.memory) {
      const double memory = at.capacity.memory > 0 ? load.now.memory / at.capacity.memory : 0;
      bad += 10 * std::max(0.0, memory - memory_target_) * at.capacity.cpu;
    }
    return bad;
  }
  bool above_mean(Index h) const {
    return by_evenness() && uneven_.above_mean(hosts_[h], round_.what.settled_load(h));
  }

  // A host as it stands: what of a trial does not depend on what is tried.
  struct Standing {
    Index host = kNone;
    double bad = 0;
    Amounts shares;
    HostLoad load;  // when what is under way has ended
  };
  Standing standing(Index h) const {
    const HostLoad load = round_.what.settled_load(h);
    return {h, badness(h, load), Unevenness::shares(hosts_[h], load), load};
  }
  // `from` with what it then carries, the other host still as it was.
  struct Leaving {
    Index from = kNone;
    double delivered = 0;  // MHz
    Unevenness then;
  };
  Leaving leaving(const Standing& from, const HostLoad& left) const {
    Leaving out{.from = from.host, .delivered = from.bad - badness(from.host, left)};
    if (!by_evenness()) return out;
    out.then = uneven_;
    out.then.add(from.shares, -1);
    out.then.add(Unevenness::shares(hosts_[from.host], left), 1);
    return out;
  }
  // Joules gained when `to` carries `after` besides; costs are not taken off.
  double of(const Leaving& leaving, const Standing& to, const HostLoad& after) const {
    double delivered = leaving.delivered + to.bad - badness(to.host, after);
    const double evenness = evenness_for(to.host);
    if (evenness > 0) {
      Unevenness then = leaving.then;
      then.add(to.shares, -1);
      then.add(Unevenness::shares(hosts_[to.host], after), 1);
      delivered += evenness * (uneven_mhz_ - then.mhz());
    }
    return round_.worth(leaving.from, delivered);
  }

 private:
  void count(Index h, double sign) {
    uneven_.count(hosts_[h], sign);
    uneven_.add(Unevenness::shares(hosts_[h], round_.what.settled_load(h)), sign);
    if (by_evenness()) uneven_mhz_ = uneven_.mhz();
  }
  bool by_evenness() const { return evenness_ > 0 || any_back_; }
  double evenness_for(Index to) const {
    return any_back_ && back_[to] ? std::max(evenness_, kEvennessBack) : evenness_;
  }

  static constexpr double kEvennessBack = 1;  // as much as a host's load squared, in MHz

  const Round& round_;
  const model::SnapshotHost* hosts_;
  double evenness_;
  double memory_target_;
  std::vector<bool> back_;
  bool any_back_ = false;
  Unevenness uneven_;
  double uneven_mhz_ = 0;
};

// Joules to move one VM. Seconds to copy it are the same to most targets: asked once a bandwidth.
class CopyCost {
 public:
  CopyCost(const Round& round, Index vm) : round_(round), vm_(vm) {}
  double to(Index host) {
    const double bandwidth = round_.copy_bandwidth(vm_, host);
    if (bandwidth != bandwidth_) seconds_ = round_.copy_seconds_at(vm_, bandwidth);
    bandwidth_ = bandwidth;
    return round_.move_cost_of(vm_, host, seconds_);
  }

 private:
  const Round& round_;
  Index vm_;
  double bandwidth_ = -1;
  double seconds_ = 0;
};

}  // namespace chorok::policy
