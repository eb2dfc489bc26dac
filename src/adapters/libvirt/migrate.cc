#include "adapters/libvirt/migrate.h"

#include <fmt/format.h>

#include <algorithm>

namespace chorok::adapters::libvirt {

namespace {

// The event with the final numbers comes on another thread, at the same time as the call's end.
constexpr auto kStatsPatience = std::chrono::milliseconds(250);
constexpr auto kQemuDowntime = std::chrono::milliseconds(300);  // needs not be set

std::int64_t now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

std::string stream_uri(const std::string& address) {
  bool v6 = address.find(':') != std::string::npos;
  return v6 ? fmt::format("tcp://[{}]", address) : "tcp://" + address;
}

unsigned flags_of(const ports::MigrateRequest& request) {
  const model::MigrationSettings& settings = request.settings;
  // Libvirt would refuse a shared folder on a file system that it does not know as shared. That the
  // target reaches the same datastore is Chorok's to know (by its marker file), and is checked
  // before it comes to this.
  unsigned flags = VIR_MIGRATE_PEER2PEER | VIR_MIGRATE_PERSIST_DEST | VIR_MIGRATE_UNDEFINE_SOURCE |
                   VIR_MIGRATE_UNSAFE;
  if (!request.live) return flags | VIR_MIGRATE_OFFLINE;
  flags |= VIR_MIGRATE_LIVE | VIR_MIGRATE_ABORT_ON_ERROR;
  if (settings.tls) flags |= VIR_MIGRATE_TLS;
  if (settings.auto_converge) flags |= VIR_MIGRATE_AUTO_CONVERGE;
  if (settings.post_copy) flags |= VIR_MIGRATE_POSTCOPY;
  if (request.copy_storage) flags |= VIR_MIGRATE_NON_SHARED_DISK;
  if (settings.multifd_channels > 1) {
    flags |= VIR_MIGRATE_PARALLEL;
  } else if (settings.compression) {
    flags |= VIR_MIGRATE_COMPRESSED;  // xbzrle, which QEMU does not combine with multifd
  }
  return flags;
}

Result<> add_disks(virDomainPtr domain, const ports::MigrateRequest& request, TypedParams& params) {
  if (request.copy_disks.empty()) return {};
  if (request.copy_disks.size() != request.target_paths.size())
    return fail(Code::kInvalid, "each disk to copy needs a path on the target");
  ParsedDomain parsed = TRY(read_domain(domain, false));
  std::vector<std::pair<std::string, std::string>> paths;
  for (std::size_t i = 0; i < request.copy_disks.size(); ++i) {
    const DeviceRef* disk = find_device(parsed, request.copy_disks[i]);
    if (disk == nullptr || disk->kind != DeviceRef::Kind::kDisk)
      return fail(Code::kNotFound,
                  fmt::format("'{}' has no disk '{}'", name_of(domain), request.copy_disks[i]));
    params.add_string(VIR_MIGRATE_PARAM_MIGRATE_DISKS, disk->target);
    paths.emplace_back(disk->name, request.target_paths[i]);
  }
  constexpr unsigned kFlags = VIR_DOMAIN_XML_MIGRATABLE | VIR_DOMAIN_XML_SECURE;
  std::string live = TRY(domain_text(domain, kFlags));
  std::string next = TRY(domain_text(domain, kFlags | VIR_DOMAIN_XML_INACTIVE));
  params.add_string(VIR_MIGRATE_PARAM_DEST_XML, TRY(with_disk_paths(live, paths)));
  params.add_string(VIR_MIGRATE_PARAM_PERSIST_XML, TRY(with_disk_paths(next, paths)));
  return {};
}

Result<> fill_params(virDomainPtr domain, const ports::MigrateRequest& request,
                     TypedParams& params) {
  const model::MigrationSettings& settings = request.settings;
  if (request.live) {
    // By address: the target's host name need not resolve here.
    params.add_string(VIR_MIGRATE_PARAM_URI, stream_uri(request.target_address));
    params.add_string(VIR_MIGRATE_PARAM_LISTEN_ADDRESS, request.target_address);
    if (settings.bandwidth_mib_s > 0)
      params.add_ullong(VIR_MIGRATE_PARAM_BANDWIDTH,
                        static_cast<unsigned long long>(settings.bandwidth_mib_s));
    if (settings.multifd_channels > 1)
      params.add_int(VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS, settings.multifd_channels);
  }
  return add_disks(domain, request, params);
}

// What can be known to stand in the way before the target is bothered.
Result<> check_state(virDomainPtr domain, const ports::MigrateRequest& request) {
  RawState state = TRY(raw_state(domain));
  bool active = is_active(state);
  if (request.live && !active)
    return fail(Code::kFailedPrecondition,
                fmt::format("cannot move '{}' live: it is not running", name_of(domain)));
  if (!request.live && active)
    return fail(Code::kFailedPrecondition,
                fmt::format("cannot move '{}' cold: it is running", name_of(domain)));
  if (!request.live && virDomainHasManagedSaveImage(domain, 0) == 1)
    return fail(Code::kFailedPrecondition,
                fmt::format("cannot move '{}' cold: its saved memory would stay behind; start it, "
                            "or discard what was saved",
                            name_of(domain)));
  return {};
}

class NewsScope {
 public:
  NewsScope(Core& core, std::string uuid) : core_(core), uuid_(std::move(uuid)) {
    std::lock_guard lock(core_.news_mutex());
    core_.news(uuid_) = JobNews{};
  }
  ~NewsScope() { core_.forget_news(uuid_); }
  NewsScope(const NewsScope&) = delete;
  NewsScope& operator=(const NewsScope&) = delete;

