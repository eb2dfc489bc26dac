// Answers "why?" for one VM or host: how it stands, what a plan does with it and for what reasons,
// and, for a VM, what speaks for and against every host.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/named_plan.h"

namespace chorok::policy {

// Hosts that give the same answer for a VM.
struct HostVerdict {
  bool would_do = false;
  std::string sentence;  // what speaks against them
  std::vector<std::string> hosts;
  static const Type& type();
};

struct Explanation {
  std::string kind;  // "vm" or "host"
  std::string name;
  std::vector<std::string> facts;     // sentences with numbers
  std::vector<NamedAction> actions;   // of the plan that touch it
  std::vector<HostVerdict> verdicts;  // of a VM; as things stand, not after the plan
  static const Type& type();
};

// A VM's name goes before a host's. An Error names the nearest when there is neither.
Result<Explanation> explain(const Snapshot& snapshot, const Plan& plan, std::string_view name);

}  // namespace chorok::policy
