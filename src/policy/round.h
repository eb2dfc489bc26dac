// One round of planning: the what-if, what was moved in it and why, what was turned down. The steps
// (repair, consolidate, improve, place) work on it one after the other and undo what did not come
// out; at the end the plan is the difference between where VMs were and where they are.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "policy/whatif.h"

namespace chorok::policy {

// Where a VM could go, and what is wanted of the place.
struct Wanted {
  double deviations = 2;  // of demand that the target must still have room for
  double target = 1;      // share of its CPU that may be used so
  bool running_only =
      true;               // false: hosts that are off count too, at the price of their idle watts
  bool empty_too = true;  // false: only hosts that carry VMs already
  Index except = kNone;   // not this one
  bool back = false;      // true: also where it came from within the stability window
  double core_mhz = 0;    // at least as fast as this
  bool for_gain = false;  // nothing that should hold may give way: no soft rule, no NUMA node
};

// What became of a VM that was to go somewhere.
enum class Settled : std::uint8_t {
  kThere,    // it was moved
  kLater,    // a host is on its way for it
  kNowhere,  // no host has room
};

class Round {
 public:
  // For whom it plans: what the cluster does by itself, or what people are asked (recommend.h).
  enum class For : std::uint8_t { kCluster, kPeople };
  explicit Round(const Snapshot& snapshot, For whom = For::kCluster);

  const Snapshot& snapshot() const { return what.snapshot(); }
  WhatIf what;

  // Whether a person or something under way keeps this VM where it is.
  std::optional<Why> immovable(Index vm) const { return stays(vm, others_too_); }
  bool is_for_people() const { return whom_ == For::kPeople; }
  // Whether the host carries a VM that only people move.
  bool asks_first(Index host) const;
  // In a round for people: whether VMs that the cluster moves by itself are moved too.
  void move_others_too(bool so) { others_too_ = so; }
  // Whether a move under way takes it to another host.
  bool leaves(Index vm) const { return leaving_[vm]; }
  // Whether some host has room for the VM, and may have it, when the moves under way have ended.
  // What finds no place before waits for that. O(the snapshot) once, then O(hosts).
  bool waits_for_moves(Index vm, const Wanted& wanted);
  // Whether the VM left `host` within the stability window and its load has not changed since by
  // the factor of the settings: a plan that was carried out is not undone by the next. What left
  // for the host's maintenance may come back when that has ended.
  bool would_return(Index vm, Index host) const;
  // Whether VMs come to this host or leave it, or came so little ago that they still make good what
  // they could not do while they were copied. Who is behind asks for all that there is, and makes
  // those beside it wait: what a host's VMs ask for then says little of what they will. O(1).
  bool is_settling(Index host) const { return settling_[host]; }
  // Whether the host is back from maintenance for less than the stability window and runs whether
  // VMs are on it or not. What power management may switch off is filled when demand asks for it.
  bool came_back(Index host) const;
  // Whether the round's and the hosts' bounds on moves leave room for this one.
  bool within_limits(Index vm, Index to) const;
  // Whether what has been moved between these two exceeds them. O(1).
  bool beyond_limits(Index from, Index to) const;

  // `gain`: joules that this move is worth, where the step knows it.
  void move(Index vm, Index to, Why why, double gain = 0);
  std::size_t mark() const { return journal_.size(); }
  void undo_to(std::size_t mark);

  // The host that `vm` fits best, of those that hold it by the hard rules and have room as wanted:
  // rules that should hold first, then the fewest NUMA nodes, then no host that would stand empty
  // otherwise, then the fewest watts more, then the one left with least room. O(hosts). kNone:
  // there is none; what stood against each is counted.
  Index best_target(Index vm, const Wanted& wanted);
  // Whether `vm` has room on `host` as wanted (hard rules are Whatif::forbids).
  bool has_room(Index vm, Index host, const Wanted& wanted) const;

  // Watts a VM when the host is filled with VMs of the cluster's average, whichever of CPU and
  // memory runs out first: what makes one host a better one to run than another.
  double watts_per_vm(Index host) const { return watts_per_vm_[host]; }

  // Moves VMs that have to be together to one host that suits `wanted` for each of them, `why` and
  // `gain` being the first one's. kNone: there is none, or one of them may not be moved.
  Index move_together(const std::vector<Index>& unit, const Wanted& wanted, Why why,
                      double gain = 0);
  // Whether two VMs can change places while they run: one has to fit beside the other first.
  bool can_exchange(Index a, Index b) const {
    return !what.forbids_arrival(a, what.host_of(b)) || !what.forbids_arrival(b, what.host_of(a));
  }

  // Puts `vm` where it fits best: on a running host with the room that is wanted; else on one that
  // is woken for it, where power is automatic; else wherever it fits by what is asked for at this
  // moment; and if it finds no place alone, with those that have to be with it.
  Settled settle(Index vm, const Wanted& wanted, Why why, double gain = 0);

