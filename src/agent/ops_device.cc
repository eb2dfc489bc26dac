// Changes of a VM's size, devices and snapshots.
#include <fmt/format.h>

#include <algorithm>

#include "agent/ops.h"

namespace chorok::agent {
namespace {

using ports::Applied;

model::TaskResult result_of(Applied applied) {
  return {.live = std::move(applied.live), .next_boot = std::move(applied.next_boot)};
}

template <class Call>
OpFlow apply(Call call) {
  Applied applied = CO_TRY(co_await callback<Result<Applied>>(std::move(call)));
  co_return result_of(std::move(applied));
}

template <class Call>
OpFlow act(Call call) {
  CO_TRY(co_await callback<Result<>>(std::move(call)));
  co_return model::TaskResult{};
}

bool has_snapshot(const model::Instance& instance, const std::string& name) {
  return std::ranges::find(instance.snapshots, name, &model::SnapshotInfo::name) !=
         instance.snapshots.end();
}

Error missing(std::string_view what, std::string field) {
  return {Code::kInvalid, fmt::format("the operation names no {}", what), std::move(field)};
}

}  // namespace

OpFlow run_resize(OpRun& run) {
  ports::ResizeRequest request{.vcpus = run.args().vcpus, .memory = run.args().memory};
  if (request.vcpus == 0 && request.memory == Mib{})
    request = {.vcpus = run.vm().spec.vcpus, .memory = run.vm().spec.memory};
  return apply([&run, request](Done<Result<Applied>> done) {
    run.hypervisor().resize(run.uuid(), request, std::move(done));
  });
}

OpFlow run_tune(OpRun& run) {
  return apply([&run](Done<Result<Applied>> done) {
    const model::TaskArgs& args = run.args();
    run.hypervisor().tune(
        run.uuid(), args.cpu ? *args.cpu : run.vm().spec.cpu,
        args.memory_allocation ? *args.memory_allocation : run.vm().spec.memory_allocation,
        std::move(done));
  });
}

OpFlow run_attach_disk(OpRun& run) {
  if (!run.args().disk) co_return Unexpected(missing("disk", "/disk"));
  const model::DomainDisk disk =
      CO_TRY(resolve_disk(run.resolving(), *run.args().disk, run.vm().id, "/disk"));
  const bool is_new = CO_TRY(co_await ensure_disk(run, disk, "/disk", [&](double percent) {
    run.report({.percent = percent, .phase = "disk " + disk.spec.name});
  }));
  auto attached = co_await callback<Result<Applied>>(
      [&](auto done) { run.hypervisor().attach_disk(run.uuid(), disk, std::move(done)); });
  if (attached) co_return result_of(std::move(*attached));
  const Error error = std::move(attached).error();
  if (is_new && error.code != Code::kUnknown && error.code != Code::kTimeout) {
    auto seen = co_await look(run);
    const bool is_used =
        !seen || (*seen && std::ranges::find((*seen)->disks, disk.path, &model::DiskInfo::path) !=
                               (*seen)->disks.end());
    if (!is_used) (void)co_await remove_file(run, disk.path);
  }
  co_return Unexpected(error);
}

OpFlow run_attach_nic(OpRun& run) {
  if (!run.args().nic) co_return Unexpected(missing("NIC", "/nic"));
  model::DomainNic nic = CO_TRY(resolve_nic(run.resolving(), *run.args().nic, "/nic"));
  co_return co_await apply([&](Done<Result<Applied>> done) {
    run.hypervisor().attach_nic(run.uuid(), std::move(nic), std::move(done));
  });
}

OpFlow run_change_medium(OpRun& run) {
  if (!run.args().cdrom) co_return Unexpected(missing("CD-ROM drive", "/cdrom"));
  model::DomainCdrom cdrom = CO_TRY(resolve_cdrom(run.resolving(), *run.args().cdrom, "/cdrom"));
  co_return co_await apply([&](Done<Result<Applied>> done) {
    run.hypervisor().change_medium(run.uuid(), std::move(cdrom), std::move(done));
  });
}

OpFlow run_detach(OpRun& run) {
  const std::string& device = run.args().device;
  Applied applied = CO_TRY(co_await callback<Result<Applied>>(
      [&](auto done) { run.hypervisor().detach(run.uuid(), device, std::move(done)); }));
  const auto& disks = run.vm().spec.disks;
  const auto disk = std::ranges::find(disks, device, &model::DiskSpec::name);
  const bool remove = disk != disks.end() && !disk->keep && !run.args().keep_disks;
  if (remove) {
    const auto resolved = CO_TRY(resolve_disk(run.resolving(), *disk, run.vm().id, "/device"));
    const auto seen = CO_TRY(co_await look_at_all(run));
    const bool is_used = std::ranges::any_of(seen, [&](const model::Instance& instance) {
      return std::ranges::find(instance.disks, resolved.path, &model::DiskInfo::path) !=
             instance.disks.end();
    });
    // A disk that the running guest gives up only at its next boot stays for now.
    if (!is_used && applied.next_boot.empty()) CO_TRY(co_await remove_file(run, resolved.path));
  }
  co_return result_of(std::move(applied));
}

OpFlow run_snapshot_create(OpRun& run) {
  const auto seen = CO_TRY(co_await look(run));
  if (seen && has_snapshot(*seen, run.args().name))
    co_return fail(Code::kAlreadyExists,
                   fmt::format("there is a snapshot '{}' already", run.args().name), "/name");
  co_return co_await act([&](Done<Result<>> done) {
    run.hypervisor().snapshot_create(run.uuid(), run.args().name, std::move(done));
  });
}

OpFlow run_snapshot_revert(OpRun& run) {
  return act([&run](Done<Result<>> done) {
    run.hypervisor().snapshot_revert(run.uuid(), run.args().name, std::move(done));
  });
}

OpFlow run_snapshot_delete(OpRun& run) {
  const auto seen = CO_TRY(co_await look(run));
  if (seen && !has_snapshot(*seen, run.args().name)) co_return model::TaskResult{};
  co_return co_await act([&](Done<Result<>> done) {
    run.hypervisor().snapshot_delete(run.uuid(), run.args().name, std::move(done));
  });
}

}  // namespace chorok::agent
