#include "control/vm_controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/reflect.h"
#include "control/compatibility.h"
#include "control/status.h"
#include "control/steps.h"

namespace chorok::control {
namespace {

using model::Operation;
using model::OpPhase;
using model::Task;
using model::TaskState;
using model::TaskStep;

// One reconciliation: reads the view, works on copies, says what changed.
class Pass {
 public:
  explicit Pass(const VmView& view) : view_(view), vm_(view.vm) {
    if (view.task != nullptr) task_ = *view.task;
  }

  Outcome run() {
    if (task_) work_on_task();
    if (!out_.erase_vm) settle_vm();
    if (task_ && view_.task != nullptr && !equal(*task_, *view_.task)) out_.task = task_;
    return std::move(out_);
  }

 private:
  // ---- the task
  // --------------------------------------------------------------------------------------------------

  void work_on_task() {
    if (task_->finished_state()) return;
    if (task_->state == TaskState::kQueued && !begin()) return;
    if (task_->step >= task_->steps.size()) {
      conclude();
      return;
    }
    const TaskStep& step = task_->steps[task_->step];
    if (step.operation.empty()) {
      request(step);
    } else if (view_.operation != nullptr && view_.operation->id == step.operation) {
      follow(*view_.operation);
    } else {
      // The record of the operation is gone although its step is not done: look, as for an
      // interrupted one.
      request(step);
    }
  }

  // Makes the plan. False when there is nothing to go on with now.
  bool begin() {
    if (task_->cancel_requested) {
      finish(TaskState::kCancelled, "cancelled before it began");
      if (task_->kind == "vm.create" && !vm_.defined) erase_vm();
      return false;
    }
    if (waits_for_first_report(vm_.host) || waits_for_first_report(task_->args.host)) return false;
    if (is_to_be_placed(vm_, *task_) && !find_place()) return false;
    auto steps =
        plan_steps(VmView{view_.now, vm_, &*task_, view_.operation, view_.sightings, view_.world});
    if (!steps) {
      fail_begin(steps.error());
      return false;
    }
    task_->state = TaskState::kRunning;
    task_->started = view_.now;
    // Its memory counts from now on. One that leaves a host that does not answer counts by its task
    // until it runs: were it wanted on there, nobody could say that it is off.
    task_->steps = std::move(*steps);
    const std::string_view starts_on = start_target(*task_);
    const bool stays = starts_on == vm_.host || vm_.host.empty() || starts_on.empty();
    if (task_->kind == "vm.start" && (stays || view_.world.fresh(vm_.host)))
      vm_.power = model::VmPower::kOn;
    if (task_->kind == "vm.stop" && task_->steps.empty()) vm_.power = model::VmPower::kOff;
    if (task_->kind == "vm.create" && vm_.host.empty() && !task_->steps.empty())
      vm_.host = task_->steps[0].host;
    if (task_->args.host.empty()) task_->args.host = move_target(view_, task_->steps);
    return true;
  }

  void fail_begin(const Error& error) {
    fail_task(error);
    if (task_->kind == "vm.create") erase_vm();
  }

  // Names the host where it is to start, or waits for one, as long as its cluster brings one about.
  bool find_place() {
    Placed found = view_.world.place(vm_);
    if (found.host != nullptr) {
      task_->args.host = found.host->meta.id;
      if (task_->reason.empty()) task_->reason = std::move(found.text);
      return true;
    }
    const bool waited = task_->started != Time{};
    if (!found.later && !waited) {
      fail_begin({Code::kFailedPrecondition, found.text, "/host"});
      return false;
    }
    if (!waited) task_->started = view_.now;
    const Duration left = task_->started + kHostPatience - view_.now;
    if (left <= Duration{}) {
      fail_begin(
          {Code::kTimeout,
           fmt::format("no host came for it in {} min: {}",
                       std::chrono::duration_cast<std::chrono::minutes>(kHostPatience).count(),
                       found.text),
           "/host"});
      return false;
    }
    task_->message = waiting_text(found);
    out_.wake = std::min(left, kLookForHost);
    return false;
  }

  static std::string waiting_text(const Placed& found) {
    if (!found.later) return "waits for a host: " + found.text;
    if (found.waits_for == nullptr) return "waits until there is room: " + found.text;
    const bool comes = found.waits_for->power == model::HostPower::kWaking;
    return fmt::format("waits for '{}', which is {} switched on", found.waits_for->meta.name,
                       comes ? "being" : "about to be");
  }

