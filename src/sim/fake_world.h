// Several fake hosts in one process, which share datastores and migrate VMs to each other: what the
// agents of a small cluster stand on when the manager and its controllers are tested in virtual
// time. Hypervisor and Storage are the production ports; their semantics follow libvirt and QEMU as
// measured, their times come from OpTimes, their faults from a FaultPlan, and all of it from one
// seed.
//
// The world sees everything at once, so it alone can say what no single host can: that a VM runs
// twice. It keeps such findings as violations from the moment they happen.
//
// It lives on the loop's thread and outlives every port it gave out. One exception: work that it
// has queued on the loop when it is destroyed does nothing.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "ports/hypervisor.h"
#include "ports/storage.h"
#include "sim/fake_host.h"
#include "sim/faults.h"

namespace chorok::sim {

class FakeDaemon;
class MigrationTable;

// How long things take, as measured on libvirt 9 with KVM (facts/elastic-density-hypervisors.md).
struct OpTimes {
  Duration query = std::chrono::milliseconds(2);
  Duration define = std::chrono::milliseconds(20);
  Duration start = std::chrono::milliseconds(400);
  Duration destroy = std::chrono::milliseconds(200);
  Duration suspend = std::chrono::milliseconds(10);
  Duration reboot = std::chrono::milliseconds(50);
  Duration guest_shutdown = std::chrono::milliseconds(1500);
  Duration change = std::chrono::milliseconds(30);  // of a device or a limit
  Duration snapshot = std::chrono::milliseconds(300);
  Duration migrate_prepare = std::chrono::milliseconds(300);
  Duration migrate_finish = std::chrono::milliseconds(60);
  Duration cold_migrate = std::chrono::milliseconds(150);
  Duration disk_create = std::chrono::milliseconds(15);
  Duration libvirtd_restart = std::chrono::milliseconds(1500);
  double disk_mib_s = 500;  // save, restore, copying images
};

struct WorldSettings {
  std::uint64_t seed = 1;
  OpTimes times;
  FaultRates faults;
  bool image_locks = true;
};

struct Violation {
  Time at{};
  std::string what;
};

// One guest, as nobody inside the world can see it.
struct Sighting {
  std::string uuid;
  std::string vm;
  std::string name;
  HostIndex host = 0;
  DomainState state = DomainState::kOff;
  model::InstanceRole role = model::InstanceRole::kPrimary;
  bool persistent = true;
  bool runs = false;  // the guest executes
  std::uint64_t life = 0;
  std::uint64_t boots = 0;
  std::uint64_t root_lineage = 0;  // of its first writable disk; 0: none
  Duration counter{};
};

class FakeWorld {
 public:
  explicit FakeWorld(Loop& loop, WorldSettings settings = {});
  ~FakeWorld();
  FakeWorld(const FakeWorld&) = delete;
  FakeWorld& operator=(const FakeWorld&) = delete;

  HostIndex add_host(HostSettings settings);
  std::size_t host_count() const { return hosts_.size(); }
  HostIndex host_named(std::string_view name) const;  // asserts that there is one

  // An agent's connection to its host's libvirtd and disks. Destroying it forgets the calls it has
  // open (their completions are dropped, as the agent that made them is gone): libvirtd goes on
  // with them, a file that was being created is not.
  std::unique_ptr<ports::Hypervisor> open_hypervisor(HostIndex host);
  std::unique_ptr<ports::Storage> open_storage(HostIndex host);

  // ---- What happens to hosts. Each is safe to call at any time and again.
  void kill_host(HostIndex host);   // power lost: guests, libvirtd and open calls are gone
  void start_host(HostIndex host);  // definitions are back, nothing runs
  void stop_libvirtd(HostIndex host);
  void start_libvirtd(HostIndex host);
  void restart_libvirtd(HostIndex host);  // back after OpTimes::libvirtd_restart
  // Migration traffic between two hosts; on: it flows again.
  void set_link(HostIndex a, HostIndex b, bool on);
  void cut_datastore(HostIndex host, std::string_view path, bool cut);

  // ---- What guests do.
  bool guest_poweroff(const std::string& uuid);  // false when it runs nowhere
  bool guest_reboot(const std::string& uuid);
  bool crash_qemu(const std::string& uuid);
  bool set_load(const std::string& uuid, GuestLoad load);
  bool set_firmware(const std::string& uuid, std::uint64_t remembers);
  // A guest that somebody made with virsh.
  Result<> define_foreign(HostIndex host, model::DomainSpec spec, bool start);

  // ---- What there is to see.
  std::vector<Sighting> sightings() const;  // every domain of every host, by host and UUID
  std::vector<Sighting> running() const;    // those whose guest executes
  const std::vector<Violation>& violations() const { return violations_; }
  std::string describe_violations() const;
  FaultPlan& faults() { return faults_; }
  FakeFiles& files() { return files_; }
  FakeHost& host(HostIndex index) { return *hosts_.at(index); }
  const OpTimes& times() const { return settings_.times; }
  std::size_t migrations() const;  // under way

  // ---- For the parts of the world.
  Loop& loop() { return loop_; }
  Time now() const { return loop_.now(); }
  Random& random() { return random_; }
  FakeDaemon& daemon(HostIndex index) { return *daemons_.at(index); }
  MigrationTable& migration_table() { return *migrations_; }
  // `after`, but nothing when the world is gone by then.
  TimerId later(Duration delay, Work work);
  bool linked(HostIndex a, HostIndex b) const;
  bool libvirtd_up(HostIndex host) const;
  FakeHost* find_host(const std::string& uri_or_address);
  // The host and domain whose guest lives this life, whether it executes or not.
  std::pair<FakeHost*, FakeDomain*> find_life(std::uint64_t life);
  std::pair<FakeHost*, FakeDomain*> find_running(const std::string& uuid);
  QemuId new_qemu() { return ++last_qemu_; }
  std::uint64_t new_life() { return ++last_life_; }
  void guest_started(const FakeHost& host, const FakeDomain& domain);
  void guest_halted(const FakeHost& host, const FakeDomain& domain);
  void violate(std::string what);
  // Tells the host's libvirt clients that something of this domain changed.
  void changed(HostIndex host, const std::string& uuid);
  // The guest switches itself off, or boots again, when it has had time to.
  void guest_will(std::uint64_t life, Duration delay, bool reboot);

 private:
  void guest_acts(std::uint64_t life, bool reboot);

  Loop& loop_;
  WorldSettings settings_;
  Random random_;
  FaultPlan faults_;
  FakeFiles files_;
  std::vector<std::unique_ptr<FakeHost>> hosts_;
  std::vector<std::unique_ptr<FakeDaemon>> daemons_;
  std::unique_ptr<MigrationTable> migrations_;
  std::set<std::pair<HostIndex, HostIndex>> cut_links_;
  std::map<std::string, std::vector<HostIndex>> running_;  // by UUID: hosts whose guest executes
  std::vector<Violation> violations_;
  QemuId last_qemu_ = 0;
  std::uint64_t last_life_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chorok::sim
