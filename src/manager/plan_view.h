// The rounds that a cluster's loops have taken, as people ask about them: the newest plan and how
// far it is carried out, and everything that was decided about one VM or host.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "manager/cluster_driver.h"
#include "policy/explain.h"
#include "policy/named_plan.h"
#include "ports/plan_log.h"

namespace chorok::manager {

// What became of an action of the newest plan.
enum class ActionState : std::uint8_t { kHeld, kWaiting, kRunning, kDone, kFailed };
const Type& enum_type(const ActionState*);

struct LivePlan {
  std::string cluster;
  std::int64_t round = 0;  // 0: none has been taken yet
  Time at{};
  Duration took{};
  policy::NamedPlan plan;
  std::vector<ActionState> states;  // by action
  static const Type& type();
};

// What was decided, or recommended, about the one that is asked for: in a round, or in several that
// say the same one after the other.
struct Decision {
  std::int64_t round = 0;  // the newest of them
  Time at{};
  std::string text;
  std::int64_t rounds = 1;
  Time since{};  // when the oldest of them was taken
  static const Type& type();
};

struct LiveWhy {
  std::string cluster;
  std::int64_t round = 0;
  Time at{};
  policy::Explanation now;          // by the newest round
  std::vector<Decision> decisions;  // newest first
  static const Type& type();
};

LivePlan live_plan(const ClusterDriver& driver, const std::string& cluster);
// By one round, without the decisions of others. kUnavailable: the round did not know it.
Result<LiveWhy> why_by(const PlanRecord& record, const std::string& cluster,
                       const std::string& name);
// What speaks the same in one round after the other, once. Newest first, as they come.
std::vector<Decision> folded(std::vector<Decision> decisions, std::size_t limit);
// What was decided about it, newest first, at most `limit`; not folded.
std::vector<Decision> decisions_about(const std::deque<PlanRecord>& plans, const std::string& name,
                                      std::size_t limit);

// As it is kept for days, and back. One whose snapshot is not kept any more has none.
ports::LoggedRound logged(const std::string& cluster, const PlanRecord& record);
Result<PlanRecord> recorded(const ports::LoggedRound& round);

}  // namespace chorok::manager
