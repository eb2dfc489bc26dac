// What runs VMs on one host. Calls are made from the loop's thread, never block it, and complete on
// it; calls for different domains run side by side, calls for one domain in the order given. Every
// call says what it found when what it was asked for is already so: starting a domain that runs is
// success. Domains are named by UUID.
//
// Errors: kNotFound (no such domain), kFailedPrecondition (the state does not allow it),
// kUnsupported (this driver cannot), kUnavailable (the hypervisor's daemon cannot be reached;
// nothing is known), kUnknown (the connection broke during the call: look before trying again).
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/result.h"
#include "model/domain.h"
#include "model/enforce.h"
#include "model/host.h"
#include "model/telemetry.h"

namespace chorok::ports {

struct ResizeRequest {
  std::int32_t vcpus = 0;  // 0: as it is
  Mib memory{};            // 0: as it is
};
// What a change did at once, and what waits for the next boot (names of fields of VmSpec).
struct Applied {
  std::vector<std::string> live;
  std::vector<std::string> next_boot;
};

struct MigrateRequest {
  std::string target_uri;      // the target's daemon as the source's daemon reaches it
  std::string target_address;  // for the stream
  bool live = true;            // false: cold, only the definition moves (disks shared)
  bool copy_storage =
      false;  // disks that the target does not share, by NBD mirror; exist there already, empty
  std::vector<std::string> copy_disks;    // names of those disks
  std::vector<std::string> target_paths;  // absolute path on the target for each disk of copy_disks
  model::MigrationSettings settings;
};
struct MigrateProgress {
  double percent = 0;
  Bytes transferred{};
  Bytes total{};
  Bytes remaining{};
  double dirty_rate_mib_s = 0;
  double bandwidth_mib_s = 0;
  std::int64_t rounds = 0;
  Duration expected_downtime{};
  std::string phase;  // pre-copy, mirror, post-copy, switch-over
};

// A two-way byte stream to a guest's console. Destroying it closes it.
class ConsoleStream {
 public:
  virtual ~ConsoleStream() = default;
  // At most 64 KiB are kept unread by the caller's callback being called with what arrived.
  virtual void on_data(std::move_only_function<void(std::span<const char>)> callback) = 0;
  virtual void on_close(std::move_only_function<void(Error)> callback) = 0;
  virtual void write(std::string bytes) = 0;
};

class Hypervisor {
 public:
  virtual ~Hypervisor() = default;

  virtual void inventory(Done<Result<model::HostInventory>> done) = 0;
  virtual void list(Done<Result<std::vector<model::Instance>>> done) = 0;
  // The host's counters and those of all running domains, in one bulk call. A domain that is busy
  // with something else says less, and is not waited for. The caller names the sample: boot_id,
  // sequence and time are left empty.
  virtual void statistics(Done<Result<model::HostSample>> done) = 0;
  // MiB/s that a running domain writes to its memory, measured over `window` (1 to 60 s). The guest
  // is a little slower meanwhile.
  virtual void dirty_rate(std::string uuid, Duration window, Done<Result<double>> done) = 0;
  // `changed` is called with a domain's UUID whenever something of it changed (life cycle,
  // definition, job, an address that became known), and with "" when everything may have: after the
  // daemon was lost (connected=false) and found again.
  virtual void subscribe(std::function<void(const std::string& uuid, bool connected)> changed) = 0;

  virtual void define(model::DomainSpec domain, Done<Result<>> done) = 0;  // also redefines
  // Forgets the definition, its NVRAM, TPM state, snapshots' metadata and saved state; disks stay.
  virtual void undefine(std::string uuid, Done<Result<>> done) = 0;
  virtual void start(std::string uuid, bool paused, Done<Result<>> done) = 0;
  virtual void shutdown(std::string uuid,
                        Done<Result<>> done) = 0;  // asks the guest; completes when asked
  virtual void destroy(std::string uuid, Done<Result<>> done) = 0;  // pulls the plug
  virtual void reboot(std::string uuid, bool hard, Done<Result<>> done) = 0;
  virtual void suspend(std::string uuid, Done<Result<>> done) = 0;
  virtual void resume(std::string uuid, Done<Result<>> done) = 0;
  virtual void save(std::string uuid, Done<Result<>> done) = 0;  // start() restores

  // Peer-to-peer: the source's daemon talks to the target's. The source forgets the domain when it
  // is done. kConflict while an earlier one of the domain is not over, whoever has asked for that.
  virtual void migrate(std::string uuid, MigrateRequest request,
                       std::function<void(MigrateProgress)> progress,
                       Done<Result<model::MigrationStats>> done) = 0;
  // Copies running disks to other paths on the same host and switches over to them.
  virtual void migrate_storage(std::string uuid, std::vector<std::string> disks,
                               std::vector<std::string> target_paths,
                               std::function<void(MigrateProgress)> progress,
                               Done<Result<model::MigrationStats>> done) = 0;
  // Stops a migration of either kind; the domain runs on where it was. Success also when there is
  // none.
  virtual void abort_migration(std::string uuid, Done<Result<>> done) = 0;

  virtual void resize(std::string uuid, ResizeRequest request, Done<Result<Applied>> done) = 0;
  virtual void tune(std::string uuid, model::CpuAllocation cpu, model::MemoryAllocation memory,
                    Done<Result<Applied>> done) = 0;
  // Weight, limit and memory of a domain for as long as it runs; its definition stays as it is.
  // Nothing is set that is so already. Answers what could not be had, in words for people.
  // kFailedPrecondition: it does not run, or is busy with a job: later.
  virtual void enforce(model::VmEnforcement settings,
                       Done<Result<std::vector<std::string>>> done) = 0;
  virtual void attach_disk(std::string uuid, model::DomainDisk disk,
                           Done<Result<Applied>> done) = 0;
  virtual void attach_nic(std::string uuid, model::DomainNic nic, Done<Result<Applied>> done) = 0;
  virtual void change_medium(std::string uuid, model::DomainCdrom cdrom,
                             Done<Result<Applied>> done) = 0;
  virtual void detach(std::string uuid, std::string device_name, Done<Result<Applied>> done) = 0;

  virtual void snapshot_create(std::string uuid, std::string name, Done<Result<>> done) = 0;
  virtual void snapshot_revert(std::string uuid, std::string name, Done<Result<>> done) = 0;
  virtual void snapshot_delete(std::string uuid, std::string name, Done<Result<>> done) = 0;

  virtual void console(std::string uuid, Done<Result<std::unique_ptr<ConsoleStream>>> done) = 0;
  // A VNC display as a byte stream (RFB), without opening a port.
  virtual void vnc(std::string uuid, Done<Result<std::unique_ptr<ConsoleStream>>> done) = 0;

  // Everything that stands against running this domain here, all at once; empty when nothing does.
  // `cpu_definition` is the source host's CPU or the VM's own model.
  virtual void check_compatible(model::DomainSpec domain, std::string cpu_definition,
                                Done<Result<std::vector<std::string>>> done) = 0;
  // The richest CPU that all these hosts (their CpuInventory::definition) can offer.
  virtual void cpu_baseline(std::vector<std::string> definitions,
                            Done<Result<std::string>> done) = 0;
  // Marks an existing domain as Chorok's (metadata), without touching it otherwise; answers its
  // spec as far as it can be read.
  virtual void adopt(std::string uuid, std::string vm, Done<Result<model::VmSpec>> done) = 0;
};

}  // namespace chorok::ports
