// A plan with the names of VMs and hosts in place of their indices: what is shown, sent and kept.
// It has reflection tables, so JSON, tables and `chorok explain` come by themselves.
#pragma once

#include <string>
#include <vector>

#include "policy/plan.h"

namespace chorok::policy {

struct NamedAlternative {
  std::string host;
  Why why = Why::kCostExceedsGain;
  double value = 0;
  static const Type& type();
};

struct NamedAction {
  ActionKind kind = ActionKind::kMigrate;
  std::string vm;
  std::string from;
  std::string to;
  std::int32_t priority = 3;
  Why why = Why::kBalance;
  std::string reason;
  double gain_j = 0;
  double cost_j = 0;
  std::vector<std::uint32_t> after;
  std::vector<NamedAlternative> alternatives;
  Duration delay{};
  bool recommended = false;
  static const Type& type();
};

struct NamedViolation {
  Why why = Why::kOverload;
  std::string vm;
  std::string host;
  std::string text;
  static const Type& type();
};

struct NamedTurnedDown {
  Why why = Why::kCostExceedsGain;
  std::int64_t count = 0;
  std::string sentence;  // of `why`
  static const Type& type();
};

struct NamedPlan {
  std::vector<NamedAction> actions;
  std::vector<NamedViolation> violations;
  std::vector<NamedTurnedDown> turned_down;
  std::string nothing;
  std::int64_t candidates = 0;
  std::int32_t hosts_on_before = 0;
  std::int32_t hosts_on_after = 0;
  static const Type& type();
};

// The plan's indices must be those of this snapshot.
NamedPlan named(const Plan& plan, const Snapshot& snapshot);

// The sentence that says what `why` means, without its numbers.
std::string_view sentence(Why why);

}  // namespace chorok::policy
