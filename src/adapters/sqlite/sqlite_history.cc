#include "adapters/sqlite/sqlite_history.h"

#include <pthread.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "adapters/sqlite/history_file.h"
#include "base/log.h"

namespace chorok::sqlite {
namespace {

struct Append {
  std::vector<ports::HistoryBatch> batches;
  Time now{};
  Done<Result<>> done;
};
using Question = std::move_only_function<Work(HistoryFile&)>;

const Log kLog("history");

}  // namespace

struct SqliteHistory::Thread {
  Thread(Loop& l, std::unique_ptr<HistoryFile> f, HistorySettings s)
      : loop(l), file(std::move(f)), settings(std::move(s)), thread([this] { run(); }) {
    pthread_setname_np(thread.native_handle(), "history");
  }
  ~Thread() {
    {
      std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_one();
    thread.join();
  }

  void submit(Append append) {
    {
      std::lock_guard lock(mutex);
      if (appends.size() < settings.queued_max) {
        appends.push_back(std::move(append));
        wake.notify_one();
        return;
      }
    }
    loop.post([done = std::move(append.done)]() mutable {
      done(
          fail(Code::kExhausted, "the history is behind: its disk is slower than what is written"));
    });
  }
  void ask(Question question) {
    {
      std::lock_guard lock(mutex);
      questions.push_back(std::move(question));
    }
    wake.notify_one();
  }

  void run() {
    for (;;) {
      std::vector<Append> todo;
      std::vector<Question> asked;
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [&] { return stopping || !appends.empty() || !questions.empty(); });
        // One transaction for what comes about the same time; a question waits for nobody.
        if (!stopping && questions.empty())
          wake.wait_for(lock, settings.gather, [&] { return stopping || !questions.empty(); });
        if (stopping && appends.empty() && questions.empty()) return;
        todo.swap(appends);
        asked.swap(questions);
      }
      if (!todo.empty()) write(std::move(todo));
      for (Question& each : asked) loop.post(each(*file));
    }
  }

  void write(std::vector<Append> todo) {
    std::vector<const ports::HistoryBatch*> batches;
    for (const Append& each : todo)
      for (const ports::HistoryBatch& batch : each.batches) batches.push_back(&batch);
    const Time now = todo.back().now;
    Result<> written = file->append(batches, now);
    if (!written && written.error().code == Code::kExhausted) {
      // Perhaps only our own bound: what is old makes room.
      (void)file->tidy(now);
      written = file->append(batches, now);
    }
    if (file->tidy_due(now))
      if (auto tidied = file->tidy(now); !tidied) tell(tidied);
    tell(written);
    loop.post([todo = std::move(todo), written]() mutable {
      for (Append& each : todo) each.done(written);
    });
  }
  // Once, not every second.
  void tell(const Result<>& result) {
    if (result.has_value() == is_well) return;
    is_well = result.has_value();
    if (is_well)
      kLog.info("is written again");
    else
      kLog.error("is not written: {}", result.error().message);
  }

  Loop& loop;
  std::unique_ptr<HistoryFile> file;
  const HistorySettings settings;
  bool is_well = true;
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<Append> appends;  // guarded by mutex, as are the next two
  std::vector<Question> questions;
  bool stopping = false;
  std::thread thread;  // last: starts when everything else is there
};

SqliteHistory::SqliteHistory(std::unique_ptr<Thread> thread) : thread_(std::move(thread)) {}
SqliteHistory::~SqliteHistory() = default;

Result<std::unique_ptr<SqliteHistory>> SqliteHistory::open(Loop& loop, HistorySettings settings) {
  auto file = TRY(HistoryFile::open(settings));
  return std::unique_ptr<SqliteHistory>(
      new SqliteHistory(std::make_unique<Thread>(loop, std::move(file), std::move(settings))));
}

void SqliteHistory::append(std::vector<ports::HistoryBatch> batches, Done<Result<>> done) {
  thread_->submit({std::move(batches), thread_->loop.now(), std::move(done)});
}

void SqliteHistory::range(ports::HistoryQuery query,
                          Done<Result<std::vector<ports::HistoryPoint>>> done) {
  thread_->ask([query = std::move(query), done = std::move(done)](HistoryFile& file) mutable {
    return Work([done = std::move(done), points = file.range(query)]() mutable {
      done(std::move(points));
    });
  });
}

void SqliteHistory::totals(std::string prefix, Time from, Time to,
                           Done<Result<std::map<std::string, ports::HistoryPoint>>> done) {
  thread_->ask(
      [prefix = std::move(prefix), from, to, done = std::move(done)](HistoryFile& file) mutable {
        return Work([done = std::move(done), all = file.totals(prefix, from, to)]() mutable {
          done(std::move(all));
        });
      });
}

void SqliteHistory::cursors(Done<Result<std::map<std::string, std::string>>> done) {
  thread_->ask([done = std::move(done)](HistoryFile& file) mutable {
    return Work([done = std::move(done), all = file.cursors()]() mutable { done(std::move(all)); });
  });
}

}  // namespace chorok::sqlite
