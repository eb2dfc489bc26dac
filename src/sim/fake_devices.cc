// Changes to domains that exist: size, devices, snapshots, and what stands against running one
// here.
#include <fmt/format.h>

#include <algorithm>

#include "sim/fake_host.h"
#include "sim/fake_world.h"

namespace chorok::sim {
namespace {

using ports::Applied;

bool has(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

template <class T>
T* named(std::vector<T>& all, const std::string& name) {
  for (T& each : all)
    if (each.spec.name == name) return &each;
  return nullptr;
}

template <class T>
void put(std::vector<T>& all, const T& one) {
  if (T* there = named(all, one.spec.name))
    *there = one;
  else
    all.push_back(one);
}

// A change that the guest took, or that has no guest to wait for.
Applied at_once(std::string field) {
  return Applied{{std::move(field)}, {}};
}

template <class T>
void set_both(FakeDomain& domain, std::vector<T> model::DomainSpec::* list, const T& one,
              bool live) {
  if (domain.persistent) put((*domain.persistent).*list, one);
  if (domain.live && live) put((*domain.live).*list, one);
}

std::string_view missing(const model::DomainNic& nic, const HostSettings& host) {
  if (!nic.bridge.empty() && !has(host.bridges, nic.bridge)) return nic.bridge;
  if (!nic.libvirt_network.empty() && !has(host.libvirt_networks, nic.libvirt_network))
    return nic.libvirt_network;
  return {};
}

}  // namespace

template <class Change>
void FakeHost::change_all(FakeDomain& domain, Change change) {
  if (domain.persistent) change(*domain.persistent);
  if (domain.live) change(*domain.live);
  world_.changed(index_, domain.uuid);
}

Result<Applied> FakeHost::resize(const std::string& uuid, const ports::ResizeRequest& request) {
  account();
  FakeDomain* domain = TRY(need(uuid));
  Applied done;
  auto place = [&](bool live, const char* field) {
    (live || !domain->active() ? done.live : done.next_boot).emplace_back(field);
  };
  if (request.vcpus > 0) {
    // Plugging out is left to the next boot: guests seldom let go of a vCPU.
    bool live = domain->live && request.vcpus >= domain->live->spec.vcpus &&
                request.vcpus <= domain->live->spec.max_vcpus;
    if (live) domain->live->spec.vcpus = request.vcpus;
    if (domain->persistent) {
      model::VmSpec& spec = domain->persistent->spec;
      spec.vcpus = request.vcpus;
      if (spec.max_vcpus != 0) spec.max_vcpus = std::max(spec.max_vcpus, request.vcpus);
    }
    place(live, "vcpus");
  }
  if (request.memory > Mib{}) {
    Mib most =
        domain->live ? std::max(domain->live->spec.max_memory, domain->live->spec.memory) : Mib{};
    bool live = domain->live && request.memory <= most;
    if (live) domain->live->spec.memory = request.memory;
    if (domain->persistent) {
      model::VmSpec& spec = domain->persistent->spec;
      spec.memory = request.memory;
      if (spec.max_memory > Mib{}) spec.max_memory = std::max(spec.max_memory, request.memory);
    }
    place(live, "memory");
  }
  world_.changed(index_, uuid);
  return done;
}

Result<Applied> FakeHost::tune(const std::string& uuid, const model::CpuAllocation& cpu,
                               const model::MemoryAllocation& memory) {
  account();
  FakeDomain* domain = TRY(need(uuid));
  change_all(*domain, [&](model::DomainSpec& spec) {
    spec.spec.cpu = cpu;
    spec.spec.memory_allocation = memory;
  });
  return Applied{{"cpu", "memory_allocation"}, {}};
}

Result<std::vector<std::string>> FakeHost::enforce(const model::VmEnforcement& settings) {
  account();
  FakeDomain* domain = TRY(need_active(settings.uuid));
  if (domain->migrating_out) return fail(Code::kFailedPrecondition, "the domain is migrating");
  domain->enforced = {domain->qemu, settings};
  std::vector<std::string> problems;
  if (settings.memory > Mib{} && !domain->guest.has_balloon(world_.now()))
    problems.emplace_back("its guest has no balloon driver that answers: it keeps its memory");
  return problems;
}

Result<Applied> FakeHost::attach_disk(const std::string& uuid, const model::DomainDisk& disk) {
  FakeDomain* domain = TRY(need(uuid));
  model::DomainSpec& next = domain->persistent ? *domain->persistent : *domain->live;
  if (const model::DomainDisk* there = named(next.disks, disk.spec.name)) {
    if (there->path == disk.path) return at_once("disks");
    return fail(Code::kAlreadyExists,
                fmt::format("'{}' has another disk '{}'", next.name, disk.spec.name));
  }
  Result<> live;
  if (domain->active())
    live = world_.files().lock(index_, disk.path, !disk.spec.read_only, domain->qemu);
  set_both(*domain, &model::DomainSpec::disks, disk, live.has_value());
  if (live && domain->guest.runs && !disk.spec.read_only)
    world_.files().find(index_, disk.path)->executing.insert(domain->qemu);
  world_.changed(index_, uuid);
  return live ? at_once("disks") : Applied{{}, {"disks"}};
}

Result<Applied> FakeHost::attach_nic(const std::string& uuid, const model::DomainNic& nic) {
  FakeDomain* domain = TRY(need(uuid));
  const bool live = !domain->active() || missing(nic, settings_).empty();
  set_both(*domain, &model::DomainSpec::nics, nic, live);
  world_.changed(index_, uuid);
  return live ? at_once("nics") : Applied{{}, {"nics"}};
}

Result<Applied> FakeHost::change_medium(const std::string& uuid, const model::DomainCdrom& cdrom) {
  FakeDomain* domain = TRY(need(uuid));
  model::DomainCdrom* there =
      named(domain->live ? domain->live->cdroms : domain->persistent->cdroms, cdrom.spec.name);
  if (!there) return fail(Code::kNotFound, fmt::format("no CD-ROM drive '{}'", cdrom.spec.name));
  if (domain->active() && !cdrom.path.empty())
    TRY(world_.files().lock(index_, cdrom.path, false, domain->qemu));
  if (domain->active() && !there->path.empty() && there->path != cdrom.path)
    world_.files().unlock_one(index_, there->path, domain->qemu);
  change_all(*domain, [&](model::DomainSpec& spec) { put(spec.cdroms, cdrom); });
  return at_once("cdroms");
}

Result<Applied> FakeHost::detach(const std::string& uuid, const std::string& device) {
  FakeDomain* domain = TRY(need(uuid));
  if (domain->live)
    if (model::DomainDisk* disk = named(domain->live->disks, device))
      world_.files().unlock_one(index_, disk->path, domain->qemu);
  std::string field = "disks";
  change_all(*domain, [&](model::DomainSpec& spec) {
    auto is = [&](const auto& each) { return each.spec.name == device; };
    std::erase_if(spec.disks, is);
    if (std::erase_if(spec.cdroms, is)) field = "cdroms";
    if (std::erase_if(spec.nics, is)) field = "nics";
  });
  return at_once(field);
}

Result<> FakeHost::snapshot_create(const std::string& uuid, const std::string& name) {
  FakeDomain* domain = TRY(need(uuid));
  for (const FakeSnapshot& snapshot : domain->snapshots)
    if (snapshot.info.name == name) return {};
  const model::DomainSpec& spec = domain->spec();
  FakeSnapshot snapshot;
  for (const model::DomainDisk& disk : spec.disks) {
    if (disk.spec.read_only) continue;
    if (disk.spec.format != model::DiskFormat::kQcow2)
      return fail(Code::kFailedPrecondition,
                  fmt::format("internal snapshot for disk {} unsupported for storage type raw",
                              disk.spec.name));
    if (FakeFile* file = world_.files().find(index_, disk.path))
      snapshot.boots[disk.path] = file->boots;
  }
  if (spec.disks.empty())
    return fail(Code::kFailedPrecondition, "there is no qcow2 disk to keep a snapshot");
  snapshot.info.name = name;
  snapshot.info.created = world_.now();
  snapshot.info.with_memory = domain->active();
  for (FakeSnapshot& each : domain->snapshots)
    if (std::exchange(each.info.current, false)) snapshot.info.parent = each.info.name;
  snapshot.info.current = true;
  snapshot.spec = spec;
  if (domain->active()) {
    snapshot.guest = domain->guest;
    snapshot.guest->halt(world_.now());
  }
  domain->snapshots.push_back(std::move(snapshot));
  world_.changed(index_, uuid);
  return {};
}

Result<> FakeHost::snapshot_revert(const std::string& uuid, const std::string& name) {
  FakeDomain* domain = TRY(need(uuid));
  auto found = std::find_if(domain->snapshots.begin(), domain->snapshots.end(),
                            [&](const FakeSnapshot& each) { return each.info.name == name; });
  if (found == domain->snapshots.end())
    return fail(Code::kNotFound, fmt::format("no domain snapshot with matching name '{}'", name));
  if (!domain->persistent)
    return fail(Code::kFailedPrecondition, "a transient domain cannot be reverted");
  const FakeSnapshot snapshot = *found;
  for (FakeSnapshot& each : domain->snapshots) each.info.current = each.info.name == name;
  stop(uuid);
  domain->saved.reset();
  domain->saved_spec.reset();
  domain->persistent = snapshot.spec;
  for (const auto& [path, boots] : snapshot.boots)
    if (FakeFile* file = world_.files().find(index_, path)) {
      file->boots = boots;
      file->lineage = world_.files().new_lineage();  // going back is meant here
    }
  world_.changed(index_, uuid);
  if (!snapshot.guest) return {};
  TRY(begin_start(uuid));
  domain->state = DomainState::kOn;
  domain->guest = *snapshot.guest;
  domain->guest.life = world_.new_life();
  set_running(*domain, true);
  return {};
}

Result<> FakeHost::snapshot_delete(const std::string& uuid, const std::string& name) {
  FakeDomain* domain = TRY(need(uuid));
  std::string parent;
  for (const FakeSnapshot& each : domain->snapshots)
    if (each.info.name == name) parent = each.info.parent;
  std::erase_if(domain->snapshots, [&](const auto& each) { return each.info.name == name; });
  for (FakeSnapshot& each : domain->snapshots)
    if (each.info.parent == name) each.info.parent = parent;
  world_.changed(index_, uuid);
  return {};
}

Result<std::vector<std::string>> FakeHost::check_compatible(const model::DomainSpec& spec,
                                                            const std::string& cpu) {
  std::vector<std::string> against;
  if (cpu_level_of(cpu) > settings_.cpu_level)
    against.push_back(fmt::format("the guest needs CPU Fake-v{}, this host offers Fake-v{}",
                                  cpu_level_of(cpu), settings_.cpu_level));
  if (!spec.spec.machine.empty() && !has(settings_.machines, spec.spec.machine))
    against.push_back(fmt::format("machine type '{}' is unknown here", spec.spec.machine));
  for (const auto& [uuid, other] : domains_)
    if (uuid != spec.uuid && other.spec().name == spec.name)
      against.push_back(fmt::format("this host has another domain named '{}'", spec.name));
  for (const model::DomainDisk& disk : spec.disks)
    if (!world_.files().find(index_, disk.path))
      against.push_back(
          fmt::format("Cannot access storage file '{}': No such file or directory", disk.path));
  for (const model::DomainNic& nic : spec.nics)
    if (auto name = missing(nic, settings_); !name.empty())
      against.push_back(fmt::format("Cannot get interface MTU on '{}': No such device", name));
  return against;
}

Result<> FakeHost::may_run(const model::DomainSpec& spec, std::int32_t cpu_level) {
  auto against = TRY(check_compatible(spec, cpu_definition(cpu_level)));
  Mib in_use = memory_in_use();
  if (const FakeDomain* here = find(spec.uuid); here && here->active())
    in_use -= here->live->spec.memory;
  if (in_use + spec.spec.memory > settings_.memory)
    against.emplace_back("cannot set up guest memory: Cannot allocate memory");
  if (!against.empty()) return fail(Code::kFailedPrecondition, against.front());
  return {};
}

Result<model::VmSpec> FakeHost::adopt(const std::string& uuid, const std::string& vm) {
  FakeDomain* domain = TRY(need(uuid));
  const std::string& owner = domain->spec().vm;
  if (!owner.empty() && owner != vm)
    return fail(Code::kAlreadyExists,
                fmt::format("'{}' belongs to Chorok already, as {}", domain->spec().name, owner));
  if (!domain->persistent)
    return fail(Code::kFailedPrecondition, "a transient domain cannot be adopted");
  change_all(*domain, [&](model::DomainSpec& spec) { spec.vm = vm; });
  const model::DomainSpec& found = domain->spec();
  model::VmSpec spec = found.spec;
  spec.disks.clear();
  spec.cdroms.clear();
  spec.nics.clear();
  // As libvirt knows them: by absolute path and bridge, of no datastore or network of Chorok's.
  for (const model::DomainDisk& disk : found.disks) {
    spec.disks.push_back(disk.spec);
    spec.disks.back().path = disk.path;
    spec.disks.back().keep = true;
  }
  for (const model::DomainCdrom& cdrom : found.cdroms) {
    spec.cdroms.push_back(cdrom.spec);
    spec.cdroms.back().path = cdrom.path;
  }
  for (const model::DomainNic& nic : found.nics) {
    spec.nics.push_back(nic.spec);
    spec.nics.back().network = nic.bridge.empty() ? nic.libvirt_network : nic.bridge;
  }
  return spec;
}

}  // namespace chorok::sim
