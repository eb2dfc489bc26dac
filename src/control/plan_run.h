// A plan being carried out: what may start now, what has ended, what came to nothing. An action
// starts when those it waits for have ended and the world has room for it at this moment; until
// then it waits, and is dropped when a newer plan takes its place.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "base/result.h"
#include "control/host_watch.h"

namespace chorok::control {

// What was ordered in this turn and cannot be seen yet.
struct Ordered {
  std::map<Index, std::int32_t> migrations;  // by host
  std::map<Index, double> memory;            // by host, MiB
  std::set<Index> vms;
};

class PlanRun {
 public:
  enum class State : std::uint8_t {
    kHeld,     // a person decides
    kWaiting,  // for others, or for room
    kRunning,
    kDone,
    kFailed,  // ended without effect
  };

  // `hold` says of an action that a person is to decide it; what waits for it waits too. Errors:
  // hosts or VMs that are not there, an action that waits for a later one: the policy's bugs.
  Result<void> take(policy::Plan plan, const Fleet& fleet,
                    const std::function<bool(const policy::Action&)>& hold = {});

  // Of a plan just taken: these have begun before.
  void resume(std::span<const std::uint32_t> actions);

  // What the cluster is like while it is carried out.
  struct Site {
    const Fleet& fleet;
    std::span<const HostWatch> watches;
    std::span<const model::SnapshotHost> hosts;
    // Switches a host; nothing where that cannot be now.
    std::function<std::optional<Command>(Index host, bool on)> switch_host;
    Ordered ordered{};  // by all plans
  };
  // Orders what may start now, in the plan's order. When a delayed action is due, or max.
  Time work(Site& site, std::vector<Command>& commands, std::vector<LoopEvent>& events);

  const policy::Plan& plan() const { return plan_; }
  const std::vector<State>& states() const { return state_; }
  bool ended() const { return waiting_.empty() && running_.empty(); }
  std::int64_t waiting() const { return static_cast<std::int64_t>(waiting_.size()); }
  // Something waits for this host to come on.
  bool awaits(Index host) const;
  // It was taken so long ago, and something of it cannot begin: what it waits for has failed, or it
  // could have begun for so long and its place was taken.
  bool stuck(Time now, Duration patience) const;

 private:
  State now(const policy::Action& action, const Site& site) const;
  void see_ends(const Site& site, std::vector<LoopEvent>& events);
  Time due(const policy::Action& action) const;
  bool start(const policy::Action& action, Site& site, std::vector<Command>& commands) const;

  policy::Plan plan_;
  std::vector<State> state_;  // by action
  std::vector<Time> ended_at_;
  std::vector<std::uint32_t> waiting_;
  std::vector<std::uint32_t> running_;
  Time taken_{};
};

}  // namespace chorok::control
