#include "control/steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "control/compatibility.h"
#include "control/status.h"
#include "control/vm_controller.h"

namespace chorok::control {
namespace {

using model::OpKind;
using model::TaskStep;
using model::VmState;

constexpr std::array kTraits = {
    OpTraits{OpKind::kDefine, true, true, "preparing disks and definition"},
    OpTraits{OpKind::kUndefine, true, false, "removing"},
    OpTraits{OpKind::kStart, true, false, "starting"},
    OpTraits{OpKind::kShutdown, true, true, "asking the guest to shut down"},
    OpTraits{OpKind::kDestroy, true, false, "stopping"},
    OpTraits{OpKind::kReboot, false, false, "rebooting"},
    OpTraits{OpKind::kSuspend, true, false, "suspending"},
    OpTraits{OpKind::kResume, true, false, "resuming"},
    OpTraits{OpKind::kSave, true, false, "saving memory to disk"},
    OpTraits{OpKind::kMigrate, false, true, "migrating"},
    OpTraits{OpKind::kPrepareDisks, true, true, "preparing disks on the target"},
    OpTraits{OpKind::kRemoveDisks, true, false, "removing disks that were left behind"},
    OpTraits{OpKind::kMigrateStorage, false, true, "moving disks"},
    OpTraits{OpKind::kResize, true, false, "resizing"},
    OpTraits{OpKind::kTune, true, false, "setting shares and limits"},
    OpTraits{OpKind::kAttachDisk, true, false, "attaching a disk"},
    OpTraits{OpKind::kAttachNic, true, false, "attaching a NIC"},
    OpTraits{OpKind::kChangeMedium, true, false, "changing a medium"},
    OpTraits{OpKind::kDetach, true, false, "detaching a device"},
    OpTraits{OpKind::kSnapshotCreate, true, false, "taking a snapshot"},
    OpTraits{OpKind::kSnapshotRevert, true, false, "going back to a snapshot"},
    OpTraits{OpKind::kSnapshotDelete, true, false, "deleting a snapshot"},
    OpTraits{OpKind::kAdopt, true, false, "adopting"},
};

TaskStep step(OpKind kind, std::string host) {
  TaskStep out;
  out.kind = kind;
  out.host = std::move(host);
  return out;
}

// Tasks that are one operation on the VM's host.
struct Simple {
  std::string_view verb;
  OpKind kind;
};
constexpr std::array kSimple = {
    Simple{"vm.suspend", OpKind::kSuspend},
    Simple{"vm.resume", OpKind::kResume},
    Simple{"vm.save", OpKind::kSave},
    Simple{"vm.reboot", OpKind::kReboot},
    Simple{"vm.resize", OpKind::kResize},
    Simple{"vm.tune", OpKind::kTune},
    Simple{"vm.attach-disk", OpKind::kAttachDisk},
    Simple{"vm.attach-nic", OpKind::kAttachNic},
    Simple{"vm.medium", OpKind::kChangeMedium},
    Simple{"vm.detach", OpKind::kDetach},
    Simple{"vm.snapshot", OpKind::kSnapshotCreate},
    Simple{"vm.revert", OpKind::kSnapshotRevert},
    Simple{"vm.snapshot-delete", OpKind::kSnapshotDelete},
    Simple{"vm.adopt", OpKind::kAdopt},
};

using Steps = std::vector<TaskStep>;

Unexpected no_host(const std::vector<std::string>& rejected) {
  std::string reasons =
      rejected.empty() ? "there is no host" : fmt::format("{}", fmt::join(rejected, "; "));
  return fail(Code::kFailedPrecondition, "no host can run it: " + reasons);
}

// Where the VM is to run: the host asked for, the one it belongs to, or one that is chosen.
Result<std::string> target_host(const VmView& view, Purpose purpose) {
  const model::Vm& vm = view.vm;
  const std::string& asked = view.task->args.host;
  if (!asked.empty()) {
    const model::Host* host = view.world.host(asked);
    if (host == nullptr)
      return fail(Code::kNotFound, fmt::format("there is no host '{}'", asked), "/host");
    return host->meta.id;
  }
  if (!vm.host.empty() && purpose != Purpose::kLiveMigrate && purpose != Purpose::kColdMigrate)
    return vm.host;
  std::vector<std::string> rejected;
  const model::Host* chosen = choose_host(vm, purpose, view.world, &rejected);
  if (chosen == nullptr) return no_host(rejected);
  return chosen->meta.id;
}

Unexpected not_allowed(const model::Host& host, const std::vector<std::string>& reasons) {
  return fail(Code::kFailedPrecondition,
              fmt::format("'{}' cannot run it: {}", host.meta.name, fmt::join(reasons, "; ")),
              "/host");
}

Result<Steps> plan_create(const VmView& view) {
  std::string host = TRY(target_host(view, Purpose::kPlace));
  Steps steps{step(OpKind::kDefine, host)};
  if (view.task->args.start) steps.push_back(step(OpKind::kStart, host));
  return steps;
}

// Where an old copy is left nothing of the VM can begin: it goes first.
Steps clear_stale(const VmView& view, const std::string& host) {
  const Sighting* there = view.on(host);
  if (there == nullptr || !is_stale(view.vm, *there)) return {};
  Steps steps;
  if (is_running(there->instance->state)) steps.push_back(step(OpKind::kDestroy, host));
  steps.push_back(step(OpKind::kUndefine, host));
  return steps;
}

// Where a running VM goes nothing of it is left: a definition there is from then on the sign that
// the guest has come (see `happened`). Saved memory may be wanted.
Steps clear_target(const VmView& view, const std::string& target) {
  Steps steps = clear_stale(view, target);
  const Sighting* there = view.on(target);
  const bool off = there != nullptr && (there->instance->state == VmState::kOff ||
                                        there->instance->state == VmState::kCrashed);
  if (steps.empty() && off) steps.push_back(step(OpKind::kUndefine, target));
  return steps;
}

// A host that does not answer and may run it, other than the one where it is to start.
const model::Host* may_run_on(const VmView& view, const std::string& start) {
  auto perhaps = [&](const std::string& id) {
    const model::Host* host = view.world.host(id);
    return id == start || is_dead(host) ? nullptr : host;
  };
  if (view.vm.status.state == VmState::kUnknown)
    if (const model::Host* home = perhaps(view.vm.host)) return home;
  for (const Sighting& s : view.sightings)
    if (!s.fresh && is_running(s.instance->state) && !is_stale(view.vm, s))
      if (const model::Host* there = perhaps(s.host)) return there;
  return nullptr;
}

Unexpected stays_home(const model::Vm& vm, const model::Host& home, std::string_view kept) {
  const std::string_view how = vm.status.state == VmState::kSaved
                                   ? "start it there, then migrate it"
                                   : "start it there, or migrate it first";
  return fail(Code::kFailedPrecondition,
              fmt::format("{} is on '{}' alone: {}", kept, home.meta.name, how), "/host");
}

Result<Steps> plan_start(const VmView& view) {
  std::string host = TRY(target_host(view, Purpose::kStart));
  const model::Host* record = view.world.host(host);
  if (record == nullptr)
    return fail(Code::kNotFound, "the host it belongs to is gone: name one with --host", "/host");
  VmState state = view.vm.status.state;
  const model::Host* home = view.world.host(view.vm.host);
  if (host != view.vm.host && is_running(state))
    return fail(Code::kFailedPrecondition, "it runs on another host; migrate it", "/host");
  if (const model::Host* where = may_run_on(view, host); where != nullptr)
    return fail(Code::kFailedPrecondition,
                fmt::format("it may run on '{}' still, which does not answer: it starts elsewhere "
                            "when its BMC says that it is off",
                            where->meta.name),
                "/host");
  if (!is_running(state)) {
    auto reasons = incompatibilities(view.vm, *record, Purpose::kStart, {}, view.world);
    if (!reasons.empty()) return not_allowed(*record, reasons);
  }
  if (state == VmState::kPaused && host == view.vm.host) return Steps{step(OpKind::kResume, host)};
  Steps steps = clear_stale(view, host);
  const Sighting* there = view.on(host);
  bool moves = !view.vm.host.empty() && host != view.vm.host && view.vm.defined;
  // Of a host that has failed, or is gone, nothing can be had any more.
  const bool can_be_had = moves && home != nullptr && !is_dead(home);
  const std::string_view kept = can_be_had ? kept_at_home(view.vm) : "";
  if (!kept.empty()) return stays_home(view.vm, *home, kept);
  bool current = steps.empty() && there != nullptr && there->fresh &&
                 there->instance->generation == view.vm.generation;
  if (!current && state != VmState::kSaved) steps.push_back(step(OpKind::kDefine, host));
  steps.push_back(step(OpKind::kStart, host));
  // What a host that does not answer keeps is tidied when it is back.
  if (moves && home != nullptr && view.world.fresh(home->meta.id))
    steps.push_back(step(OpKind::kUndefine, view.vm.host));
  return steps;
}

Result<Steps> plan_delete(const VmView& view) {
  // Everywhere it was seen: what a broken move left behind goes with it. It is stopped everywhere
  // before the first definition goes, since shared disks go with any of them; its own goes last.
  Steps steps;
  Steps undefines;
  auto clear = [&](const std::string& host, bool runs) {
    if (runs) steps.push_back(step(OpKind::kDestroy, host));
    undefines.push_back(step(OpKind::kUndefine, host));
  };
  bool runs_somewhere = is_running(view.vm.status.state);
  for (const Sighting& s : view.sightings) {
    bool runs = is_running(s.instance->state);
    runs_somewhere = runs_somewhere || runs;
    if (s.host != view.vm.host) clear(s.host, runs);
  }
  if (runs_somewhere && !view.task->args.force && !view.task->args.hard)
    return fail(Code::kFailedPrecondition, "it is running; stop it first, or delete it with force");
  // It may run where nobody sees it: while that host is silent no copy takes its disks away.
  const bool perhaps = view.vm.status.state == VmState::kUnknown && !undefines.empty() &&
                       !is_dead(view.world.host(view.vm.host));
  if (view.vm.defined || view.on(view.vm.host) != nullptr)
    clear(view.vm.host, runs_somewhere || perhaps);
  steps.insert(steps.end(), undefines.begin(), undefines.end());
  return steps;
}

// What a broken move left on another host: a definition, or the paused half of a guest that runs
// here.
Result<Steps> plan_tidy(const VmView& view) {
  const std::string& host = view.task->args.host;
  const Sighting* left = view.on(host);
  Steps steps;
  if (left != nullptr && is_running(left->instance->state)) {
    const Sighting* home = view.on(view.vm.host);
    bool half = home != nullptr && home->fresh && home->instance->state == VmState::kOn &&
                host != view.vm.host && left->instance->state == VmState::kPaused;
    bool safe = half || is_stale(view.vm, *left);
    if (!safe)
      return fail(Code::kFailedPrecondition, "it is not certain any more which half is the VM");
    steps.push_back(step(OpKind::kDestroy, host));
  }
  steps.push_back(step(OpKind::kUndefine, host));
  return steps;
}

// A VM that is off and has something on its host alone is moved by letting QEMU hold it paused: it
// runs no instruction, its disks go over the same encrypted mirror as those of a running one, and
// with it goes what no definition says (`kept_at_home`), which would be deleted with the old one.
bool moves_held(const VmView& view, bool copies) {
  return copies || !kept_at_home(view.vm).empty();
}

Steps plan_cold_move(const VmView& view, const std::string& target, bool copies) {
  const std::string& source = view.vm.host;
  if (!moves_held(view, copies))
    return Steps{step(OpKind::kDefine, target), step(OpKind::kUndefine, source)};
  if (!copies)
    return Steps{step(OpKind::kStart, source), step(OpKind::kMigrate, source),
                 step(OpKind::kDestroy, target)};
  return Steps{step(OpKind::kStart, source), step(OpKind::kPrepareDisks, target),
               step(OpKind::kMigrate, source), step(OpKind::kRemoveDisks, source),
               step(OpKind::kDestroy, target)};
}

Steps plan_live_move(const VmView& view, const std::string& target, bool copies) {
  const std::string& source = view.vm.host;
  if (!copies) return Steps{step(OpKind::kMigrate, source)};
  return Steps{step(OpKind::kPrepareDisks, target), step(OpKind::kMigrate, source),
               step(OpKind::kRemoveDisks, source)};
}

Result<Steps> plan_storage_move(const VmView& view) {
  const model::Datastore* datastore = view.world.datastore(view.task->args.datastore);
  if (datastore == nullptr)
    return fail(Code::kNotFound,
                fmt::format("there is no datastore '{}'", view.task->args.datastore), "/datastore");
  return Steps{step(OpKind::kMigrateStorage, view.vm.host),
               step(OpKind::kRemoveDisks, view.vm.host)};
}

Result<Steps> plan_migrate(const VmView& view) {
  const model::TaskArgs& args = view.task->args;
  bool running = is_running(view.vm.status.state);
  if (view.vm.status.state == VmState::kUnknown)
    return fail(Code::kFailedPrecondition,
                "its host cannot be reached; nothing is known of it now");
  if (view.vm.status.state == VmState::kSaved)
    return fail(Code::kFailedPrecondition, "its memory is saved on its host; start it first");
  if (args.cold && running)
    return fail(Code::kFailedPrecondition, "it is running; stop it first, or leave out cold",
                "/cold");
  if (args.host.empty() && !args.datastore.empty()) return plan_storage_move(view);
  Purpose purpose = running ? Purpose::kLiveMigrate : Purpose::kColdMigrate;
  std::string target = TRY(target_host(view, purpose));
  if (target == view.vm.host) {
    if (!args.datastore.empty()) return plan_storage_move(view);
    return fail(Code::kFailedPrecondition, "it is on that host already", "/host");
  }
  const model::Host* host = view.world.host(target);
  auto reasons = incompatibilities(view.vm, *host, purpose, args.datastore, view.world);
  if (!reasons.empty() && !args.force) return not_allowed(*host, reasons);
  auto copies = TRY(disks_to_copy(view.vm, *host, args.datastore, view.world));
  const bool live = running || moves_held(view, !copies.empty());
  Steps steps = live ? clear_target(view, target) : clear_stale(view, target);
  std::ranges::move(running ? plan_live_move(view, target, !copies.empty())
                            : plan_cold_move(view, target, !copies.empty()),
                    std::back_inserter(steps));
  return steps;
}

Result<Steps> plan_stop(const VmView& view) {
  // It runs nowhere, and is only not to start again.
  const bool is_off = view.vm.status.state == VmState::kOff &&
                      (view.vm.status.owed || view.vm.power == model::VmPower::kOff);
  if (is_off || is_dead(view.world.host(view.vm.host))) return Steps{};
  bool hard = view.task->args.hard || view.vm.status.state == VmState::kPaused;
  return Steps{step(hard ? OpKind::kDestroy : OpKind::kShutdown, view.vm.host)};
}

}  // namespace

const OpTraits& traits(OpKind kind) {
  return kTraits.at(static_cast<std::size_t>(kind));
}

bool is_running(VmState state) {
  return state == VmState::kOn || state == VmState::kPaused || state == VmState::kStarting ||
         state == VmState::kStopping;
}

Result<Steps> plan_steps(const VmView& view) {
  const std::string& kind = view.task->kind;
  if (kind == "vm.create") return plan_create(view);
  if (kind == "vm.start") return plan_start(view);
  if (kind == "vm.stop") return plan_stop(view);
  if (kind == "vm.migrate") return plan_migrate(view);
  if (kind == "vm.delete") return plan_delete(view);
  if (kind == "vm.tidy") return plan_tidy(view);
  for (const Simple& simple : kSimple) {
    if (simple.verb != kind) continue;
    if (view.vm.host.empty())
      return fail(Code::kFailedPrecondition, "it has no host yet; start it, or migrate it to one");
    return Steps{step(simple.kind, view.vm.host)};
  }
  return fail(Code::kInternal, fmt::format("no plan for a task of kind '{}'", kind));
}

std::string move_target(const VmView& view, const Steps& steps) {
  for (const TaskStep& each : steps)
    if (each.kind == OpKind::kPrepareDisks) return each.host;
  for (const TaskStep& each : steps)
    if (each.kind == OpKind::kMigrate)
      return target_host(view, Purpose::kLiveMigrate).value_or(std::string());
  return {};
}

Steps plan_compensation(const model::Task& task, const VmView& view) {
  const model::Vm& vm = view.vm;
  Steps undo;
  auto reached = [&](OpKind kind) -> const TaskStep* {
    for (std::uint32_t i = 0; i <= task.step && i < task.steps.size(); ++i)
      if (task.steps[i].kind == kind && !task.steps[i].operation.empty()) return &task.steps[i];
    return nullptr;
  };
  auto succeeded = [&](OpKind kind) {
    const TaskStep* found = reached(kind);
    return found != nullptr && found->phase == model::OpPhase::kSucceeded;
  };
  auto push = [&](OpKind kind, const std::string& host) {
    undo.push_back(step(kind, host));
    undo.back().compensation = true;
  };
  if (task.kind == "vm.create" && !vm.defined)
    if (const TaskStep* define = reached(OpKind::kDefine)) push(OpKind::kUndefine, define->host);
  if (task.kind != "vm.migrate") return undo;
  if (const TaskStep* prepared = reached(OpKind::kPrepareDisks);
      prepared != nullptr && !succeeded(OpKind::kMigrate))
    push(OpKind::kRemoveDisks, prepared->host);
  // It stood still for a switch-over that did not come.
  const Sighting* source = view.on(vm.host);
  bool stands = source != nullptr && source->instance->state == VmState::kPaused &&
                vm.status.state == VmState::kOn;
  if (reached(OpKind::kMigrate) != nullptr && !succeeded(OpKind::kMigrate) && stands)
    push(OpKind::kResume, vm.host);
  // Cold moves hold the VM paused; whatever happened, it ends off, as it was.
  if (const TaskStep* held = reached(OpKind::kStart))
    push(OpKind::kDestroy, vm.host.empty() ? held->host : vm.host);
  if (const TaskStep* define = reached(OpKind::kDefine);
      define != nullptr && define->host != vm.host)
    push(OpKind::kUndefine, define->host);
  return undo;
}

Result<std::vector<model::DiskSpec>> disks_to_copy(const model::Vm& vm, const model::Host& target,
                                                   std::string_view datastore,
                                                   const Lookup& world) {
  std::vector<model::DiskSpec> copies;
  const model::Datastore* wanted = datastore.empty() ? nullptr : world.datastore(datastore);
  if (!datastore.empty() && wanted == nullptr)
    return fail(Code::kNotFound, fmt::format("there is no datastore '{}'", datastore),
                "/datastore");
  for (const model::DiskSpec& disk : vm.spec.disks) {
    const model::Datastore* home = world.datastore(disk.datastore);
    if (home == nullptr)
      return fail(Code::kFailedPrecondition,
                  fmt::format("disk '{}' is on an unknown datastore", disk.name));
    bool stays = home->shared && (wanted == nullptr || wanted == home);
    if (stays) continue;
    const model::Datastore* to = wanted != nullptr ? wanted : home;
    bool reached = std::ranges::any_of(target.datastores, [&](const model::DatastoreReach& reach) {
      return reach.datastore == to->meta.id && reach.reachable;
    });
    if (!reached)
      return fail(
          Code::kFailedPrecondition,
          fmt::format(
              "'{}' does not reach datastore '{}' for disk '{}'; name another with --datastore",
              target.meta.name, to->meta.name, disk.name),
          "/datastore");
    model::DiskSpec copy = disk;
    copy.datastore = to->meta.id;
    if (to != home) copy.path.clear();
    copies.push_back(std::move(copy));
  }
  return copies;
}

namespace {

Result<model::MigrationTarget> migration_target(const VmView& view, const std::string& host_id) {
  const model::TaskArgs& args = view.task->args;
  const model::Host* host = view.world.host(host_id);
  if (host == nullptr) return fail(Code::kNotFound, "the target host is gone");
  model::MigrationTarget target;
  target.host = host->meta.id;
  target.host_name = host->meta.name;
  target.address = host->address;
  target.settings = view.world.cluster_of(view.vm.host).migration;
  if (args.bandwidth_mib_s > 0) target.settings.bandwidth_mib_s = args.bandwidth_mib_s;
  if (args.post_copy) target.settings.post_copy = true;
  if (args.plain) target.settings.tls = false;
  if (args.timeout > Duration{}) target.settings.timeout = args.timeout;
  target.copy_disks = TRY(disks_to_copy(view.vm, *host, args.datastore, view.world));
  return target;
}

// The host that a migrating task goes to: that of its prepare step, or its argument.
Result<std::string> migration_host(const VmView& view) {
  for (const TaskStep& s : view.task->steps)
    if (s.kind == OpKind::kPrepareDisks) return s.host;
  return target_host(view, Purpose::kLiveMigrate);
}

std::vector<model::DiskSpec> disks_on(const model::Vm& vm, const model::Datastore& datastore) {
  std::vector<model::DiskSpec> moved;
  for (model::DiskSpec disk : vm.spec.disks) {
    if (disk.datastore == datastore.meta.id || disk.datastore == datastore.meta.name) continue;
    disk.datastore = datastore.meta.id;
    disk.path.clear();
    moved.push_back(std::move(disk));
  }
  return moved;
}

// A VM that is off, which QEMU holds paused while it moves.
bool is_held(const model::Task& task) {
  return std::ranges::any_of(task.steps,
                             [](const TaskStep& each) { return each.kind == OpKind::kStart; });
}

// What was held for a move is the VM, come whole: where it is then, also if what follows is undone.
// What a move destroys elsewhere is an old half.
bool ends_held_move(const VmView& view, const TaskStep& s) {
  const model::Task& task = *view.task;
  const bool has_come = std::ranges::any_of(task.steps, [](const TaskStep& each) {
    return each.kind == OpKind::kMigrate && each.phase == model::OpPhase::kSucceeded;
  });
  const Sighting* there = view.on(s.host);
  const bool is_old = there != nullptr && is_stale(view.vm, *there);
  return task.kind == "vm.migrate" && is_held(task) && has_come && s.host == view.vm.host &&
         !is_old;
}

}  // namespace

Result<model::Operation> make_operation(const VmView& view, const TaskStep& s) {
  model::Operation operation;
  operation.task = view.task->id;
  operation.vm = view.vm.meta.id;
  operation.host = s.host;
  operation.kind = s.kind;
  operation.created = view.now;
  operation.args.vm = {view.vm.meta.id, view.vm.uuid, view.vm.domain, view.vm.generation,
                       view.vm.spec};
  operation.args.args = view.task->args;
  bool migrating = view.task->kind == "vm.migrate";
  switch (s.kind) {
    case OpKind::kStart:
      operation.args.args.paused = migrating || view.task->args.paused;
      break;
    case OpKind::kDestroy:
      operation.args.args.paused = ends_held_move(view, s);
      break;
    case OpKind::kUndefine:
      // Moved elsewhere: the disks are the VM's still.
      operation.args.args.keep_disks = migrating || view.task->kind == "vm.start" ||
                                       view.task->kind == "vm.tidy" || view.task->args.keep_disks;
      break;
    case OpKind::kMigrate:
      operation.args.args.cold |= is_held(*view.task);
      [[fallthrough]];
    case OpKind::kPrepareDisks:
      operation.args.migration = TRY(migration_target(view, TRY(migration_host(view))));
      break;
    case OpKind::kMigrateStorage: {
      model::MigrationTarget target;
      target.host = s.host;
      target.settings = view.world.cluster_of(view.vm.host).migration;
      if (const model::Datastore* to = view.world.datastore(view.task->args.datastore))
        target.copy_disks = disks_on(view.vm, *to);
      operation.args.migration = std::move(target);
      break;
    }
    case OpKind::kRemoveDisks: {
      // What is to go: after a move the old places, after a failure the new ones.
      model::MigrationTarget leftovers;
      leftovers.host = s.host;
      if (s.compensation) {
        auto target = migration_target(view, s.host);
        if (target) leftovers.copy_disks = target->copy_disks;
      } else {
        leftovers.copy_disks = view.task->leftovers;
      }
      operation.args.migration = std::move(leftovers);
      break;
    }
    default:
      break;
  }
  return operation;
}

}  // namespace chorok::control
