#include "adapters/sqlite/sqlite_store.h"

#include "adapters/sqlite/worker.h"

namespace chorok::sqlite {

using ports::KeyValue;
using ports::Page;
using ports::Revision;

SqliteStore::SqliteStore(Loop& loop)
    : loop_(loop),
      hub_(std::make_shared<ports::WatchHub>()),
      leases_(std::make_shared<ports::LeaseTable>()) {}

SqliteStore::~SqliteStore() = default;

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(Loop& loop, SqliteSettings settings) {
  auto engine = TRY(Engine::open(settings));
  std::unique_ptr<SqliteStore> store(new SqliteStore(loop));
  store->worker_ = std::make_unique<Worker>(loop, std::move(engine), settings, store->hub_);
  return store;
}

template <class T, class Read>
void SqliteStore::read(Read read, Done<Result<T>> done) {
  auto found = std::make_shared<Result<T>>();
  worker_->submit(
      ReadJob{[found, read = std::move(read)](Engine& engine) { *found = read(engine); },
              [found, done = std::move(done)]() mutable { done(std::move(*found)); }});
}

void SqliteStore::get(std::string key, Done<Result<KeyValue>> done) {
  read<KeyValue>([key = std::move(key)](Engine& engine) { return engine.get(key); },
                 std::move(done));
}

void SqliteStore::range(std::string prefix, std::string after, std::size_t limit,
                        Done<Result<Page>> done) {
  read<Page>([prefix = std::move(prefix), after = std::move(after),
              limit](Engine& engine) { return engine.range(prefix, after, limit); },
             std::move(done));
}

void SqliteStore::commit(ports::Txn txn, Done<Result<Revision>> done) {
  worker_->submit(CommitJob{std::move(txn), std::move(done), {}});
}

std::unique_ptr<ports::Watch> SqliteStore::watch(std::string prefix, Revision from,
                                                 std::function<void(ports::WatchEvent)> on_event) {
  struct Past {
    Revision head = 0;
    ports::Backlog backlog;
  };
  auto past = std::make_shared<Past>();
  auto watcher = hub_->add(prefix, std::move(on_event));
  auto look = [past, prefix = std::move(prefix), from](Engine& engine) {
    past->head = engine.head();
    // A past that cannot be read is as good as forgotten: the watcher lists again.
    past->backlog = engine.changes_since(prefix, from).value_or(ports::Backlog{.compacted = true});
  };
  worker_->submit(ReadJob{std::move(look), [past, watcher] {
                            ports::WatchHub::start(*watcher, past->head, std::move(past->backlog));
                          }});
  return ports::WatchHub::handle(watcher);
}

void SqliteStore::acquire_lease(std::string name, std::string owner, Duration ttl,
                                Done<Result<bool>> done) {
  loop_.post(
      [&loop = loop_, leases = leases_, name = std::move(name), owner = std::move(owner), ttl,
       done = std::move(done)]() mutable { done(leases->acquire(name, owner, loop.now(), ttl)); });
}

void SqliteStore::release_lease(std::string name, std::string owner, Done<Result<>> done) {
  loop_.post([leases = leases_, name = std::move(name), owner = std::move(owner),
              done = std::move(done)]() mutable {
    leases->release(name, owner);
    done({});
  });
}

void SqliteStore::backup_to(std::string path, Done<Result<>> done) {
  worker_->submit(BackupJob{std::move(path), std::move(done)});
}

Result<> SqliteStore::restore(const std::string& backup, const SqliteSettings& settings) {
  const LockFile lock = TRY(LockFile::take(settings.path));
  return restore_file(backup, settings.path);
}

SqliteStats SqliteStore::stats() const {
  return worker_->stats();
}

}  // namespace chorok::sqlite
