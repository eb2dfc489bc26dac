// Moving a running domain to another host, or its disks to other paths. The call that moves blocks
// a worker for as long as it takes; somebody else looks at the job now and then (progress, bounds,
// a wish to stop) and talks to it through a MigrationJob.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <vector>

#include "adapters/libvirt/calls.h"

namespace chorok::adapters::libvirt {

enum class Stop : std::uint8_t { kNo, kCancelled, kTimeout };

// Shared by the worker that moves, those who look, and the loop.
struct MigrationJob {
  std::string uuid;
  model::MigrationSettings settings;

  std::atomic<Stop> stop = Stop::kNo;
  std::atomic<bool> began = false;      // the lane has come to it
  std::atomic<bool> post_copy = false;  // switched
  std::atomic<std::int64_t> began_ns = 0;
  std::atomic<bool> pivoting = false;  // of a storage copy: too late to stop

  std::mutex mutex;
  std::vector<std::string> block_targets;  // of a storage copy that runs; guarded by mutex

  void begin();
  Duration elapsed() const;
};

Result<model::MigrationStats> migrate_domain(const Session& session, MigrationJob& job,
                                             const ports::MigrateRequest& request);
Result<model::MigrationStats> copy_disks(const Session& session, MigrationJob& job,
                                         const std::vector<std::string>& disks,
                                         const std::vector<std::string>& target_paths);

// Reads how far the job is; stops it when that is wanted or its time is over, and switches it to
// post-copy when its rounds are.
Result<ports::MigrateProgress> look_at(const Session& session, MigrationJob& job);
// For a job that a process before us began. Success when there is none.
Result<> abort_foreign_job(const Session& session, const std::string& uuid);

// What libvirt counts, by name.
using JobFields = std::map<std::string, unsigned long long>;
ports::MigrateProgress progress_of(const JobFields& fields, bool post_copy);

}  // namespace chorok::adapters::libvirt
