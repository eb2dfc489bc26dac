// Where one VM is to start at this moment. The batch of a round is place_waiting (policy/steps.h).
#pragma once

#include <string>

#include "policy/round.h"

namespace chorok::policy {

struct Placement {
  enum class Found : std::uint8_t {
    kNow,     // on `host`
    kLater,   // when `host` is awake; kNone: when one is, or when others have made room
    kNowhere  // as things stand
  };
  Found found = Found::kNowhere;
  Index host = kNone;
  std::string text;  // why there, or what stands against it: a sentence with its numbers
};

// Of the VM, which runs nowhere in the round's snapshot. Everything hard is kept, and what should
// hold is, where a host lets it: first with the room that the power settings want, then with room
// for what is asked for now, and as nobody is refused for a busy CPU, in the end where it is least
// busy. Only when no host that runs can have it: one that the round wakes for it, or that others
// leave (where balance is automatic). O(hosts), and the round's bound on work in the last case.
Placement place_one(Round& round, Index vm);

}  // namespace chorok::policy
