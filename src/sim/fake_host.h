// One host of a FakeWorld: the machine and what libvirt and QEMU on it would have. Every function
// here takes effect at once; how long things take, and what goes wrong on the way, is FakeDaemon's.
//
// What survives what: definitions and saved memory lie on the host's disk and outlive everything;
// a running QEMU outlives libvirtd and ends with the host's power.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/domain.h"
#include "model/host.h"
#include "ports/hypervisor.h"
#include "sim/fake_files.h"
#include "sim/fake_guest.h"

namespace chorok::sim {

class FakeWorld;

struct HostSettings {
  std::string name;
  std::string address;  // empty: the name
  std::int32_t cores = 8;
  Mhz mhz{2500};
  Mib memory{32 * 1024};
  std::int32_t cpu_level = 2;  // a host runs what needs its level or less
  double link_mib_s = 1100;    // of migration traffic: ten gigabit
  std::vector<std::string> bridges = {"br0"};
  std::vector<std::string> libvirt_networks = {"default"};
  std::vector<std::string> machines = {"q35", "pc"};
};

struct FakeSnapshot {
  model::SnapshotInfo info;
  model::DomainSpec spec;
  std::optional<Guest> guest;                  // with memory
  std::map<std::string, std::uint64_t> boots;  // of each disk, by path
};

// What a QEMU has used since it is there.
struct FakeUsage {
  QemuId qemu = 0;
  Duration cpu{};
  Duration ready{};  // wanted to run, and the host had no core for it
};

enum class DomainState : std::uint8_t { kOff, kStarting, kOn, kPaused, kCrashed };

struct FakeDomain {
  std::string uuid;
  std::optional<model::DomainSpec> persistent;  // the definition; none: transient
  std::optional<model::DomainSpec> live;        // what runs
  DomainState state = DomainState::kOff;
  model::InstanceRole role = model::InstanceRole::kPrimary;
  QemuId qemu = 0;
  // Of a QEMU; another one has what its definition says.
  std::optional<std::pair<QemuId, model::VmEnforcement>> enforced;
  Guest guest;
  std::uint64_t firmware = 0;  // as in its file, which QEMU writes while the guest runs
  std::optional<Guest> saved;
  std::optional<model::DomainSpec> saved_spec;
  std::vector<FakeSnapshot> snapshots;
  FakeUsage usage;
  bool migrating_out = false;
  bool gave_disks = false;  // to the target at the end of a migration: it holds no locks

  bool active() const { return qemu != 0; }
  const model::VmEnforcement* in_force() const {
    return enforced && active() && enforced->first == qemu ? &enforced->second : nullptr;
  }
  const model::DomainSpec& spec() const { return live ? *live : *persistent; }
};

class FakeHost {
 public:
  FakeHost(FakeWorld& world, HostIndex index, HostSettings settings);

  HostIndex index() const { return index_; }
  const HostSettings& settings() const { return settings_; }
  model::HostInventory inventory() const;
  std::string uri() const;
  std::vector<model::Instance> list() const;
  model::HostSample statistics();
  // Adds what guests have used up to now to their counters. Before anything that changes how much
  // they use: nothing ticks.
  void account();
  FakeDomain* find(const std::string& uuid);
  const std::map<std::string, FakeDomain>& domains() const { return domains_; }

  // kNotFound
  Result<FakeDomain*> need(const std::string& uuid);
  // ... and kFailedPrecondition when it does not run.
  Result<FakeDomain*> need_active(const std::string& uuid);

  Result<> define(model::DomainSpec spec);
  Result<> undefine(const std::string& uuid);  // of one that does not run
  void forget(const std::string& uuid);        // one that runs becomes transient
  // Starting is two steps: QEMU is there and holds its disks; the guest runs. Between them the host
  // or libvirtd may go.
  Result<> begin_start(const std::string& uuid);
  Result<> finish_start(const std::string& uuid, bool paused);
  Result<> suspend(const std::string& uuid);
  Result<> resume(const std::string& uuid);
  Result<> save(const std::string& uuid);
  // A new boot in the same QEMU.
  Result<> reset(const std::string& uuid);
  // QEMU is gone; a transient domain is forgotten.
  void stop(const std::string& uuid, DomainState after = DomainState::kOff);

  Result<ports::Applied> resize(const std::string& uuid, const ports::ResizeRequest& request);
  Result<ports::Applied> tune(const std::string& uuid, const model::CpuAllocation& cpu,
                              const model::MemoryAllocation& memory);
  Result<std::vector<std::string>> enforce(const model::VmEnforcement& settings);
  Result<ports::Applied> attach_disk(const std::string& uuid, const model::DomainDisk& disk);
  Result<ports::Applied> attach_nic(const std::string& uuid, const model::DomainNic& nic);
  Result<ports::Applied> change_medium(const std::string& uuid, const model::DomainCdrom& cdrom);
  Result<ports::Applied> detach(const std::string& uuid, const std::string& device);
  Result<> snapshot_create(const std::string& uuid, const std::string& name);
  Result<> snapshot_revert(const std::string& uuid, const std::string& name);
  Result<> snapshot_delete(const std::string& uuid, const std::string& name);
  Result<std::vector<std::string>> check_compatible(const model::DomainSpec& spec,
                                                    const std::string& cpu);
  Result<model::VmSpec> adopt(const std::string& uuid, const std::string& vm);

  // For migrations. An incoming QEMU holds no locks until its guest is switched over to it.
  Result<> begin_incoming(model::DomainSpec spec, std::int32_t cpu_level);
  // Takes the disks and lets the guest run; on failure nothing has changed.
  Result<> activate(const std::string& uuid, Guest guest, bool run);

  // What libvirtd does when it comes back: a QEMU whose guest it had not yet let run is killed.
  void reap_half_started();

  bool powered() const { return powered_; }
  void power_off();  // as if the plug were pulled
  void power_on();

  Mib memory_in_use() const;
  std::uint64_t root_lineage(const model::DomainSpec& spec) const;
  Result<> lock_disks(const model::DomainSpec& spec, QemuId qemu);
  void set_running(FakeDomain& domain, bool runs);

 private:
  // What QEMU would say on its way up.
  Result<> may_run(const model::DomainSpec& spec, std::int32_t cpu_level);
  Guest boot(const model::DomainSpec& spec, const GuestLoad& load);
  FakeFile* root_disk(const model::DomainSpec& spec) const;
  // Both definitions of a domain, for a change that holds now and after the next boot.
  template <class Change>
  void change_all(FakeDomain& domain, Change change);
  model::Instance instance(const FakeDomain& domain) const;

  FakeWorld& world_;
  HostIndex index_;
  HostSettings settings_;
  bool powered_ = true;
  std::uint64_t boots_ = 1;
  Time booted_{};
  Time accounted_{};
  Duration busy_{};  // of all cores since boot
  std::map<std::string, FakeDomain> domains_;
};

// The level of a fake CPU definition (`<cpu><model>Fake-v2</model></cpu>`), 0 for another text.
std::int32_t cpu_level_of(const std::string& definition);
std::string cpu_definition(std::int32_t level);

}  // namespace chorok::sim
