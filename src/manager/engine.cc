#include "manager/engine.h"

#include <fmt/format.h>

#include <algorithm>

namespace chorok::manager {
namespace {

constexpr std::string_view kLease = "leader";

}  // namespace

Engine::Engine(Loop& loop, ports::Store& store, IdSource ids, EngineSettings settings)
    : loop_(loop), store_(store), ids_(std::move(ids)), settings_(std::move(settings)) {}

Engine::~Engine() {
  loop_.cancel(lease_timer_);
  *alive_ = false;
}

void Engine::start(Done<Result<>> done) {
  store_.acquire_lease(std::string(kLease), settings_.owner, settings_.lease_ttl,
                       [this, alive = alive_, done = std::move(done)](Result<bool> held) mutable {
                         if (*alive) took_lease(std::move(held), std::move(done));
                       });
}

void Engine::took_lease(Result<bool> held, Done<Result<>> done) {
  if (!held) return done(Unexpected(held.error()));
  if (!*held)
    return done(fail(Code::kUnavailable,
                     "another manager leads; this one takes over when that one is gone"));
  load_next("", [this, alive = alive_, done = std::move(done)](Result<> loaded) mutable {
    if (!*alive) return;
    if (!loaded) return done(std::move(loaded));
    raise_term(std::move(done));
  });
  held_until_ = now() + settings_.lease_ttl;
  renew_lease();
}

void Engine::renew_lease() {
  lease_timer_ = loop_.after(settings_.lease_ttl / 3, [this] {
    store_.acquire_lease(std::string(kLease), settings_.owner, settings_.lease_ttl,
                         [this, alive = alive_](Result<bool> held) {
                           if (*alive) renewed(std::move(held));
                         });
    renew_lease();
  });
}

// An error says nothing of who leads: a full disk refuses the lease as it refuses commits, and who
// could take it over is refused as well. Once it has run out, somebody may have led in between.
void Engine::renewed(Result<bool> held) {
  if (lost_why_) return;
  if (!held) {
    log_.error("the leader's lease was not renewed: {}", held.error().message);
    store_problem_ = held.error().message;
    return;
  }
  if (!*held) return lead_is_lost("another manager has the leader's lease");
  store_problem_.clear();
  const bool had_run_out = now() > held_until_;
  held_until_ = now() + settings_.lease_ttl;
  if (had_run_out) check_term();
}

void Engine::check_term() {
  log_.warn("the leader's lease had run out; looks whether another manager has led");
  store_.get(std::string(kTermKey), [this, alive = alive_](Result<ports::KeyValue> item) {
    if (!*alive || !item) return;  // the next renewal looks again at what the store says
    if (std::strtoull(item->value.c_str(), nullptr, 10) != term_)
      lead_is_lost("another manager has led meanwhile");
  });
}

void Engine::lead_is_lost(std::string why) {
  if (lost_why_) return;
  loop_.cancel(std::exchange(lease_timer_, 0));
  lost_why_ = Error{Code::kUnavailable, std::move(why), {}};
  store_problem_ = lost_why_->message;
  log_.error("leads no more: {}", lost_why_->message);
  if (lost_) lost_(*lost_why_);
}

void Engine::load_next(std::string after, Done<Result<>> done) {
  auto loaded = [this, alive = alive_, done = std::move(done)](Result<ports::Page> page) mutable {
    if (!*alive) return;
    if (!page) return done(Unexpected(page.error()));
    for (const ports::KeyValue& item : page->items)
      if (auto result = load_record(item); !result)
        return done(Unexpected(result.error().within(item.key)));
    revision_ = std::max<std::uint64_t>(revision_, page->revision);
    if (!page->more) return done({});
    load_next(page->items.back().key, std::move(done));
  };
  store_.range("", std::move(after), ports::StoreLimits::kMaxPage, std::move(loaded));
}

void Engine::raise_term(Done<Result<>> done) {
  ++term_;
  for (const auto& [id, event] : inventory_.events().all())
    last_event_ = std::max<std::uint64_t>(last_event_, std::strtoull(id.c_str() + 3, nullptr, 10));
  for (const auto& [id, entry] : inventory_.audit().all())
    last_event_ = std::max<std::uint64_t>(last_event_, std::strtoull(id.c_str() + 3, nullptr, 10));
  ports::Txn txn;
  txn.writes.push_back({std::string(kTermKey), std::to_string(term_), std::nullopt});
  store_.commit(std::move(txn), [this, alive = alive_,
                                 done = std::move(done)](Result<ports::Revision> r) mutable {
    if (!*alive) return;
    if (!r) return done(Unexpected(r.error()));
    // Watchers resume by revision, also after this manager was restarted. Changes are counted in
    // memory, volatile ones too, so the store's count is lower than what was given out before. The
    // clock is not: nothing changes a million times a second. (A double holds it until 2255.)
    using std::chrono::microseconds;
    const auto micros = std::chrono::duration_cast<microseconds>(now().time_since_epoch()).count();
    revision_ = std::max(*r, static_cast<std::uint64_t>(std::max<std::int64_t>(micros, 0)));
    log_.info("leads with term {}: {} hosts, {} VMs, {} tasks", term_, inventory_.hosts().size(),
              inventory_.vms().size(), inventory_.tasks().size());
    ensure_cluster(std::move(done));
  });
}

void Engine::ensure_cluster(Done<Result<>> done) {
  Changes changes;
  if (inventory_.clusters().size() == 0) {
    model::Cluster cluster;
    cluster.meta.id = new_id("cluster");
    cluster.meta.name = "default";
    cluster.meta.created = now();
    changes.put(std::move(cluster));
  }
  // No agent has said hello yet: what was connected is not known to be.
  for (const auto& [id, host] : inventory_.hosts().all()) {
    model::Host lost = *host;
    if (lost.link == model::HostLink::kConnected) lost.link = model::HostLink::kLost;
    if (lost.cluster.empty() && inventory_.clusters().size() > 0)
      lost.cluster = inventory_.default_cluster().meta.id;
    changes.put_volatile(std::move(lost));
  }
  commit(std::move(changes), std::move(done));
}

void Engine::stop(Done<Result<>> done) {
  loop_.cancel(lease_timer_);
  lease_timer_ = 0;
  store_.release_lease(std::string(kLease), settings_.owner, std::move(done));
}

const model::Cluster& Engine::cluster() const {
  return inventory_.default_cluster();
}

ports::Txn Engine::to_txn(const Changes& changes) const {
  ports::Txn txn;
  for (const Change& change : changes.items()) {
    if (!change.durable) continue;
    ports::Write write;
    write.key = change.key();
    if (change.after != nullptr)
      write.value =
          json::encode(*change.type, change.after.get(), {.secrets = true, .defaults = false});
    txn.writes.push_back(std::move(write));
  }
  return txn;
}

void Engine::commit(Changes changes, Done<Result<>> done) {
  if (changes.empty()) {
    loop_.post([done = std::move(done)]() mutable { done({}); });
    return;
  }
  if (lost_why_) {
    loop_.post([done = std::move(done), error = *lost_why_]() mutable { done(Unexpected(error)); });
    return;
  }
  trim(changes);
  changes.touch(now());
  ports::Txn txn = to_txn(changes);
  for (Change& change : changes.items())
    change.before = change.exchange(inventory_, change.id, change.after);
  std::uint64_t number = next_number_++;
  bool stored = !txn.writes.empty();
  pending_.push_back(
      Pending{number, std::move(changes), std::move(done), stored, false, !stored, {}});
  if (applied_) applied_(pending_.back().changes);
  if (!stored) {
    // Behind what is not durable yet, so that watchers see one order.
    loop_.post([this, alive = alive_] {
      if (*alive) release();
    });
    return;
  }
  store_.commit(std::move(txn), [this, alive = alive_, number](Result<ports::Revision> result) {
    if (*alive) completed(number, std::move(result));
  });
}

void Engine::completed(std::uint64_t number, Result<ports::Revision> result) {
  auto it = std::ranges::find(pending_, number, &Pending::number);
  if (it == pending_.end()) {
    // Taken back because one below it failed, and yet it was stored: memory no longer says what the
    // disk does.
    CHOROK_ASSERT(!result && "a commit went through after the one before it failed");
    return;
  }
  if (result) {
    store_problem_.clear();
    it->complete = true;
    release();
    return;
  }
  log_.error("the store refused a commit: {}", result.error().message);
  store_problem_ = result.error().message;
  take_back_from(number, result.error());
}

// Commits below a failed one are not touched: they succeed or fail by themselves. The failed one
// alone is taken back, and of those above it only what wrote the same records: their writes may
// have gone through, so memory keeps them.
void Engine::take_back_from(std::uint64_t number, const Error& error) {
  auto it = std::ranges::find(pending_, number, &Pending::number);
  for (Change& change : it->changes.items()) {
    bool overwritten = std::any_of(it + 1, pending_.end(), [&](const Pending& later) {
      return std::ranges::any_of(later.changes.items(), [&](const Change& other) {
        return other.kind == change.kind && other.id == change.id;
      });
    });
    if (overwritten) {
      for (auto later = it + 1; later != pending_.end(); ++later)
        for (Change& other : later->changes.items())
          if (other.kind == change.kind && other.id == change.id && other.before == change.after) {
            other.before = change.before;
            break;
          }
      continue;
    }
    change.exchange(inventory_, change.id, change.before);
  }
  it->failed = true;
  it->complete = true;
  it->error = error;
  if (applied_) applied_(it->changes);
  release();
}

void Engine::release() {
  while (!pending_.empty() && pending_.front().complete) {
    Pending first = std::move(pending_.front());
    pending_.pop_front();
    if (first.failed) {
      first.done(Unexpected(first.error));
      continue;
    }
    publish(first.changes);
    first.done({});
  }
}

void Engine::publish(const Changes& changes) {
  for (const Change& change : changes.items()) {
    Notice notice{++revision_, change.kind, change.id, change.type, change.after};
    backlog_.push_back(notice);
    if (backlog_.size() > settings_.watch_backlog) backlog_.pop_front();
    // A watcher may end itself or start another while it is called.
    std::vector<std::uint64_t> ids;
    for (const auto& [id, watcher] : watchers_) ids.push_back(id);
    for (std::uint64_t id : ids)
      if (auto it = watchers_.find(id); it != watchers_.end()) {
        Watcher watcher = it->second;
        watcher(notice);
      }
  }
}

Result<std::uint64_t> Engine::watch(std::uint64_t since, Watcher watcher) {
  std::uint64_t oldest = backlog_.empty() ? revision_ : backlog_.front().revision - 1;
  if (since > revision_ || since < oldest)
    return fail(
        Code::kConflict,
        "the changes since then are not kept any more; list again and watch from its revision");
  for (const Notice& notice : std::deque<Notice>(backlog_))
    if (notice.revision > since) watcher(notice);
  watchers_[next_watcher_] = std::move(watcher);
  return next_watcher_++;
}

void Engine::unwatch(std::uint64_t id) {
  watchers_.erase(id);
}

void Engine::add_event(Changes& changes, model::Event event) {
  event.id = fmt::format("ev-{:012}", ++last_event_);
  if (event.time.time_since_epoch().count() == 0) event.time = now();
  log_.info("{} {} {}: {}", event.kind, event.subject_kind, event.subject_name, event.message);
  changes.put(std::move(event));
}

void Engine::add_audit(Changes& changes, model::AuditEntry entry) {
  entry.id = fmt::format("au-{:012}", ++last_event_);
  entry.time = now();
  changes.put(std::move(entry));
}

namespace {

// A few at a time with each commit, and no more than its transaction can take.
constexpr std::size_t kTrimmedAtOnce = 4;
constexpr std::size_t kTasksAtOnce = 50;

}  // namespace

std::size_t Engine::room(const Changes& changes) {
  const std::size_t taken = changes.items().size();
  return taken < ports::StoreLimits::kMaxKeys ? ports::StoreLimits::kMaxKeys - taken : 0;
}

void Engine::trim(Changes& changes) {
  const auto& events = inventory_.events().all();
  if (events.size() > settings_.events_max) {
    const std::size_t most = std::min(kTrimmedAtOnce, room(changes));
    auto it = events.begin();
    for (std::size_t i = 0; i < most && it != events.end(); ++i, ++it)
      changes.erase<model::Event>(it->first);
  }
  trim_audit(changes);
  trim_tasks(changes);
}

// Ids count up, so the first is the oldest.
void Engine::trim_audit(Changes& changes) const {
  const auto& entries = inventory_.audit().all();
  const std::size_t most = std::min(kTrimmedAtOnce, room(changes));
  std::size_t left = entries.size();
  for (auto it = entries.begin(); it != entries.end() && entries.size() - left < most;
       ++it, --left) {
    bool is_old = now() - it->second->time > settings_.audit_age;
    if (left <= settings_.audit_max && !is_old) return;
    changes.erase<model::AuditEntry>(it->first);
  }
}

void Engine::trim_tasks(Changes& changes) {
  const auto& tasks = inventory_.tasks().all();
  if (tasks.size() <= settings_.tasks_max || next_number_ < trimmed_at_ + kTasksAtOnce) return;
  if (room(changes) < kTasksAtOnce) return;  // one look at all of them is to be worth it
  trimmed_at_ = next_number_;
  std::vector<std::pair<Time, std::string>> finished;
  for (const auto& [id, task] : tasks)
    if (task->finished_state()) finished.emplace_back(task->finished, id);
  std::size_t over = std::min({tasks.size() - settings_.tasks_max, finished.size(), kTasksAtOnce});
  std::ranges::partial_sort(finished, finished.begin() + static_cast<std::ptrdiff_t>(over));
  for (std::size_t i = 0; i < over; ++i) changes.erase<model::Task>(finished[i].second);
}

}  // namespace chorok::manager
