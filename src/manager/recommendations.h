// What a cluster's newest round would do and leaves to a person: to be applied or ignored, one by
// one or all. What is applied goes on as if the cluster were automatic: as the same tasks, for the
// same reasons, after what it waits for; through the rounds that follow, as long as they want the
// same.
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
#include "manager/engine.h"
#include "manager/live_fleet.h"
#include "manager/plan_record.h"

namespace chorok::manager {

enum class RecommendationState : std::uint8_t {
  kOpen,
  kIgnored,
  kWaiting,  // applied: for others, or for room
  kRunning,
  kDone,
  kFailed,
};
const Type& enum_type(const RecommendationState*);

struct Recommendation {
  std::string id;
  RecommendationState state = RecommendationState::kOpen;
  std::int32_t priority = 3;
  policy::ActionKind kind = policy::ActionKind::kMigrate;
  std::string vm;
  std::string from;
  std::string to;
  policy::Why why = policy::Why::kBalance;
  std::string reason;
  double gain_j = 0;
  double cost_j = 0;
  std::vector<std::string> after;  // ids
  std::string applied_by;
  static const Type& type();
};

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
  explicit Recommendations(Parts parts) : parts_(std::move(parts)) {}

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

  // For the loops: somebody has applied this.
  bool is_approved(const policy::Action& action, const model::Snapshot& snapshot) const;
  // "" where nobody had to.
  std::string approved_by(const std::string& vm, const std::string& host) const;
  // Before a turn: what has ended needs no approval any more.
  void before_turn();
  // After a round: what it does not want is not waited for.
  void after_round();

 private:
  struct Approval {
    std::string user;
    Time until{};
  };
  std::string id_of(std::size_t index) const;
  static std::string key_of(const policy::Action& action, const model::Snapshot& snapshot);
  RecommendationState state_of(std::size_t index) const;
  Result<std::size_t> find(const std::string& id) const;
  Result<std::vector<std::uint32_t>> chosen(const RecommendationRequest& request) const;
  Result<> still_true(std::size_t index, std::span<const std::uint32_t> with) const;
  Result<> vm_as_planned(const policy::Action& action, std::span<const std::uint32_t> with) const;
  void tell(std::string kind, std::string message, const std::string& user);
  const policy::Plan& plan() const { return parts_.loop.plan(); }
  Time expires() const;

  Parts parts_;
  std::map<std::string, Approval, std::less<>> approvals_;  // by key
  std::map<std::string, Time, std::less<>> ignored_;        // until when
};

}  // namespace chorok::manager
