// Definitions and the files beneath them.
#include <fmt/format.h>

#include <algorithm>

#include "agent/ops.h"

namespace chorok::agent {
namespace {

using Percent = std::function<void(double)>;

// A disk that a migration is to fill must be empty: what is there may be another VM's, or, where a
// datastore is shared and nobody said so, this one's own.
constexpr Mib kEmptyAtMost{1};

struct MadeDisks {
  std::vector<std::string> paths;
};

Flow<Result<ports::ImageInfo>> info_of(OpRun& run, const std::string& path) {
  co_return co_await callback<Result<ports::ImageInfo>>(
      [&](auto done) { run.storage().info(path, std::move(done)); });
}

Result<> check_image(const ports::ImageInfo& info, const model::DomainDisk& disk,
                     const std::string& field) {
  if (info.has_backing)
    return fail(
        Code::kFailedPrecondition,
        fmt::format("{} refers to another file; flatten it first (qemu-img convert)", disk.path),
        field + "/path");
  if (info.format != disk.spec.format)
    return fail(
        Code::kInvalid,
        fmt::format("{} is {}, not {}", disk.path, name_of(info.format), name_of(disk.spec.format)),
        field + "/format");
  return {};
}

Flow<Result<>> need_file(OpRun& run, const std::string& path, const std::string& field) {
  auto info = co_await info_of(run, path);
  if (info || info.error().code == Code::kInvalid) co_return Result<>();  // an ISO is no disk image
  Error error = std::move(info).error();
  error.field = field;
  co_return Unexpected(std::move(error));
}

// Everything that the definition names and Chorok does not make.
Flow<Result<>> need_files(OpRun& run, const model::DomainSpec& domain) {
  if (!domain.kernel.empty()) CO_TRY(co_await need_file(run, domain.kernel, "/spec/boot/kernel"));
  if (!domain.initrd.empty()) CO_TRY(co_await need_file(run, domain.initrd, "/spec/boot/initrd"));
  for (std::size_t i = 0; i < domain.cdroms.size(); ++i) {
    if (domain.cdroms[i].path.empty()) continue;
    CO_TRY(co_await need_file(run, domain.cdroms[i].path, fmt::format("/spec/cdroms/{}/path", i)));
  }
  co_return Result<>();
}

Flow<Result<>> make_disks(OpRun& run, const model::DomainSpec& domain, MadeDisks& made) {
  const double count = static_cast<double>(domain.disks.size());
  for (std::size_t i = 0; i < domain.disks.size(); ++i) {
    if (run.cancelled()) co_return fail(Code::kCancelled, "cancelled while its disks were made");
    const model::DomainDisk& disk = domain.disks[i];
    Percent progress = [&run, &disk, i, count](double percent) {
      run.report({.percent = (static_cast<double>(i) * 100 + percent) / count,
                  .phase = "disk " + disk.spec.name});
    };
    const bool is_new = CO_TRY(
        co_await ensure_disk(run, disk, fmt::format("/spec/disks/{}", i), std::move(progress)));
    if (is_new) made.paths.push_back(disk.path);
  }
  co_return Result<>();
}

Flow<Result<>> define_domain(OpRun& run, const model::DomainSpec& domain, MadeDisks& made) {
  CO_TRY(co_await need_files(run, domain));
  CO_TRY(co_await make_disks(run, domain, made));
  if (run.cancelled()) co_return fail(Code::kCancelled, "cancelled before it was defined");
  auto defined = co_await callback<Result<>>(
      [&](auto done) { run.hypervisor().define(domain, std::move(done)); });
  if (defined) co_return Result<>();
  auto seen = co_await look(run);
  if (seen && *seen && (*seen)->generation == domain.generation) co_return Result<>();
  co_return Unexpected(std::move(defined).error());
}

// Absolute paths of what the VM owns: its disks that it may lose, and what snapshots have put
// beside them in its own folder.
std::vector<std::string> own_files(const OpRun& run, const model::Instance* seen) {
  std::vector<std::string> paths;
  std::vector<std::string> kept;
  for (const model::DiskSpec& disk : run.vm().spec.disks) {
    auto resolved = resolve_disk(run.resolving(), disk, run.vm().id, "");
    if (resolved) (disk.keep ? kept : paths).push_back(resolved->path);
  }
  if (!seen) return paths;
  for (const model::DiskInfo& disk : seen->disks) {
    const bool is_ours = std::ranges::any_of(run.config().datastores, [&](const auto& store) {
      return disk.path.starts_with(fmt::format("{}/vms/{}/", store.path, run.vm().id));
    });
    if (is_ours && std::ranges::find(kept, disk.path) == kept.end() &&
        std::ranges::find(paths, disk.path) == paths.end())
      paths.push_back(disk.path);
  }
  return paths;
}

// Another guest of this host that has one of the files.
const model::Instance* other_user(const std::vector<model::Instance>& instances,
                                  const std::string& uuid, const std::vector<std::string>& paths) {
  for (const model::Instance& instance : instances) {
    if (instance.uuid == uuid) continue;
    for (const model::DiskInfo& disk : instance.disks)
      if (std::ranges::find(paths, disk.path) != paths.end()) return &instance;
  }
  return nullptr;
}

Unexpected used_by(const model::Instance& other) {
  return fail(Code::kFailedPrecondition,
              fmt::format("a file of it is also a disk of '{}': nothing was removed; detach it "
                          "there, or keep the disks",
                          other.name));
}

Flow<Result<>> undefine(OpRun& run) {
  auto done = co_await callback<Result<>>(
      [&](auto then) { run.hypervisor().undefine(run.uuid(), std::move(then)); });
  if (done || done.error().code == Code::kNotFound) co_return Result<>();
  auto seen = co_await look(run);
  if (seen && !*seen) co_return Result<>();
  co_return done;
}

// The disks as they are to be on the target of a migration.
Result<std::vector<model::DomainDisk>> migrated_disks(const OpRun& run) {
  if (!run.operation().args.migration)
    return fail(Code::kInvalid, "the operation names no migration", "/migration");
  std::vector<model::DomainDisk> disks;
  const auto& specs = run.operation().args.migration->copy_disks;
  for (std::size_t i = 0; i < specs.size(); ++i)
    disks.push_back(TRY(resolve_disk(run.resolving(), specs[i], run.vm().id,
                                     fmt::format("/migration/copy_disks/{}", i))));
  return disks;
}

}  // namespace

Flow<Result<bool>> ensure_disk(OpRun& run, const model::DomainDisk& disk, const std::string& field,
                               Percent progress) {
  auto info = co_await info_of(run, disk.path);
  if (info) {
    if (auto fits = check_image(*info, disk, field); !fits) co_return Unexpected(fits.error());
    co_return false;
  }
  Error error = std::move(info).error();
  error.field = field + "/path";
  if (error.code != Code::kNotFound || disk.spec.keep) co_return Unexpected(std::move(error));
  ports::CreateDisk request{
      .path = disk.path, .format = disk.spec.format, .size = disk.spec.size, .copy_of = {}};
  if (!disk.spec.image.empty())
    request.copy_of = CO_TRY(resolve_image(run.resolving(), disk.spec.image, field));
  else if (disk.spec.size <= Mib{})
    co_return fail(Code::kInvalid, "a new disk needs a size or an image", field + "/size");
  auto made = co_await callback<Result<ports::ImageInfo>>([&](auto done) {
    run.storage().create(std::move(request), std::move(progress), std::move(done));
  });
  if (made) co_return true;
  error = std::move(made).error();
  if (error.field.empty()) error.field = field + (disk.spec.image.empty() ? "" : "/image");
  co_return Unexpected(std::move(error));
}

Flow<Result<>> remove_file(OpRun& run, const std::string& path) {
  co_return co_await callback<Result<>>(
      [&](auto done) { run.storage().remove(path, std::move(done)); });
}

OpFlow run_define(OpRun& run) {
  const Resolved resolved = resolve(run.resolving(), run.vm());
  if (!resolved.problems.empty()) co_return Unexpected(resolved.problems.front());
  MadeDisks made;
  auto defined = co_await define_domain(run, resolved.domain, made);
  if (defined) co_return model::TaskResult{};
  const Error error = std::move(defined).error();
  // What this operation made and nothing refers to is not left behind; where it is not known
  // whether something does, it stays.
  if (error.code != Code::kUnknown && error.code != Code::kTimeout)
    for (const std::string& path : made.paths) (void)co_await remove_file(run, path);
  co_return Unexpected(error);
}

OpFlow run_undefine(OpRun& run) {
  const auto instances = CO_TRY(co_await look_at_all(run));
  auto seen = std::ranges::find(instances, run.uuid(), &model::Instance::uuid);
  const bool is_here = seen != instances.end();
  if (is_here && is_active(seen->state))
    co_return fail(Code::kFailedPrecondition,
                   fmt::format("'{}' runs; stop it first", run.vm().name));
  std::vector<std::string> files;
  if (!run.args().keep_disks) files = own_files(run, is_here ? &*seen : nullptr);
  if (const auto* other = other_user(instances, run.uuid(), files)) co_return used_by(*other);
  if (is_here) CO_TRY(co_await undefine(run));
  for (const std::string& path : files) CO_TRY(co_await remove_file(run, path));
  co_return model::TaskResult{};
}

OpFlow run_adopt(OpRun& run) {
  model::VmSpec spec = CO_TRY(co_await callback<Result<model::VmSpec>>(
      [&](auto done) { run.hypervisor().adopt(run.uuid(), run.vm().id, std::move(done)); }));
  name_places(run.config(), spec);
  co_return model::TaskResult{.spec = std::move(spec)};
}

OpFlow run_prepare_disks(OpRun& run) {
  const auto disks = CO_TRY(migrated_disks(run));
  for (std::size_t i = 0; i < disks.size(); ++i) {
    const std::string field = fmt::format("/migration/copy_disks/{}", i);
    model::DomainDisk disk = disks[i];
    disk.spec.image.clear();  // the migration brings the content
    disk.spec.keep = false;
    auto info = co_await info_of(run, disk.path);
    if (info && info->allocated > kEmptyAtMost)
      co_return fail(Code::kAlreadyExists,
                     fmt::format("{} is there already and holds data; if the datastore is shared, "
                                 "mark it so, else remove the file",
                                 disk.path),
                     field + "/path");
    CO_TRY(co_await ensure_disk(run, disk, field, [&](double percent) {
      run.report({.percent = percent, .phase = "disk " + disk.spec.name});
    }));
  }
  co_return model::TaskResult{};
}

OpFlow run_remove_disks(OpRun& run) {
  std::vector<std::string> paths;
  if (run.operation().args.migration) {
    for (const model::DomainDisk& disk : CO_TRY(migrated_disks(run))) paths.push_back(disk.path);
  } else {
    paths = own_files(run, nullptr);
  }
  // The VM itself counts too: what it has open is not what was left behind.
  const auto instances = CO_TRY(co_await look_at_all(run));
  if (const auto* other = other_user(instances, "", paths)) co_return used_by(*other);
  for (const std::string& path : paths) CO_TRY(co_await remove_file(run, path));
  co_return model::TaskResult{};
}

}  // namespace chorok::agent
