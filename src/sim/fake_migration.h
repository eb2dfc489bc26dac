// Migrations of a FakeWorld, after libvirt's version 3 protocol, peer to peer: prepare (a QEMU
// waits on the target), perform (memory in rounds; the guest runs on), switch-over (it runs
// nowhere), finish (it runs on the target), confirm (the source forgets it). Whatever breaks is
// answered as libvirt and QEMU would, including what they leave behind: a source that stays paused
// because nobody knows whether the target runs, and a definition on both hosts.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/loop.h"
#include "ports/hypervisor.h"
#include "sim/fake_world.h"

namespace chorok::sim {

enum class Interrupt : std::uint8_t {
  kAbort,         // somebody asked for it
  kTimeout,       // longer than the settings allow
  kStream,        // the connection between the QEMUs broke
  kGuestGone,     // the guest or its QEMU ended
  kSourceDaemon,  // libvirtd died there
  kTargetDaemon,
  kSourceHost,  // power lost there
  kTargetHost,
};

class MigrationTable {
 public:
  using Progress = std::function<void(ports::MigrateProgress)>;
  using Ended = std::move_only_function<void(Result<model::MigrationStats>)>;

  explicit MigrationTable(FakeWorld& world);
  ~MigrationTable();

  // Errors are found at once; then `ended` is called once, later, unless the source's libvirtd
  // dies first.
  Result<> start(FakeHost& source, const std::string& uuid, ports::MigrateRequest request,
                 Progress progress, Ended ended);
  Result<> start_storage(FakeHost& host, const std::string& uuid, std::vector<std::string> disks,
                         std::vector<std::string> target_paths, Progress progress, Ended ended);
  // Stops a migration that can be stopped, lets go on one that is past the point of return, and
  // calls `over` (which may be null) when none is under way any more.
  void abort(HostIndex source, const std::string& uuid, std::move_only_function<void()> over);
  bool moves(HostIndex source, const std::string& uuid) const;

  void daemon_died(HostIndex host);
  void host_died(HostIndex host);
  void link_cut(HostIndex a, HostIndex b);
  void guest_gone(const std::string& uuid);
  std::size_t count() const { return under_way_.size(); }

 private:
  class Migration;
  enum class Phase : std::uint8_t;

  Migration& add(FakeHost& source, FakeHost& target, const std::string& uuid, Progress progress,
                 Ended ended);
  void interrupt_where(const std::function<bool(const Migration&)>& concerned,
                       const std::function<Interrupt(const Migration&)>& why);
  double bandwidth(const Migration& of) const;
  void gone(std::uint64_t id);

  FakeWorld& world_;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, std::unique_ptr<Migration>> under_way_;
};

}  // namespace chorok::sim
