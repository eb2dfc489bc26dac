#include "adapters/sqlite/backup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "adapters/sqlite/schema.h"

namespace chorok::sqlite {
namespace {

Unexpected system_error(std::string_view what, const std::string& path) {
  const Code code = errno == ENOSPC ? Code::kExhausted : Code::kFailedPrecondition;
  return fail(code, fmt::format("Cannot {} {}: {}.", what, path, std::strerror(errno)));
}

Result<> sync_path(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) return system_error("open", path);
  const int failed = ::fsync(fd);
  auto result = failed ? Result<>(system_error("write", path)) : Result<>();
  ::close(fd);
  return result;
}

std::string folder_of(const std::string& path) {
  auto folder = std::filesystem::path(path).parent_path();
  return folder.empty() ? "." : folder.string();
}

// Durable: the file first, then its name.
Result<> put_in_place(const std::string& from, const std::string& to) {
  TRY(sync_path(from, O_RDWR));
  if (::rename(from.c_str(), to.c_str()) != 0) return system_error("rename to", to);
  return sync_path(folder_of(to), O_RDONLY | O_DIRECTORY);
}

void remove_database(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) ::unlink((path + suffix).c_str());
}

// A backup holds everything the store holds: nobody else may read it.
Result<> create_private(const std::string& path) {
  const int fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) return system_error("create", path);
  ::close(fd);
  return {};
}

Result<> check_is_store(Db& db) {
  if (TRY(db.integer("PRAGMA application_id")) != kApplicationId)
    return fail(Code::kFailedPrecondition, fmt::format("{} is not a Chorok backup.", db.path()));
  TRY(check_version(db));
  return {};
}

// Ends the old file's write-ahead log, so that it cannot be taken for the new file's.
Result<> retire(const std::string& path) {
  const std::string kept = path + ".before-restore";
  remove_database(kept);
  if (auto db = Db::open(path, {.create = false}))
    (void)(*db)->run("PRAGMA wal_checkpoint(TRUNCATE)");
  if (::link(path.c_str(), kept.c_str()) != 0 && errno != ENOENT)
    return system_error("keep the old store as", kept);
  // Still there only when the old file is too damaged to take its log in.
  const std::string wal = path + "-wal";
  if (::rename(wal.c_str(), (kept + "-wal").c_str()) != 0 && errno != ENOENT)
    return system_error("move", wal);
  ::unlink((path + "-shm").c_str());
  return {};
}

}  // namespace

Result<std::unique_ptr<Backup>> Backup::start(Db& source, const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0)
    return fail(Code::kAlreadyExists,
                fmt::format("{} exists already: name a file that does not.", path));
  std::unique_ptr<Backup> backup(new Backup(path));
  remove_database(backup->partial());
  TRY(create_private(backup->partial()));
  backup->target_ = TRY(Db::open(backup->partial()));
  TRY(backup->target_->run("PRAGMA synchronous = OFF"));  // finish() syncs once
  backup->backup_ = sqlite3_backup_init(backup->target_->handle(), "main", source.handle(), "main");
  if (!backup->backup_)
    return Unexpected(backup->target_->error(sqlite3_extended_errcode(backup->target_->handle())));
  return backup;
}

Backup::~Backup() {
  if (backup_) sqlite3_backup_finish(backup_);
  if (!target_) return;
  target_.reset();
  remove_database(partial());
}

Result<bool> Backup::step(int pages) {
  const int code = sqlite3_backup_step(backup_, pages);
  if (code == SQLITE_OK) return false;
  if (code != SQLITE_DONE) return Unexpected(target_->error(code));
  sqlite3_backup_finish(std::exchange(backup_, nullptr));
  return true;
}

Result<> Backup::finish() {
  // A backup is one file, without a log beside it.
  TRY(target_->text("PRAGMA journal_mode = DELETE"));
  TRY(check_integrity(*target_));
  target_.reset();
  auto placed = put_in_place(partial(), path_);
  remove_database(partial());
  return placed;
}

Result<> copy_aside(Db& source, const std::string& path) {
  ::unlink(path.c_str());
  auto backup = TRY(Backup::start(source, path));
  while (!TRY(backup->step(-1))) {
  }
  return backup->finish();
}

Result<> check_integrity(Db& db) {
  const std::string found = TRY(db.text("PRAGMA integrity_check(3)"));
  if (found == "ok") return {};
  return fail(Code::kFailedPrecondition,
              fmt::format("{} is damaged ({}): restore a backup over it.", db.path(), found));
}

Result<> restore_file(const std::string& backup, const std::string& path) {
  const std::string fresh = path + ".restoring";
  remove_database(fresh);
  {
    auto source = TRY(Db::open(backup, {.create = false, .read_only = true}));
    TRY(check_is_store(*source));
    TRY(check_integrity(*source));
    TRY(copy_aside(*source, fresh));
  }
  {
    auto db = TRY(Db::open(fresh, {.create = false}));
    TRY(
        db->run(fmt::format("BEGIN; DELETE FROM change; UPDATE progress SET revision = revision + "
                            "{0}, compacted = revision + {0}; COMMIT",
                            kRestoreRevisionGap)));
  }
  TRY(retire(path));
  return put_in_place(fresh, path);
}

}  // namespace chorok::sqlite
