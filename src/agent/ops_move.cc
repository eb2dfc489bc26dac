// Migrations: between hosts, and between datastores of one host.
#include <fmt/format.h>

#include <algorithm>

#include "agent/ops.h"

namespace chorok::agent {
namespace {

using model::VmState;

model::Progress progress_of(const ports::MigrateProgress& seen) {
  return {.percent = seen.percent,
          .phase = seen.phase,
          .transferred = seen.transferred,
          .remaining = seen.remaining,
          .dirty_rate_mib_s = seen.dirty_rate_mib_s,
          .bandwidth_mib_s = seen.bandwidth_mib_s,
          .rounds = seen.rounds,
          .expected_downtime = seen.expected_downtime};
}

void abort_job(OpRun& run) {
  run.hypervisor().abort_migration(run.uuid(), [](Result<>) {});
}

// Also stops a job that began only after the abort was asked for: progress comes only from a job
// that runs.
std::function<void(ports::MigrateProgress)> reporter(OpRun& run) {
  return [&run](ports::MigrateProgress seen) {
    run.report(progress_of(seen));
    if (run.cancelled()) abort_job(run);
  };
}

model::MigrationSettings settings_of(const OpRun& run) {
  model::MigrationSettings settings = run.operation().args.migration->settings;
  const model::TaskArgs& args = run.args();
  if (args.post_copy) settings.post_copy = true;
  if (args.plain) settings.tls = false;
  if (args.bandwidth_mib_s > 0) settings.bandwidth_mib_s = args.bandwidth_mib_s;
  if (args.timeout > Duration{}) settings.timeout = args.timeout;
  return settings;
}

// The target's own paths: its folder of that datastore, which need not be reachable from here, so
// that nothing is resolved. The target resolves them when it prepares the disks.
Result<std::string> target_path(const OpRun& run, const model::DiskSpec& disk,
                                const std::string& field) {
  const model::Datastore* store = find_datastore(run.config(), disk.datastore);
  if (!store)
    return fail(Code::kNotFound, fmt::format("this host has no datastore '{}'", disk.datastore),
                field + "/datastore");
  const std::string path = disk_path(disk, run.vm().id);
  if (path.starts_with('/') || ("/" + path + "/").find("/../") != std::string::npos)
    return fail(Code::kInvalid, fmt::format("'{}' leaves its datastore", path), field + "/path");
  return fmt::format("{}/{}", store->path, path);
}

Result<ports::MigrateRequest> request_of(const OpRun& run, bool is_running) {
  const model::MigrationTarget& target = *run.operation().args.migration;
  ports::MigrateRequest request;
  request.settings = settings_of(run);
  request.target_uri = run.context().target_uri(target, request.settings);
  request.target_address = target.address;
  // One that is off may be held paused for its move.
  request.live = is_running;
  if (run.args().cold) request.settings.post_copy = false;
  request.copy_storage = !target.copy_disks.empty();
  for (std::size_t i = 0; i < target.copy_disks.size(); ++i) {
    request.copy_disks.push_back(target.copy_disks[i].name);
    request.target_paths.push_back(
        TRY(target_path(run, target.copy_disks[i], fmt::format("/migration/copy_disks/{}", i))));
  }
  return request;
}

// What a migration that ended in an error has left: here as before is a failure; anything else only
// a look at both hosts can tell.
Flow<Error> judge(OpRun& run, VmState before, Error error) {
  co_await callback<Result<>>(
      [&](auto done) { run.hypervisor().abort_migration(run.uuid(), std::move(done)); });
  auto seen = co_await look(run);
  if (seen && *seen && (*seen)->state == before) {
    if (run.cancelled()) co_return Error{Code::kCancelled, "cancelled; it runs on here", {}};
    if (error.code == Code::kUnknown)
      co_return Error{Code::kUnavailable, error.message + " (it is here as before)", error.field};
    co_return error;
  }
  co_return Error{Code::kUnknown, error.message + " (where it is now must be looked up)",
                  error.field};
}

void complete_stats(const OpRun& run, const ports::MigrateRequest& request,
                    model::MigrationStats& stats) {
  stats.from = run.context().host_name;
  stats.to = run.operation().args.migration->host_name;
  const bool is_cold = !request.live || run.args().cold;
  stats.kind = is_cold ? "cold" : request.copy_storage ? "live-storage" : "live";
  stats.tls = request.live && request.settings.tls;
  stats.limit_mib_s = request.settings.bandwidth_mib_s;
  stats.finished = run.loop().now();
}

struct StorageMove {
  std::vector<std::string> disks;
  std::vector<std::string> from;
  std::vector<std::string> to;
  model::VmSpec spec;  // afterwards
};

// The disks that the manager names, or all (or the one of `device`) that are not on the target
// datastore yet.
Result<StorageMove> plan_storage_move(const OpRun& run) {
  StorageMove move{.spec = run.vm().spec};
  const auto& migration = run.operation().args.migration;
  for (model::DiskSpec& disk : move.spec.disks) {
    model::DiskSpec after = disk;
    if (migration && !migration->copy_disks.empty()) {
      auto named = std::ranges::find(migration->copy_disks, disk.name, &model::DiskSpec::name);
      if (named == migration->copy_disks.end()) continue;
      after.datastore = named->datastore;
      after.path = named->path;
    } else {
      const model::Datastore* target = find_datastore(run.config(), run.args().datastore);
      if (!target)
        return fail(Code::kNotFound,
                    fmt::format("this host has no datastore '{}'", run.args().datastore),
                    "/datastore");
      if (!run.args().device.empty() && run.args().device != disk.name) continue;
      after.datastore = target->meta.id;
    }
    const auto from = TRY(resolve_disk(run.resolving(), disk, run.vm().id, "/spec/disks"));
    const auto to = TRY(resolve_disk(run.resolving(), after, run.vm().id, "/datastore"));
    if (from.path == to.path) continue;
    move.disks.push_back(disk.name);
    move.from.push_back(from.path);
    move.to.push_back(to.path);
    disk = after;
  }
  return move;
}

bool are_moved(const model::Instance& instance, const StorageMove& move) {
  return std::ranges::all_of(move.to, [&](const std::string& path) {
    return std::ranges::find(instance.disks, path, &model::DiskInfo::path) != instance.disks.end();
  });
}

Flow<Result<ports::ImageInfo>> info_of(OpRun& run, const std::string& path) {
  co_return co_await callback<Result<ports::ImageInfo>>(
      [&](auto done) { run.storage().info(path, std::move(done)); });
}

// An empty file for each disk, as large as it is now. What an attempt that was interrupted has left
// under the VM's own name is of no use to anybody: the VM runs here, and not from it.
Flow<Result<>> prepare_targets(OpRun& run, const StorageMove& move) {
  for (std::size_t i = 0; i < move.disks.size(); ++i) {
    const auto disk = std::ranges::find(move.spec.disks, move.disks[i], &model::DiskSpec::name);
    if (co_await info_of(run, move.to[i])) {
      if (!disk->path.empty())
        co_return fail(Code::kAlreadyExists, fmt::format("{} is there already", move.to[i]));
      CO_TRY(co_await remove_file(run, move.to[i]));
    }
    const ports::ImageInfo now = CO_TRY(co_await info_of(run, move.from[i]));
    ports::CreateDisk request{
        .path = move.to[i], .format = disk->format, .size = now.capacity, .copy_of = {}};
    CO_TRY(co_await callback<Result<ports::ImageInfo>>(
        [&](auto done) { run.storage().create(std::move(request), nullptr, std::move(done)); }));
  }
  co_return Result<>();
}

// After a failure: those of the new files that the VM does not use.
Flow<Result<>> remove_targets(OpRun& run, const StorageMove& move) {
  const auto seen = CO_TRY(co_await look(run));
  if (!seen) co_return Result<>();
  for (const std::string& path : move.to)
    if (std::ranges::find(seen->disks, path, &model::DiskInfo::path) == seen->disks.end())
      CO_TRY(co_await remove_file(run, path));
  co_return Result<>();
}

Flow<Result<model::MigrationStats>> move_running(OpRun& run, const StorageMove& move) {
  CO_TRY(co_await prepare_targets(run, move));
  if (run.cancelled()) {
    (void)co_await remove_targets(run, move);
    co_return fail(Code::kCancelled, "cancelled before it began");
  }
  run.on_cancel([&run] { abort_job(run); });
  auto stats = co_await callback<Result<model::MigrationStats>>([&](auto done) {
    run.hypervisor().migrate_storage(run.uuid(), move.disks, move.to, reporter(run),
                                     std::move(done));
  });
  if (stats) co_return stats;
  auto seen = co_await look(run);
  if (seen && *seen && are_moved(**seen, move)) co_return model::MigrationStats{};
  const VmState before = seen && *seen ? (*seen)->state : VmState::kUnknown;
  Error error = co_await judge(run, before, std::move(stats).error());
  if (error.code != Code::kUnknown) (void)co_await remove_targets(run, move);
  co_return Unexpected(std::move(error));
}

// Copies the files of a VM that is off, and lets its definition point at them.
Flow<Result<model::MigrationStats>> move_stopped(OpRun& run, const StorageMove& move) {
  const double count = static_cast<double>(move.disks.size());
  for (std::size_t i = 0; i < move.disks.size(); ++i) {
    if (run.cancelled()) {
      for (std::size_t made = 0; made < i; ++made) (void)co_await remove_file(run, move.to[made]);
      co_return fail(Code::kCancelled, "cancelled while its disks were copied");
    }
    const auto disk = std::ranges::find(move.spec.disks, move.disks[i], &model::DiskSpec::name);
    ports::CreateDisk request{
        .path = move.to[i], .format = disk->format, .size = disk->size, .copy_of = move.from[i]};
    auto progress = [&run, i, count](double percent) {
      run.report({.percent = (static_cast<double>(i) * 100 + percent) / count, .phase = "copy"});
    };
    CO_TRY(co_await callback<Result<ports::ImageInfo>>([&](auto done) {
      run.storage().create(std::move(request), std::move(progress), std::move(done));
    }));
  }
  model::VmTarget vm = run.vm();
  vm.spec = move.spec;
  Resolved resolved = resolve(run.resolving(), vm);
  if (!resolved.problems.empty()) co_return Unexpected(resolved.problems.front());
  CO_TRY(co_await callback<Result<>>(
      [&](auto done) { run.hypervisor().define(std::move(resolved.domain), std::move(done)); }));
  co_return model::MigrationStats{};
}

// Half a minute for an earlier migration of the same VM to be over.
constexpr int kBusyTriesMax = 30;
constexpr Duration kBusyPause = std::chrono::seconds(1);

Flow<Result<model::MigrationStats>> migrate_once(OpRun& run, const ports::MigrateRequest& request) {
  co_return co_await callback<Result<model::MigrationStats>>([&](auto done) {
    run.hypervisor().migrate(run.uuid(), request, reporter(run), std::move(done));
  });
}

}  // namespace

OpFlow run_migrate(OpRun& run) {
  if (!run.operation().args.migration)
    co_return fail(Code::kInvalid, "the operation names no target", "/migration");
  const auto seen = CO_TRY(co_await look(run));
  if (!seen)
    co_return fail(Code::kNotFound, fmt::format("'{}' is not on this host", run.vm().name));
  const VmState before = seen->state;
  const ports::MigrateRequest request = CO_TRY(request_of(run, is_active(before)));
  if (is_active(before) && before != VmState::kPaused && run.args().cold)
    co_return fail(Code::kFailedPrecondition,
                   fmt::format("'{}' runs: stop it first, or move it live", run.vm().name));
  if (run.cancelled()) co_return fail(Code::kCancelled, "cancelled before it began");
  run.on_cancel([&run] { abort_job(run); });
  auto stats = co_await migrate_once(run, request);
  // What an agent had begun that was killed may still be coming to its end, or have begun late:
  // judging stops it.
  for (int tries = 1; !stats; ++tries) {
    const bool is_busy = stats.error().code == Code::kConflict;
    Error error = co_await judge(run, before, std::move(stats).error());
    if (!is_busy || error.code != Code::kConflict || tries == kBusyTriesMax)
      co_return Unexpected(std::move(error));
    co_await callback<bool>([&](Done<bool> then) {
      run.loop().after(kBusyPause, [then = std::move(then)]() mutable { then(true); });
    });
    if (run.cancelled()) co_return fail(Code::kCancelled, "cancelled; it runs on here");
    stats = co_await migrate_once(run, request);
  }
  complete_stats(run, request, *stats);
  co_return model::TaskResult{.migration = std::move(*stats)};
}

OpFlow run_migrate_storage(OpRun& run) {
  const StorageMove move = CO_TRY(plan_storage_move(run));
  const auto seen = CO_TRY(co_await look(run));
  if (!seen)
    co_return fail(Code::kNotFound, fmt::format("'{}' is not on this host", run.vm().name));
  model::TaskResult result{.spec = move.spec};
  if (move.disks.empty()) {
    result.message = "its disks are there already";
    co_return result;
  }
  model::MigrationStats stats;
  if (!are_moved(*seen, move)) {
    auto moved = is_active(seen->state) ? co_await move_running(run, move)
                                        : co_await move_stopped(run, move);
    stats = CO_TRY(std::move(moved));
  }
  for (std::size_t i = 0; i < move.disks.size(); ++i) {
    const auto disk = std::ranges::find(move.spec.disks, move.disks[i], &model::DiskSpec::name);
    if (!disk->keep) CO_TRY(co_await remove_file(run, move.from[i]));
  }
  stats.from = stats.to = run.context().host_name;
  stats.kind = "storage";
  stats.finished = run.loop().now();
  result.migration = stats;
  co_return result;
}

}  // namespace chorok::agent
