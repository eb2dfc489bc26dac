// The rounds that clusters have taken, for days: what was seen, what was decided. Bounded in bytes
// and age; the oldest go first, and what was seen goes before what was decided. Not the store:
// losing it loses answers to "why?", nothing else.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/result.h"
#include "model/snapshot.h"

namespace chorok::ports {

// Something that was decided about a VM or host.
struct LoggedDecision {
  std::string name;  // of the VM or host
  std::string text;
};

struct LoggedRound {
  std::string cluster;  // id
  Time at{};            // a cluster's rounds ascend
  std::int64_t number = 0;
  std::shared_ptr<const model::Snapshot> snapshot;  // null: it is not kept any more
  std::string plan;                                 // as JSON
  std::vector<LoggedDecision> decisions;            // when it is read: empty
};

struct PastDecision {
  Time at{};
  std::int64_t round = 0;
  std::string text;
};

class PlanLog {
 public:
  virtual ~PlanLog() = default;

  // Done when it survives the process.
  virtual void append(LoggedRound round, Done<Result<>> done) = 0;
  // The newest round at or before `at`. kNotFound: there is none any more.
  virtual void find(std::string cluster, Time at, Done<Result<LoggedRound>> done) = 0;
  // About one VM or host at or before `at`, newest first, at most `limit`.
  virtual void decisions(std::string cluster, std::string name, Time at, std::size_t limit,
                         Done<Result<std::vector<PastDecision>>> done) = 0;
};

}  // namespace chorok::ports
