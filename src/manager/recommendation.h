// One thing that a round would do and leaves to a person.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/reflect.h"
#include "policy/plan.h"

namespace chorok::manager {

enum class RecommendationState : std::uint8_t {
  kOpen,
  kIgnored,
  kWaiting,  // applied: for others, or for room
  kRunning,
  kDone,
  kFailed,
  kDropped,  // applied, and given up: the world has become another
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
  double gain_j = 0;  // over `gain_over`
  Duration gain_over{};
  double cost_j = 0;
  Time expires{};                  // it is given up then; epoch: it has ended
  std::vector<std::string> after;  // ids
  std::string applied_by;
  std::string waits_for;  // applied and waiting: for what; ended without effect: why
  static const Type& type();
};

// The time that an action's gain is reckoned over: of power, what a host saves while it is off; of
// balance, what VMs get more as long as placements are judged by.
Duration gain_over(const policy::Action& action, const model::PolicySettings& settings);
// "switch host1 off"
std::string title_of(const Recommendation& item);
// That they do the same, by whatever round.
bool is_same(const Recommendation& a, const Recommendation& b);

}  // namespace chorok::manager
