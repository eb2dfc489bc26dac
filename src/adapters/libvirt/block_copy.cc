// Storage migration of a running domain: mirror each disk to its new path, switch over when all
// mirrors are in step.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "adapters/libvirt/migrate.h"
#include "adapters/libvirt/xml_util.h"

namespace chorok::adapters::libvirt {

namespace {

struct Copy {
  std::string name;
  std::string target;
  std::string path;
  bool qcow2 = false;
  bool mirrored = false;
  bool switched = false;
};

std::string destination_xml(const Copy& copy) {
  pugi::xml_document document;
  xml::Node disk = xml::with(xml::add(document, "disk"), "type", "file");
  xml::with(xml::add(disk, "source"), "file", copy.path);
  xml::with(xml::add(disk, "driver"), "type", copy.qcow2 ? "qcow2" : "raw");
  return xml::print(disk);
}

Result<std::vector<Copy>> plan_copies(virDomainPtr domain, const std::vector<std::string>& disks,
                                      const std::vector<std::string>& paths) {
  if (disks.size() != paths.size() || disks.empty())
    return fail(Code::kInvalid, "each disk to move needs one new path");
  ParsedDomain parsed = TRY(read_domain(domain, false));
  std::vector<Copy> copies;
  for (std::size_t i = 0; i < disks.size(); ++i) {
    const DeviceRef* found = find_device(parsed, disks[i]);
    if (found == nullptr || found->kind != DeviceRef::Kind::kDisk)
      return fail(Code::kNotFound, fmt::format("'{}' has no disk '{}'", name_of(domain), disks[i]));
    if (found->path == paths[i]) continue;  // is there already
    Copy copy{found->name, found->target, paths[i]};
    for (const model::DiskSpec& disk : parsed.spec.disks)
      if (disk.name == found->name) copy.qcow2 = disk.format == model::DiskFormat::kQcow2;
    copies.push_back(std::move(copy));
  }
  return copies;
}

// Waits for an event that puts `disk` into `wanted`; an error for any other end.
Result<> wait_for(const Session& session, const MigrationJob& job, const Copy& copy, int wanted) {
  Core& core = session.core;
  std::unique_lock lock(core.news_mutex());
  while (true) {
    auto& jobs = core.news(job.uuid).block_jobs;
    auto found = jobs.find(copy.target);
    if (found != jobs.end()) {
      if (found->second == wanted) return {};
      if (found->second == VIR_DOMAIN_BLOCK_JOB_COMPLETED) return {};
      if (found->second != VIR_DOMAIN_BLOCK_JOB_READY)
        return fail(Code::kFailedPrecondition,
                    fmt::format("copying the disk '{}' ended early", copy.name));
    }
    if (virConnectIsAlive(session.conn()) != 1)
      return fail(Code::kUnknown, "the connection to libvirt was lost while disks were copied");
    // The event is what ends this; the bound only covers one that was lost with a reconnect.
    core.news_arrived().wait_for(lock, std::chrono::seconds(10));
  }
}

Result<> run_copies(const Session& session, virDomainPtr domain, MigrationJob& job,
                    std::vector<Copy>& copies) {
  for (Copy& copy : copies) {
    unsigned flags = VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB;
    if (access(copy.path.c_str(), F_OK) == 0) flags |= VIR_DOMAIN_BLOCK_COPY_REUSE_EXT;
    TypedParams params;
    if (job.settings.bandwidth_mib_s > 0)
      params.add_ullong(VIR_DOMAIN_BLOCK_COPY_BANDWIDTH,
                        static_cast<unsigned long long>(job.settings.bandwidth_mib_s) << 20);
    if (virDomainBlockCopy(domain, copy.target.c_str(), destination_xml(copy).c_str(),
                           params.data(), params.size(), flags) < 0)
      return last_error([&] {
        return fmt::format("cannot copy the disk '{}' of '{}'", copy.name, name_of(domain));
      });
    copy.mirrored = true;
    std::lock_guard lock(job.mutex);
    job.block_targets.push_back(copy.target);
  }
  for (const Copy& copy : copies) TRY(wait_for(session, job, copy, VIR_DOMAIN_BLOCK_JOB_READY));
  if (job.stop != Stop::kNo) return fail(Code::kCancelled, "the copy was stopped");
  job.pivoting = true;
  for (Copy& copy : copies) {
    if (virDomainBlockJobAbort(domain, copy.target.c_str(), VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT) < 0)
      return last_error(fmt::format("cannot switch the disk '{}' over", copy.name));
    copy.switched = true;
  }
  return {};
}

Error explain_failure(const MigrationJob& job, const std::vector<Copy>& copies, Error error) {
  std::string switched;
  for (const Copy& copy : copies)
    if (copy.switched) switched += (switched.empty() ? "" : ", ") + copy.name;
  std::string where = switched.empty() ? "all disks stay where they were"
                                       : "these disks are at their new paths: " + switched;
  if (job.stop == Stop::kTimeout)
    return {Code::kTimeout,
            fmt::format("the copy was not over after {:.0f} s and was stopped; {}",
                        seconds(job.settings.timeout), where),
            {}};
  if (job.stop == Stop::kCancelled)
    return {Code::kCancelled, fmt::format("the copy was cancelled; {}", where), {}};
  error.message += "; " + where;
  return error;
}

}  // namespace

Result<model::MigrationStats> copy_disks(const Session& session, MigrationJob& job,
                                         const std::vector<std::string>& disks,
                                         const std::vector<std::string>& target_paths) {
  if (job.stop != Stop::kNo)
    return fail(Code::kCancelled, "the copy was cancelled before it began");
  Domain domain = TRY(find_domain(session, job.uuid));
  if (!is_active(TRY(raw_state(domain.get()))))
    return fail(
        Code::kFailedPrecondition,
        fmt::format("'{}' is not running: its disks can simply be copied", name_of(domain.get())));
  if (int count = virDomainSnapshotNum(domain.get(), 0); count > 0)
    return fail(Code::kFailedPrecondition,
                fmt::format("the disks of '{}' cannot be moved while it runs: {} snapshots are "
                            "inside them and would be lost; delete them first",
                            name_of(domain.get()), count));
  std::vector<Copy> copies = TRY(plan_copies(domain.get(), disks, target_paths));
  {
    std::lock_guard lock(session.core.news_mutex());
    session.core.news(job.uuid) = JobNews{};
  }
  job.begin();
  Result<> outcome = run_copies(session, domain.get(), job, copies);
  session.core.forget_news(job.uuid);
  if (!outcome) {
    for (const Copy& copy : copies)
      if (copy.mirrored && !copy.switched)
        virDomainBlockJobAbort(domain.get(), copy.target.c_str(), 0);
    return Unexpected(explain_failure(job, copies, outcome.error()));
  }
  model::MigrationStats stats;
  stats.kind = "storage";
  stats.total = job.elapsed();
  for (const Copy& copy : copies) {
    std::error_code ignored;
    auto size = std::filesystem::file_size(copy.path, ignored);
    if (!ignored) stats.transferred += Bytes(static_cast<std::int64_t>(size));
  }
  stats.finished = std::chrono::system_clock::now();
  return stats;
}

}  // namespace chorok::adapters::libvirt
