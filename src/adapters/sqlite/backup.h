// Copies of a store's file: taken page by page while it is in use, checked before they count, and
// put back in one rename. A restored store starts far above every revision it may have given out
// since the backup, and knows no changes before that: whoever watched lists again.
#pragma once

#include <memory>
#include <string>

#include "adapters/sqlite/db.h"

struct sqlite3_backup;

namespace chorok::sqlite {

// Revisions that a store may have given out after its backup was taken.
inline constexpr std::int64_t kRestoreRevisionGap = 1'000'000'000;

// One copy in progress. Written to `PATH.partial`; the name appears when it is whole, checked and
// on disk.
class Backup {
 public:
  // kAlreadyExists: backups are never overwritten.
  static Result<std::unique_ptr<Backup>> start(Db& source, const std::string& path);
  ~Backup();  // removes the partial copy unless it is finished
  Backup(const Backup&) = delete;
  Backup& operator=(const Backup&) = delete;

  // Copies some pages; true when all are copied. On the thread of the source.
  Result<bool> step(int pages);
  // Checks the copy, brings it to disk and gives it its name. Takes as long as the file is large;
  // on any thread, since the source is no longer needed.
  Result<> finish();

 private:
  explicit Backup(std::string path) : path_(std::move(path)) {}
  std::string partial() const { return path_ + ".partial"; }

  std::string path_;
  std::unique_ptr<Db> target_;
  sqlite3_backup* backup_ = nullptr;
};

// The whole copy in one go; an older one of the same name is replaced.
Result<> copy_aside(Db& source, const std::string& path);

// kFailedPrecondition with SQLite's first findings when the file is damaged.
Result<> check_integrity(Db& db);

// Puts `backup` in the place of the store at `path`, whose old content stays as
// `PATH.before-restore`. The caller holds the store's lock.
Result<> restore_file(const std::string& backup, const std::string& path);

}  // namespace chorok::sqlite
