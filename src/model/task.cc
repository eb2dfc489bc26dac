#include "model/task.h"

namespace chorok::model {

const Type& enum_type(const OpKind*) {
  static const Type kType = describe_enum<OpKind>("OpKind", "What an operation does on a host.",
                                                  {{0, "define", ""},
                                                   {1, "undefine", ""},
                                                   {2, "start", ""},
                                                   {3, "shutdown", ""},
                                                   {4, "destroy", ""},
                                                   {5, "reboot", ""},
                                                   {6, "suspend", ""},
                                                   {7, "resume", ""},
                                                   {8, "save", ""},
                                                   {9, "migrate", ""},
                                                   {10, "prepare_disks", ""},
                                                   {11, "remove_disks", ""},
                                                   {12, "migrate_storage", ""},
                                                   {13, "resize", ""},
                                                   {14, "tune", ""},
                                                   {15, "attach_disk", ""},
                                                   {16, "attach_nic", ""},
                                                   {17, "change_medium", ""},
                                                   {18, "detach", ""},
                                                   {19, "snapshot_create", ""},
                                                   {20, "snapshot_revert", ""},
                                                   {21, "snapshot_delete", ""},
                                                   {22, "adopt", ""}});
  return kType;
}
const Type& enum_type(const OpPhase*) {
  static const Type kType = describe_enum<OpPhase>(
      "OpPhase", "How far an operation is.",
      {{0, "requested", "in the store, perhaps sent"},
       {1, "running", "the agent has it"},
       {2, "succeeded", ""},
       {3, "failed", ""},
       {4, "unknown", "it was interrupted; the world is looked at, never tried blindly"}});
  return kType;
}
const Type& enum_type(const TaskState*) {
  static const Type kType = describe_enum<TaskState>("TaskState", "How far a task is.",
                                                     {{0, "queued", "waits for the one before it"},
                                                      {1, "running", ""},
                                                      {2, "succeeded", ""},
                                                      {3, "failed", ""},
                                                      {4, "cancelled", ""}});
  return kType;
}
const Type& enum_type(const Severity*) {
  static const Type kType = describe_enum<Severity>(
      "Severity", "How bad it is.", {{0, "info", ""}, {1, "warning", ""}, {2, "error", ""}});
  return kType;
}

const Type& TaskArgs::type() {
  static const Type kType =
      describe<TaskArgs>("TaskArgs", "Arguments of a task.")
          .field("host", &TaskArgs::host, "Target host, by name or id; empty: chosen by Chorok.",
                 {.max_length = 63, .pattern = Pattern::kName})
          .field("datastore", &TaskArgs::datastore, "Target datastore, by name or id.",
                 {.max_length = 63, .pattern = Pattern::kName})
          .field("hard", &TaskArgs::hard, "Do not ask the guest: pull the plug.")
          .field("paused", &TaskArgs::paused, "Start it paused.")
          .field("start", &TaskArgs::start, "Start it when it is made.")
          .field("cold", &TaskArgs::cold, "Move a VM that is off.")
          .field("keep_disks", &TaskArgs::keep_disks, "Leave its disks where they are.")
          .field("force", &TaskArgs::force, "Go on although a check speaks against it.")
          .field("post_copy", &TaskArgs::post_copy, "Allow post-copy this once.")
          .field("plain", &TaskArgs::plain,
                 "Do not encrypt the stream this once (trusted network).")
          .field("name", &TaskArgs::name, "Name of the snapshot.",
                 {.max_length = 63, .pattern = Pattern::kName})
          .field("device", &TaskArgs::device, "Name of the disk, NIC or CD-ROM.",
                 {.max_length = 20, .pattern = Pattern::kName})
          .field("timeout", &TaskArgs::timeout, "Give up after this time.",
                 {.min = 0, .max = 86400})
          .field("bandwidth_mib_s", &TaskArgs::bandwidth_mib_s,
                 "MiB/s at most; 0: the cluster's setting.", {.min = 0, .max = 1e6})
          .field("vcpus", &TaskArgs::vcpus, "Virtual CPUs; 0: as it is.", {.min = 0, .max = 768})
          .field("memory", &TaskArgs::memory, "Memory; 0: as it is.",
                 {.min = 0, .max = 24.0 * 1024 * 1024})
          .field("cpu", &TaskArgs::cpu, "Shares, reservation and limit of CPU.")
          .field("memory_allocation", &TaskArgs::memory_allocation,
                 "Shares, reservation and limit of memory.")
          .field("disk", &TaskArgs::disk, "The disk to attach.")
          .field("nic", &TaskArgs::nic, "The NIC to attach.")
          .field("cdrom", &TaskArgs::cdrom, "The drive and its new medium.")
          .field("uuid", &TaskArgs::uuid, "UUID of the guest to adopt.",
                 {.max_length = 36, .pattern = Pattern::kId});
  return kType;
}
const Type& Progress::type() {
  static const Type kType =
      describe<Progress>("Progress", "How far the running step is.")
          .field("percent", &Progress::percent, "0 to 100.")
          .field("phase", &Progress::phase, "What it is doing.")
          .field("transferred", &Progress::transferred, "")
          .field("remaining", &Progress::remaining, "")
          .field("dirty_rate_mib_s", &Progress::dirty_rate_mib_s, "MiB/s the guest writes.")
          .field("bandwidth_mib_s", &Progress::bandwidth_mib_s, "MiB/s that go over.")
          .field("rounds", &Progress::rounds, "Passes over memory.")
          .field("expected_downtime", &Progress::expected_downtime, "If it ended now.");
  return kType;
}
const Type& TaskResult::type() {
  static const Type kType =
      describe<TaskResult>("TaskResult", "What a task brought.")
          .field("migration", &TaskResult::migration, "How a migration went.")
          .field("live", &TaskResult::live, "Changed at once.")
          .field("next_boot", &TaskResult::next_boot, "Waits for the next boot.")
          .field("spec", &TaskResult::spec, "Of an adopted guest.")
          .field("message", &TaskResult::message, "", {.max_length = 4096});
  return kType;
}
const Type& TaskStep::type() {
  static const Type kType =
      describe<TaskStep>("TaskStep", "One operation on one host.")
          .field("kind", &TaskStep::kind, "")
          .field("host", &TaskStep::host, "")
          .field("compensation", &TaskStep::compensation, "Undoes earlier steps.")
          .field("operation", &TaskStep::operation, "Its id, once requested.")
          .field("phase", &TaskStep::phase, "")
          .field("attempt", &TaskStep::attempt, "")
          .field("retry_at", &TaskStep::retry_at, "Not before this.");
  return kType;
}
const Type& Task::type() {
  static const Type kType =
      describe<Task>("Task", "Work in progress.")
          .field("id", &Task::id, "")
          .field("kind", &Task::kind, "What was asked for.")
          .field("target_kind", &Task::target_kind, "")
          .field("target", &Task::target, "Id of what it works on.")
          .field("target_name", &Task::target_name, "")
          .field("user", &Task::user, "Who asked.")
          .field("parent", &Task::parent, "The task it is part of.")
          .field("state", &Task::state, "")
          .field("percent", &Task::percent, "0 to 100.")
          .field("message", &Task::message, "What it is doing, or what happened.",
                 {.max_length = 4096})
          .field("reason", &Task::reason, "Why Chorok does it, where nobody asked for it.",
                 {.max_length = 1024})
          .field("cancel_requested", &Task::cancel_requested, "")
          .field("created", &Task::created, "")
          .field("started", &Task::started, "")
          .field("finished", &Task::finished, "")
          .field("args", &Task::args, "")
          .field("steps", &Task::steps, "")
          .field("step", &Task::step, "The one in hand.")
          .field("leftovers", &Task::leftovers, "Disks that a migration left behind.")
          .field("progress", &Task::progress, "Of the step in hand.")
          .field("error", &Task::error, "Why it failed.")
          .field("result", &Task::result, "What it brought.")
          .field("revision", &Task::revision, "");
  return kType;
}
const Type& VmTarget::type() {
  static const Type kType =
      describe<VmTarget>("VmTarget", "A VM as an agent is told of it.")
          .field("id", &VmTarget::id, "", {.pattern = Pattern::kId})
          .field("uuid", &VmTarget::uuid, "", {.max_length = 36, .pattern = Pattern::kId})
          .field("name", &VmTarget::name, "", {.max_length = 63, .pattern = Pattern::kName})
          .field("generation", &VmTarget::generation, "")
          .field("spec", &VmTarget::spec, "");
  return kType;
}
const Type& MigrationTarget::type() {
  static const Type kType =
      describe<MigrationTarget>("MigrationTarget", "Where a migration goes.")
          .field("host", &MigrationTarget::host, "", {.pattern = Pattern::kId})
          .field("host_name", &MigrationTarget::host_name, "")
          .field("address", &MigrationTarget::address, "")
          .field("settings", &MigrationTarget::settings, "")
          .field("copy_disks", &MigrationTarget::copy_disks, "Disks to copy.");
  return kType;
}
const Type& OpArgs::type() {
  static const Type kType = describe<OpArgs>("OpArgs", "What an operation works on.")
                                .field("vm", &OpArgs::vm, "")
                                .field("args", &OpArgs::args, "")
                                .field("migration", &OpArgs::migration, "");
  return kType;
}
const Type& Operation::type() {
  static const Type kType = describe<Operation>("Operation", "Long work on the world.")
                                .field("id", &Operation::id, "", {.pattern = Pattern::kId})
                                .field("task", &Operation::task, "", {.pattern = Pattern::kId})
                                .field("vm", &Operation::vm, "", {.pattern = Pattern::kId})
                                .field("host", &Operation::host, "", {.pattern = Pattern::kId})
                                .field("kind", &Operation::kind, "")
                                .field("term", &Operation::term, "Of the leader that asked.")
                                .field("phase", &Operation::phase, "")
                                .field("args", &Operation::args, "")
                                .field("created", &Operation::created, "")
                                .field("finished", &Operation::finished, "")
                                .field("error", &Operation::error, "")
                                .field("result", &Operation::result, "");
  return kType;
}
const Type& Event::type() {
  static const Type kType = describe<Event>("Event", "A fact that happened.")
                                .field("id", &Event::id, "Ascending.")
                                .field("time", &Event::time, "")
                                .field("severity", &Event::severity, "")
                                .field("kind", &Event::kind, "")
                                .field("subject_kind", &Event::subject_kind, "")
                                .field("subject", &Event::subject, "")
                                .field("subject_name", &Event::subject_name, "")
                                .field("message", &Event::message, "", {.max_length = 4096})
                                .field("user", &Event::user, "")
                                .field("task", &Event::task, "");
  return kType;
}
const Type& AuditEntry::type() {
  static const Type kType =
      describe<AuditEntry>("AuditEntry", "Who asked for what.")
          .field("id", &AuditEntry::id, "")
          .field("time", &AuditEntry::time, "")
          .field("user", &AuditEntry::user, "")
          .field("token", &AuditEntry::token, "Id of the token that was used.")
          .field("peer", &AuditEntry::peer, "")
          .field("method", &AuditEntry::method, "")
          .field("path", &AuditEntry::path, "", {.max_length = 2048})
          .field("status", &AuditEntry::status, "")
          .field("task", &AuditEntry::task, "");
  return kType;
}

}  // namespace chorok::model