  bool waits_for_first_report(const std::string& ref) {
    const model::Host* host = ref.empty() ? nullptr : view_.world.host(ref);
    if (host == nullptr || !is_unknown_yet(*host, view_.world)) return false;
    Duration left = host->link_since + kFirstReportPatience - view_.now;
    if (left <= Duration{}) return false;
    task_->message = fmt::format("waits for host '{}' to say what it has; it has just connected",
                                 host->meta.name);
    out_.wake = std::min<Duration>(left, std::chrono::seconds(1));
    return true;
  }

  void request(const TaskStep& step) {
    if (task_->cancel_requested && !step.compensation) {
      undo(Error{Code::kCancelled, "cancelled", {}});
      return;
    }
    const model::Host* host = view_.world.host(step.host);
    if (host == nullptr) {
      step_failed(
          Error{Code::kNotFound, "the host of this step is no longer in the inventory", {}});
      return;
    }
    const bool tidies = task_->kind == "vm.start" && step.kind == model::OpKind::kUndefine &&
                        !step.compensation && task_->step + 1 == task_->steps.size();
    const bool is_gone = tidies && host->link != model::HostLink::kConnected;
    if (is_dead(host) || is_gone) return skip_dead(step, *host);
    if (step.compensation && step.kind == model::OpKind::kResume && !may_resume(step)) return;
    if (clear_half_first(step)) return;
    if (step.retry_at > view_.now) {
      out_.wake = step.retry_at - view_.now;
      return;
    }
    if (limited(step)) {
      task_->message = fmt::format("waits: '{}' or its target has as many migrations as it may",
                                   host->meta.name);
      out_.wake = std::chrono::seconds(1);
      return;
    }
    auto operation = make_operation(view_, step);
    if (!operation) {
      step_failed(operation.error());
      return;
    }
    if (step.kind == model::OpKind::kStart && task_->kind == "vm.start" && !step.compensation) {
      // From now on it may run there, whoever falls silent.
      vm_.host = step.host;
      vm_.power = model::VmPower::kOn;
    }
    ++task_->steps[task_->step].attempt;
    task_->message = fmt::format("{} on '{}'", traits(step.kind).doing, host->meta.name);
    out_.request = std::move(*operation);
  }

  // A definition that is to go from there is tidied when the host is back; nothing else can be.
  void skip_dead(const TaskStep& step, const model::Host& host) {
    const bool moves = task_->kind == "vm.start" || task_->kind == "vm.migrate";
    if (step.kind != model::OpKind::kUndefine || step.compensation || !moves) {
      step_failed(host_failed(host));
      return;
    }
    task_->steps[task_->step].phase = OpPhase::kSucceeded;
    ++task_->step;
    next();
  }

  static Error host_failed(const model::Host& host) {
    return {Code::kUnavailable,
            fmt::format("host '{}' has failed: nothing runs there", host.meta.name),
            {}};
  }

  // The source of a migration that failed goes on only when the target is seen to hold nothing of
  // it: a half that has arrived may be let go there at any moment, and then it would run twice.
  bool may_resume(const TaskStep& step) {
    const model::Host* target = view_.world.host(task_->args.host);
    for (const TaskStep& each : task_->steps)
      if (each.kind == model::OpKind::kPrepareDisks) target = view_.world.host(each.host);
    if (target != nullptr && !view_.world.fresh(target->meta.id)) {
      task_->message = fmt::format(
          "the migration failed; waits to see that '{}' does not run it before it goes on",
          target->meta.name);
      return false;
    }
    for (const Sighting& s : view_.sightings) {
      if (s.host == step.host || !is_running(s.instance->state)) continue;
      const model::Host* holder = view_.world.host(s.host);
      step_failed(Error{Code::kFailedPrecondition,
                        fmt::format("'{}' holds it too; it is not certain which half is whole",
                                    holder != nullptr ? holder->meta.name : s.host),
                        {}});
      return false;
    }
    return true;
  }

  // Files are not taken from under a half that a broken migration has left: that goes before them.
  bool clear_half_first(const TaskStep& step) {
    if (step.kind != model::OpKind::kRemoveDisks || step.host == vm_.host) return false;
    const Sighting* half = view_.on(step.host);
    if (half == nullptr || !half->fresh || !is_stale(vm_, *half)) return false;
    const auto at = task_->steps.begin() + task_->step;
    if (std::any_of(task_->steps.begin(), at, [&](const TaskStep& before) {
          return before.kind == model::OpKind::kUndefine && before.host == step.host;
        }))
      return false;  // it was tried
    std::vector<TaskStep> first(2);
    first[0].kind = model::OpKind::kDestroy;
    first[1].kind = model::OpKind::kUndefine;
    for (TaskStep& each : first) {
      each.host = step.host;
      each.compensation = step.compensation;
    }
    task_->steps.insert(at, first.begin(), first.end());
    next();
    return true;
  }

