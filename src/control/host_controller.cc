#include "control/host_controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/steps.h"

namespace chorok::control {
namespace {

using model::HostAdmin;
using model::Task;
using model::TaskState;

class Pass {
 public:
  explicit Pass(const HostInput& input) : in_(input) {
    if (input.task != nullptr) task_ = *input.task;
  }

  HostOutcome run() {
    if (!task_ || task_->finished_state()) return {};
    if (task_->state == TaskState::kQueued) {
      task_->state = TaskState::kRunning;
      task_->started = in_.now;
    }
    if (task_->kind == "host.enable") {
      set_admin(HostAdmin::kEnabled);
      finish(TaskState::kSucceeded, "takes VMs again");
    } else if (task_->kind == "host.maintenance") {
      maintenance();
    } else if (task_->kind == "host.wake-test") {
      wake_test();
    } else {
      finish(TaskState::kFailed, fmt::format("no plan for a task of kind '{}'", task_->kind));
    }
    if (!equal(*task_, *in_.task)) out_.task = task_;
    return std::move(out_);
  }

 private:
  void maintenance() {
    if (task_->cancel_requested) {
      for (const Task* child : in_.children)
        if (!child->finished_state()) out_.cancel_tasks.push_back(child->id);
      set_admin(HostAdmin::kEnabled);
      finish(TaskState::kCancelled,
             "cancelled; the host takes VMs again, what has moved stays where it is");
      return;
    }
    std::vector<const model::Vm*> running;
    for (const model::Vm* vm : in_.vms)
      if (is_running(vm->status.state)) running.push_back(vm);
    if (running.empty()) {
      set_admin(HostAdmin::kMaintenance);
      finish(TaskState::kSucceeded, "is empty and in maintenance");
      return;
    }
    set_admin(HostAdmin::kDraining);
    std::size_t at_work = 0;
    for (const model::Vm* vm : running) at_work += evacuate(*vm) ? 1U : 0U;
    auto total =
        static_cast<double>(std::max<std::size_t>(1, in_.children.size() + out_.new_tasks.size()));
    auto done =
        std::ranges::count_if(in_.children, [](const Task* t) { return t->finished_state(); });
    task_->percent = 100.0 * static_cast<double>(done) / total;
    task_->message = fmt::format("{} VMs left", running.size());
    if (at_work == 0) give_up(running);
  }

  // The cluster's loops do it (waketest.h); this says how far they are, and what speaks against
  // it.
  void wake_test() {
    using model::WakeStage;
    const model::WakeTest& test = in_.host.watch.test;
    if (test.stage != WakeStage::kNone) {
      // Whoever cancels it now would have a host that is off.
      task_->percent = 25.0 * static_cast<double>(test.stage);
      task_->message = std::string(name_of(test.stage));
      return;
    }
    if (test.at >= task_->created) return tested(test);
    if (task_->cancel_requested)
      return finish(TaskState::kCancelled, "cancelled before it had begun");
    const auto running = std::ranges::count_if(
        in_.vms, [](const model::Vm* vm) { return is_running(vm->status.state); });
    if (running > 0)
      return refuse(fmt::format("{} VMs run on it; chorok host maintenance {} moves them away",
                                running, in_.host.meta.name));
    for (const model::Instance& guest : in_.host.foreign)
      if (is_running(guest.state))
        return refuse(fmt::format("'{}' runs on it, which is not Chorok's", guest.name));
    if (in_.host.link == model::HostLink::kConnected) {
      task_->message = "waits for its turn: one host of a cluster at a time";
      return;
    }
    // A manager that has just begun has not heard of it yet.
    using model::HostPhase;
    const HostPhase phase = in_.host.watch.phase;
    if (phase == HostPhase::kDown || phase == HostPhase::kFailed)
      return refuse("it is off; switch it on first");
    task_->message = "waits until it is connected";
  }

  void tested(const model::WakeTest& test) {
    if (test.standing != model::WakeStanding::kPassed) return refuse(test.why);
    const std::string watts = test.standby_watts > 0
                                  ? fmt::format(", {:.1f} W in standby", test.standby_watts)
                                  : std::string();
    finish(TaskState::kSucceeded,
           fmt::format("passed: off in {:.0f} s, on in {:.0f} s{}", seconds(test.time_off),
                       seconds(test.time_on), watts));
  }

  void refuse(std::string why) {
    task_->error = model::Problem{std::string(to_string(Code::kFailedPrecondition)), why, {}};
    finish(TaskState::kFailed, std::move(why));
  }

  // True while a task moves it, or a new one was made.
  bool evacuate(const model::Vm& vm) {
    bool tried = false;
    for (const Task* child : in_.children) {
      if (child->target != vm.meta.id) continue;
      if (!child->finished_state()) return true;
      tried = true;
    }
    if (tried) return false;
    // The rest in the next passes: a transaction has a limit, and so has what a host can move at
    // once.
    constexpr std::size_t kAtOnce = 32;
    if (out_.new_tasks.size() >= kAtOnce) return true;
    Task child;
    child.kind = "vm.migrate";
    child.target_kind = "vm";
    child.target = vm.meta.id;
    child.target_name = vm.meta.name;
    child.parent = task_->id;
    child.user = task_->user;
    out_.new_tasks.push_back(std::move(child));
    return true;
  }

  void give_up(const std::vector<const model::Vm*>& left) {
    std::vector<std::string> lines;
    for (const model::Vm* vm : left) {
      std::string why = "could not be moved";
      for (const Task* child : in_.children)
        if (child->target == vm->meta.id && child->error) why = child->error->message;
      lines.push_back(fmt::format("{}: {}", vm->meta.name, why));
    }
    set_admin(HostAdmin::kEnabled);
    task_->error =
        model::Problem{std::string(to_string(Code::kFailedPrecondition)),
                       fmt::format("not all VMs could be moved away; the host takes VMs again: {}",
                                   fmt::join(lines, "; ")),
                       {}};
    finish(TaskState::kFailed, task_->error->message);
  }

  void set_admin(HostAdmin admin) {
    if (in_.host.admin == admin && !out_.host) return;
    if (!out_.host) out_.host = in_.host;
    out_.host->admin = admin;
  }

  void finish(TaskState state, std::string message) {
    task_->state = state;
    task_->message = message;
    task_->finished = in_.now;
    if (state == TaskState::kSucceeded) task_->percent = 100;
    model::Event e;
    e.time = in_.now;
    e.kind = fmt::format("{}.{}", task_->kind, name_of(state));
    e.severity = state == TaskState::kFailed ? model::Severity::kError : model::Severity::kInfo;
    e.subject_kind = "host";
    e.subject = in_.host.meta.id;
    e.subject_name = in_.host.meta.name;
    e.message = std::move(message);
    e.user = task_->user;
    e.task = task_->id;
    out_.events.push_back(std::move(e));
  }

  const HostInput& in_;
  std::optional<Task> task_;
  HostOutcome out_;
};

}  // namespace

HostOutcome reconcile_host(const HostInput& input) {
  return Pass(input).run();
}

}  // namespace chorok::control
