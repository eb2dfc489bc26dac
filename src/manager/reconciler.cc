#include "manager/reconciler.h"

#include <algorithm>

#include "control/autostart.h"
#include "control/compatibility.h"
#include "control/host_controller.h"
#include "control/vm_controller.h"
#include "manager/references.h"

namespace chorok::manager {
namespace {

// After the store refused a commit; it is asked again at this pace while it refuses.
constexpr Duration kRetryRefused = std::chrono::seconds(2);

}  // namespace

Reconciler::Reconciler(Engine& engine, World& world, Commander& commander)
    : engine_(engine), world_(world), commander_(commander) {
  engine_.on_applied([this](const Changes& changes) { applied(changes); });
  for (const auto& [id, task] : engine_.inventory().tasks().all())
    if (!task->finished_state()) open_tasks_[task->target].insert(id);
}

Reconciler::~Reconciler() {
  engine_.on_applied(nullptr);
  for (auto& [id, wake] : wakes_) engine_.loop().cancel(wake.timer);
  *alive_ = false;
}

void Reconciler::applied(const Changes& changes) {
  for (const Change& change : changes.items()) {
    if (change.kind == "task") {
      auto task = engine_.inventory().tasks().find(change.id);
      auto before = std::static_pointer_cast<const model::Task>(change.before);
      const model::Task* known = task != nullptr ? task.get() : before.get();
      if (known == nullptr) continue;
      bool open = task != nullptr && !task->finished_state();
      if (open) {
        open_tasks_[known->target].insert(change.id);
      } else if (auto it = open_tasks_.find(known->target); it != open_tasks_.end()) {
        it->second.erase(change.id);
        if (it->second.empty()) open_tasks_.erase(it);
      }
      if (!change.durable) continue;                  // progress wakes nobody
      if (known->kind == "vm.start") world_.stale();  // where it goes
      known->target_kind == "host" ? mark_host(known->target) : mark_vm(known->target);
      if (!known->parent.empty())
        if (auto parent = engine_.inventory().tasks().find(known->parent))
          mark_host(parent->target);
    } else if (change.kind == "operation") {
      world_.stale();
      auto operation = engine_.inventory().operations().find(change.id);
      if (operation != nullptr) mark_vm(operation->vm);
      if (operation == nullptr) cancelling_.erase(change.id);
    } else if (change.kind == "vm") {
      world_.stale();
      mark_vm(change.id);
      if (auto vm = engine_.inventory().vms().find(change.id)) mark_host(vm->host);
    } else if (change.kind == "host") {
      mark_host(change.id);
      const auto before = std::static_pointer_cast<const model::Host>(change.before);
      const auto host = engine_.inventory().hosts().find(change.id);
      if (control::is_dead(host.get()) && !control::is_dead(before.get())) host_died(change.id);
    }
  }
}

// Whatever waited for it has an end now.
void Reconciler::host_died(const std::string& id) {
  for (const auto& [vm_id, vm] : engine_.inventory().vms().all())
    if (vm->host == id || vm->status.host == id) mark_vm(vm_id);
  for (const auto& [op_id, op] : engine_.inventory().operations().all())
    if (op->host == id || (op->args.migration && op->args.migration->host == id)) mark_vm(op->vm);
}

void Reconciler::mark_vm(const std::string& id) {
  if (id.empty()) return;
  due_vms_.insert(id);
  schedule();
}

void Reconciler::mark_host(const std::string& id) {
  if (id.empty()) return;
  due_hosts_.insert(id);
  schedule();
}

void Reconciler::mark_all() {
  for (const auto& [id, vm] : engine_.inventory().vms().all()) mark_vm(id);
  for (const auto& [id, host] : engine_.inventory().hosts().all()) mark_host(id);
}

void Reconciler::schedule() {
  if (scheduled_) return;
  scheduled_ = true;
  engine_.loop().post([this, alive = alive_] {
    if (!*alive) return;
    scheduled_ = false;
    run();
  });
}

void Reconciler::run() {
  // What becomes due meanwhile is for the next turn: the loop stays free for others.
  auto vms = std::exchange(due_vms_, {});
  auto hosts = std::exchange(due_hosts_, {});
  for (const std::string& id : vms) reconcile_vm(id);
  for (const std::string& id : hosts) reconcile_host(id);
}

std::shared_ptr<const model::Task> Reconciler::head_task(const std::string& target) const {
  auto it = open_tasks_.find(target);
  if (it == open_tasks_.end()) return nullptr;
  std::shared_ptr<const model::Task> head;
  for (const std::string& id : it->second) {
    auto task = engine_.inventory().tasks().find(id);
    if (task == nullptr) continue;
    auto rank = [](const model::Task& t) {
      return std::tuple(t.state != model::TaskState::kRunning, t.created, std::string_view(t.id));
    };
    if (head == nullptr || rank(*task) < rank(*head)) head = task;
  }
  return head;
}

void Reconciler::reconcile_vm(const std::string& id) {
  auto vm = engine_.inventory().vms().find(id);
  auto task = head_task(id);
  if (vm == nullptr) {
    if (task != nullptr) fail_orphan(*task);
    return;
  }
  std::shared_ptr<const model::Operation> operation;
  if (task != nullptr && task->step < task->steps.size())
    operation = engine_.inventory().operations().find(task->steps[task->step].operation);
  control::VmView view{engine_.now(),        *vm,   task.get(), operation.get(),
                       world_.sightings(id), world_};
  carry_out(id, control::reconcile_vm(view));
}

// A task that waited behind the deletion of its VM.
void Reconciler::fail_orphan(const model::Task& task) {
  if (task.target_kind != "vm") return;
  model::Task failed = task;
  failed.state = model::TaskState::kFailed;
  failed.finished = engine_.now();
  failed.message = "the VM was deleted before this began";
  failed.error = model::Problem{std::string(to_string(Code::kNotFound)), failed.message, {}};
  Changes changes;
  changes.put(std::move(failed));
  engine_.commit(std::move(changes), [](Result<>) {});
}

// Housekeeping that a controller asks for; people see it as a task like any other.
void Reconciler::put_own_task(Changes& changes, const std::string& vm, model::Task task) {
  task.id = engine_.new_id("task");
  task.created = engine_.now();
  task.target_kind = "vm";
  task.target = vm;
  task.target_name = engine_.inventory().vms().find(vm)->meta.name;
  task.user = "chorok";
  changes.put(std::move(task));
}

void Reconciler::carry_out(const std::string& id, control::Outcome outcome) {
  if (outcome.wake) wake_later(id, *outcome.wake);
  if (!outcome.cancel_operation.empty() && cancelling_.insert(outcome.cancel_operation).second)
    if (auto operation = engine_.inventory().operations().find(outcome.cancel_operation))
      commander_.cancel(operation->host, operation->id);
  if (outcome.empty()) return;
  Changes changes;
  if (outcome.request) {
    outcome.request->id = engine_.new_id("op");
    outcome.request->term = engine_.term();
    if (!outcome.task) outcome.task = *engine_.inventory().tasks().find(outcome.request->task);
    outcome.task->steps[outcome.task->step].operation = outcome.request->id;
    changes.put(*outcome.request);
  }
  if (outcome.task) changes.put(std::move(*outcome.task));
  if (outcome.new_task) put_own_task(changes, id, std::move(*outcome.new_task));
  if (outcome.erase_vm) {
    forget_vm(engine_, changes, id, engine_.inventory().vms().find(id)->meta.name);
    changes.erase<model::Vm>(id);
  } else if (outcome.vm) {
    changes.put(std::move(*outcome.vm));
  }
  if (!outcome.drop_operation.empty()) changes.erase<model::Operation>(outcome.drop_operation);
  for (model::Event& event : outcome.events) engine_.add_event(changes, std::move(event));
  auto request = std::move(outcome.request);
  engine_.commit(std::move(changes),
                 [this, alive = alive_, id, request = std::move(request)](Result<> result) {
                   if (!*alive) return;
                   if (!result) {
                     wake_later(id, kRetryRefused);
                     return;
                   }
                   if (request) commander_.send(*request);
                 });
}

void Reconciler::mark(const std::string& id) {
  engine_.inventory().hosts().find(id) != nullptr ? mark_host(id) : mark_vm(id);
}

void Reconciler::wake_later(const std::string& id, Duration delay) {
  if (delay <= Duration{}) {
    mark(id);
    return;
  }
  const Time due = engine_.loop().now() + delay;
  Wake& wake = wakes_[id];
  if (wake.timer != 0) {
    if (wake.due <= due) return;  // it is woken soon enough
    engine_.loop().cancel(wake.timer);
  }
  wake.due = due;
  wake.timer = engine_.loop().after(delay, [this, id] {
    wakes_.erase(id);
    mark(id);
  });
}

// Passes over the VMs only while a boot of the host waits to be acted on.
void Reconciler::autostart(const model::Host& host) {
  if (!control::autostart_due(host)) return;
  std::vector<control::AutostartCandidate> candidates;
  for (const auto& [id, vm] : engine_.inventory().vms().all()) {
    if (vm->host != host.meta.id || !control::has_autostart(*vm, world_)) continue;
    // Those after it do not wait for one that waits for another host.
    const auto head = head_task(id);
    const bool is_elsewhere = vm->autostarted == host.inventory.boot_id && head != nullptr &&
                              control::waits_for_host(*head);
    candidates.push_back(
        {vm.get(), open_tasks_.contains(id) && !is_elsewhere, world_.sightings(id)});
  }
  control::AutostartOutcome outcome =
      control::plan_autostart(engine_.now(), host, std::move(candidates), world_);
  if (outcome.wake) wake_later(host.meta.id, *outcome.wake);
  Changes changes;
  if (outcome.vm) {
    model::Task start;
    start.kind = "vm.start";
    // Where it was, but where a rule would be broken: then it is placed anew.
    const auto broken = world_.broken_rules(*outcome.vm, host);
    if (std::ranges::none_of(broken, &control::BrokenRule::must)) start.args.host = host.meta.id;
    put_own_task(changes, outcome.vm->meta.id, std::move(start));
    changes.put(std::move(*outcome.vm));
  }
  if (outcome.finished) {
    model::Host done = host;
    done.autostart_boot = host.inventory.boot_id;
    changes.put(std::move(done));
  }
  if (changes.empty()) return;
  engine_.commit(std::move(changes), [this, alive = alive_, id = host.meta.id](Result<> result) {
    if (*alive && !result) wake_later(id, kRetryRefused);
  });
}

void Reconciler::reconcile_host(const std::string& id) {
  auto host = engine_.inventory().hosts().find(id);
  if (host == nullptr) return;
  autostart(*host);
  auto task = head_task(id);
  if (task == nullptr) return;
  host = engine_.inventory().hosts().find(id);
  control::HostInput input{engine_.now(), *host, task.get(), {}, {}, world_};
  for (const auto& [vm_id, vm] : engine_.inventory().vms().all())
    if (vm->host == id) input.vms.push_back(vm.get());
  for (const auto& [task_id, each] : engine_.inventory().tasks().all())
    if (each->parent == task->id) input.children.push_back(each.get());
  control::HostOutcome outcome = control::reconcile_host(input);
  Changes changes;
  if (outcome.host) changes.put(std::move(*outcome.host));
  if (outcome.task) changes.put(std::move(*outcome.task));
  for (model::Task& child : outcome.new_tasks) {
    child.id = engine_.new_id("task");
    child.created = engine_.now();
    changes.put(std::move(child));
  }
  for (const std::string& child : outcome.cancel_tasks)
    if (auto record = engine_.inventory().tasks().find(child);
        record != nullptr && !record->finished_state()) {
      model::Task cancelled = *record;
      cancelled.cancel_requested = true;
      changes.put(std::move(cancelled));
    }
  for (model::Event& event : outcome.events) engine_.add_event(changes, std::move(event));
  if (changes.empty()) return;
  engine_.commit(std::move(changes), [this, alive = alive_, id](Result<> result) {
    if (*alive && !result) wake_later(id, kRetryRefused);
  });
}

}  // namespace chorok::manager