  bool limited(const TaskStep& step) const {
    if (step.kind != model::OpKind::kMigrate) return false;
    std::int32_t most = view_.world.cluster_of(step.host).migration.parallel_per_host;
    auto busy = [&](const std::string& id) { return view_.world.committed(id).migrations >= most; };
    const model::Host* target = view_.world.host(task_->args.host);
    return busy(step.host) || (target != nullptr && busy(target->meta.id));
  }

  void follow(const Operation& operation) {
    TaskStep& step = task_->steps[task_->step];
    step.phase = operation.phase;
    switch (operation.phase) {
      case OpPhase::kRequested:
      case OpPhase::kRunning:
        waiting(operation);
        return;
      case OpPhase::kSucceeded:
        succeeded(operation);
        return;
      case OpPhase::kFailed:
        failed(operation);
        return;
      case OpPhase::kUnknown:
        unknown(operation);
        return;
    }
  }

  void waiting(const Operation& operation) {
    const model::Host* host = view_.world.host(operation.host);
    if (host == nullptr) {
      out_.drop_operation = operation.id;
      step_failed(Error{Code::kNotFound, "the host was removed while it worked on this", {}});
      return;
    }
    if (is_dead(host)) {
      unknown(operation);
      return;
    }
    if (host->link != model::HostLink::kConnected)
      task_->message = fmt::format("waits for host '{}', which is not connected", host->meta.name);
    else
      task_->message = fmt::format("{} on '{}'", traits(operation.kind).doing, host->meta.name);
    bool stop = task_->cancel_requested && !task_->steps[task_->step].compensation;
    if (stop && traits(operation.kind).cancellable) out_.cancel_operation = operation.id;
  }

  // Whether the target of a migration has been seen since; sets when to look again.
  bool arrived(const Operation& operation) {
    if (operation.kind != model::OpKind::kMigrate || happened(view_, operation).value_or(false))
      return true;
    const std::string& target = operation.args.migration->host;
    Duration since = view_.now - operation.finished;
    if (view_.world.fresh(target) && since >= kArrivalPatience) return true;
    if (is_dead(view_.world.host(target))) return true;  // it went down with the target
    task_->message =
        fmt::format("moved; waits to see it on '{}'", operation.args.migration->host_name);
    out_.wake = std::max<Duration>(kArrivalPatience - since, std::chrono::seconds(1));
    return false;
  }

  void succeeded(const Operation& operation) {
    if (!arrived(operation)) return;
    out_.drop_operation = operation.id;
    task_->steps[task_->step].phase = OpPhase::kSucceeded;
    merge_result(operation);
    if (operation.args.migration && (operation.kind == model::OpKind::kMigrate ||
                                     operation.kind == model::OpKind::kMigrateStorage))
      keep_leftovers(*operation.args.migration);
    apply_success(vm_, *task_, operation, view_.world);
    ++task_->step;
    task_->progress.reset();
    next();
  }

  void keep_leftovers(const model::MigrationTarget& target) {
    for (const model::DiskSpec& moved : target.copy_disks)
      for (const model::DiskSpec& own : vm_.spec.disks)
        if (own.name == moved.name) task_->leftovers.push_back(own);
  }

  void merge_result(const Operation& operation) {
    const model::TaskResult& result = operation.result;
    if (result.migration) task_->result.migration = result.migration;
    task_->result.live.insert(task_->result.live.end(), result.live.begin(), result.live.end());
    task_->result.next_boot.insert(task_->result.next_boot.end(), result.next_boot.begin(),
                                   result.next_boot.end());
    if (!result.message.empty()) task_->result.message = result.message;
  }

  // The step in hand moved on: the next pass, which the change of the task brings about, works on
  // it.
  void next() {
    if (task_->step >= task_->steps.size()) {
      conclude();
    } else {
      task_->percent = 100.0 * task_->step / static_cast<double>(task_->steps.size());
      out_.wake = Duration{};
    }
  }

