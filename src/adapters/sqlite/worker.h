// The thread on which SQLite works. While one commit waits for the disk, the calls that come in
// queue up; they are then done together, in their order, in one SQLite transaction: one fsync
// serves them all. Answers are posted to the loop when that fsync is over, in the order of the
// calls. When a group fails, each of its transactions is tried alone and gets its own verdict.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <variant>
#include <vector>

#include "adapters/sqlite/backup.h"
#include "adapters/sqlite/engine.h"

namespace chorok::sqlite {

struct CommitJob {
  ports::Txn txn;
  Done<Result<ports::Revision>> done;
  std::optional<Error> refused;  // known before the disk is asked
};

// `read` runs on the worker and may run again when its group has to be redone; `answer` runs on the
// loop.
struct ReadJob {
  std::move_only_function<void(Engine&)> read;
  Work answer;
};

struct BackupJob {
  std::string path;
  Done<Result<>> done;
};

using Job = std::variant<CommitJob, ReadJob, BackupJob>;

class Worker {
 public:
  Worker(Loop& loop, std::unique_ptr<Engine> engine, const SqliteSettings& settings,
         std::shared_ptr<ports::WatchHub> hub);
  // Finishes what was asked for, posts the answers and ends the thread. A backup under way is given
  // up (kCancelled).
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void submit(Job job);
  SqliteStats stats() const;

 private:
  struct RunningBackup {
    BackupJob job;
    std::unique_ptr<Backup> backup;
  };
  // A job and what became of it.
  struct Item {
    Job* job;
    Applied applied;
  };

  void run();
  bool next_jobs(std::vector<Job>& jobs);
  void work_on(std::span<Job> jobs);
  std::span<Job> first_group(std::span<Job> jobs) const;
  void run_group(std::span<Item> items, std::vector<Work>& answers);
  Result<> try_group(std::span<Item> items);
  void answer(Item& item, std::vector<Work>& answers);
  void post(std::vector<Work> answers);
  void start_backup(BackupJob job);
  void step_backup();
  void end_backup(Result<> result);
  void post_backup_result(RunningBackup running, Result<> result);

  Loop& loop_;
  std::unique_ptr<Engine> engine_;
  const SqliteSettings settings_;
  std::shared_ptr<ports::WatchHub> hub_;  // used on the loop only
  std::deque<RunningBackup> backups_;     // the first one is under way

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Job> queue_;  // guarded by mutex_, as are the next two
  std::size_t queued_bytes_ = 0;
  bool stopping_ = false;
  std::thread finisher_;  // of the last backup that was copied
  std::atomic<std::uint64_t> transactions_ = 0, groups_ = 0, failures_ = 0;
  std::thread thread_;  // last: starts when everything else is there
};

}  // namespace chorok::sqlite
