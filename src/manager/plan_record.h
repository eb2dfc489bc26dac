// A round that was taken: what was seen, and what came of it.
#pragma once

#include <memory>

#include "model/snapshot.h"
#include "policy/plan.h"

namespace chorok::manager {

struct PlanRecord {
  Time at{};
  std::int64_t number = 0;
  Duration took{};  // by the machine's clock: looking, planning, ordering
  std::shared_ptr<const model::Snapshot> snapshot;
  std::shared_ptr<const policy::Plan> plan;
};

}  // namespace chorok::manager
