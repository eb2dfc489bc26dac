#include "sim/fake_world.h"

#include <fmt/format.h>

#include "sim/fake_daemon.h"
#include "sim/fake_hypervisor.h"
#include "sim/fake_migration.h"
#include "sim/fake_storage.h"

namespace chorok::sim {

FakeWorld::FakeWorld(Loop& loop, WorldSettings settings)
    : loop_(loop),
      settings_(settings),
      random_(Random(settings.seed).fork("world")),
      faults_(Random(settings.seed).fork("faults"), settings.faults),
      migrations_(std::make_unique<MigrationTable>(*this)) {
  files_.use_locks(settings.image_locks);
}

FakeWorld::~FakeWorld() {
  *alive_ = false;
}

HostIndex FakeWorld::add_host(HostSettings settings) {
  const auto index = static_cast<HostIndex>(hosts_.size());
  hosts_.push_back(std::make_unique<FakeHost>(*this, index, std::move(settings)));
  daemons_.push_back(std::make_unique<FakeDaemon>(*this, *hosts_.back()));
  return index;
}

HostIndex FakeWorld::host_named(std::string_view name) const {
  for (const auto& host : hosts_)
    if (host->settings().name == name) return host->index();
  CHOROK_ASSERT(!"a host of that name");
  return 0;
}

std::unique_ptr<ports::Hypervisor> FakeWorld::open_hypervisor(HostIndex host) {
  return std::make_unique<FakeHypervisor>(*this, host);
}
std::unique_ptr<ports::Storage> FakeWorld::open_storage(HostIndex host) {
  return std::make_unique<FakeStorage>(*this, host);
}

TimerId FakeWorld::later(Duration delay, Work work) {
  return loop_.after(delay, [alive = alive_, work = std::move(work)]() mutable {
    if (*alive) work();
  });
}

void FakeWorld::kill_host(HostIndex index) {
  if (!host(index).powered()) return;
  daemon(index).die(true);
  migrations_->host_died(index);
  host(index).power_off();
}

void FakeWorld::start_host(HostIndex index) {
  if (host(index).powered()) return;
  host(index).power_on();
  daemon(index).come_up();
}

void FakeWorld::stop_libvirtd(HostIndex index) {
  if (!daemon(index).up()) return;
  daemon(index).die(false);
  migrations_->daemon_died(index);
}

void FakeWorld::start_libvirtd(HostIndex index) {
  if (host(index).powered()) daemon(index).come_up();
}

void FakeWorld::restart_libvirtd(HostIndex index) {
  stop_libvirtd(index);
  later(times().libvirtd_restart, [this, index] { start_libvirtd(index); });
}

void FakeWorld::set_link(HostIndex a, HostIndex b, bool on) {
  auto pair = std::minmax(a, b);
  if (on) {
    cut_links_.erase(pair);
  } else if (cut_links_.insert(pair).second) {
    migrations_->link_cut(a, b);
  }
}

bool FakeWorld::linked(HostIndex a, HostIndex b) const {
  return !cut_links_.contains(std::minmax(a, b));
}

bool FakeWorld::libvirtd_up(HostIndex index) const {
  return daemons_.at(index)->up();
}

void FakeWorld::cut_datastore(HostIndex index, std::string_view path, bool cut) {
  FakeDatastore* store = files_.datastore(path);
  CHOROK_ASSERT(store != nullptr);
  if (cut)
    store->cut_off.insert(index);
  else
    store->cut_off.erase(index);
}

FakeHost* FakeWorld::find_host(const std::string& uri) {
  std::string_view authority = uri;
  if (auto at = authority.find("://"); at != authority.npos) authority.remove_prefix(at + 3);
  authority = authority.substr(0, authority.find('/'));
  if (auto at = authority.rfind('@'); at != authority.npos) authority.remove_prefix(at + 1);
  for (const auto& host : hosts_) {
    const HostSettings& settings = host->settings();
    if (authority == settings.address || authority == settings.name) return host.get();
    std::string_view without_port = authority.substr(0, authority.rfind(':'));
    if (without_port == settings.address || without_port == settings.name) return host.get();
  }
  return nullptr;
}

std::pair<FakeHost*, FakeDomain*> FakeWorld::find_life(std::uint64_t life) {
  std::pair<FakeHost*, FakeDomain*> found{nullptr, nullptr};
  for (const auto& host : hosts_)
    for (const auto& [uuid, domain] : host->domains())
      if (domain.active() && domain.guest.life == life && (!found.first || domain.guest.runs))
        found = {host.get(), host->find(uuid)};
  return found;
}

std::pair<FakeHost*, FakeDomain*> FakeWorld::find_running(const std::string& uuid) {
  auto found = running_.find(uuid);
  if (found == running_.end() || found->second.empty()) return {nullptr, nullptr};
  FakeHost& where = host(found->second.front());
  return {&where, where.find(uuid)};
}

void FakeWorld::guest_started(const FakeHost& host, const FakeDomain& domain) {
  // As the adapter does: an address that becomes known is a change.
  if (Duration worked = domain.guest.counter(now()); worked <= kAddressAfter)
    later(kAddressAfter - worked + std::chrono::milliseconds(1),
          [this, index = host.index(), uuid = domain.uuid] { changed(index, uuid); });
  std::vector<HostIndex>& hosts = running_[domain.uuid];
  if (!hosts.empty())
    violate(fmt::format("VM '{}' ({}) runs on {} and on {}", domain.live->name, domain.uuid,
                        this->host(hosts.front()).settings().name, host.settings().name));
  hosts.push_back(host.index());
  for (const model::DomainDisk& disk : domain.live->disks) {
    FakeFile* file = disk.spec.read_only ? nullptr : files_.peek(host.index(), disk.path);
    if (!file) continue;
    file->executing.insert(domain.qemu);
    if (file->executing.size() > 1)
      violate(fmt::format("two running guests write to {}, the second is '{}' on {}", disk.path,
                          domain.live->name, host.settings().name));
  }
}

void FakeWorld::guest_halted(const FakeHost& host, const FakeDomain& domain) {
  std::erase(running_[domain.uuid], host.index());
  if (running_[domain.uuid].empty()) running_.erase(domain.uuid);
  for (const model::DomainDisk& disk : domain.live->disks)
    if (FakeFile* file = files_.peek(host.index(), disk.path)) file->executing.erase(domain.qemu);
}

void FakeWorld::violate(std::string what) {
  violations_.push_back({now(), std::move(what)});
}

std::string FakeWorld::describe_violations() const {
  std::string text;
  for (const Violation& each : violations_)
    text += fmt::format("{:.3f} s: {}\n", seconds(each.at.time_since_epoch()), each.what);
  return text;
}

void FakeWorld::changed(HostIndex index, const std::string& uuid) {
  daemon(index).changed(uuid);
}

void FakeWorld::guest_will(std::uint64_t life, Duration delay, bool reboot) {
  later(delay, [this, life, reboot] { guest_acts(life, reboot); });
}

void FakeWorld::guest_acts(std::uint64_t life, bool reboot) {
  auto [host, domain] = find_life(life);
  if (!host) return;
  if (!domain->guest.runs)  // it goes on with what it was doing when it runs again
    return guest_will(life, std::chrono::seconds(1), reboot);
  const std::string uuid = domain->uuid;
  if (reboot) {
    (void)host->reset(uuid);
    return;
  }
  host->stop(uuid);
  migrations_->guest_gone(uuid);
}

bool FakeWorld::guest_poweroff(const std::string& uuid) {
  auto [host, domain] = find_running(uuid);
  if (!host) return false;
  guest_acts(domain->guest.life, false);
  return true;
}

bool FakeWorld::guest_reboot(const std::string& uuid) {
  auto [host, domain] = find_running(uuid);
  return host && host->reset(uuid).has_value();
}

bool FakeWorld::crash_qemu(const std::string& uuid) {
  auto [host, domain] = find_running(uuid);
  if (!host) return false;
  host->stop(uuid, DomainState::kCrashed);
  migrations_->guest_gone(uuid);
  return true;
}

bool FakeWorld::set_load(const std::string& uuid, GuestLoad load) {
  auto [host, domain] = find_running(uuid);
  if (!host) return false;
  host->account();
  domain->guest.load = load;
  return true;
}

bool FakeWorld::set_firmware(const std::string& uuid, std::uint64_t remembers) {
  auto [host, domain] = find_running(uuid);
  if (!host) return false;
  domain->firmware = domain->guest.firmware = remembers;
  return true;
}

Result<> FakeWorld::define_foreign(HostIndex index, model::DomainSpec spec, bool start) {
  const std::string uuid = spec.uuid;
  spec.vm.clear();
  TRY(host(index).define(std::move(spec)));
  if (!start) return {};
  TRY(host(index).begin_start(uuid));
  return host(index).finish_start(uuid, false);
}

std::vector<Sighting> FakeWorld::sightings() const {
  std::vector<Sighting> all;
  for (const auto& host : hosts_)
    for (const auto& [uuid, domain] : host->domains()) {
      Sighting seen;
      seen.uuid = uuid;
      seen.vm = domain.spec().vm;
      seen.name = domain.spec().name;
      seen.host = host->index();
      seen.state = domain.state;
      seen.role = domain.role;
      seen.persistent = domain.persistent.has_value();
      seen.runs = domain.guest.runs;
      seen.life = domain.guest.life;
      seen.boots = domain.guest.boots;
      seen.root_lineage = host->root_lineage(domain.spec());
      seen.counter = domain.guest.counter(now());
      all.push_back(std::move(seen));
    }
  return all;
}

std::vector<Sighting> FakeWorld::running() const {
  std::vector<Sighting> all = sightings();
  std::erase_if(all, [](const Sighting& each) { return !each.runs; });
  return all;
}

std::size_t FakeWorld::migrations() const {
  return migrations_->count();
}

}  // namespace chorok::sim
