// Plans in one SQLite file of their own, packed, on a thread of their own. Safe against kill -9; a
// power cut costs the last rounds and damages nothing.
#pragma once

#include <memory>
#include <string>

#include "ports/plan_log.h"

namespace chorok::sqlite {

struct PlanLogSettings {
  std::string path;  // ":memory:": gone with the process
  // Of what is kept: three quarters for what was seen. A round of 10 hosts with 60 VMs takes some
  // 3 KiB packed, one of 1,000 hosts with 20,000 VMs some 500 KiB.
  std::int64_t bytes_max = std::int64_t{512} << 20;
  Duration age_max = std::chrono::days(30);
  std::size_t queued_max = 1000;  // calls that wait for the disk; more are refused
};

class SqlitePlanLog final : public ports::PlanLog {
 public:
  // Blocks while the file is opened.
  static Result<std::unique_ptr<SqlitePlanLog>> open(Loop& loop, PlanLogSettings settings);
  // Blocks until everything appended is in the file; the answers still come, on the loop.
  ~SqlitePlanLog() override;
  SqlitePlanLog(const SqlitePlanLog&) = delete;
  SqlitePlanLog& operator=(const SqlitePlanLog&) = delete;

  void append(ports::LoggedRound round, Done<Result<>> done) override;
  void find(std::string cluster, Time at, Done<Result<ports::LoggedRound>> done) override;
  void decisions(std::string cluster, std::string name, Time at, std::size_t limit,
                 Done<Result<std::vector<ports::PastDecision>>> done) override;

 private:
  struct Thread;
  explicit SqlitePlanLog(std::unique_ptr<Thread> thread);
  std::unique_ptr<Thread> thread_;
};

}  // namespace chorok::sqlite
