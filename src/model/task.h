// Work in progress. A task is what a person or a policy asked for; it is a saga of steps, each of
// which becomes one operation on one host. The task, its steps and the operation in flight are in
// the store before the world is touched.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "model/common.h"
#include "model/host.h"
#include "model/vm.h"

namespace chorok::model {

// Every argument a verb can take. Each verb allows some of them (model/verbs.h).
struct TaskArgs {
  std::string host;       // target: name or id; empty: chosen by Chorok
  std::string datastore;  // target of a storage migration: name or id
  bool hard = false;
  bool paused = false;
  bool start = false;
  bool cold = false;
  bool keep_disks = false;
  bool force = false;
  bool post_copy = false;
  bool plain = false;
  std::string name;    // of a snapshot
  std::string device;  // of a disk, NIC or CD-ROM
  Duration timeout{};  // 0: the default of the verb
  std::int64_t bandwidth_mib_s = 0;
  std::int32_t vcpus = 0;
  Mib memory{};
  std::optional<CpuAllocation> cpu;
  std::optional<MemoryAllocation> memory_allocation;
  std::optional<DiskSpec> disk;
  std::optional<NicSpec> nic;
  std::optional<CdromSpec> cdrom;
  std::string uuid;  // of a foreign guest to adopt
  static const Type& type();
};

enum class OpKind : std::uint8_t {
  kDefine,    // make missing disks, define
  kUndefine,  // forget the definition; delete disks unless kept
  kStart,
  kShutdown,  // ask the guest, wait until it is off
  kDestroy,
  kReboot,
  kSuspend,
  kResume,
  kSave,
  kMigrate,       // run by the source
  kPrepareDisks,  // on the target: empty disks for a migration with storage
  kRemoveDisks,   // delete disks that a migration left behind
  kMigrateStorage,
  kResize,
  kTune,
  kAttachDisk,
  kAttachNic,
  kChangeMedium,
  kDetach,
  kSnapshotCreate,
  kSnapshotRevert,
  kSnapshotDelete,
  kAdopt,
};

enum class OpPhase : std::uint8_t { kRequested, kRunning, kSucceeded, kFailed, kUnknown };

struct Progress {
  double percent = 0;
  std::string phase;
  Bytes transferred{};
  Bytes remaining{};
  double dirty_rate_mib_s = 0;
  double bandwidth_mib_s = 0;
  std::int64_t rounds = 0;
  Duration expected_downtime{};
  static const Type& type();
};

struct TaskResult {
  std::optional<MigrationStats> migration;
  std::vector<std::string> live;       // what a change did at once
  std::vector<std::string> next_boot;  // and what waits for the next boot
  std::optional<VmSpec> spec;          // of an adopted guest
  std::string message;
  static const Type& type();
};

struct TaskStep {
  OpKind kind = OpKind::kDefine;
  std::string host;           // id
  bool compensation = false;  // undoes what earlier steps did, after a failure or a cancel
  std::string operation;      // id, once requested
  OpPhase phase = OpPhase::kRequested;
  std::int32_t attempt = 0;
  Time retry_at{};  // not before this
  static const Type& type();
};

enum class TaskState : std::uint8_t { kQueued, kRunning, kSucceeded, kFailed, kCancelled };

struct Task {
  std::string id;
  std::string kind;  // "vm.migrate"
  std::string target_kind;
  std::string target;  // id
  std::string target_name;
  std::string user;
  std::string parent;
  TaskState state = TaskState::kQueued;
  double percent = 0;
  std::string message;
  std::string reason;  // why Chorok does it by itself
  bool cancel_requested = false;
  Time created{};
  Time started{};
  Time finished{};
  TaskArgs args;
  std::vector<TaskStep> steps;
  std::uint32_t step = 0;
  std::vector<DiskSpec> leftovers;  // where disks were before a migration moved them: to be deleted
  std::optional<Progress> progress;
  std::optional<Problem> error;
  TaskResult result;
  std::uint64_t revision = 0;
  static const Type& type();

  bool finished_state() const { return state > TaskState::kRunning; }
};

// What an agent needs to know of a VM to work on it.
struct VmTarget {
  std::string id;
  std::string uuid;
  std::string name;
  std::uint64_t generation = 0;
  VmSpec spec;
  static const Type& type();
};

// Where a migration goes.
struct MigrationTarget {
  std::string host;  // id
  std::string host_name;
  std::string address;
  MigrationSettings settings;
  std::vector<DiskSpec> copy_disks;  // disks to copy, as they are to be on the target
  static const Type& type();
};

struct OpArgs {
  VmTarget vm;
  TaskArgs args;
  std::optional<MigrationTarget> migration;
  static const Type& type();
};

// Long work on the world. The agent that is sent one keeps its id until the manager has its result.
struct Operation {
  std::string id;
  std::string task;
  std::string vm;
  std::string host;
  OpKind kind = OpKind::kDefine;
  std::uint64_t term = 0;  // of the leader that asked
  OpPhase phase = OpPhase::kRequested;
  OpArgs args;
  Time created{};
  Time finished{};  // when the manager heard of its end
  std::optional<Problem> error;
  TaskResult result;
  static const Type& type();
};

enum class Severity : std::uint8_t { kInfo, kWarning, kError };

// A fact that happened.
struct Event {
  std::string id;
  Time time{};
  Severity severity = Severity::kInfo;
  std::string kind;  // "vm.started"
  std::string subject_kind;
  std::string subject;  // id
  std::string subject_name;
  std::string message;
  std::string user;
  std::string task;
  static const Type& type();
};

// Who asked for what, and what the answer was. Append-only.
struct AuditEntry {
  std::string id;
  Time time{};
  std::string user;
  std::string token;
  std::string peer;  // address
  std::string method;
  std::string path;
  std::int32_t status = 0;
  std::string task;
  static const Type& type();
};

const Type& enum_type(const OpKind*);
const Type& enum_type(const OpPhase*);
const Type& enum_type(const TaskState*);
const Type& enum_type(const Severity*);

}  // namespace chorok::model
