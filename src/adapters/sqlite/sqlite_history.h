// History in one SQLite file of its own, on a thread of its own. What comes within a second is one
// transaction. Safe against kill -9; a power cut costs the last seconds and damages nothing.
#pragma once

#include <memory>
#include <string>

#include "ports/history.h"

namespace chorok::sqlite {

struct HistorySettings {
  std::string path;  // ":memory:": gone with the process
  Duration gather = std::chrono::seconds(1);
  Duration keep_fine = std::chrono::hours(3);
  Duration keep_minutes = std::chrono::days(14);
  Duration keep_hours = std::chrono::days(5 * 366);
  // Of the file. Beyond it the oldest minutes go first, then the oldest hours. A VM takes about
  // 1.5 MiB in two weeks and 0.4 MiB a year.
  std::int64_t bytes_max = std::int64_t{2} << 30;
  std::size_t queued_max = 20'000;  // calls that wait for the disk; more are refused
};

class SqliteHistory final : public ports::History {
 public:
  // Blocks while the file is opened.
  static Result<std::unique_ptr<SqliteHistory>> open(Loop& loop, HistorySettings settings);
  // Blocks until everything appended is in the file; the answers still come, on the loop.
  ~SqliteHistory() override;
  SqliteHistory(const SqliteHistory&) = delete;
  SqliteHistory& operator=(const SqliteHistory&) = delete;

  void append(std::vector<ports::HistoryBatch> batches, Done<Result<>> done) override;
  void range(ports::HistoryQuery query,
             Done<Result<std::vector<ports::HistoryPoint>>> done) override;
  void totals(std::string prefix, Time from, Time to,
              Done<Result<std::map<std::string, ports::HistoryPoint>>> done) override;
  void cursors(Done<Result<std::map<std::string, std::string>>> done) override;

 private:
  struct Thread;
  explicit SqliteHistory(std::unique_ptr<Thread> thread);
  std::unique_ptr<Thread> thread_;
};

}  // namespace chorok::sqlite
