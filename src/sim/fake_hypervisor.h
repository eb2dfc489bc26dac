// ports::Hypervisor over a host of a FakeWorld: an agent's connection to its libvirtd. Made by
// FakeWorld::open_hypervisor.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ports/hypervisor.h"
#include "sim/fake_daemon.h"

namespace chorok::sim {

class FakeHypervisor final : public ports::Hypervisor {
 public:
  FakeHypervisor(FakeWorld& world, HostIndex host);
  ~FakeHypervisor() override;

  void inventory(Done<Result<model::HostInventory>> done) override;
  void list(Done<Result<std::vector<model::Instance>>> done) override;
  void statistics(Done<Result<model::HostSample>> done) override;
  void dirty_rate(std::string uuid, Duration window, Done<Result<double>> done) override;
  void subscribe(std::function<void(const std::string& uuid, bool connected)> changed) override;

  void define(model::DomainSpec domain, Done<Result<>> done) override;
  void undefine(std::string uuid, Done<Result<>> done) override;
  void start(std::string uuid, bool paused, Done<Result<>> done) override;
  void shutdown(std::string uuid, Done<Result<>> done) override;
  void destroy(std::string uuid, Done<Result<>> done) override;
  void reboot(std::string uuid, bool hard, Done<Result<>> done) override;
  void suspend(std::string uuid, Done<Result<>> done) override;
  void resume(std::string uuid, Done<Result<>> done) override;
  void save(std::string uuid, Done<Result<>> done) override;

  void migrate(std::string uuid, ports::MigrateRequest request,
               std::function<void(ports::MigrateProgress)> progress,
               Done<Result<model::MigrationStats>> done) override;
  void migrate_storage(std::string uuid, std::vector<std::string> disks,
                       std::vector<std::string> target_paths,
                       std::function<void(ports::MigrateProgress)> progress,
                       Done<Result<model::MigrationStats>> done) override;
  void abort_migration(std::string uuid, Done<Result<>> done) override;

  void resize(std::string uuid, ports::ResizeRequest request,
              Done<Result<ports::Applied>> done) override;
  void tune(std::string uuid, model::CpuAllocation cpu, model::MemoryAllocation memory,
            Done<Result<ports::Applied>> done) override;
  void enforce(model::VmEnforcement settings, Done<Result<std::vector<std::string>>> done) override;
  void attach_disk(std::string uuid, model::DomainDisk disk,
                   Done<Result<ports::Applied>> done) override;
  void attach_nic(std::string uuid, model::DomainNic nic,
                  Done<Result<ports::Applied>> done) override;
  void change_medium(std::string uuid, model::DomainCdrom cdrom,
                     Done<Result<ports::Applied>> done) override;
  void detach(std::string uuid, std::string device_name,
              Done<Result<ports::Applied>> done) override;

  void snapshot_create(std::string uuid, std::string name, Done<Result<>> done) override;
  void snapshot_revert(std::string uuid, std::string name, Done<Result<>> done) override;
  void snapshot_delete(std::string uuid, std::string name, Done<Result<>> done) override;

  void console(std::string uuid, Done<Result<std::unique_ptr<ports::ConsoleStream>>> done) override;
  void vnc(std::string uuid, Done<Result<std::unique_ptr<ports::ConsoleStream>>> done) override;

  void check_compatible(model::DomainSpec domain, std::string cpu_definition,
                        Done<Result<std::vector<std::string>>> done) override;
  void cpu_baseline(std::vector<std::string> definitions, Done<Result<std::string>> done) override;
  void adopt(std::string uuid, std::string vm, Done<Result<model::VmSpec>> done) override;

 private:
  template <class T, class Effect>
  void run(const char* op, std::string uuid, Duration takes, Effect effect, Done<Result<T>> done);
  template <class T, class Begin, class Effect>
  void run_steps(const char* op, std::string uuid, Begin begin, Effect effect,
                 Done<Result<T>> done);
  // A call that paces itself: `begin` is given what ends it.
  template <class Begin>
  void run_migration(const char* op, std::string uuid, Begin begin,
                     Done<Result<model::MigrationStats>> done);
  void refuse_second(Done<Result<model::MigrationStats>> done);
  Duration memory_to_disk(const std::string& uuid) const;

  FakeWorld& world_;
  FakeHost& host_;
  FakeDaemon& daemon_;
  std::shared_ptr<Connection> connection_;
};

}  // namespace chorok::sim
