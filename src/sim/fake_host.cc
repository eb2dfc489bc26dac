#include "sim/fake_host.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "sim/fake_world.h"

namespace chorok::sim {
namespace {

using model::VmState;

VmState state_of(const FakeDomain& domain) {
  switch (domain.state) {
    case DomainState::kOff:
      return domain.saved ? VmState::kSaved : VmState::kOff;
    case DomainState::kStarting:
      return VmState::kStarting;
    case DomainState::kOn:
      return VmState::kOn;
    case DomainState::kPaused:
      return VmState::kPaused;
    case DomainState::kCrashed:
      return VmState::kCrashed;
  }
  return VmState::kUnknown;
}

// A lease as a DHCP server would give it: always the same for a MAC.
std::string address_of(const std::string& mac) {
  unsigned a = 0, b = 0, c = 0;
  if (mac.size() == 17) {
    a = static_cast<unsigned>(std::strtoul(mac.c_str() + 9, nullptr, 16));
    b = static_cast<unsigned>(std::strtoul(mac.c_str() + 12, nullptr, 16));
    c = static_cast<unsigned>(std::strtoul(mac.c_str() + 15, nullptr, 16));
  }
  return fmt::format("10.{}.{}.{}", a, b, c);
}

// As far as a boot would make a difference; shares and limits are applied while it runs.
bool same_hardware(const model::DomainSpec& live, const model::DomainSpec& wanted) {
  const model::VmSpec &a = live.spec, &b = wanted.spec;
  auto same = [](const auto& these, const auto& those, auto equal) {
    return std::ranges::equal(these, those, [&](const auto& x, const auto& y) {
      return x.spec.name == y.spec.name && equal(x, y);
    });
  };
  return a.vcpus == b.vcpus && a.memory == b.memory && a.machine == b.machine &&
         std::max(a.vcpus, a.max_vcpus) == std::max(b.vcpus, b.max_vcpus) &&
         std::max(a.memory, a.max_memory) == std::max(b.memory, b.max_memory) &&
         a.cpu_model == b.cpu_model && a.firmware == b.firmware && a.tpm == b.tpm &&
         a.vnc == b.vnc && live.kernel == wanted.kernel && live.initrd == wanted.initrd &&
         a.boot.cmdline == b.boot.cmdline && a.boot.order == b.boot.order &&
         same(live.disks, wanted.disks, [](auto& x, auto& y) { return x.path == y.path; }) &&
         same(live.cdroms, wanted.cdroms, [](auto& x, auto& y) { return x.path == y.path; }) &&
         same(live.nics, wanted.nics, [](auto& x, auto& y) {
           return x.bridge == y.bridge && x.libvirt_network == y.libvirt_network;
         });
}

}  // namespace

std::int32_t cpu_level_of(const std::string& definition) {
  auto at = definition.find("Fake-v");
  return at == std::string::npos ? 0 : std::atoi(definition.c_str() + at + 6);
}

std::string cpu_definition(std::int32_t level) {
  return fmt::format("<cpu><model>Fake-v{}</model></cpu>", level);
}

FakeHost::FakeHost(FakeWorld& world, HostIndex index, HostSettings settings)
    : world_(world), index_(index), settings_(std::move(settings)) {
  if (settings_.address.empty()) settings_.address = settings_.name;
  booted_ = accounted_ = world_.now();
}

std::string FakeHost::uri() const {
  return fmt::format("fake://{}/system", settings_.address);
}

model::HostInventory FakeHost::inventory() const {
  model::HostInventory inventory;
  inventory.cpu.model = fmt::format("Fake-v{}", settings_.cpu_level);
  inventory.cpu.vendor = "Chorok";
  inventory.cpu.arch = "x86_64";
  inventory.cpu.sockets = inventory.cpu.threads = 1;
  inventory.cpu.cores = inventory.cpu.online = settings_.cores;
  inventory.cpu.mhz = settings_.mhz;
  inventory.cpu.capacity = settings_.mhz * settings_.cores;
  inventory.cpu.definition = cpu_definition(settings_.cpu_level);
  inventory.memory = settings_.memory;
  model::NumaNode node;
  node.memory = settings_.memory;
  for (std::int32_t cpu = 0; cpu < settings_.cores; ++cpu) node.cpus.push_back(cpu);
  inventory.numa.push_back(std::move(node));
  inventory.accelerator_reason = "no machine stands behind this host";
  inventory.kernel = "fake";
  inventory.libvirt_version = inventory.qemu_version = "fake";
  inventory.hypervisor = "fake";
  inventory.machines = settings_.machines;
  inventory.capabilities = {"adopt",
                            "auto-converge",
                            "balloon",
                            "bulk-statistics",
                            "cold-migration",
                            "compression",
                            "console",
                            "cpu-hotplug",
                            "hotplug",
                            "live-migration",
                            "migrate-storage",
                            "multifd",
                            "post-copy",
                            "save",
                            "snapshots",
                            "storage-migration",
                            "tls",
                            "tpm",
                            "tune",
                            "uefi"};
  inventory.address = settings_.address;
  inventory.simulated = true;
  inventory.boot_id = fmt::format("{}-boot-{}", settings_.name, boots_);
  return inventory;
}

model::Instance FakeHost::instance(const FakeDomain& domain) const {
  const model::DomainSpec& spec = domain.spec();
  model::Instance seen;
  seen.uuid = domain.uuid;
  seen.vm = spec.vm;
  seen.name = spec.name;
  seen.state = state_of(domain);
  seen.role = domain.role;
  seen.persistent = domain.persistent.has_value();
  seen.vcpus = spec.spec.vcpus;
  seen.memory = spec.spec.memory;
  bool has_address = domain.guest.runs && spec.spec.guest_agent &&
                     domain.guest.counter(world_.now()) > kAddressAfter;
  for (const model::DomainNic& nic : spec.nics) {
    seen.macs.push_back(nic.spec.mac);
    if (has_address) seen.ips.push_back(address_of(nic.spec.mac));
  }
  char letter = 'a';
  for (const model::DomainDisk& disk : spec.disks) {
    const FakeFile* file = world_.files().look(index_, disk.path);
    seen.disks.push_back({disk.spec.name, fmt::format("vd{}", letter++), disk.path,
                          file ? file->capacity : Mib{}, file ? file->allocated : Mib{}});
  }
  for (const FakeSnapshot& snapshot : domain.snapshots) seen.snapshots.push_back(snapshot.info);
  const model::DomainSpec& made = domain.persistent ? *domain.persistent : spec;
  seen.generation = made.generation;
  seen.pending =
      domain.live && domain.persistent && domain.live->generation != domain.persistent->generation;
  return seen;
}

std::vector<model::Instance> FakeHost::list() const {
  std::vector<model::Instance> all;
  all.reserve(domains_.size());
  for (const auto& [uuid, domain] : domains_) all.push_back(instance(domain));
  return all;
}

FakeDomain* FakeHost::find(const std::string& uuid) {
  auto found = domains_.find(uuid);
  return found == domains_.end() ? nullptr : &found->second;
}

Result<FakeDomain*> FakeHost::need(const std::string& uuid) {
  if (FakeDomain* domain = find(uuid)) return domain;
  return fail(Code::kNotFound,
              fmt::format("Domain not found: no domain with matching uuid '{}'", uuid));
}

Result<FakeDomain*> FakeHost::need_active(const std::string& uuid) {
  FakeDomain* domain = TRY(need(uuid));
  if (!domain->active())
    return fail(Code::kFailedPrecondition,
                "Requested operation is not valid: domain is not running");
  return domain;
}

Mib FakeHost::memory_in_use() const {
  Mib sum{};
  for (const auto& [uuid, domain] : domains_)
    if (domain.active()) sum += domain.live->spec.memory;
  return sum;
}

Result<> FakeHost::define(model::DomainSpec spec) {
  for (const auto& [uuid, domain] : domains_)
    if (uuid != spec.uuid && domain.spec().name == spec.name)
      return fail(Code::kAlreadyExists,
                  fmt::format("domain '{}' already exists with uuid {}", spec.name, uuid));
  FakeDomain& domain = domains_[spec.uuid];
  domain.uuid = spec.uuid;
  if (domain.state == DomainState::kCrashed && !domain.active()) domain.state = DomainState::kOff;
  // What runs has all that the new definition wants: it does not wait for the next boot.
  if (domain.live && same_hardware(*domain.live, spec)) domain.live->generation = spec.generation;
  domain.persistent = std::move(spec);
  world_.changed(index_, domain.uuid);
  return {};
}

Result<> FakeHost::undefine(const std::string& uuid) {
  FakeDomain* domain = find(uuid);
  if (!domain) return {};
  if (domain->active())
    return fail(Code::kFailedPrecondition,
                fmt::format("cannot remove '{}': it is running", domain->spec().name));
  forget(uuid);
  return {};
}

void FakeHost::forget(const std::string& uuid) {
  FakeDomain* domain = find(uuid);
  if (!domain) return;
  domain->persistent.reset();
  domain->saved.reset();
  domain->saved_spec.reset();
  domain->snapshots.clear();
  if (!domain->active()) domains_.erase(uuid);
  world_.changed(index_, uuid);
}

std::uint64_t FakeHost::root_lineage(const model::DomainSpec& spec) const {
  const FakeFile* root = root_disk(spec);
  return root ? root->lineage : 0;
}

FakeFile* FakeHost::root_disk(const model::DomainSpec& spec) const {
  for (const model::DomainDisk& disk : spec.disks)
    if (!disk.spec.read_only) return world_.files().peek(index_, disk.path);
  return nullptr;
}

Guest FakeHost::boot(const model::DomainSpec& spec, const GuestLoad& load) {
  Guest guest;
  guest.life = world_.new_life();
  guest.load = load;
  guest.cpu_level = spec.spec.cpu_model.empty() || spec.spec.cpu_model.starts_with("host-")
                        ? settings_.cpu_level
                        : cpu_level_of(spec.spec.cpu_model);
  if (FakeFile* root = root_disk(spec)) guest.boots = ++root->boots;
  return guest;
}

Result<> FakeHost::lock_disks(const model::DomainSpec& spec, QemuId qemu) {
  Result<> locked;
  for (const model::DomainDisk& disk : spec.disks)
    if (locked) locked = world_.files().lock(index_, disk.path, !disk.spec.read_only, qemu);
  for (const model::DomainCdrom& cdrom : spec.cdroms)
    if (locked && !cdrom.path.empty())
      locked = world_.files().lock(index_, cdrom.path, false, qemu);
  if (!locked) world_.files().unlock(qemu);
  return locked;
}

void FakeHost::set_running(FakeDomain& domain, bool runs) {
  if (domain.guest.runs == runs) return;
  account();
  if (runs) {
    domain.guest.run(world_.now());
    domain.firmware = domain.guest.firmware;
    world_.guest_started(*this, domain);
  } else {
    domain.guest.halt(world_.now());
    world_.guest_halted(*this, domain);
  }
}

Result<> FakeHost::begin_start(const std::string& uuid) {
  FakeDomain* domain = TRY(need(uuid));
  if (domain->active()) return {};
  const model::DomainSpec& spec = domain->saved_spec ? *domain->saved_spec : *domain->persistent;
  TRY(may_run(spec, domain->saved ? domain->saved->cpu_level : cpu_level_of(spec.spec.cpu_model)));
  const QemuId qemu = world_.new_qemu();
  TRY(lock_disks(spec, qemu));
  domain->qemu = qemu;
  domain->live = spec;
  domain->state = DomainState::kStarting;
  world_.changed(index_, uuid);
  return {};
}

Result<> FakeHost::finish_start(const std::string& uuid, bool paused) {
  FakeDomain* domain = TRY(need(uuid));
  if (domain->state != DomainState::kStarting) {
    if (domain->active()) return paused ? Result<>{} : resume(uuid);  // it was there already
    return fail(Code::kFailedPrecondition, "QEMU exited while the domain was being started");
  }
  if (domain->saved) {
    domain->guest = *domain->saved;
    domain->saved.reset();
    domain->saved_spec.reset();
  } else {
    domain->guest = boot(*domain->live, domain->guest.load);
    domain->guest.firmware = domain->firmware;
  }
  domain->state = paused ? DomainState::kPaused : DomainState::kOn;
  set_running(*domain, !paused);
  world_.changed(index_, uuid);
  return {};
}

Result<> FakeHost::suspend(const std::string& uuid) {
  FakeDomain* domain = TRY(need_active(uuid));
  if (domain->state == DomainState::kPaused) return {};
  domain->state = DomainState::kPaused;
  set_running(*domain, false);
  world_.changed(index_, uuid);
  return {};
}

Result<> FakeHost::resume(const std::string& uuid) {
  FakeDomain* domain = TRY(need_active(uuid));
  if (domain->state == DomainState::kOn) return {};
  if (domain->role == model::InstanceRole::kIncoming)
    return fail(Code::kFailedPrecondition, "the domain is the target of a migration");
  if (domain->gave_disks) TRY(lock_disks(*domain->live, domain->qemu));
  domain->gave_disks = false;
  domain->state = DomainState::kOn;
  set_running(*domain, true);
  world_.changed(index_, uuid);
  return {};
}

Result<> FakeHost::save(const std::string& uuid) {
  FakeDomain* domain = TRY(need(uuid));
  if (!domain->active() && domain->saved) return {};
  domain = TRY(need_active(uuid));
  if (!domain->persistent)
    return fail(Code::kFailedPrecondition, "cannot do managed save for transient domain");
  set_running(*domain, false);
  domain->saved = domain->guest;
  domain->saved_spec = *domain->live;
  stop(uuid);
  return {};
}

Result<> FakeHost::reset(const std::string& uuid) {
  FakeDomain* domain = TRY(need_active(uuid));
  const bool runs = domain->guest.runs;
  set_running(*domain, false);
  domain->guest = boot(*domain->live, domain->guest.load);
  set_running(*domain, runs);
  world_.changed(index_, uuid);
  return {};
}

void FakeHost::stop(const std::string& uuid, DomainState after) {
  FakeDomain* domain = find(uuid);
  if (!domain || !domain->active()) return;
  set_running(*domain, false);
  world_.files().unlock(domain->qemu);
  domain->qemu = 0;
  domain->live.reset();
  domain->role = model::InstanceRole::kPrimary;
  domain->migrating_out = domain->gave_disks = false;
  domain->state = after;
  domain->guest = Guest{.load = domain->guest.load};
  if (!domain->persistent) domains_.erase(uuid);
  world_.changed(index_, uuid);
}

Result<> FakeHost::begin_incoming(model::DomainSpec spec, std::int32_t cpu_level) {
  FakeDomain* there = find(spec.uuid);
  if (there && there->active())
    return fail(Code::kFailedPrecondition,
                fmt::format("domain '{}' is already active on {}", spec.name, settings_.name));
  for (const auto& [uuid, domain] : domains_)
    if (uuid != spec.uuid && domain.spec().name == spec.name)
      return fail(Code::kAlreadyExists,
                  fmt::format("domain '{}' already exists with uuid {}", spec.name, uuid));
  TRY(may_run(spec, cpu_level));
  FakeDomain& domain = domains_[spec.uuid];
  domain.uuid = spec.uuid;
  domain.qemu = world_.new_qemu();
  domain.live = std::move(spec);
  domain.state = DomainState::kPaused;
  domain.role = model::InstanceRole::kIncoming;
  world_.changed(index_, domain.uuid);
  return {};
}

Result<> FakeHost::activate(const std::string& uuid, Guest guest, bool run) {
  FakeDomain* domain = TRY(need_active(uuid));
  TRY(lock_disks(*domain->live, domain->qemu));
  domain->role = model::InstanceRole::kPrimary;
  domain->guest = guest;
  domain->guest.halt(world_.now());
  domain->state = run ? DomainState::kOn : DomainState::kPaused;
  set_running(*domain, run);
  world_.changed(index_, uuid);
  return {};
}

void FakeHost::reap_half_started() {
  std::vector<std::string> half;
  for (const auto& [uuid, domain] : domains_)
    if (domain.state == DomainState::kStarting) half.push_back(uuid);
  for (const std::string& uuid : half) stop(uuid);
}

void FakeHost::power_off() {
  powered_ = false;
  std::vector<std::string> uuids;
  for (const auto& [uuid, domain] : domains_) uuids.push_back(uuid);
  for (const std::string& uuid : uuids) {
    stop(uuid);
    if (FakeDomain* domain = find(uuid)) domain->state = DomainState::kOff;
  }
}

void FakeHost::power_on() {
  if (powered_) return;
  powered_ = true;
  ++boots_;
  booted_ = accounted_ = world_.now();
  busy_ = {};
}

}  // namespace chorok::sim