  void failed(const Operation& operation) {
    // An error of a migration does not say on which side the guest is now: what is undone next
    // depends on it.
    if (operation.kind == model::OpKind::kMigrate) {
      std::optional<bool> did = happened(view_, operation);
      if (!did) {
        task_->message = "the migration failed; waits to see on which host the guest is";
        out_.wake = arrival_left(view_, operation);
        return;
      }
      if (*did) return succeeded(operation);
    }
    out_.drop_operation = operation.id;
    Error error{Code::kInternal, "the agent gave no reason", {}};
    if (operation.error)
      error = Error{code_from_string(operation.error->code), operation.error->message,
                    operation.error->field};
    if (error.code == Code::kUnavailable && try_again(kMaxUnavailable)) return;
    if (task_->steps[task_->step].compensation && try_again(kMaxAttempts)) return;
    step_failed(error);
  }

  bool try_again(int most) {
    TaskStep& step = task_->steps[task_->step];
    if (!traits(step.kind).repeatable || step.attempt >= most) return false;
    step.operation.clear();
    step.phase = OpPhase::kRequested;
    step.retry_at = view_.now + std::min<Duration>(std::chrono::seconds(1) * step.attempt,
                                                   std::chrono::seconds(10));
    out_.wake = step.retry_at - view_.now;
    return true;
  }

  void unknown(const Operation& operation) {
    std::optional<bool> did = happened(view_, operation);
    if (!did) {
      task_->message = fmt::format("{} was interrupted; waits to see what came of it",
                                   traits(operation.kind).doing);
      out_.wake = arrival_left(view_, operation);
      return;
    }
    if (*did) {
      succeeded(operation);
      return;
    }
    out_.drop_operation = operation.id;
    if (const model::Host* host = view_.world.host(operation.host); is_dead(host)) {
      step_failed(host_failed(*host));
      return;
    }
    if (try_again(kMaxAttempts)) return;
    step_failed(
        Error{Code::kUnknown,
              fmt::format("{} was interrupted and did not happen; it can be asked for again",
                          traits(operation.kind).doing),
              {}});
  }

  void step_failed(const Error& error) {
    if (task_->steps[task_->step].compensation) {
      // Undoing failed too. What is left is named, not hidden; the task's own error stands.
      event("task.leftover", model::Severity::kWarning,
            fmt::format("{} after '{}' failed: {}", traits(task_->steps[task_->step].kind).doing,
                        task_->kind, error.message));
      task_->steps[task_->step].phase = OpPhase::kFailed;
      ++task_->step;
      next();
      return;
    }
    task_->steps[task_->step].phase = OpPhase::kFailed;
    undo(error);
  }

  void undo(const Error& error) {
    task_->error = model::Problem{std::string(to_string(error.code)), error.message, error.field};
    auto steps = plan_compensation(
        *task_, VmView{view_.now, vm_, view_.task, nullptr, view_.sightings, view_.world});
    task_->steps.resize(std::min<std::size_t>(task_->steps.size(), task_->step + 1));
    task_->step = static_cast<std::uint32_t>(task_->steps.size());
    task_->steps.insert(task_->steps.end(), steps.begin(), steps.end());
    next();
  }

  void conclude() {
    if (!task_->error) {
      if (task_->kind == "vm.delete") {
        finish(TaskState::kSucceeded, "deleted");
        erase_vm();
        return;
      }
      finish(TaskState::kSucceeded, summary());
      return;
    }
    bool cancelled = task_->error->code == to_string(Code::kCancelled);
    finish(cancelled ? TaskState::kCancelled : TaskState::kFailed, task_->error->message);
    // What could not be undone keeps its record, so that a person can see it and delete it.
    bool undone = std::ranges::none_of(task_->steps, [](const TaskStep& step) {
      return step.compensation && step.phase != OpPhase::kSucceeded;
    });
    if (task_->kind == "vm.create" && !vm_.defined && undone) erase_vm();
    if (task_->kind == "vm.adopt" && !vm_.defined) erase_vm();
  }

  // What a person's task leaves against the rules, and where Chorok's choice went.
  std::string summary() const {
    const model::Host* host = view_.world.host(vm_.host);
    std::string more;
    const bool starts = task_->kind == "vm.start" || task_->kind == "vm.create";
    const bool placed = starts && vm_.power == model::VmPower::kOn && host != nullptr;
    if (placed)
      more = fmt::format("; on '{}'{}{}", host->meta.name, task_->reason.empty() ? "" : ": ",
                         task_->reason);
    if (host != nullptr && (placed || (task_->kind == "vm.migrate" && task_->reason.empty())))
      for (const BrokenRule& rule : view_.world.broken_rules(vm_, *host))
        more += "; against it: " + rule.text;
    return done_text() + more;
  }

