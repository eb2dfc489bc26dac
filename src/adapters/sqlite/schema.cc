#include "adapters/sqlite/schema.h"

#include <fmt/format.h>

#include <array>

#include "adapters/sqlite/backup.h"

namespace chorok::sqlite {
namespace {

// `record` keeps its values out of the key's index: 2 KB rows in a WITHOUT ROWID table would spill
// onto overflow pages. change.id is revision * 128 + the place in the transaction (at most 100), so
// that appending and compacting work at the two ends of one tree.
constexpr std::array<Migration, 1> kMigrations = {{
    {"records, the change log, and how far it reaches", R"(
      CREATE TABLE record(
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        value BLOB NOT NULL,
        revision INTEGER NOT NULL CHECK (revision > 0)
      ) STRICT;
      CREATE TABLE change(
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL,
        value BLOB
      ) STRICT;
      CREATE TABLE progress(
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        revision INTEGER NOT NULL,
        compacted INTEGER NOT NULL CHECK (compacted <= revision)
      ) STRICT;
      INSERT INTO progress VALUES (1, 0, 0);
    )"},
}};

Result<> check_owner(Db& db, std::int64_t version) {
  const std::int64_t id = TRY(db.integer("PRAGMA application_id"));
  if (id == kApplicationId) return {};
  const std::int64_t tables = TRY(db.integer("SELECT count(*) FROM sqlite_schema"));
  if (id == 0 && version == 0 && tables == 0) return {};
  return fail(Code::kFailedPrecondition,
              fmt::format("{} is another program's database: name another file.", db.path()));
}

Result<> migrate(Db& db, const Migration& step, std::int64_t version) {
  TRY(db.run("BEGIN IMMEDIATE"));
  // All in one transaction: a file with tables but without its mark would be another program's.
  auto done = [&]() -> Result<> {
    TRY(
        db.run("CREATE TABLE IF NOT EXISTS schema_history(version INTEGER PRIMARY KEY, "
               "what TEXT NOT NULL, at TEXT NOT NULL) STRICT"));
    TRY(db.run(step.sql));
    TRY(db.run(fmt::format("PRAGMA application_id = {}", kApplicationId)));
    TRY(
        db.run(fmt::format("INSERT INTO schema_history(version, what, at) VALUES "
                           "({}, '{}', strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
                           version, step.what)));
    TRY(db.run(fmt::format("PRAGMA user_version = {}", version)));
    return db.run("COMMIT");
  }();
  if (done) return {};
  db.roll_back();
  return Unexpected(done.error().within(
      fmt::format("Upgrading {} to version {} ({})", db.path(), version, step.what)));
}

}  // namespace

std::span<const Migration> migrations() {
  return kMigrations;
}

Result<std::int64_t> check_version(Db& db, std::span<const Migration> steps) {
  const std::int64_t version = TRY(db.integer("PRAGMA user_version"));
  const auto newest = static_cast<std::int64_t>(steps.size());
  TRY(check_owner(db, version));
  if (version <= newest) return version;
  return fail(Code::kFailedPrecondition,
              fmt::format("{} was written by a newer Chorok (schema {}, this one knows {}): "
                          "install that version, or restore an older backup.",
                          db.path(), version, newest));
}

Result<> bring_up(Db& db, std::span<const Migration> steps) {
  const std::int64_t version = TRY(check_version(db, steps));
  const auto newest = static_cast<std::int64_t>(steps.size());
  if (version == newest) return {};
  if (version > 0) TRY(copy_aside(db, fmt::format("{}.before-v{}", db.path(), newest)));
  for (std::int64_t next = version; next < newest; ++next)
    TRY(migrate(db, steps[static_cast<std::size_t>(next)], next + 1));
  return {};
}

}  // namespace chorok::sqlite
