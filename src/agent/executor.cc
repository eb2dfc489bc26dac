#include "agent/executor.h"

#include <fmt/format.h>

#include <algorithm>

namespace chorok::agent {
namespace {

using model::OpKind;

struct Row {
  OpKind kind;
  OpFlow (*run)(OpRun&);
};
constexpr Row kTable[] = {
    {OpKind::kDefine, run_define},
    {OpKind::kUndefine, run_undefine},
    {OpKind::kStart, run_start},
    {OpKind::kShutdown, run_shutdown},
    {OpKind::kDestroy, run_destroy},
    {OpKind::kReboot, run_reboot},
    {OpKind::kSuspend, run_suspend},
    {OpKind::kResume, run_resume},
    {OpKind::kSave, run_save},
    {OpKind::kMigrate, run_migrate},
    {OpKind::kPrepareDisks, run_prepare_disks},
    {OpKind::kRemoveDisks, run_remove_disks},
    {OpKind::kMigrateStorage, run_migrate_storage},
    {OpKind::kResize, run_resize},
    {OpKind::kTune, run_tune},
    {OpKind::kAttachDisk, run_attach_disk},
    {OpKind::kAttachNic, run_attach_nic},
    {OpKind::kChangeMedium, run_change_medium},
    {OpKind::kDetach, run_detach},
    {OpKind::kSnapshotCreate, run_snapshot_create},
    {OpKind::kSnapshotRevert, run_snapshot_revert},
    {OpKind::kSnapshotDelete, run_snapshot_delete},
    {OpKind::kAdopt, run_adopt},
};

OpFlow run_unsupported(OpRun& run) {
  co_return fail(Code::kUnsupported, fmt::format("this agent does not know operation {}; update it",
                                                 static_cast<int>(run.operation().kind)));
}

OpFlow run_of(OpRun& run) {
  const auto* row = std::ranges::find(kTable, run.operation().kind, &Row::kind);
  return row == std::end(kTable) ? run_unsupported(run) : row->run(run);
}

// Their own deadline is part of what they do, and they say kTimeout only after they have looked.
bool has_own_deadline(OpKind kind) {
  return kind == OpKind::kShutdown || kind == OpKind::kMigrate || kind == OpKind::kMigrateStorage;
}

}  // namespace

model::Problem problem_of(const Error& error) {
  return {std::string(to_string(error.code)), error.message, error.field};
}

model::OpDone done_of(const model::Operation& operation, Result<model::TaskResult> result) {
  model::OpDone done{.id = operation.id};
  if (result) {
    done.result = std::move(*result);
    return done;
  }
  const Error& error = result.error();
  const bool unknown = error.code == Code::kUnknown ||
                       (error.code == Code::kTimeout && !has_own_deadline(operation.kind));
  done.phase = unknown ? model::OpPhase::kUnknown : model::OpPhase::kFailed;
  done.error = problem_of(error);
  return done;
}

Executor::Jobs::iterator Executor::find(const std::string& id) {
  return std::ranges::find_if(jobs_, [&](const Job& job) { return job.run->operation().id == id; });
}

void Executor::start(model::Operation operation, OpContext context) {
  auto report = [this, id = operation.id](model::Progress progress) {
    events_.progress(model::OpProgress{id, std::move(progress)});
  };
  jobs_.push_back(Job{std::make_unique<OpRun>(world_, std::move(context), std::move(operation),
                                              std::move(report))});
  begin_waiting();
}

bool Executor::must_wait(Jobs::iterator job) {
  const model::Operation& wanted = job->run->operation();
  for (auto earlier = jobs_.begin(); earlier != job; ++earlier) {
    const model::Operation& other = earlier->run->operation();
    if (earlier->run->uuid() != job->run->uuid()) continue;
    // Pulling the plug is what ends a shutdown that takes too long.
    const bool overtakes = wanted.kind == OpKind::kDestroy && other.kind == OpKind::kShutdown;
    if (!overtakes) return true;
  }
  return false;
}

void Executor::begin(Job& job) {
  job.started = true;
  job.flow = FlowRoot::make<Result<model::TaskResult>>(
      run_of(*job.run), [this, id = job.run->operation().id](Result<model::TaskResult> result) {
        // Not from inside the coroutine, which this is about to destroy.
        world_.loop.post([this, id, result = std::move(result), alive = alive_]() mutable {
          if (*alive) finished(id, std::move(result));
        });
      });
  job.flow.start();
}

void Executor::begin_waiting() {
  for (auto job = jobs_.begin(); job != jobs_.end(); ++job)
    if (!job->started && !must_wait(job)) begin(*job);
}

void Executor::finished(const std::string& id, Result<model::TaskResult> result) {
  auto job = find(id);
  if (job == jobs_.end()) return;
  model::OpDone done = done_of(job->run->operation(), std::move(result));
  jobs_.erase(job);
  begin_waiting();
  events_.done(std::move(done));
}

void Executor::cancel(const std::string& id) {
  auto job = find(id);
  if (job == jobs_.end()) return;
  if (job->started) {
    job->run->cancel();
    return;
  }
  world_.loop.post([this, id, alive = alive_] {
    if (!*alive) return;
    auto waiting = find(id);
    if (waiting == jobs_.end()) return;
    // The one before it may have ended meanwhile.
    if (waiting->started) return waiting->run->cancel();
    finished(id, fail(Code::kCancelled, "cancelled before it began"));
  });
}

void Executor::changed(const std::string& uuid) {
  for (Job& job : jobs_)
    if (job.started && (uuid.empty() || job.run->uuid() == uuid)) job.run->changed();
}

}  // namespace chorok::agent
