// What each kind of operation does: a sequence of port calls that looks before it acts, so that
// beginning it again after any interruption is safe. One coroutine a kind; the table is in
// executor.cc.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/flow.h"
#include "agent/resolve.h"
#include "model/protocol.h"
#include "ports/hypervisor.h"
#include "ports/storage.h"

namespace chorok::agent {

struct OpWorld {
  Loop& loop;
  ports::Hypervisor& hypervisor;
  ports::Storage& storage;
};

// How the source's libvirtd reaches the target's.
using TargetUri =
    std::function<std::string(const model::MigrationTarget&, const model::MigrationSettings&)>;

// What an operation knows beside its arguments; taken when it begins.
struct OpContext {
  std::shared_ptr<const model::AgentConfig> config;
  std::string host_name;
  TargetUri target_uri;
};

// One running operation, as its coroutine sees it. Lives on the loop's thread; the coroutine dies
// with it.
class OpRun {
 public:
  using Report = std::function<void(model::Progress)>;
  enum class Wake { kChanged, kCancelled, kTimer };

  OpRun(OpWorld world, OpContext context, model::Operation operation, Report report)
      : world_(world),
        context_(std::move(context)),
        operation_(std::move(operation)),
        report_(std::move(report)) {}
  ~OpRun() { world_.loop.cancel(timer_); }
  OpRun(const OpRun&) = delete;
  OpRun& operator=(const OpRun&) = delete;

  const model::Operation& operation() const { return operation_; }
  const model::TaskArgs& args() const { return operation_.args.args; }
  const model::VmTarget& vm() const { return operation_.args.vm; }
  const std::string& uuid() const {
    return vm().uuid.empty() ? operation_.args.args.uuid : vm().uuid;
  }
  const model::AgentConfig& config() const { return *context_.config; }
  const OpContext& context() const { return context_; }
  ResolveContext resolving() const { return {*context_.config, world_.storage}; }
  Loop& loop() const { return world_.loop; }
  ports::Hypervisor& hypervisor() const { return world_.hypervisor; }
  ports::Storage& storage() const { return world_.storage; }

  bool cancelled() const { return cancelled_; }
  // Called at most once, when somebody cancels from now on.
  void on_cancel(std::move_only_function<void()> fn) { on_cancel_ = std::move(fn); }
  // At most two a second are passed on: a person reads no faster.
  void report(model::Progress progress);

  // Until something of this VM changes, somebody cancels, or the time is over. A change since the
  // last wait ends it at once, so nothing falls between a look and the wait.
  auto wait(Duration timeout) {
    return callback<Wake>(
        [this, timeout](Done<Wake> done) { begin_wait(timeout, std::move(done)); });
  }

  void cancel();   // from outside
  void changed();  // from outside

 private:
  void begin_wait(Duration timeout, Done<Wake> done);
  void wake(Wake why);

  OpWorld world_;
  OpContext context_;
  model::Operation operation_;
  Report report_;
  Time last_report_{};
  bool has_reported_ = false;
  bool cancelled_ = false;
  bool has_changed_ = false;
  std::move_only_function<void()> on_cancel_;
  Done<Wake> waiting_;
  TimerId timer_ = 0;
};

using OpFlow = Flow<Result<model::TaskResult>>;

// The domain as this host has it, or nothing.
Flow<Result<std::optional<model::Instance>>> look(OpRun& run);
Flow<Result<std::vector<model::Instance>>> look_at_all(OpRun& run);
bool is_active(model::VmState state);  // QEMU runs

// ops_life.cc
OpFlow run_start(OpRun& run);
OpFlow run_shutdown(OpRun& run);
OpFlow run_destroy(OpRun& run);
OpFlow run_reboot(OpRun& run);
OpFlow run_suspend(OpRun& run);
OpFlow run_resume(OpRun& run);
OpFlow run_save(OpRun& run);

// ops_define.cc
OpFlow run_define(OpRun& run);
OpFlow run_undefine(OpRun& run);
OpFlow run_adopt(OpRun& run);
OpFlow run_prepare_disks(OpRun& run);
OpFlow run_remove_disks(OpRun& run);

// ops_move.cc
OpFlow run_migrate(OpRun& run);
OpFlow run_migrate_storage(OpRun& run);

// ops_device.cc
OpFlow run_resize(OpRun& run);
OpFlow run_tune(OpRun& run);
OpFlow run_attach_disk(OpRun& run);
OpFlow run_attach_nic(OpRun& run);
OpFlow run_change_medium(OpRun& run);
OpFlow run_detach(OpRun& run);
OpFlow run_snapshot_create(OpRun& run);
OpFlow run_snapshot_revert(OpRun& run);
OpFlow run_snapshot_delete(OpRun& run);

// Sees to it that a disk is there, whole and without a backing file; makes it when it may. Answers
// whether it was made now. `field` is the disk's pointer.
Flow<Result<bool>> ensure_disk(OpRun& run, const model::DomainDisk& disk, const std::string& field,
                               std::function<void(double percent)> progress);
Flow<Result<>> remove_file(OpRun& run, const std::string& path);

}  // namespace chorok::agent
