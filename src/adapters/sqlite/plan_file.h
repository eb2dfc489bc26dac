// The file behind SqlitePlanLog. One thread at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "adapters/sqlite/db.h"
#include "adapters/sqlite/sqlite_plan_log.h"

namespace chorok::sqlite {

class PlanFile {
 public:
  // A damaged file is put aside (PATH.damaged) and a new one begun.
  static Result<std::unique_ptr<PlanFile>> open(const PlanLogSettings& settings);

  Result<> append(const ports::LoggedRound& round);
  Result<ports::LoggedRound> find(const std::string& cluster, Time at);
  Result<std::vector<ports::PastDecision>> decisions(const std::string& cluster,
                                                     const std::string& name, Time at,
                                                     std::size_t limit);

 private:
  PlanFile(PlanLogSettings settings, std::unique_ptr<Db> db)
      : settings_(std::move(settings)), db_(std::move(db)) {}
  Result<> count();
  Result<> write(const ports::LoggedRound& round);
  Result<> drop_old(Time now);
  Result<> drop_snapshots();
  Result<> drop_rounds(const std::string& condition);

  PlanLogSettings settings_;
  std::unique_ptr<Db> db_;
  std::int64_t snapshot_bytes_ = 0;
  std::int64_t other_bytes_ = 0;
};

}  // namespace chorok::sqlite
