// What a cluster's newest round would do and leaves to a person: to be applied or ignored, one by
// one or all. What is applied goes on as if the cluster were automatic: as the same tasks, for the
// same reasons, after what it waits for; through the rounds that follow, whatever those want
// (applied.h).
//
// Nothing of this is stored: a manager that begins anew makes its own recommendations.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "control/cluster_loop.h"
#include "manager/applied.h"
#include "manager/engine.h"
#include "manager/live_fleet.h"
#include "manager/plan_record.h"
#include "manager/recommendation.h"

namespace chorok::manager {

struct RecommendationList {
  std::string cluster;
  std::int64_t round = 0;
  Time at{};
  Time expires{};
  std::vector<Recommendation> items;
  static const Type& type();
};

// Which: by id, or all that are open.
struct RecommendationRequest {
  std::vector<std::string> ids;
  bool all = false;
  static const Type& type();
};

class Recommendations {
 public:
  struct Parts {
    Engine& engine;
    control::ClusterLoop& loop;
    const LiveFleet& fleet;
    const std::deque<PlanRecord>& plans;
    const std::string& cluster;
    std::function<void()> look_soon;
  };
  explicit Recommendations(Parts parts);

  RecommendationList list() const;
  // Those that are chosen with everything that they wait for, in the plan's order, as ids. Errors
  // say why one cannot be applied: a newer round does not want it, the world is another.
  Result<std::vector<std::string>> check(const RecommendationRequest& request) const;
  // The same, and it begins.
  Result<std::vector<std::string>> apply(const RecommendationRequest& request,
                                         const std::string& user);
  // For a while, also when later rounds want the same.
  Result<std::vector<std::string>> ignore(const RecommendationRequest& request,
                                          const std::string& user, bool dry_run);
  // Whether one of those that are chosen switches a host.
  bool has_power(const RecommendationRequest& request) const;

  // Who has applied it; "" where nobody had to. `vm` is empty where the host is switched.
  std::string applied_by(const std::string& vm, const std::string& host) const {
    return applied_.user_of(vm, host);
  }
  // Around each turn of the loops: what is applied goes on, and ends.
  void before_turn() { applied_.before_turn(); }
  void after_turn() { applied_.after_turn(); }
  void after_round();

 private:
  std::string id_of(std::size_t index) const;
  // Of the newest round.
  Recommendation item_of(std::size_t index) const;
  const AppliedAction* applied(std::size_t index) const { return applied_.same(item_of(index)); }
  bool is_ignored(std::size_t index) const;
  bool is_held(std::size_t index) const;
  std::vector<std::string> ids_before(std::size_t index) const;
  Result<std::size_t> find(const std::string& id) const;
  Result<std::vector<std::uint32_t>> chosen(const RecommendationRequest& request) const;
  Result<> still_true(std::size_t index, std::span<const std::uint32_t> with) const;
  Result<> vm_as_planned(const policy::Action& action, std::span<const std::uint32_t> with) const;
  void tell(std::string kind, std::string message, const std::string& user);
  const policy::Plan& plan() const { return parts_.loop.plan(); }
  Time expires() const;

  Parts parts_;
  Applied applied_;
  std::map<std::string, Time, std::less<>> ignored_;  // until when, by title
};

}  // namespace chorok::manager
