// A cluster's loops in one: hosts are watched, VMs of a failed one restart elsewhere (HA), and in
// rounds a plan is made (DRS, DPM) and carried out. Manager and simulator run this very class over
// their own Fleet.
//
// A turn is level-triggered: it looks at everything, orders what should begin now, and may be taken
// at any time and as often as anybody likes. What it must remember from turn to turn is small: the
// watch of each host, which is to be stored, and the plan in hand, which may be lost, since the
// next round sees what is under way and plans on.
//
// A plan may be made elsewhere (Brain::elsewhere): the round's turn hands a copy of its snapshot
// over and a later turn takes the plan. Between the two the loop watches on; what makes the plan
// one for another cluster (other members, a host that has failed) gives it up.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "control/brain.h"
#include "control/fleet.h"
#include "control/host_watch.h"
#include "control/plan_run.h"

namespace chorok::control {

struct LoopSettings {
  Duration round = std::chrono::seconds(60);
  Duration gap = std::chrono::seconds(5);  // between rounds that something has called for
  // VMs of failed hosts are restarted where the cluster's settings say so. False: never.
  bool failover = true;
  WatchSettings watch;
};

struct Turn {
  std::vector<Command> commands;  // in the order to be carried out
  std::vector<LoopEvent> events;
  bool began = false;       // a round: its snapshot is made
  bool planned = false;     // plan() and snapshot() are new
  bool watched = false;     // some watch() has changed and is to be stored
  Time wake = Time::max();  // the next turn is due then, if nothing happens before
};

// By the cluster's settings, or the VM's (policy/recommend.h), a person is to decide it: it is a
// recommendation. A start
// that HA owes a VM is not, whatever this says.
bool is_for_person(const policy::Action& action, const model::Snapshot& snapshot);

class ClusterLoop {
 public:
  ClusterLoop(Brain brain, LoopSettings settings) : brain_(std::move(brain)), settings_(settings) {}
  ~ClusterLoop() { give_up(); }
  ClusterLoop(const ClusterLoop&) = delete;
  ClusterLoop& operator=(const ClusterLoop&) = delete;

  // O(hosts + actions in hand) between rounds, plus the policies' cost in a round. Errors: a plan
  // that cannot be carried out, which is a bug in the policy; the loop goes on with the next round.
  Result<Turn> turn(Fleet& fleet);

  // A round in the next turn, whatever the time: after a change of settings, a power-on, an intent.
  void plan_soon() { ++calls_; }
  // What the next round is to see is fixed now, elsewhere (Fleet::looked_at): who calls for a round
  // from now on calls for the one after it.
  void look_begins() { seen_calls_ = calls_; }
  // The same after a change of settings, pools or rules: a plan that is being made is given up.
  void plan_anew() {
    give_up();
    plan_soon();
  }
  bool round_due(Time now) const { return !is_thinking() && now >= next_due(); }
  // A plan is made elsewhere, or waits to be taken: hosts and VMs should keep their indices.
  bool is_thinking() const { return thinking_ != nullptr; }
  // Called when a plan that was made elsewhere waits for a turn to take it.
  void on_thought(std::function<void()> tell) { thought_ = std::move(tell); }

  // What people have applied of rounds and has not ended goes on beside the plan in hand, whatever
  // later rounds want. `begun` have. Errors: as of PlanRun::take.
  Result<void> carry_on(policy::Plan plan, std::span<const std::uint32_t> begun,
                        const Fleet& fleet);
  const PlanRun& applied() const { return applied_; }

  // Of the newest round: what was shown to the policy, what it answered, how far it is carried out.
  const model::Snapshot& snapshot() const { return planned_ ? *planned_ : *snapshot_; }
  // The same, to be kept. A copy, where the plan was made within a turn.
  std::shared_ptr<const model::Snapshot> kept_snapshot() const {
    return planned_ ? planned_ : std::make_shared<const model::Snapshot>(*snapshot_);
  }
  const policy::Plan& plan() const { return run_.plan(); }
  const std::vector<PlanRun::State>& states() const { return run_.states(); }
  // Actions that were given up for a newer plan before they could start.
  std::int64_t dropped() const { return dropped_ + run_.waiting(); }

  const std::vector<HostWatch>& watches() const { return watches_; }
  // Writes into a snapshot of the same hosts and VMs, in this order, what their watches know.
  // Answers false, and writes nothing, when there are not as many hosts.
  bool mark_watched(model::Snapshot& snapshot, Time now) const;
  // The next snapshot has other hosts or VMs than the one before: what they are remembered by is
  // given up, and of hosts is this. Before the first turn it is what was stored.
  void restore(std::vector<HostWatch> watches);
  // Whether its BMC has shown to be its own.
  void prove_bmc(Index host, bool proven) { watches_[host].bmc_proven = proven; }
  LoopSettings& settings() { return settings_; }
  Brain& brain() { return brain_; }

 private:
  void watch_hosts(Fleet& fleet, Turn& turn);
  void test_hosts(Fleet& fleet, Turn& turn);
  void power_hosts(Fleet& fleet, Turn& turn);
  std::optional<Command> switch_by_plan(const Fleet& fleet, Index host, bool on);
  void find_lost(const Fleet& fleet, Turn* tell);
  void see_restarted(const Fleet& fleet, Turn& turn);
  Result<void> restart(Fleet& fleet, Turn& turn);
  // A round that is under way elsewhere.
  struct Thinking {
    std::shared_ptr<const model::Snapshot> snapshot;
    policy::Plan plan;
    bool done = false;
    bool given_up = false;
  };
  Result<void> round(Fleet& fleet, Turn& turn);
  void think(const model::Snapshot& snapshot);
  Result<void> take(policy::Plan plan, const Fleet& fleet, Turn& turn);
  void give_up();
  // The fleet's snapshot with what is known here.
  model::Snapshot& marked(model::Snapshot& snapshot, Time now);
  void mark_lost(model::Snapshot& snapshot) const;
  void mark_restarts(model::Snapshot& snapshot) const;
  bool is_held(const policy::Action& action, const model::Snapshot& snapshot) const;
  bool lost(Index host) const { return watches_[host].phase == HostPhase::kFailed; }

  Brain brain_;
  LoopSettings settings_;
  model::Snapshot* snapshot_ = nullptr;
  std::shared_ptr<const model::Snapshot> planned_;  // what a plan made elsewhere was made from
  std::shared_ptr<Thinking> thinking_;
  std::function<void()> thought_;
  std::vector<HostWatch> watches_;
  PlanRun run_;
  PlanRun restarts_;
  PlanRun applied_;
  std::vector<Index> restarting_;  // VMs that were lost and are not back
  bool new_losses_ = false;
  bool look_for_lost_ = false;  // what was being restarted was forgotten
  Time next_due() const {
    return calls_ != answered_calls_ ? std::min(next_round_, last_round_ + settings_.gap)
                                     : next_round_;
  }

  // Calls for a round: so many there were, so many are answered by a round, or by the look that is
  // made for one.
  std::uint64_t calls_ = 1;
  std::uint64_t answered_calls_ = 0;
  std::optional<std::uint64_t> seen_calls_;
  Time last_round_{};
  Time next_round_{};
  std::int64_t dropped_ = 0;
};

// The policies of production, with everything at its defaults unless `settings` say otherwise.
Brain chorok_brain(const model::PolicySettings& settings);

}  // namespace chorok::control