  JobFields final_fields() {
    std::unique_lock lock(core_.news_mutex());
    core_.news_arrived().wait_for(lock, kStatsPatience,
                                  [&] { return core_.news(uuid_).completed; });
    return core_.news(uuid_).fields;
  }

 private:
  Core& core_;
  std::string uuid_;
};

model::MigrationStats stats_of(const JobFields& fields, const MigrationJob& job,
                               const ports::MigrateRequest& request) {
  auto get = [&](const char* name) {
    auto found = fields.find(name);
    return found == fields.end() ? 0 : static_cast<std::int64_t>(found->second);
  };
  model::MigrationStats stats;
  stats.kind = !request.live ? "cold" : request.copy_storage ? "live-storage" : "live";
  stats.total = job.elapsed();
  stats.downtime = std::chrono::milliseconds(get(VIR_DOMAIN_JOB_DOWNTIME));
  stats.transferred = Bytes(get(VIR_DOMAIN_JOB_DATA_PROCESSED));
  stats.rounds = get(VIR_DOMAIN_JOB_MEMORY_ITERATION);
  std::int64_t page = std::max<std::int64_t>(get(VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE), 4096);
  stats.dirty_rate_mib_s =
      static_cast<double>(get(VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE) * page) / 0x1p20;
  stats.post_copy = job.post_copy;
  stats.tls = request.live && request.settings.tls;
  stats.finished = std::chrono::system_clock::now();
  return stats;
}

// Where the domain is after a migration that failed, put into the error.
Error explain_failure(const Session& session, const MigrationJob& job, Error error) {
  Result<Domain> found = find_domain(session, job.uuid);
  Result<RawState> state = found ? raw_state(found->get()) : Unexpected(found.error());
  if (!state) {
    error.code = Code::kUnknown;
    error.message += "; whether it arrived must be looked up on the target";
    return error;
  }
  bool half =
      state->state == VIR_DOMAIN_PAUSED && (state->reason == VIR_DOMAIN_PAUSED_POSTCOPY ||
                                            state->reason == VIR_DOMAIN_PAUSED_POSTCOPY_FAILED);
  if (half) {
    error.code = Code::kUnknown;
    error.message += "; its memory is on both hosts (post-copy failed)";
    return error;
  }
  const char* stays = is_active(*state) ? "it runs on, on this host" : "it stays on this host";
  if (job.stop == Stop::kTimeout)
    return {Code::kTimeout,
            fmt::format("the migration was not over after {:.0f} s and was stopped; {}",
                        seconds(job.settings.timeout), stays),
            {}};
  if (job.stop == Stop::kCancelled)
    return {Code::kCancelled, fmt::format("the migration was cancelled; {}", stays), {}};
  error.message += fmt::format("; {}", stays);
  return error;
}

}  // namespace

void MigrationJob::begin() {
  began_ns = now_ns();
  began = true;
}

Duration MigrationJob::elapsed() const {
  return Duration(began ? now_ns() - began_ns : 0);
}

namespace {

// Snapshots are inside the disk files: a mirror copies only what the guest sees now.
Result<> check_snapshots(virDomainPtr domain) {
  int count = virDomainSnapshotNum(domain, 0);
  if (count <= 0) return {};
  return fail(Code::kFailedPrecondition,
              fmt::format("the disks of '{}' cannot be copied while it runs: {} snapshots are "
                          "inside them and would be lost; delete them first",
                          name_of(domain), count));
}

// What an idle domain's host keeps of it besides its definition: UEFI's variables, a TPM's state.
bool has_state(const ParsedDomain& domain) {
  return domain.spec.tpm || domain.spec.firmware == model::Firmware::kUefi;
}

Result<model::MigrationStats> move_once(const Session& session, virDomainPtr domain,
                                        MigrationJob& job, const ports::MigrateRequest& request,
                                        unsigned more_flags) {
  TypedParams params;
  TRY(fill_params(domain, request, params));
  auto limit = std::chrono::ceil<std::chrono::milliseconds>(request.settings.downtime_limit);
  if (request.live && limit.count() > 0 && limit != kQemuDowntime)
    virDomainMigrateSetMaxDowntime(domain, static_cast<unsigned long long>(limit.count()), 0);
  NewsScope news(session.core, job.uuid);
  int rc =
      virDomainMigrateToURI3(domain, request.target_uri.c_str(), params.data(),
                             static_cast<unsigned>(params.size()), flags_of(request) | more_flags);
  if (rc < 0)
    return last_error([&] {
      return fmt::format("cannot move '{}' to {}", name_of(domain), request.target_address);
    });
  Duration total = job.elapsed();
  model::MigrationStats stats =
      stats_of(request.live ? news.final_fields() : JobFields{}, job, request);
  stats.total = total;
  return stats;
}

// Carries the state of a stopped domain along: QEMU takes it when it is started, stands still,
// moves and is ended there. It writes UEFI's variables to their file only when it is let go, so it
// is, for the millisecond until it is ended: the firmware's first instructions, long before it
// looks at a disk.
Result<model::MigrationStats> move_held(const Session& session, virDomainPtr domain,
                                        MigrationJob& job, ports::MigrateRequest request) {
  // Opened first: without it nobody could end it there.
  Connection target = own_connection(virConnectOpen(request.target_uri.c_str()));
  if (target == nullptr)
    return last_error(fmt::format("cannot reach libvirt on {}", request.target_address));
  if (virDomainCreateWithFlags(domain, VIR_DOMAIN_START_PAUSED) < 0)
    return last_error(
        [&] { return fmt::format("cannot prepare '{}' to be moved", name_of(domain)); });
  request.live = true;
  request.settings.post_copy = false;
  auto stats = move_once(session, domain, job, request, VIR_MIGRATE_PAUSED);
  if (!stats) {
    virDomainDestroy(domain);
    return stats;
  }
  Domain there(virDomainLookupByUUIDString(target.get(), job.uuid.c_str()));
  bool ended =
      there != nullptr && virDomainResume(there.get()) == 0 && virDomainDestroy(there.get()) == 0;
  if (!ended) {
    Unexpected error = last_error("it was moved, but is held on the target and could not be ended");
    error.error().code = Code::kUnknown;
    return error;
  }
  stats->kind = "cold";
  stats->downtime = {};
  return stats;
}

// It is being moved away, or copied for that.
bool moves_out(virDomainPtr domain) {
  TypedParams params;
  int type = 0;
  int operation = 0;
  virDomainGetJobStats(domain, &type, params.out(), params.out_size(), 0);
  virTypedParamsGetInt(params.data(), params.size(), VIR_DOMAIN_JOB_OPERATION, &operation);
  return type != VIR_DOMAIN_JOB_NONE && operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT;
}

}  // namespace

Result<model::MigrationStats> migrate_domain(const Session& session, MigrationJob& job,
                                             const ports::MigrateRequest& request) {
  if (job.stop != Stop::kNo)
    return fail(Code::kCancelled, "the migration was cancelled before it began");
  Connection own = TRY(session.core.open_another());
  Domain domain(virDomainLookupByUUIDString(own.get(), job.uuid.c_str()));
  if (domain == nullptr) return Unexpected(find_domain(session, job.uuid).error());
  TRY(check_state(domain.get(), request));
  if (request.copy_storage) TRY(check_snapshots(domain.get()));
  ParsedDomain parsed = TRY(read_domain(domain.get(), !request.live));
  TRY(pack_snapshots(domain.get()));
  job.begin();
  bool held = !request.live && has_state(parsed);
  auto stats = held ? move_held(session, domain.get(), job, request)
                    : move_once(session, domain.get(), job, request, 0);
  if (stats) return stats;
  Error error = stats.error();
  // Its text is QEMU's or the target's, its code about their connection, not about ours.
  if (error.code == Code::kUnavailable || error.code == Code::kInvalid)
    error.code = Code::kFailedPrecondition;
  (void)unpack_snapshots(session, job.uuid);
  // Ours is over: that is one which a dead agent has asked for.
  if (error.code == Code::kFailedPrecondition && moves_out(domain.get()))
    error.code = Code::kConflict;
  return Unexpected(explain_failure(session, job, std::move(error)));
}

ports::MigrateProgress progress_of(const JobFields& fields, bool post_copy) {
  auto get = [&](const char* name) {
    auto found = fields.find(name);
    return found == fields.end() ? 0.0 : static_cast<double>(found->second);
  };
  ports::MigrateProgress progress;
  auto bytes = [&](const char* name) { return Bytes(static_cast<std::int64_t>(get(name))); };
  progress.transferred = bytes(VIR_DOMAIN_JOB_DATA_PROCESSED);
  progress.total = bytes(VIR_DOMAIN_JOB_DATA_TOTAL);
  progress.remaining = bytes(VIR_DOMAIN_JOB_DATA_REMAINING);
  // Memory is sent again as it changes, so what was sent says nothing; what is left does.
  if (progress.total > Bytes{})
    progress.percent = std::clamp(100.0 * (1.0 - progress.remaining / progress.total), 0.0, 100.0);
  double page = std::max(get(VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE), 4096.0);
  progress.dirty_rate_mib_s = get(VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE) * page / 0x1p20;
  progress.bandwidth_mib_s =
      (get(VIR_DOMAIN_JOB_MEMORY_BPS) + get(VIR_DOMAIN_JOB_DISK_BPS)) / 0x1p20;
  progress.rounds = static_cast<std::int64_t>(get(VIR_DOMAIN_JOB_MEMORY_ITERATION));
  progress.expected_downtime =
      std::chrono::milliseconds(static_cast<std::int64_t>(get(VIR_DOMAIN_JOB_DOWNTIME)));
  bool mirror = get(VIR_DOMAIN_JOB_DISK_REMAINING) > 0 && get(VIR_DOMAIN_JOB_MEMORY_PROCESSED) == 0;
  progress.phase = post_copy ? "post-copy" : mirror ? "mirror" : "pre-copy";
  return progress;
}

namespace {

ports::MigrateProgress block_progress(virDomainPtr domain, const std::vector<std::string>& targets,
                                      bool pivoting) {
  ports::MigrateProgress progress;
  progress.phase = pivoting ? "switch-over" : "mirror";
  for (const std::string& target : targets) {
    virDomainBlockJobInfo info{};
    if (virDomainGetBlockJobInfo(domain, target.c_str(), &info,
                                 VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES) != 1)
      continue;
    progress.transferred += Bytes(static_cast<std::int64_t>(info.cur));
    progress.total += Bytes(static_cast<std::int64_t>(info.end));
  }
  progress.remaining = progress.total - progress.transferred;
  if (progress.total > Bytes{})
    progress.percent = std::clamp(100.0 * (progress.transferred / progress.total), 0.0, 100.0);
  return progress;
}

Result<JobFields> job_fields(virDomainPtr domain) {
  TypedParams params;
  int type = 0;
  if (virDomainGetJobStats(domain, &type, params.out(), params.out_size(), 0) < 0)
    return last_error("cannot read the job's progress");
  JobFields fields;
  for (int i = 0; i < params.size(); ++i)
    if (params.data()[i].type == VIR_TYPED_PARAM_ULLONG)
      fields[params.data()[i].field] = params.data()[i].value.ul;
  return fields;
}

}  // namespace

Result<ports::MigrateProgress> look_at(const Session& session, MigrationJob& job) {
  Domain domain = TRY(find_domain(session, job.uuid));
  bool bounded = job.settings.timeout > Duration{} && !job.post_copy;
  if (job.began && bounded && job.elapsed() > job.settings.timeout) {
    Stop none = Stop::kNo;
    job.stop.compare_exchange_strong(none, Stop::kTimeout);
  }
  std::vector<std::string> targets;
  {
    std::lock_guard lock(job.mutex);
    targets = job.block_targets;
  }
  if (!targets.empty()) {
    if (job.stop != Stop::kNo && !job.pivoting)
      for (const std::string& target : targets)
        virDomainBlockJobAbort(domain.get(), target.c_str(), VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC);
    return block_progress(domain.get(), targets, job.pivoting);
  }
  if (job.stop != Stop::kNo && job.began) virDomainAbortJob(domain.get());
  JobFields fields = TRY(job_fields(domain.get()));
  ports::MigrateProgress progress = progress_of(fields, job.post_copy);
  bool enough = progress.rounds > job.settings.post_copy_after_rounds;
  if (job.settings.post_copy && enough && !job.post_copy && job.stop == Stop::kNo)
    job.post_copy = virDomainMigrateStartPostCopy(domain.get(), 0) == 0;
  return progress;
}

namespace {

// The copies of running disks that nobody watches any more. Without PIVOT the guest stays with the
// disk that it has.
Result<> abort_copies(virDomainPtr domain) {
  ParsedDomain parsed = TRY(read_domain(domain, false));
  Result<> outcome;
  for (const DeviceRef& device : parsed.devices) {
    if (device.kind != DeviceRef::Kind::kDisk) continue;
    virDomainBlockJobInfo info{};
    int has_job = virDomainGetBlockJobInfo(domain, device.target.c_str(), &info, 0);
    if (has_job != 1 || info.type != VIR_DOMAIN_BLOCK_JOB_TYPE_COPY) continue;
    if (virDomainBlockJobAbort(domain, device.target.c_str(), 0) == 0) continue;
    if (last_error_number() == VIR_ERR_OPERATION_INVALID) continue;  // it ended meanwhile
    outcome = last_error(fmt::format("cannot stop the copy of the disk '{}'", device.name));
  }
  return outcome;
}

}  // namespace

Result<> abort_foreign_job(const Session& session, const std::string& uuid) {
  Result<Domain> found = find_domain(session, uuid);
  if (!found) {
    if (found.error().code == Code::kNotFound) return {};
    return Unexpected(found.error());
  }
  // The copies of a migration end with it.
  if (!moves_out(found->get()))
    return is_active(TRY(raw_state(found->get()))) ? abort_copies(found->get()) : Result<>();
  if (virDomainAbortJob(found->get()) == 0) return {};
  if (last_error_number() == VIR_ERR_OPERATION_INVALID) return {};  // it ended meanwhile
  return last_error("cannot stop the migration");
}

}  // namespace chorok::adapters::libvirt
