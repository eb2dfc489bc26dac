// What people have applied of a cluster's recommendations. It is known by names and goes on by
// itself, so it outlives the round that recommended it, and hosts and VMs that come and go. It ends
// when it is done, has failed, an hour is over, or the world has become such that it cannot be done
// any more; of all but the first an event says why.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "control/cluster_loop.h"
#include "manager/engine.h"
#include "manager/live_fleet.h"
#include "manager/plan_record.h"
#include "manager/recommendation.h"

namespace chorok::manager {

struct AppliedAction {
  Recommendation item;
  std::int64_t round = 0;  // that recommended it
  Time until{};            // given up then
  Time ended{};            // epoch: it is under way
  bool is_live() const { return ended == Time{}; }
};

class Applied {
 public:
  struct Parts {
    const Engine& engine;
    control::ClusterLoop& loop;
    const LiveFleet& fleet;
    const std::deque<PlanRecord>& plans;
    std::function<void(std::string kind, std::string message, const std::string& user)> tell;
  };
  explicit Applied(Parts parts) : parts_(std::move(parts)) {}

  // After those that it waits for. What was applied before for the same VM or host and has not
  // begun gives way.
  void add(Recommendation item, std::int64_t round, const std::string& user);
  // Those under way, and for some minutes those that have ended. In the order of their begin.
  const std::deque<AppliedAction>& all() const { return all_; }
  // Under way; null: it is not.
  const AppliedAction* same(const Recommendation& item) const;
  const AppliedAction* find(const std::string& id) const;
  std::string user_of(const std::string& vm, const std::string& host) const;

  // Ends what cannot be done any more, and gives the rest to the loop.
  void before_turn();
  // What the loop has made of it.
  void after_turn();

 private:
  void end(AppliedAction& action, RecommendationState state, const std::string& why);
  void judge(AppliedAction& action);
  std::string against(const AppliedAction& action) const;
  std::string against_vm(const Recommendation& item) const;
  std::string against_target(const Recommendation& item) const;
  std::string against_power(const Recommendation& item) const;
  std::string against_off(const AppliedAction& action) const;
  bool is_done(const Recommendation& item) const;
  std::string waits_for(const Recommendation& item) const;
  std::string waits_for_room(const Recommendation& item) const;
  // VMs that run there, by name; with `moving`: also those that are on their way.
  std::vector<std::string> vms_on(model::Index host, bool moving) const;
  bool is_moving(model::Index vm) const;
  model::Index vm_of(const std::string& name) const;
  model::Index host_of(const std::string& name) const;
  const model::HostWatch* watch_of(const std::string& host) const;

  Parts parts_;
  std::deque<AppliedAction> all_;
  std::vector<std::size_t> in_hand_;  // by action of the plan that the loop has
};

}  // namespace chorok::manager
