#include "adapters/sqlite/worker.h"

#include <pthread.h>

#include "base/log.h"

namespace chorok::sqlite {
namespace {

using ports::Change;
using ports::Revision;

const Log kLog("store");

std::size_t bytes_of(const Job& job) {
  const auto* commit = std::get_if<CommitJob>(&job);
  if (!commit) return 0;
  std::size_t bytes = 0;
  for (const ports::Write& write : commit->txn.writes)
    bytes += write.key.size() + (write.value ? write.value->size() : 0);
  return bytes;
}

std::vector<Change> changes_of(ports::Txn txn, const Applied& applied) {
  std::vector<Change> changes;
  if (!applied.answer) return changes;
  for (std::size_t i : applied.effective)
    changes.push_back(
        {*applied.answer, std::move(txn.writes[i].key), std::move(txn.writes[i].value)});
  return changes;
}

}  // namespace

Worker::Worker(Loop& loop, std::unique_ptr<Engine> engine, const SqliteSettings& settings,
               std::shared_ptr<ports::WatchHub> hub)
    : loop_(loop),
      engine_(std::move(engine)),
      settings_(settings),
      hub_(std::move(hub)),
      thread_([this] { run(); }) {
  pthread_setname_np(thread_.native_handle(), "store");
}

Worker::~Worker() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Worker::submit(Job job) {
  const std::size_t bytes = bytes_of(job);
  {
    std::lock_guard lock(mutex_);
    auto* commit = std::get_if<CommitJob>(&job);
    const bool full =
        queue_.size() >= settings_.max_queued || queued_bytes_ + bytes > settings_.max_queued_bytes;
    if (commit && full) {
      // Refused, but in its turn: completions keep the order of the calls.
      commit->txn = {};
      commit->refused = Error{Code::kUnavailable,
                              "The store is behind: the disk is slower than what is written. Try "
                              "again later.",
                              {}};
    } else {
      queued_bytes_ += bytes;
    }
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
}

SqliteStats Worker::stats() const {
  std::lock_guard lock(mutex_);
  return {transactions_, groups_, failures_, queue_.size()};
}

void Worker::run() {
  std::vector<Job> jobs;
  while (next_jobs(jobs)) {
    work_on(jobs);
    step_backup();
  }
  while (!backups_.empty())
    end_backup(fail(Code::kCancelled, "The store was closed before the backup was finished."));
  if (finisher_.joinable()) finisher_.join();
}

// Takes everything that is queued; false when the store closes and nothing is left.
bool Worker::next_jobs(std::vector<Job>& jobs) {
  jobs.clear();
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [&] { return stopping_ || !queue_.empty() || !backups_.empty(); });
  if (stopping_ && queue_.empty()) return false;
  jobs.swap(queue_);
  queued_bytes_ = 0;
  return true;
}

void Worker::work_on(std::span<Job> jobs) {
  while (!jobs.empty()) {
    if (auto* backup = std::get_if<BackupJob>(&jobs.front())) {
      start_backup(std::move(*backup));
      jobs = jobs.subspan(1);
      continue;
    }
    const std::span<Job> group = first_group(jobs);
    std::vector<Item> items;
    items.reserve(group.size());
    for (Job& job : group) items.push_back({&job, {}});
    std::vector<Work> answers;
    run_group(items, answers);
    post(std::move(answers));
    jobs = jobs.subspan(group.size());
  }
}

std::span<Job> Worker::first_group(std::span<Job> jobs) const {
  std::size_t count = 0, bytes = 0;
  for (const Job& job : jobs) {
    if (std::holds_alternative<BackupJob>(job)) break;
    bytes += bytes_of(job);
    if (count > 0 && (count == settings_.max_group_jobs || bytes > settings_.max_group_bytes))
      break;
    ++count;
  }
  return jobs.first(count);
}

void Worker::run_group(std::span<Item> items, std::vector<Work>& answers) {
  auto done = try_group(items);
  if (!done) {
    engine_->roll_back();
    const bool outcome_known = done.error().code != Code::kUnknown;
    if (items.size() > 1 && outcome_known) {
      for (std::size_t i = 0; i < items.size(); ++i) run_group(items.subspan(i, 1), answers);
      return;
    }
    kLog.error("{}", done.error().message);
    for (Item& item : items)
      if (std::holds_alternative<CommitJob>(*item.job)) {
        item.applied = {.answer = Unexpected(done.error()), .effective = {}};
        ++failures_;
      }
  }
  for (Item& item : items) answer(item, answers);
}

// All or nothing on disk. Reads in the middle see what was applied before them; they are answered
// with the rest, when it is durable.
Result<> Worker::try_group(std::span<Item> items) {
  bool writing = false;
  for (Item& item : items) {
    if (auto* read = std::get_if<ReadJob>(item.job)) {
      read->read(*engine_);
      continue;
    }
    auto& commit = std::get<CommitJob>(*item.job);
    if (commit.refused) {
      item.applied = {.answer = Unexpected(*commit.refused), .effective = {}};
      continue;
    }
    if (!writing) TRY(engine_->begin());
    writing = true;
    item.applied = TRY(engine_->apply(commit.txn));
  }
  if (!writing) return {};
  TRY(engine_->commit());
  ++groups_;
  return {};
}

void Worker::answer(Item& item, std::vector<Work>& answers) {
  if (auto* read = std::get_if<ReadJob>(item.job)) {
    answers.push_back(std::move(read->answer));
    return;
  }
  auto& commit = std::get<CommitJob>(*item.job);
  if (item.applied.answer) ++transactions_;
  answers.push_back([done = std::move(commit.done), result = item.applied.answer, hub = hub_,
                     changes = changes_of(std::move(commit.txn), item.applied)]() mutable {
    done(std::move(result));
    hub->publish(changes);
  });
}

void Worker::post(std::vector<Work> answers) {
  loop_.post([answers = std::move(answers)]() mutable {
    for (Work& answer : answers) answer();
  });
}

void Worker::start_backup(BackupJob job) {
  backups_.push_back({std::move(job), nullptr});
}

void Worker::step_backup() {
  if (backups_.empty()) return;
  RunningBackup& running = backups_.front();
  if (!running.backup) {
    auto started = Backup::start(engine_->db(), running.job.path);
    if (!started) return end_backup(Unexpected(started.error()));
    running.backup = std::move(*started);
  }
  auto copied = running.backup->step(settings_.backup_pages_per_step);
  if (!copied) return end_backup(Unexpected(copied.error()));
  if (!*copied) return;
  // Checking the copy and syncing it may take seconds: commits must not wait for that.
  if (finisher_.joinable()) finisher_.join();
  finisher_ = std::thread([this, done = std::move(running)]() mutable {
    auto result = done.backup->finish();
    post_backup_result(std::move(done), std::move(result));
  });
  backups_.pop_front();
}

void Worker::end_backup(Result<> result) {
  RunningBackup running = std::move(backups_.front());
  backups_.pop_front();
  post_backup_result(std::move(running), std::move(result));
}

void Worker::post_backup_result(RunningBackup running, Result<> result) {
  running.backup.reset();
  loop_.post([done = std::move(running.job.done), result = std::move(result)]() mutable {
    done(std::move(result));
  });
}

}  // namespace chorok::sqlite
