#include "adapters/sqlite/engine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "adapters/sqlite/backup.h"
#include "adapters/sqlite/schema.h"
#include "ports/store_check.h"

namespace chorok::sqlite {

using ports::Backlog;
using ports::Change;
using ports::KeyValue;
using ports::Page;
using ports::Revision;
using ports::Txn;
using ports::Write;

namespace {

// change.id is revision * kStride + the place of the write in its transaction.
constexpr std::int64_t kStride = 128;
static_assert(ports::StoreLimits::kMaxKeys <= kStride);

// Forgetting is done this many revisions at a time, so that it costs every commit a little and none
// a lot.
constexpr std::int64_t kCompactEvery = 16;

bool left_in_a_hurry(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path + "-wal", error);
  return !error && size > 0;
}

// Whoever can read the file can read every secret in it. SQLite gives its log the mode of the file.
Result<> create_private(const std::string& path) {
  const int fd = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0)
    return fail(Code::kFailedPrecondition,
                fmt::format("Cannot open {}: {}.", path, std::strerror(errno)));
  ::close(fd);
  return {};
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::open(const SqliteSettings& settings) {
  LockFile lock = TRY(LockFile::take(settings.path));
  std::unique_ptr<Engine> engine(new Engine(settings, std::move(lock)));
  const bool crashed = left_in_a_hurry(settings.path);
  if (settings.create) TRY(create_private(settings.path));
  engine->db_ = TRY(Db::open(settings.path, {.create = settings.create, .vfs = settings.vfs}));
  TRY(engine->configure());
  const bool check = settings.check == CheckOnOpen::kAlways ||
                     (settings.check == CheckOnOpen::kAfterCrash && crashed);
  if (check) TRY(check_integrity(*engine->db_));
  TRY(bring_up(*engine->db_));
  TRY(engine->prepare());
  TRY(engine->load());
  return engine;
}

Result<> Engine::configure() {
  // Exclusive before the first access: no shared memory file, which a full disk could take away
  // under us, and other programs find the file locked.
  TRY(db_->run("PRAGMA locking_mode = EXCLUSIVE"));
  TRY(check_version(*db_));  // before the first thing that writes
  const std::string mode = TRY(db_->text("PRAGMA journal_mode = WAL"));
  if (mode != "wal")
    return fail(Code::kFailedPrecondition,
                fmt::format("{}: the file system does not allow a write-ahead log.", db_->path()));
  TRY(
      db_->run("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
               "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;"
               "PRAGMA journal_size_limit = 16777216"));
  TRY(db_->run(fmt::format("PRAGMA cache_size = -{}; PRAGMA wal_autocheckpoint = {}",
                           settings_.cache_kib, settings_.checkpoint_pages)));
  if (settings_.max_pages > 0)
    TRY(db_->run(fmt::format("PRAGMA max_page_count = {}", settings_.max_pages)));
  return {};
}

Result<> Engine::prepare() {
  get_ = TRY(db_->prepare("SELECT value, revision FROM record WHERE key = ?1"));
  range_ =
      TRY(db_->prepare("SELECT key, value, revision FROM record "
                       "WHERE key >= ?1 AND key <> ?2 AND key < ?3 ORDER BY key LIMIT ?4"));
  revision_ = TRY(db_->prepare("SELECT revision FROM record WHERE key = ?1"));
  put_ =
      TRY(db_->prepare("INSERT INTO record(key, value, revision) VALUES (?1, ?2, ?3) "
                       "ON CONFLICT(key) DO UPDATE SET value = ?2, revision = ?3"));
  erase_ = TRY(db_->prepare("DELETE FROM record WHERE key = ?1"));
  log_ = TRY(db_->prepare("INSERT INTO change(id, key, value) VALUES (?1, ?2, ?3)"));
  changes_ = TRY(db_->prepare("SELECT id, key, value FROM change WHERE id >= ?1 ORDER BY id"));
  progress_ = TRY(db_->prepare("UPDATE progress SET revision = ?1, compacted = ?2"));
  forget_ = TRY(db_->prepare("DELETE FROM change WHERE id < ?1"));
  return {};
}

Result<> Engine::load() {
  head_ = static_cast<Revision>(TRY(db_->integer("SELECT revision FROM progress")));
  compacted_ = TRY(db_->integer("SELECT compacted FROM progress"));
  log_bytes_ = TRY(log_bytes());
  roll_back();
  return {};
}

Result<std::int64_t> Engine::log_bytes(std::string_view where) {
  return db_->integer(fmt::format(
      "SELECT coalesce(sum(length(key) + coalesce(length(value), 0)), 0) FROM change {}", where));
}

Result<KeyValue> Engine::get(const std::string& key) {
  get_.bind(1, key);
  if (!TRY(get_.step())) {
    get_.reset();
    return Unexpected(ports::no_such_key(key));
  }
  KeyValue found{key, get_.text(0), static_cast<Revision>(get_.integer(1))};
  get_.reset();
  return found;
}

Result<Page> Engine::range(const std::string& prefix, const std::string& after, std::size_t limit) {
  TRY(ports::check_page(limit));
  Page page{.revision = head()};
  const std::string end = ports::prefix_end(prefix);
  range_.bind(1, std::string_view(std::max(prefix, after))).bind(2, std::string_view(after));
  // Every text sorts before every blob: an empty blob is the end of all keys.
  if (end.empty())
    range_.bind_blob(3, "");
  else
    range_.bind(3, std::string_view(end));
  range_.bind(4, static_cast<std::int64_t>(limit + 1));
  std::size_t bytes = 0;
  while (TRY(range_.step())) {
    if (page.items.size() == limit || bytes > ports::kMaxPageBytes) {
      page.more = true;
      break;
    }
    page.items.push_back(
        {range_.text(0), range_.text(1), static_cast<Revision>(range_.integer(2))});
    bytes += page.items.back().value.size();
  }
  range_.reset();
  return page;
}

Result<Backlog> Engine::changes_since(const std::string& prefix, Revision from) {
  Backlog backlog;
  backlog.compacted = static_cast<std::int64_t>(from) < pending_compacted_ || from > pending_;
  if (backlog.compacted) return backlog;
  changes_.bind(1, static_cast<std::int64_t>(from + 1) * kStride);
  while (TRY(changes_.step())) {
    std::string key = changes_.text(1);
    if (!key.starts_with(prefix)) continue;
    Change change{static_cast<Revision>(changes_.integer(0) / kStride), std::move(key), {}};
    if (!changes_.is_null(2)) change.value = changes_.text(2);
    backlog.changes.push_back(std::move(change));
  }
  changes_.reset();
  return backlog;
}

Result<> Engine::begin() {
  if (broken_)
    return fail(Code::kUnavailable,
                fmt::format("The disk failed while {} was written: nothing more is written until "
                            "the disk is checked and the manager restarted.",
                            db_->path()));
  return db_->run("BEGIN IMMEDIATE");
}

Result<Revision> Engine::revision_of(std::string_view key) {
  revision_.bind(1, key);
  const bool found = TRY(revision_.step());
  const auto revision = found ? static_cast<Revision>(revision_.integer(0)) : Revision{0};
  revision_.reset();
  return revision;
}

Result<Applied> Engine::apply(const Txn& txn) {
  Applied applied;
  if (auto checked = ports::check(txn); !checked) {
    applied.answer = Unexpected(checked.error());
    return applied;
  }
  for (std::size_t i = 0; i < txn.writes.size(); ++i) {
    const Write& write = txn.writes[i];
    const Revision found = TRY(revision_of(write.key));
    if (write.if_revision && *write.if_revision != found) {
      applied.answer = Unexpected(ports::revision_conflict(write, found));
      applied.effective.clear();
      return applied;
    }
    if (write.value || found != 0) applied.effective.push_back(i);
  }
  if (!applied.effective.empty()) ++pending_;
  for (std::size_t i : applied.effective) TRY(write(txn.writes[i], i));
  applied.answer = pending_;
  return applied;
}

Result<> Engine::write(const Write& write, std::size_t position) {
  const auto revision = static_cast<std::int64_t>(pending_);
  log_.bind(1, revision * kStride + static_cast<std::int64_t>(position));
  log_.bind(2, std::string_view(write.key));
  pending_log_bytes_ += static_cast<std::int64_t>(write.key.size());
  if (write.value) {
    pending_log_bytes_ += static_cast<std::int64_t>(write.value->size());
    put_.bind(1, std::string_view(write.key)).bind_blob(2, *write.value).bind(3, revision);
    TRY(put_.run());
    log_.bind_blob(3, *write.value);
  } else {
    TRY(erase_.bind(1, std::string_view(write.key)).run());
    log_.bind_null(3);
  }
  return log_.run();
}

Result<> Engine::commit() {
  if (!db_->in_transaction())  // SQLite rolls back by itself when it runs out of disk or memory
    return fail(Code::kInternal, fmt::format("{}: the transaction was lost.", db_->path()));
  if (pending_ != head_) {
    TRY(compact());
    TRY(progress_.bind(1, static_cast<std::int64_t>(pending_)).bind(2, pending_compacted_).run());
  }
  if (auto committed = db_->run("COMMIT"); !committed) {
    if (committed.error().code == Code::kExhausted) return committed;
    broken_ = true;
    return fail(Code::kUnknown, committed.error().message);
  }
  head_ = pending_;
  compacted_ = pending_compacted_;
  log_bytes_ = pending_log_bytes_;
  return {};
}

void Engine::roll_back() {
  db_->roll_back();
  pending_ = head_;
  pending_compacted_ = compacted_;
  pending_log_bytes_ = log_bytes_;
}

Result<> Engine::compact() {
  const std::int64_t oldest = static_cast<std::int64_t>(pending_) - settings_.max_log_revisions;
  if (oldest >= pending_compacted_ + kCompactEvery) TRY(forget(oldest));
  // By bytes: a tenth of the revisions at a time, down to the newest alone.
  while (pending_log_bytes_ > settings_.max_log_bytes) {
    const std::int64_t kept = static_cast<std::int64_t>(pending_) - pending_compacted_;
    if (kept <= 1) break;
    TRY(forget(pending_compacted_ + std::max<std::int64_t>(1, kept / 10)));
  }
  return {};
}

Result<> Engine::forget(std::int64_t up_to) {
  const std::int64_t end = (up_to + 1) * kStride;
  pending_log_bytes_ -= TRY(log_bytes(fmt::format("WHERE id < {}", end)));
  TRY(forget_.bind(1, end).run());
  pending_compacted_ = up_to;
  return {};
}

}  // namespace chorok::sqlite
