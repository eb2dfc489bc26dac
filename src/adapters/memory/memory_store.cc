#include "adapters/memory/memory_store.h"

#include <deque>
#include <map>

#include "ports/lease_table.h"
#include "ports/store_check.h"
#include "ports/watch_hub.h"

namespace chorok::memory {

using ports::Change;
using ports::KeyValue;
using ports::Page;
using ports::Revision;
using ports::Txn;
using ports::Write;

// Shared with the works in the loop's queue, so that they may run after the store is gone.
struct MemoryStore::State {
  struct Record {
    std::string value;
    Revision revision = 0;
  };

  MemoryStoreSettings settings;
  std::map<std::string, Record, std::less<>> records;
  std::deque<std::vector<Change>> log;  // the last entry is that of `revision`
  Revision revision = 0;
  ports::WatchHub hub;
  ports::LeaseTable leases;

  Revision revision_of(const std::string& key) const {
    auto found = records.find(key);
    return found == records.end() ? 0 : found->second.revision;
  }

  Result<KeyValue> get(const std::string& key) const {
    auto found = records.find(key);
    if (found == records.end()) return Unexpected(ports::no_such_key(key));
    return KeyValue{key, found->second.value, found->second.revision};
  }

  Result<Page> range(const std::string& prefix, const std::string& after, std::size_t limit) const {
    TRY(ports::check_page(limit));
    Page page{.revision = revision};
    std::size_t bytes = 0;
    auto next = after < prefix ? records.lower_bound(prefix) : records.upper_bound(after);
    for (; next != records.end() && next->first.starts_with(prefix); ++next) {
      if (page.items.size() == limit || bytes > ports::kMaxPageBytes) {
        page.more = true;
        break;
      }
      bytes += next->second.value.size();
      page.items.push_back({next->first, next->second.value, next->second.revision});
    }
    return page;
  }

  Result<std::vector<Change>> apply(Txn txn) {
    TRY(ports::check(txn));
    for (const Write& write : txn.writes)
      if (write.if_revision && revision_of(write.key) != *write.if_revision)
        return Unexpected(ports::revision_conflict(write, revision_of(write.key)));
    std::vector<Change> changes;
    for (Write& write : txn.writes) {
      if (write.value)
        records[write.key] = {*write.value, revision + 1};
      else if (records.erase(write.key) == 0)
        continue;
      changes.push_back({revision + 1, std::move(write.key), std::move(write.value)});
    }
    if (!changes.empty()) {
      ++revision;
      log.push_back(changes);
      if (log.size() > settings.max_log_revisions) log.pop_front();
    }
    return changes;
  }

  ports::Backlog since(Revision from) const {
    ports::Backlog backlog;
    backlog.compacted = from + log.size() < revision || from > revision;
    if (backlog.compacted) return backlog;
    for (auto entry = log.end() - static_cast<std::ptrdiff_t>(revision - from); entry != log.end();
         ++entry)
      backlog.changes.insert(backlog.changes.end(), entry->begin(), entry->end());
    return backlog;
  }
};

MemoryStore::MemoryStore(Loop& loop, MemoryStoreSettings settings)
    : loop_(loop), state_(std::make_shared<State>()) {
  state_->settings = settings;
}

MemoryStore::~MemoryStore() = default;

void MemoryStore::get(std::string key, Done<Result<KeyValue>> done) {
  loop_.post([state = state_, key = std::move(key), done = std::move(done)]() mutable {
    done(state->get(key));
  });
}

void MemoryStore::range(std::string prefix, std::string after, std::size_t limit,
                        Done<Result<Page>> done) {
  loop_.post([state = state_, prefix = std::move(prefix), after = std::move(after), limit,
              done = std::move(done)]() mutable { done(state->range(prefix, after, limit)); });
}

void MemoryStore::commit(Txn txn, Done<Result<Revision>> done) {
  loop_.post([state = state_, txn = std::move(txn), done = std::move(done)]() mutable {
    auto changes = state->apply(std::move(txn));
    if (!changes) return done(Unexpected(std::move(changes).error()));
    done(state->revision);
    state->hub.publish(*changes);
  });
}

std::unique_ptr<ports::Watch> MemoryStore::watch(std::string prefix, Revision from,
                                                 std::function<void(ports::WatchEvent)> on_event) {
  auto watcher = state_->hub.add(std::move(prefix), std::move(on_event));
  loop_.post([state = state_, watcher, from] {
    ports::WatchHub::start(*watcher, state->revision, state->since(from));
  });
  return ports::WatchHub::handle(watcher);
}

void MemoryStore::acquire_lease(std::string name, std::string owner, Duration ttl,
                                Done<Result<bool>> done) {
  loop_.post([&loop = loop_, state = state_, name = std::move(name), owner = std::move(owner), ttl,
              done = std::move(done)]() mutable {
    done(state->leases.acquire(name, owner, loop.now(), ttl));
  });
}

void MemoryStore::release_lease(std::string name, std::string owner, Done<Result<>> done) {
  loop_.post([state = state_, name = std::move(name), owner = std::move(owner),
              done = std::move(done)]() mutable {
    state->leases.release(name, owner);
    done({});
  });
}

}  // namespace chorok::memory
