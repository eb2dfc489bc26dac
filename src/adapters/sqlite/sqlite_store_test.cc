// What SQLite adds to the contract: files, processes, versions, backups.
#include "adapters/sqlite/sqlite_store.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <fstream>

#include "adapters/sqlite/backup.h"
#include "adapters/sqlite/schema.h"
#include "adapters/sqlite/test_store.h"

namespace chorok::sqlite {
namespace {

struct SqliteStoreTest : testing::Test {
  TestFolder folder;
  const std::string path = folder / "store.db";
  TestStore store{{.path = path}};
};

std::string message(const auto& result) {
  return result ? "" : result.error().message;
}

TEST_F(SqliteStoreTest, KeepsRevisionsAndHistoryAcrossRestarts) {
  ASSERT_TRUE(store.open());
  store.put("a", "1").value();
  ports::Revision second = store.put("a", "2").value();
  store.close();
  ASSERT_TRUE(store.open());
  EXPECT_EQ(store.head(), second);
  EXPECT_EQ(store.get("a").value(), "2");
  std::vector<std::string> seen;
  auto watch = store.store().watch("", 0, [&](ports::WatchEvent event) {
    seen.push_back(event.changes.front().value.value_or("-"));
  });
  EXPECT_EQ(store.put("a", "3").value(), second + 1);
  EXPECT_EQ(seen, (std::vector<std::string>{"1", "2", "3"}));
}

TEST_F(SqliteStoreTest, FilesArePrivate) {
  ASSERT_TRUE(store.open());
  ASSERT_TRUE(store.put("a", "1"));
  for (const char* suffix : {"", "-wal"}) {
    struct stat status{};
    ASSERT_EQ(::stat((path + suffix).c_str(), &status), 0) << suffix;
    EXPECT_EQ(status.st_mode & 0777, 0600u) << suffix;
  }
}

TEST_F(SqliteStoreTest, AnsweredWhenClosed) {
  ASSERT_TRUE(store.open());
  int answered = 0;
  for (int i = 0; i < 200; ++i)
    store.store().commit({{{.key = "k" + std::to_string(i), .value = "v"}}},
                         [&](Result<ports::Revision> result) {
                           EXPECT_TRUE(result);
                           ++answered;
                         });
  store.close();
  EXPECT_EQ(answered, 200);
  ASSERT_TRUE(store.open());
  EXPECT_EQ(store.all().value().size(), 200u);
}

TEST_F(SqliteStoreTest, CommitsAreGrouped) {
  ASSERT_TRUE(store.open());
  int answered = 0;
  for (int i = 0; i < 2000; ++i)
    store.store().commit({{{.key = "k", .value = "v"}}}, [&](auto) { ++answered; });
  ASSERT_TRUE(store.loop().run_until([&] { return answered == 2000; }));
  SqliteStats stats = store.store().stats();
  EXPECT_EQ(stats.transactions, 2000u);
  EXPECT_LT(stats.groups, 400u);
}

TEST_F(SqliteStoreTest, AFullQueueRefusesInOrder) {
  store.settings().max_queued_bytes = 64 << 10;
  ASSERT_TRUE(store.open());
  std::vector<int> order;
  int refused = 0;
  for (int i = 0; i < 100; ++i)
    store.store().commit({{{.key = "k", .value = std::string(32 << 10, 'x')}}},
                         [&, i](Result<ports::Revision> result) {
                           order.push_back(i);
                           if (!result) ++refused;
                           if (!result) EXPECT_EQ(result.error().code, Code::kUnavailable);
                         });
  ASSERT_TRUE(store.loop().run_until([&] { return order.size() == 100; }));
  EXPECT_TRUE(std::ranges::is_sorted(order));
  EXPECT_GT(refused, 0);
  EXPECT_TRUE(store.put("k", "later"));
}

TEST_F(SqliteStoreTest, TheLogIsBoundedInBytes) {
  store.settings().max_log_bytes = 1 << 20;
  ASSERT_TRUE(store.open());
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(store.put("k", std::string(100 << 10, 'x')));
  bool compacted = false;
  std::size_t kept = 0;
  auto old = store.store().watch("", 0, [&](ports::WatchEvent event) {
    compacted = event.kind == ports::WatchEvent::Kind::kCompacted;
  });
  auto recent = store.store().watch("", 45, [&](ports::WatchEvent) { ++kept; });
  (void)store.head();
  EXPECT_TRUE(compacted);
  EXPECT_EQ(kept, 5u);
  store.close();
  store.settings().check = CheckOnOpen::kAlways;
  ASSERT_TRUE(store.open());
  EXPECT_LT(std::filesystem::file_size(path), 3u << 20);
}

TEST_F(SqliteStoreTest, OneProcessAtATime) {
  ASSERT_TRUE(store.open());
  TestStore second({.path = path});
  auto refused = second.open();
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  EXPECT_NE(message(refused).find("process " + std::to_string(::getpid())), std::string::npos)
      << message(refused);
  const pid_t child = ::fork();
  if (child == 0) {
    TestStore other({.path = path});
    auto result = other.open();
    ::_exit(!result && result.error().code == Code::kUnavailable ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  // Other programs that do not know the lock file find the database itself locked.
  auto db = Db::open(path).value();
  EXPECT_EQ(db->integer("SELECT count(*) FROM record").error().code, Code::kUnavailable);
  store.close();
  EXPECT_TRUE(second.open());
}

TEST_F(SqliteStoreTest, ErrorsAtOpenNameTheFile) {
  store.settings().create = false;
  auto missing = store.open();
  EXPECT_EQ(missing.error().code, Code::kFailedPrecondition);
  EXPECT_NE(message(missing).find(path), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(path)) << "not made by asking";
  TestStore nowhere({.path = folder / "no/such/store.db"});
  EXPECT_NE(message(nowhere.open()).find("folder"), std::string::npos);
  std::ofstream(path) << "this is a text file, not a database, and longer than a header of 100 "
                         "bytes would be, so that it is read as one";
  auto text = store.open();
  EXPECT_EQ(text.error().code, Code::kFailedPrecondition);
  EXPECT_NE(message(text).find("restore a backup"), std::string::npos) << message(text);
}

TEST_F(SqliteStoreTest, AnotherProgramsDatabaseIsLeftAlone) {
  {
    auto db = Db::open(path).value();
    ASSERT_TRUE(db->run("CREATE TABLE theirs(x); PRAGMA user_version = 1"));
  }
  auto content = [&] {
    std::ifstream file(path, std::ios::binary);
    return std::string((std::istreambuf_iterator<char>(file)), {});
  };
  const std::string before = content();
  EXPECT_NE(message(store.open()).find("another program's"), std::string::npos);
  EXPECT_EQ(content(), before);
}

TEST_F(SqliteStoreTest, DamageIsFoundAtOpen) {
  ASSERT_TRUE(store.open());
  for (int i = 0; i < 300; ++i)
    ASSERT_TRUE(store.put("key" + std::to_string(i), std::string(1000, 'x')));
  store.close();
  const auto size = std::filesystem::file_size(path);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  for (std::size_t at = 4096; at + 4096 < size; at += 3 * 4096) {
    file.seekp(static_cast<std::streamoff>(at));
    file << std::string(4096, 'Z');
  }
  file.close();
  store.settings().check = CheckOnOpen::kAlways;
  auto damaged = store.open();
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, Code::kFailedPrecondition);
  EXPECT_NE(message(damaged).find(path), std::string::npos) << message(damaged);
  EXPECT_NE(message(damaged).find("restore a backup"), std::string::npos) << message(damaged);
}

// ---- Versions ----

// Schema 1 as it was released. Never edit: it stands for files that are out there.
constexpr std::string_view kVersion1 = R"(
  CREATE TABLE schema_history(version INTEGER PRIMARY KEY, what TEXT NOT NULL, at TEXT NOT NULL)
    STRICT;
  CREATE TABLE record(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, value BLOB NOT NULL,
    revision INTEGER NOT NULL CHECK (revision > 0)) STRICT;
  CREATE TABLE change(id INTEGER PRIMARY KEY, key TEXT NOT NULL, value BLOB) STRICT;
  CREATE TABLE progress(only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    revision INTEGER NOT NULL, compacted INTEGER NOT NULL CHECK (compacted <= revision)) STRICT;
  INSERT INTO progress VALUES (1, 7, 5);
  INSERT INTO record(key, value, revision) VALUES ('vm/a', CAST('one' AS BLOB), 3),
    ('vm/b', CAST('two' AS BLOB), 7);
  INSERT INTO change(id, key, value) VALUES (768, 'vm/c', NULL), (896, 'vm/b', CAST('two' AS BLOB));
  INSERT INTO schema_history VALUES (1, 'as released', '2026-11-21T00:00:00Z');
  PRAGMA application_id = 1667789419;
  PRAGMA user_version = 1;
)";

TEST_F(SqliteStoreTest, OpensWhatVersion1Wrote) {
  ASSERT_TRUE(Db::open(path).value()->run(kVersion1));
  ASSERT_TRUE(store.open()) << message(store.open());
  EXPECT_EQ(store.get("vm/a").value(), "one");
  EXPECT_EQ(store.head(), 7u);
  std::vector<ports::Revision> seen;
  auto watch = store.store().watch(
      "", 5, [&](ports::WatchEvent event) { seen.push_back(event.changes.front().revision); });
  EXPECT_EQ(store.put("vm/b", "three").value(), 8u);
  EXPECT_EQ(seen, (std::vector<ports::Revision>{6, 7, 8}));
}

TEST_F(SqliteStoreTest, UpgradesStepByStepAndKeepsACopy) {
  ASSERT_TRUE(Db::open(path).value()->run(kVersion1));
  auto db = Db::open(path).value();
  const std::vector<Migration> next = {
      migrations()[0],
      {"a column", "ALTER TABLE record ADD COLUMN written_by TEXT"},
      {"its content", "UPDATE record SET written_by = 'version 3'"}};
  ASSERT_TRUE(bring_up(*db, next)) << message(bring_up(*db, next));
  EXPECT_EQ(db->integer("PRAGMA user_version").value(), 3);
  EXPECT_EQ(db->integer("SELECT count(*) FROM schema_history").value(), 3);
  EXPECT_EQ(db->text("SELECT written_by FROM record WHERE key = 'vm/a'").value(), "version 3");
  ASSERT_TRUE(bring_up(*db, next)) << "again does nothing";
  auto copy = Db::open(path + ".before-v3", {.create = false}).value();
  EXPECT_EQ(copy->integer("PRAGMA user_version").value(), 1);
  EXPECT_EQ(copy->integer("SELECT count(*) FROM record").value(), 2);
  // Today's program does not touch what a newer one wrote.
  db.reset();
  auto refused = store.open();
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
  EXPECT_NE(message(refused).find("newer Chorok"), std::string::npos);
}

TEST_F(SqliteStoreTest, AFailedUpgradeChangesNothing) {
  ASSERT_TRUE(Db::open(path).value()->run(kVersion1));
  auto db = Db::open(path).value();
  auto failed = bring_up(
      *db, std::vector<Migration>{migrations()[0], {"nonsense", "DELETE FROM record; NONSENSE"}});
  ASSERT_FALSE(failed);
  EXPECT_NE(message(failed).find("version 2 (nonsense)"), std::string::npos) << message(failed);
  db.reset();
  ASSERT_TRUE(store.open());
  EXPECT_EQ(store.all().value().size(), 2u);
}

// ---- Backups ----

TEST_F(SqliteStoreTest, BacksUpWhileWritingAndRestores) {
  store.settings().backup_pages_per_step = 1;
  ASSERT_TRUE(store.open());
  for (int i = 0; i < 3000; i += 100) {
    std::vector<ports::Write> writes;
    for (int j = i; j < i + 100; ++j)
      writes.push_back({.key = "old/" + std::to_string(j), .value = std::string(2000, 'x')});
    ASSERT_TRUE(store.commit(writes));
  }
  const std::string backup = folder / "backup.db";
  std::optional<Result<>> done;
  store.store().backup_to(backup, [&](Result<> result) { done = std::move(result); });
  int during = 0;
  while (!done) ASSERT_TRUE(store.put("during/" + std::to_string(during++), "y"));
  ASSERT_TRUE(*done) << message(*done);
  EXPECT_GT(during, 3) << "commits go on";
  struct stat status{};
  ASSERT_EQ(::stat(backup.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(store.backup(backup).error().code, Code::kAlreadyExists);
  const ports::Revision head = store.put("after", "z").value();

  EXPECT_EQ(SqliteStore::restore(backup, store.settings()).error().code, Code::kUnavailable)
      << "not under a running store";
  store.close();
  auto restored = SqliteStore::restore(backup, store.settings());
  ASSERT_TRUE(restored) << message(restored);
  ASSERT_TRUE(store.open());
  EXPECT_EQ(store.all("old/").value().size(), 3000u);
  EXPECT_FALSE(store.get("after"));
  EXPECT_GT(store.head(), head) << "no revision is given out twice";
  bool compacted = false;
  auto watch = store.store().watch("", head, [&](ports::WatchEvent event) {
    compacted = event.kind == ports::WatchEvent::Kind::kCompacted;
  });
  EXPECT_TRUE(store.put("new", "1"));
  EXPECT_TRUE(compacted);
  TestStore before({.path = path + ".before-restore"});
  ASSERT_TRUE(before.open());
  EXPECT_EQ(before.get("after").value(), "z");
}

TEST_F(SqliteStoreTest, RestoresOverADamagedStore) {
  ASSERT_TRUE(store.open());
  ASSERT_TRUE(store.put("a", "1"));
  ASSERT_TRUE(store.backup(folder / "backup.db"));
  store.close();
  std::ofstream(path) << std::string(10000, 'Z');
  ASSERT_FALSE(store.open());
  auto restored = SqliteStore::restore(folder / "backup.db", store.settings());
  ASSERT_TRUE(restored) << message(restored);
  ASSERT_TRUE(store.open());
  EXPECT_EQ(store.get("a").value(), "1");
}

TEST_F(SqliteStoreTest, RestoreRefusesWhatIsNoGoodBackup) {
  ASSERT_TRUE(store.open());
  ASSERT_TRUE(store.put("a", "1"));
  store.close();
  EXPECT_FALSE(SqliteStore::restore(folder / "missing.db", store.settings()));
  std::ofstream(folder / "text.db") << std::string(10000, 'Z');
  EXPECT_FALSE(SqliteStore::restore(folder / "text.db", store.settings()));
  ASSERT_TRUE(Db::open(folder / "other.db").value()->run("CREATE TABLE theirs(x)"));
  EXPECT_NE(message(SqliteStore::restore(folder / "other.db", store.settings()))
                .find("not a Chorok backup"),
            std::string::npos);
  ASSERT_TRUE(store.open());
  EXPECT_EQ(store.get("a").value(), "1") << "as it was";
}

TEST_F(SqliteStoreTest, ABackupThatFailsLeavesNothing) {
  ASSERT_TRUE(store.open());
  ASSERT_TRUE(store.put("a", "1"));
  EXPECT_FALSE(store.backup(folder / "no/such/backup.db"));
  store.settings().backup_pages_per_step = 1;
  Result<> result;
  store.store().backup_to(folder / "late.db", [&](Result<> done) { result = std::move(done); });
  store.close();
  EXPECT_TRUE(result || result.error().code == Code::kCancelled);
  EXPECT_FALSE(std::filesystem::exists(folder / "late.db.partial"));
}

}  // namespace
}  // namespace chorok::sqlite
