// Whether an operation has happened, by what is seen of the VM and not by what was answered.
#include <algorithm>

#include "control/status.h"
#include "control/steps.h"
#include "control/vm_controller.h"

namespace chorok::control {

using model::OpKind;
using model::TaskStep;
using model::VmState;

namespace {

bool was_cleared(const VmView& view, const std::string& host) {
  return view.task != nullptr && std::ranges::any_of(view.task->steps, [&](const TaskStep& each) {
           return each.kind == OpKind::kUndefine && each.host == host;
         });
}

// The half that executes is the VM. A paused source says nothing by itself: it stands still during
// the switch-over, and after it, and when the guest was suspended all along.
std::optional<bool> migrated(const VmView& view, const model::Operation& operation,
                             const Sighting* here) {
  if (here != nullptr && here->instance->state == VmState::kOn) return false;
  const std::string& target = operation.args.migration->host;
  const bool source_dead = is_dead(view.world.host(operation.host));
  // The source lets go of it last.
  const bool left = here == nullptr && !source_dead;
  const Sighting* there = view.on(target);
  const bool primary = there != nullptr && there->instance->role == model::InstanceRole::kPrimary;
  const bool ran = primary && there->instance->state == VmState::kOn;
  if (is_dead(view.world.host(target))) return left || ran;
  if (!view.world.fresh(target)) return std::nullopt;
  if (ran) return true;
  if (!primary && !left) return false;
  // What the target told last may be from before: the guest is somewhere.
  if (!primary && arrival_left(view, operation)) return std::nullopt;
  if (here == nullptr) return true;
  const VmState state = there->instance->state;
  if (state != VmState::kOff && state != VmState::kCrashed) return false;
  // A definition comes to the target with the guest alone, so the guest has run there and what the
  // source keeps is old; unless it is what was cleared away there first.
  if (was_cleared(view, target) && arrival_left(view, operation)) return std::nullopt;
  return true;
}

// Of a switch-over that stopped half-way a person has to know; it counts as not happened.
bool storage_moved(const model::Instance& here, const model::Operation& operation,
                   const Lookup& world) {
  return std::ranges::all_of(
      operation.args.migration->copy_disks, [&](const model::DiskSpec& wanted) {
        const model::Datastore* to = world.datastore(wanted.datastore);
        auto disk = std::ranges::find(here.disks, wanted.name, &model::DiskInfo::name);
        return to != nullptr && disk != here.disks.end() && disk->path.starts_with(to->path + "/");
      });
}

}  // namespace

std::optional<bool> happened(const VmView& view, const model::Operation& operation) {
  const bool dead = is_dead(view.world.host(operation.host));
  if (!dead && !view.world.fresh(operation.host)) return std::nullopt;
  const Sighting* here = dead ? nullptr : view.on(operation.host);
  VmState state = here != nullptr ? here->instance->state : VmState::kOff;
  switch (operation.kind) {
    case OpKind::kDefine:
      return here != nullptr && here->instance->generation >= operation.args.vm.generation;
    case OpKind::kStart:
      return state == VmState::kOn || state == VmState::kPaused;
    case OpKind::kShutdown:
    case OpKind::kDestroy:
      return !is_running(state);
    case OpKind::kSuspend:
      return state == VmState::kPaused;
    case OpKind::kResume:
      return state == VmState::kOn;
    case OpKind::kSave:
      return state == VmState::kSaved;
    case OpKind::kMigrate:
      return migrated(view, operation, here);
    case OpKind::kMigrateStorage:
      return here != nullptr && storage_moved(*here->instance, operation, view.world);
    case OpKind::kSnapshotCreate:
      return here != nullptr &&
             std::ranges::any_of(here->instance->snapshots, [&](const model::SnapshotInfo& s) {
               return s.name == operation.args.args.name;
             });
    case OpKind::kAdopt:
      return false;
    default:
      return false;
  }
}

std::optional<Duration> arrival_left(const VmView& view, const model::Operation& operation) {
  const Duration left = kArrivalPatience - (view.now - operation.finished);
  if (operation.kind != OpKind::kMigrate || left <= Duration{}) return std::nullopt;
  return left;
}

}  // namespace chorok::control
