// Moves that a plan leaves to people. A VM that is set to less than `full` is no part of what a
// cluster does by itself: that is planned around it. What would be for the better if it went
// somewhere else is planned afterwards, on the cluster as it will be with all of the plan under
// way, so it waits for nothing of the plan, and nothing of the plan for it: whatever people decide,
// and when, the rest goes on as planned.
#pragma once

#include "policy/round.h"

namespace chorok::policy {

// Whether it is for a person to say when this VM is moved while it runs.
bool asks_first(const model::SnapshotVm& vm);

// Appends what `steps` would do with such VMs, marked as recommended. A host that carries one may
// be emptied with what else is on it, and switched off; otherwise nothing but these VMs moves, and
// those that must be with them. What only such an action mends is not told as unmet. Costs a copy
// of the snapshot and a round, and nothing where there is no such VM.
void recommend(Plan& plan, const Snapshot& snapshot, void (*steps)(Round&));

}  // namespace chorok::policy