  std::string done_text() const {
    if (task_->result.migration && task_->kind == "vm.migrate")
      return fmt::format("moved in {:.2f} s, downtime {:.0f} ms",
                         seconds(task_->result.migration->total),
                         seconds(task_->result.migration->downtime) * 1e3);
    if (!task_->result.next_boot.empty())
      return fmt::format("done; on the next boot: {}", fmt::join(task_->result.next_boot, ", "));
    return task_->result.message.empty() ? "done" : task_->result.message;
  }

  void fail_task(const Error& error) {
    task_->error = model::Problem{std::string(to_string(error.code)), error.message, error.field};
    finish(TaskState::kFailed, error.message);
  }

  void finish(TaskState state, std::string message) {
    task_->state = state;
    task_->message = std::move(message);
    task_->finished = view_.now;
    task_->progress.reset();
    if (state == TaskState::kSucceeded) task_->percent = 100;
    event(fmt::format("{}.{}", task_->kind, name_of(state)),
          state == TaskState::kFailed ? model::Severity::kError : model::Severity::kInfo,
          task_->message);
  }

  // ---- the VM
  // ----------------------------------------------------------------------------------------------------

  void erase_vm() { out_.erase_vm = true; }

  void settle_vm() {
    VmView now{view_.now,
               vm_,
               task_ && !task_->finished_state() ? &*task_ : nullptr,
               view_.operation,
               view_.sightings,
               view_.world};
    if (!out_.drop_operation.empty()) now.operation = nullptr;
    Derived derived = derive_status(now);
    if (derived.host != vm_.host && !vm_.host.empty())
      event("vm.moved", model::Severity::kWarning, "it was moved by other hands than Chorok's");
    report_state(derived.status.state);
    if (derived.status.stale.size() > vm_.status.stale.size()) vm_.tidied = {};  // not to wait
    vm_.status = std::move(derived.status);
    vm_.host = std::move(derived.host);
    vm_.power = derived.power;
    vm_.defined = derived.defined;
    tidy();
    if (!equal(vm_, view_.vm)) out_.vm = vm_;
  }

  // A move that was interrupted at its very end leaves the definition on the host that the VM came
  // from.
  void tidy() {
    if (view_.task != nullptr) return;
    const Sighting* home = view_.on(vm_.host);
    const bool home_seen = home != nullptr && home->fresh;
    for (const Sighting& s : view_.sightings) {
      if (!s.fresh || !may_go(s, home_seen ? home : nullptr)) continue;
      Duration since = view_.now - vm_.tidied;
      if (vm_.tidied != Time{} && since < kTidyEvery) {
        out_.wake = kTidyEvery - since;
        return;
      }
      vm_.tidied = view_.now;
      out_.new_task.emplace();
      out_.new_task->kind = "vm.tidy";
      out_.new_task->args.host = s.host;
      return;
    }
  }

  bool may_go(const Sighting& left, const Sighting* home) const {
    if (is_stale(vm_, left)) return true;
    if (home == nullptr || left.host == vm_.host) return false;
    if (left.instance->state == model::VmState::kSaved) return false;  // its memory may be wanted
    bool half = left.instance->state == model::VmState::kPaused &&
                home->instance->state == model::VmState::kOn;
    return half || !is_running(left.instance->state);
  }

  void report_state(model::VmState state) {
    if (state == view_.vm.status.state) return;
    auto severity = model::Severity::kInfo;
    if (state == model::VmState::kCrashed) severity = model::Severity::kError;
    if (state == model::VmState::kUnknown) severity = model::Severity::kWarning;
    event(fmt::format("vm.{}", name_of(state)), severity,
          fmt::format("is {} (was {})", name_of(state), name_of(view_.vm.status.state)));
  }

  void event(std::string kind, model::Severity severity, std::string message) {
    model::Event e;
    e.time = view_.now;
    e.kind = std::move(kind);
    e.severity = severity;
    e.subject_kind = "vm";
    e.subject = vm_.meta.id;
    e.subject_name = vm_.meta.name;
    e.message = std::move(message);
    if (task_) {
      e.task = task_->id;
      e.user = task_->user;
    }
    out_.events.push_back(std::move(e));
  }

  const VmView& view_;
  model::Vm vm_;
  std::optional<Task> task_;
  Outcome out_;
};

}  // namespace

Outcome reconcile_vm(const VmView& view) {
  return Pass(view).run();
}

}  // namespace chorok::control