  // Hosts that nothing is moved to for the rest of the round (overloaded, being emptied).
  void close(Index host) { closed_[host] = true; }
  void open(Index host) { closed_[host] = false; }
  bool closed(Index host) const { return closed_[host]; }

  void turn_down(Why why, std::int64_t count = 1) {
    turned_down_[static_cast<std::size_t>(why)] += count;
  }
  void violate(Why why, Index vm, Index host, std::string text);
  bool spend(std::int64_t candidates);  // false: the round's bound on work is reached

  void power(Index host, bool on, Why why, double gain, double cost, std::string reason);
  // Switches the host on, unless it is on its way or as many as the settings allow are; one that
  // takes no time to start is usable at once.
  void wake(Index host, Why why, std::string reason, double gain = 0);
  void undo_power(Index host);  // as it was before `power`
  bool powered_off(Index host) const { return power_[host].has_value() && !power_[host]->on; }
  bool powered_on(Index host) const { return power_[host].has_value() && power_[host]->on; }

  // Joules that `mhz` delivered for the stability window are worth on this host: the energy of
  // delivering them times the settings' performance_worth.
  double worth(Index host, double mhz) const {
    return mhz * stability_s_ * joules_per_mhz_[host] * worth_;
  }
  // Seconds to copy a running VM's memory with what it writes meanwhile, and joules that costs: a
  // core at both ends, and what the VM loses.
  double copy_seconds(Index vm, Index to) const;
  double move_cost(Index vm, Index to) const;
  // The same by parts, for loops over many targets: over a link of so many MiB/s, and with the
  // seconds known.
  double copy_bandwidth(Index vm, Index to) const;
  double copy_seconds_at(Index vm, double bandwidth) const;
  double move_cost_of(Index vm, Index to, double seconds) const {
    const double lost =
        kCopySlowdown * what.vm_load(vm).now.cpu * seconds * joules_per_mhz_[to] * worth_;
    return copy_watts_[to] * seconds + lost;
  }

  Plan finish(const std::string& nothing);

 private:
  std::optional<Why> stays(Index vm, bool others_too) const;
  bool has_room(Index vm, Index host, const Wanted& wanted, const HostLoad& after) const;
  Settled settle_alone(Index vm, const Wanted& wanted, Why why, double gain);
  Settled settle_together(const std::vector<Index>& unit, Wanted wanted, Why why, double gain);
  bool fits_with(const std::vector<Index>& unit, Index host, const Wanted& wanted, Why why);
  struct Moved {
    Index vm;
    Index from;
    std::optional<Why> before;  // the reason that the VM's move had
    double gain_before;
  };
  struct Switch {
    bool on;
    Why why;
    double gain;
    double cost;
    std::string reason;
  };
  void place(Index vm, Index to);
  void weigh(Index host, Why why, double value);
  void rate_hosts();
  void see_settling();
  // One move of the plan, and the steps before it that make room for it.
  struct Step {
    Index vm;
    std::vector<std::uint32_t> after;
  };
  std::vector<Step> in_order();
  bool needs_those_gone(Index vm, Index to, const std::vector<Step>& steps,
                        const std::vector<std::uint32_t>& gone);
  void cannot_go(Index vm, Index to);
  Action migration(Index vm) const;
  Action switching(Index host) const;

  For whom_;
  bool others_too_ = false;
  std::vector<Index> origin_;            // host of each VM when the round began
  std::vector<std::optional<Why>> why_;  // of each VM that is elsewhere now
  std::vector<double> gain_;             // of its last move
  std::vector<Alternative> weighed_;     // by the last best_target, for the VM that asked
  Index weighed_for_ = kNone;
  std::unordered_map<Index, std::vector<Alternative>> alternatives_;  // of VMs that were moved
  std::vector<Moved> journal_;
  std::vector<bool> closed_;
  // What a VM loses while it is copied (the experiment of Beloglazov and Buyya has 10 %).
  static constexpr double kCopySlowdown = 0.1;
  std::vector<double> watts_per_vm_;
  std::vector<double> joules_per_mhz_;  // of each host, a second at full load
  std::vector<double> copy_watts_;      // that copying takes at both ends, to each host
  double stability_s_ = 0;
  double worth_ = 0;                      // settings.performance_worth
  std::vector<std::int32_t> host_moves_;  // in and out
  std::vector<std::optional<Switch>> power_;
  std::vector<bool> in_flight_;
  std::vector<bool> leaving_;
  std::vector<bool> settling_;
  struct Landed;  // what is under way has ended, and this round has moved nothing
  std::shared_ptr<const Landed> landed_;
  std::vector<Violation> violations_;
  std::array<std::int64_t, 64> turned_down_{};
  std::int32_t moved_ = 0;
  std::int32_t woken_ = 0;
  std::int64_t work_ = 0;
};

}  // namespace chorok::policy
