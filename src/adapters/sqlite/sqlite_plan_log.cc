#include "adapters/sqlite/sqlite_plan_log.h"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "adapters/sqlite/plan_file.h"
#include "base/log.h"

namespace chorok::sqlite {
namespace {

const Log kLog("plans");
// Works on the file; what it answers runs on the loop.
using Job = std::move_only_function<Work(PlanFile&)>;

}  // namespace

struct SqlitePlanLog::Thread {
  Thread(Loop& l, std::unique_ptr<PlanFile> f, PlanLogSettings s)
      : loop(l), file(std::move(f)), settings(std::move(s)), thread([this] { run(); }) {
    pthread_setname_np(thread.native_handle(), "plans");
  }
  ~Thread() {
    {
      std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_one();
    thread.join();
  }
  // False: too many wait.
  bool submit(Job job) {
    {
      std::lock_guard lock(mutex);
      if (jobs.size() >= settings.queued_max) return false;
      jobs.push_back(std::move(job));
    }
    wake.notify_one();
    return true;
  }
  void run() {
    for (;;) {
      Job job;
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [&] { return stopping || !jobs.empty(); });
        if (jobs.empty()) return;
        job = std::move(jobs.front());
        jobs.pop_front();
      }
      loop.post(job(*file));
    }
  }
  // Once, not every minute.
  void tell(const Result<>& result) {
    if (result.has_value() == is_well) return;
    is_well = result.has_value();
    if (is_well)
      kLog.info("are written again");
    else
      kLog.error("are not written: {}", result.error().message);
  }

  template <class T, class Do>
  void ask(Done<Result<T>> done, Do work) {
    auto shared = std::make_shared<Done<Result<T>>>(std::move(done));
    const bool taken = submit([shared, work = std::move(work)](PlanFile& f) mutable {
      auto answer = std::make_shared<Result<T>>(work(f));
      return Work([shared, answer] { (*shared)(std::move(*answer)); });
    });
    if (!taken)
      loop.post([shared] {
        (*shared)(fail(Code::kExhausted, "the log of plans is behind: its disk is too slow"));
      });
  }

  Loop& loop;
  std::unique_ptr<PlanFile> file;
  const PlanLogSettings settings;
  bool is_well = true;
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Job> jobs;  // guarded by mutex, as is the next
  bool stopping = false;
  std::thread thread;  // last: starts when everything else is there
};

SqlitePlanLog::SqlitePlanLog(std::unique_ptr<Thread> thread) : thread_(std::move(thread)) {}
SqlitePlanLog::~SqlitePlanLog() = default;

Result<std::unique_ptr<SqlitePlanLog>> SqlitePlanLog::open(Loop& loop, PlanLogSettings settings) {
  auto file = TRY(PlanFile::open(settings));
  return std::unique_ptr<SqlitePlanLog>(
      new SqlitePlanLog(std::make_unique<Thread>(loop, std::move(file), std::move(settings))));
}

void SqlitePlanLog::append(ports::LoggedRound round, Done<Result<>> done) {
  thread_->ask<void>(std::move(done),
                     [thread = thread_.get(), round = std::move(round)](PlanFile& file) {
                       Result<> written = file.append(round);
                       thread->tell(written);
                       return written;
                     });
}

void SqlitePlanLog::find(std::string cluster, Time at, Done<Result<ports::LoggedRound>> done) {
  thread_->ask<ports::LoggedRound>(
      std::move(done),
      [cluster = std::move(cluster), at](PlanFile& file) { return file.find(cluster, at); });
}

void SqlitePlanLog::decisions(std::string cluster, std::string name, Time at, std::size_t limit,
                              Done<Result<std::vector<ports::PastDecision>>> done) {
  thread_->ask<std::vector<ports::PastDecision>>(
      std::move(done), [cluster = std::move(cluster), name = std::move(name), at, limit](
                           PlanFile& file) { return file.decisions(cluster, name, at, limit); });
}

}  // namespace chorok::sqlite
