// Why no host takes a VM, for a person: what stands against it on each host, counted, and by how
// much it fails on the host that comes nearest. Only asked for what found no place: O(hosts).
#pragma once

#include <string>

#include "policy/replace.h"
#include "policy/round.h"

namespace chorok::policy {

struct Obstacle {
  Why why = Why::kHostNotReady;  // the most frequent one among the hosts
  std::string text;              // all of them, with numbers of `why`
};

// What stood against it in the round, once all has been tried.
Obstacle obstacle_of(const Round& round, Index vm);

// "web1 (1 vCPU, 4096 MiB)"
std::string size_text(const WhatIf& world, Index vm);

// The numbers or names behind `why`: "it needs 8192 MiB and the most left is 4096 MiB on sol".
// Empty: there are none.
std::string lacking(const WhatIf& world, Index vm, Why why);

}  // namespace chorok::policy
