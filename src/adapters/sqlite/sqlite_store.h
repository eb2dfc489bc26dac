// The Store in one SQLite file: the default of a single manager. Durable when a commit answers
// (write-ahead log, fsync a group), one process at a time, safe against kill -9 and a full disk.
// SQLite works on a thread of its own; everything here belongs to the loop's thread.
#pragma once

#include <memory>
#include <string>

#include "adapters/sqlite/settings.h"
#include "ports/lease_table.h"
#include "ports/store.h"
#include "ports/watch_hub.h"

namespace chorok::sqlite {

class Worker;

class SqliteStore final : public ports::Store {
 public:
  // Blocks while the file is opened, upgraded and, after a crash, checked. kUnavailable: another
  // process has it open; kFailedPrecondition: damaged, another program's, or of a newer version.
  static Result<std::unique_ptr<SqliteStore>> open(Loop& loop, SqliteSettings settings);
  // Blocks until everything asked for is on disk; the answers still come, on the loop.
  ~SqliteStore() override;
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;

  void get(std::string key, Done<Result<ports::KeyValue>> done) override;
  void range(std::string prefix, std::string after, std::size_t limit,
             Done<Result<ports::Page>> done) override;
  void commit(ports::Txn txn, Done<Result<ports::Revision>> done) override;
  std::unique_ptr<ports::Watch> watch(std::string prefix, ports::Revision from,
                                      std::function<void(ports::WatchEvent)> on_event) override;
  void acquire_lease(std::string name, std::string owner, Duration ttl,
                     Done<Result<bool>> done) override;
  void release_lease(std::string name, std::string owner, Done<Result<>> done) override;

  // A checked copy of the store as it is when the copy ends, in a file that does not exist yet.
  // Commits go on meanwhile.
  void backup_to(std::string path, Done<Result<>> done);
  // Puts a backup in the place of the store at settings.path, which no process may have open. What
  // was there stays as PATH.before-restore.
  static Result<> restore(const std::string& backup, const SqliteSettings& settings);

  SqliteStats stats() const;

 private:
  explicit SqliteStore(Loop& loop);
  template <class T, class Read>
  void read(Read read, Done<Result<T>> done);

  Loop& loop_;
  std::shared_ptr<ports::WatchHub> hub_;
  std::shared_ptr<ports::LeaseTable> leases_;
  std::unique_ptr<Worker> worker_;
};

}  // namespace chorok::sqlite
