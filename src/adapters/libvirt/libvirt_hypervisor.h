// Libvirt behind the Hypervisor port. Calls run on a small pool of threads, in order for one domain
// and side by side otherwise; libvirt's events arrive on a thread of its own; both end as
// completions posted to the Loop. When libvirtd goes away, subscribers hear connected=false, calls
// fail with kUnavailable (kUnknown for those it broke in the middle), and the adapter tries to find
// it again until it does. Domain XML is built here from the typed spec and nowhere else.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "ports/hypervisor.h"

namespace chorok::adapters::libvirt {

struct LibvirtOptions {
  std::string uri = "qemu:///system";
  std::string address;  // of this host, for migration streams and the inventory
  std::string pki_dir;  // CA, certificate and key of migration over TLS; empty: no TLS
  // The lab: a host that is a slice of the machine it runs on. No guest's limit goes above it.
  std::optional<double> simulated_cores;
  std::optional<Mib> simulated_memory;
  // More only wait for libvirtd, which serves five requests of a client at a time.
  std::size_t workers = 12;
  // Between tries to find a lost libvirtd; the wait doubles from the first to the second.
  Duration reconnect_first = std::chrono::milliseconds(100);
  Duration reconnect_most = std::chrono::seconds(5);
  // Between two looks at a running migration.
  Duration progress_interval = std::chrono::milliseconds(500);
};

// Lives on the loop's thread and is destroyed there; what had not completed by then never does. A
// migration that runs then goes on without us.
class LibvirtHypervisor final : public ports::Hypervisor {
 public:
  // Succeeds without a libvirtd: it is looked for until it is there. Fails only when libvirt's
  // client library does.
  static Result<std::unique_ptr<LibvirtHypervisor>> create(Loop& loop, LibvirtOptions options);
  ~LibvirtHypervisor() override;

  template <class T = void>
  using Then = Done<Result<T>>;
  using Progress = std::function<void(ports::MigrateProgress)>;

  void inventory(Then<model::HostInventory> done) override;
  void list(Then<std::vector<model::Instance>> done) override;
  void statistics(Then<model::HostSample> done) override;
  void dirty_rate(std::string uuid, Duration window, Then<double> done) override;
  void subscribe(std::function<void(const std::string& uuid, bool connected)> changed) override;

  void define(model::DomainSpec domain, Then<> done) override;
  void undefine(std::string uuid, Then<> done) override;
  void start(std::string uuid, bool paused, Then<> done) override;
  void shutdown(std::string uuid, Then<> done) override;
  void destroy(std::string uuid, Then<> done) override;
  void reboot(std::string uuid, bool hard, Then<> done) override;
  void suspend(std::string uuid, Then<> done) override;
  void resume(std::string uuid, Then<> done) override;
  void save(std::string uuid, Then<> done) override;

  void migrate(std::string uuid, ports::MigrateRequest request, Progress progress,
               Then<model::MigrationStats> done) override;
  void migrate_storage(std::string uuid, std::vector<std::string> disks,
                       std::vector<std::string> target_paths, Progress progress,
                       Then<model::MigrationStats> done) override;
  void abort_migration(std::string uuid, Then<> done) override;

  void resize(std::string uuid, ports::ResizeRequest request, Then<ports::Applied> done) override;
  void tune(std::string uuid, model::CpuAllocation cpu, model::MemoryAllocation memory,
            Then<ports::Applied> done) override;
  void enforce(model::VmEnforcement settings, Done<Result<std::vector<std::string>>> done) override;
  void attach_disk(std::string uuid, model::DomainDisk disk, Then<ports::Applied> done) override;
  void attach_nic(std::string uuid, model::DomainNic nic, Then<ports::Applied> done) override;
  void change_medium(std::string uuid, model::DomainCdrom cdrom,
                     Then<ports::Applied> done) override;
  void detach(std::string uuid, std::string device_name, Then<ports::Applied> done) override;

  void snapshot_create(std::string uuid, std::string name, Then<> done) override;
  void snapshot_revert(std::string uuid, std::string name, Then<> done) override;
  void snapshot_delete(std::string uuid, std::string name, Then<> done) override;

  void console(std::string uuid, Then<std::unique_ptr<ports::ConsoleStream>> done) override;
  void vnc(std::string uuid, Then<std::unique_ptr<ports::ConsoleStream>> done) override;

  void check_compatible(model::DomainSpec domain, std::string cpu_definition,
                        Then<std::vector<std::string>> done) override;
  void cpu_baseline(std::vector<std::string> definitions, Then<std::string> done) override;
  void adopt(std::string uuid, std::string vm, Then<model::VmSpec> done) override;

 private:
  struct Impl;
  explicit LibvirtHypervisor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace chorok::adapters::libvirt
