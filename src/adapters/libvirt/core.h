// The adapter's engine room: one connection to libvirtd that is found again when it is lost, the
// workers, the event subscriptions, and the way back to the loop. Functions in the other files of
// this folder block; they are given a Session and run on a worker.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "adapters/libvirt/error.h"
#include "adapters/libvirt/handle.h"
#include "adapters/libvirt/host_facts.h"
#include "adapters/libvirt/libvirt_hypervisor.h"
#include "adapters/libvirt/lookups.h"
#include "adapters/work/worker_pool.h"
#include "base/log.h"

namespace chorok::adapters::libvirt {

class Core;

// What a blocking function gets to work with. Valid for the call.
struct Session {
  Connection connection;
  const HostFacts& facts;
  const LibvirtOptions& options;
  Core& core;

  virConnectPtr conn() const { return connection.get(); }
};

// Looks a domain up. kNotFound names the UUID.
Result<Domain> find_domain(const Session& session, const std::string& uuid);

// Whether a call that the connection broke under may have changed something.
enum class Effect : std::uint8_t { kReads, kChanges };

// What events said about a domain's jobs, for the worker that waits in the job's call.
struct JobNews {
  std::int64_t rounds = 0;                           // VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION
  bool completed = false;                            // VIR_DOMAIN_EVENT_ID_JOB_COMPLETED
  std::map<std::string, unsigned long long> fields;  // of the completed job
  std::map<std::string, int> block_jobs;  // disk target: virConnectDomainEventBlockJobStatus
  std::set<std::string> removed_devices;  // aliases
};

class Core : public std::enable_shared_from_this<Core> {
 public:
  Core(Loop& loop, LibvirtOptions options);
  void begin();  // the first try to connect
  void shut();   // on the loop's thread: nothing completes after it

  // `fn` on a worker, in its lane's order, its result to `done` on the loop.
  template <class T>
  void run(const std::string& lane, Effect effect, std::function<Result<T>(Session&)> fn,
           Done<Result<T>> done) {
    pool_.submit(lane, [self = shared_from_this(), effect, fn = std::move(fn),
                        done = std::move(done)]() mutable {
      Result<T> result = self->attempt<T>(effect, fn);
      self->post([done = std::move(done), result = std::move(result)]() mutable {
        done(std::move(result));
      });
    });
  }
  void submit(const std::string& lane, Work work) { pool_.submit(lane, std::move(work)); }

  // To the loop, from any thread; dropped after shut().
  void post(Work work);
  // A timer of the loop, on whose thread this must be called.
  TimerId after(Duration delay, Work work);
  void cancel(TimerId timer);

  void subscribe(std::function<void(const std::string&, bool)> changed);
  void changed(std::string uuid);  // from any thread

  // A second connection for a call that blocks for minutes: libvirtd serves only five requests of
  // one client at a time.
  Result<Connection> open_another() const;
  // Waits for the first try to connect; kUnavailable with the reason when there is none now.
  Result<Connection> connection();

  Lookups& lookups() { return lookups_; }
  const LibvirtOptions& options() const { return options_; }
  const HostFacts& facts() const { return facts_; }

  // `silent`: the running domains whose guests say nothing of their memory, with their lives. Those
  // that were not among them the last time; from any thread.
  std::vector<std::string> newly_silent(std::vector<std::pair<std::string, std::uint64_t>> silent);

  // The news of a domain's job; guarded by news_mutex().
  std::mutex& news_mutex() { return news_mutex_; }
  std::condition_variable& news_arrived() { return news_arrived_; }
  JobNews& news(const std::string& uuid) { return news_[uuid]; }
  void forget_news(const std::string& uuid);
  bool has_news(const std::string& uuid) { return news_.contains(uuid); }

  // Called by libvirt's event thread.
  void on_closed(virConnectPtr closed, int reason);

  static const Log& log();

 private:
  template <class T>
  Result<T> attempt(Effect effect, const std::function<Result<T>(Session&)>& fn) {
    Result<Connection> found = connection();
    if (!found) return Unexpected(found.error());
    Result<T> result = fail(Code::kInternal, "not run");
    try {
      Session session{*found, facts_, options_, *this};
      result = fn(session);
    } catch (const std::exception& caught) {
      result = fail(Code::kInternal, std::string("libvirt adapter: ") + caught.what());
    }
    if (!result) judge_lost(*found, effect, result.error());
    return result;
  }
  // Gives an error the code of a broken connection when that is what it was.
  void judge_lost(const Connection& connection, Effect effect, Error& error) const;

  void try_connect();  // on a worker
  Result<Connection> open() const;
  void adopt_connection(Connection fresh);
  void connect_failed(Error error);
  void schedule_retry();  // on the loop
  void tell_lost();       // on the loop
  void notify(const std::string& uuid, bool connected);

  const LibvirtOptions options_;
  HostFacts facts_;

  std::mutex loop_mutex_;
  Loop* loop_;  // null after shut()

  std::mutex mutex_;
  std::condition_variable tried_;
  bool tried_once_ = false;
  bool shut_ = false;
  Connection connection_;  // null: lost
  std::vector<int> event_ids_;
  Error why_lost_;

  // On the loop's thread.
  std::function<void(const std::string&, bool)> changed_;
  Duration backoff_;
  TimerId retry_ = 0;
  bool told_connected_ = true;

  std::mutex changes_mutex_;
  std::set<std::string> changes_;  // to be told; a burst of events is one visit to the loop

  std::mutex silent_mutex_;
  std::vector<std::pair<std::string, std::uint64_t>> silent_;  // sorted

  std::mutex news_mutex_;
  std::condition_variable news_arrived_;
  std::map<std::string, JobNews> news_;

  Lookups lookups_{*this};
  work::WorkerPool pool_;  // last: its workers use the rest
};

// Registers for the domain events of a connection; those the driver does not have are left out.
// Answers their ids.
std::vector<int> register_events(const std::shared_ptr<Core>& core, virConnectPtr connection);

}  // namespace chorok::adapters::libvirt
