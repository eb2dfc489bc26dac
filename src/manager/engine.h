// The manager's state and the one way to change it. Memory leads, the disk gates: a commit is in
// the tables at once, so that what is decided next is decided on it, but nothing leaves the manager
// (an answer, a command to an agent, a change on a watch) before the store has made it durable.
// When the store refuses, that commit is taken back, but for records that a later one has written;
// commits before and after it succeed or fail by themselves. Whoever waited is told.
//
// Free of I/O: lives on a Loop over a Store, in production and in the simulator alike.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/loop.h"
#include "manager/changes.h"
#include "manager/inventory.h"
#include "ports/store.h"

namespace chorok::manager {

struct EngineSettings {
  std::string owner;  // of the leader's lease: this process
  // Renewed three times in it; a second manager takes over after it. With SQLite nobody waits for
  // it.
  Duration lease_ttl = std::chrono::seconds(30);
  std::size_t events_max = 10'000;  // older ones are dropped
  std::size_t tasks_max = 2'000;    // finished ones
  // Audit entries: the oldest go when there are more, and when they are older. A year of an audit a
  // minute would be half a million; whoever must keep more reads them out (`chorok audit ls`).
  std::size_t audit_max = 20'000;
  Duration audit_age = std::chrono::days(365);
  // Changes a watcher may fall behind before it must list again. Each keeps its version of a record
  // alive, 3 KiB and more: 15 MiB in all.
  std::size_t watch_backlog = 5'000;
};

// Where new ids come from: random in production, counted in tests.
using IdSource = std::function<std::string(std::string_view prefix)>;

// A durable change, as watchers get it.
struct Notice {
  std::uint64_t revision = 0;
  std::string_view kind;
  std::string id;
  const Type* type = nullptr;
  std::shared_ptr<const void> object;  // null: deleted
};

class Engine {
 public:
  static constexpr std::string_view kTermKey = "meta/term";  // of the store

  Engine(Loop& loop, ports::Store& store, IdSource ids, EngineSettings settings = {});
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Takes the lease, counts the term up, reads everything. kUnavailable: another manager leads.
  void start(Done<Result<>> done);
  // Gives the lease back. Commits under way complete first.
  void stop(Done<Result<>> done);

  Loop& loop() { return loop_; }
  Time now() const { return loop_.now(); }
  std::uint64_t term() const { return term_; }
  std::string new_id(std::string_view prefix) { return ids_(prefix); }
  const Inventory& inventory() const { return inventory_; }
  const model::Cluster& cluster() const;  // the default one

  // Applies now; `done` when durable, or with the store's error after it was taken back. An empty
  // set is done at once.
  void commit(Changes changes, Done<Result<>> done);

  // Adds an event to a set (gives it its id), and the trimming of old ones.
  void add_event(Changes& changes, model::Event event);
  void add_audit(Changes& changes, model::AuditEntry entry);

  // ---- Watching. Callbacks run on the loop, after durability, in order of revision.
  using Watcher = std::function<void(const Notice&)>;
  std::uint64_t revision() const { return revision_; }
  // Changes after `since` (at most revision()) are called at once. kConflict: too long ago, list
  // again.
  Result<std::uint64_t> watch(std::uint64_t since, Watcher watcher);
  void unwatch(std::uint64_t id);

  // Called with each set as soon as it is in the tables, and again with the same set when it was
  // taken back: what the reconciler listens to. One listener.
  void on_applied(std::function<void(const Changes&)> listener) { applied_ = std::move(listener); }

  // Called once, when another manager leads: nothing is committed any more, and this process has
  // nothing left to do.
  void on_lost(std::function<void(const Error&)> lost) { lost_ = std::move(lost); }

  // Why the store takes no writes at present; empty when it does.
  const std::string& store_problem() const { return store_problem_; }

 private:
  struct Pending {
    std::uint64_t number;
    Changes changes;
    Done<Result<>> done;
    bool stored = false;  // has something durable
    bool failed = false;
    bool complete = false;
    Error error;
  };

  void load_next(std::string after, Done<Result<>> done);
  Result<> load_record(const ports::KeyValue& item);
  void took_lease(Result<bool> held, Done<Result<>> done);
  void raise_term(Done<Result<>> done);
  void ensure_cluster(Done<Result<>> done);
  void renew_lease();
  void renewed(Result<bool> held);
  void check_term();
  void lead_is_lost(std::string why);
  void completed(std::uint64_t number, Result<ports::Revision> result);
  void release();
  void take_back_from(std::uint64_t number, const Error& error);
  void publish(const Changes& changes);
  ports::Txn to_txn(const Changes& changes) const;
  static std::size_t room(const Changes& changes);
  void trim(Changes& changes);
  void trim_audit(Changes& changes) const;
  void trim_tasks(Changes& changes);

  Loop& loop_;
  ports::Store& store_;
  IdSource ids_;
  EngineSettings settings_;
  Log log_{"engine"};
  Inventory inventory_;
  std::uint64_t term_ = 0;
  std::uint64_t next_number_ = 1;
  std::uint64_t last_event_ = 0;
  std::deque<Pending> pending_;
  std::function<void(const Changes&)> applied_;
  std::uint64_t revision_ = 0;
  std::deque<Notice> backlog_;
  std::map<std::uint64_t, Watcher> watchers_;
  std::uint64_t next_watcher_ = 1;
  std::string store_problem_;
  std::uint64_t trimmed_at_ = 0;
  TimerId lease_timer_ = 0;
  Time held_until_{};  // as far as this process knows
  std::optional<Error> lost_why_;
  std::function<void(const Error&)> lost_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chorok::manager
