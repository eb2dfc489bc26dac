// The store's logic on one connection, synchronous, for the worker's thread: read, and apply
// transactions between begin() and commit(). A transaction is checked in full before it writes its
// first row, so one that conflicts leaves nothing to undo and the group goes on.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "adapters/sqlite/db.h"
#include "adapters/sqlite/lock_file.h"
#include "adapters/sqlite/settings.h"
#include "ports/store.h"
#include "ports/watch_hub.h"

namespace chorok::sqlite {

// What applying a transaction came to. `effective`: the places of the writes that changed
// something.
struct Applied {
  Result<ports::Revision> answer;
  std::vector<std::size_t> effective;
};

class Engine {
 public:
  // kUnavailable: open elsewhere; kFailedPrecondition: damaged, or not a store of this version.
  static Result<std::unique_ptr<Engine>> open(const SqliteSettings& settings);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Reads see what was applied since begin().
  Result<ports::KeyValue> get(const std::string& key);
  Result<ports::Page> range(const std::string& prefix, const std::string& after, std::size_t limit);
  Result<ports::Backlog> changes_since(const std::string& prefix, ports::Revision from);
  ports::Revision head() const { return pending_; }

  Result<> begin();
  // An outer error ends the whole SQLite transaction: roll_back().
  Result<Applied> apply(const ports::Txn& txn);
  // kUnknown: the disk failed in the middle; further writes are refused until the store is opened
  // anew, because nobody knows what the disk has kept.
  Result<> commit();
  void roll_back();

  Db& db() { return *db_; }

 private:
  Engine(const SqliteSettings& settings, LockFile lock)
      : settings_(settings), lock_(std::move(lock)) {}
  Result<> configure();
  Result<> prepare();
  Result<> load();
  Result<ports::Revision> revision_of(std::string_view key);
  Result<> write(const ports::Write& write, std::size_t position);
  Result<> compact();
  Result<> forget(std::int64_t up_to);
  Result<std::int64_t> log_bytes(std::string_view where = "");

  SqliteSettings settings_;
  LockFile lock_;  // outlives the connection
  std::unique_ptr<Db> db_;
  Statement get_, range_, revision_, put_, erase_, log_, changes_, progress_, forget_;
  ports::Revision head_ = 0;     // committed
  ports::Revision pending_ = 0;  // with what was applied since begin()
  std::int64_t compacted_ = 0, pending_compacted_ = 0;
  std::int64_t log_bytes_ = 0, pending_log_bytes_ = 0;
  bool broken_ = false;
};

}  // namespace chorok::sqlite
