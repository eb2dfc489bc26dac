#include "adapters/sqlite/side_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

namespace chorok::sqlite {
namespace {

Result<std::unique_ptr<Db>> open_once(const SideFile& file) {
  // SQLite would make it readable by everybody; its log takes the mode from it.
  if (file.path != ":memory:")
    if (const int fd = ::open(file.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600); fd >= 0)
      ::close(fd);
  auto db = TRY(Db::open(file.path));
  TRY(db->run("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA page_size = 4096"));
  TRY(
      db->run(fmt::format("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA "
                          "synchronous = NORMAL; PRAGMA cache_size = -{}",
                          file.cache_kib)));
  const std::int64_t version = TRY(db->integer("PRAGMA user_version"));
  if (version > file.version)
    return fail(Code::kFailedPrecondition,
                fmt::format("{} was written by a newer Chorok: use that one, or remove the file",
                            file.path));
  if (version == file.version) {
    TRY(db->integer(file.probe));
    return db;
  }
  TRY(db->run("BEGIN IMMEDIATE"));
  TRY(db->run(file.schema));
  TRY(db->run(fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}; COMMIT",
                          file.application, file.version)));
  return db;
}

}  // namespace

Result<std::unique_ptr<Db>> open_side_file(const SideFile& file, const Log& log) {
  auto db = open_once(file);
  if (db || db.error().message.find("damaged") == std::string::npos) return db;
  log.error("{}; a new one is begun, the old one is {}.damaged", db.error().message, file.path);
  std::error_code ignored;
  for (const char* suffix : {"", "-wal", "-shm"})
    std::filesystem::rename(file.path + suffix, file.path + ".damaged" + suffix, ignored);
  return open_once(file);
}

}  // namespace chorok::sqlite
