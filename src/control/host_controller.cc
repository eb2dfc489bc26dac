#include "control/host_controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/steps.h"

namespace chorok::control {
namespace {

using model::HostAdmin;
using model::Task;
using model::TaskState;

bool is_down(const model::Host& host) {
  return host.watch.phase == model::HostPhase::kDown;
}

std::string running_on(std::span<const model::Vm* const> vms) {
  constexpr std::size_t kNamesMax = 5;
  std::vector<std::string> names;
  for (const model::Vm* vm : vms)
    if (is_running(vm->status.state)) names.push_back(vm->meta.name);
  std::ranges::sort(names);
  if (names.size() <= kNamesMax) return fmt::format("{}", fmt::join(names, ", "));
  const std::size_t more = names.size() - kNamesMax;
  names.resize(kNamesMax);
  return fmt::format("{} and {} more", fmt::join(names, ", "), more);
}

// What must hold before a host is switched off.
Result<> check_empty(const model::Host& host, std::span<const model::Vm* const> vms) {
  if (const std::string names = running_on(vms); !names.empty())
    return fail(Code::kFailedPrecondition,
                fmt::format("VMs run on it: {}; chorok host maintenance {} moves them away", names,
                            host.meta.name));
  for (const model::Instance& guest : host.foreign)
    if (is_running(guest.state))
      return fail(Code::kFailedPrecondition,
                  fmt::format("'{}' runs on it, which is not Chorok's", guest.name));
  return {};
}

std::string enabled_words(const model::Host& host) {
  if (!is_down(host)) return "takes VMs again";
  if (host.watch.off_by == model::HostOffBy::kPerson)
    return fmt::format("takes VMs when it is on; {} has switched it off: chorok host power-on {}",
                       host.watch.off_user, host.meta.name);
  return fmt::format(
      "takes VMs when it is on: it is switched on when it is needed, or by chorok "
      "host power-on {}",
      host.meta.name);
}

Result<std::string> foresee_power(bool on, const model::Host& host,
                                  std::span<const model::Vm* const> vms) {
  using model::HostPhase;
  const HostPhase phase = host.watch.phase;
  const bool silent = (phase == HostPhase::kSilent && host.watch.told) ||
                      phase == HostPhase::kFencing || (!on && phase == HostPhase::kFailed);
  if (silent)
    return fail(Code::kFailedPrecondition,
                fmt::format("it does not answer, and {} is not known",
                            on ? "whether it is off" : "what runs there"));
  if (on) return phase == HostPhase::kUp ? "it is on" : "it would be switched on";
  if (phase == HostPhase::kDown)
    return "it is off, and would stay off until a person switches it on";
  TRY(check_empty(host, vms));
  return "it would be switched off until a person switches it on";
}

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
      finish(TaskState::kSucceeded, enabled_words(in_.host));
    } else if (task_->kind == "host.maintenance") {
      maintenance();
    } else if (task_->kind == "host.wake-test") {
      wake_test();
    } else if (task_->kind == "host.power-on" || task_->kind == "host.power-off") {
      power(task_->kind == "host.power-on");
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
    const model::Vm* unknown = nullptr;
    for (const model::Vm* vm : in_.vms) {
      if (is_running(vm->status.state)) running.push_back(vm);
      if (vm->status.state == model::VmState::kUnknown && !is_down(in_.host)) unknown = vm;
    }
    if (running.empty() && unknown != nullptr) {  // its agent will tell, or HA starts it elsewhere
      set_admin(HostAdmin::kDraining);
      task_->message = fmt::format("waits for its agent: whether {} runs there is not known",
                                   unknown->meta.name);
      return;
    }
    if (running.empty()) {
      set_admin(HostAdmin::kMaintenance);
      finish(TaskState::kSucceeded, is_down(in_.host) ? "is off and in maintenance: it stays off"
                                                      : "is empty and in maintenance");
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
    if (auto may = foresee_host("wake-test", in_.host, in_.vms); !may)
      return refuse(may.error().message);
    if (in_.host.link == model::HostLink::kConnected) {
      task_->message = "waits for its turn: one host of a cluster at a time";
      return;
    }
    // A manager that has just begun has not heard of it yet.
    task_->message = "waits until it is connected";
  }

  // The cluster's loops do it (host_power.h).
  void power(bool on) {
    const model::HostWatch& watch = in_.host.watch;
    const bool begun = watch.hand.task == task_->id;
    if (begun && !watch.hand.open) {
      if (!watch.hand.failure.empty()) return refuse(watch.hand.failure);
      return finish(TaskState::kSucceeded,
                    on ? "is on" : "is off, and stays off until a person switches it on");
    }
    if (task_->cancel_requested)
      return finish(TaskState::kCancelled,
                    !begun ? "cancelled before it had begun"
                    : on   ? "cancelled; it had been told already, and comes on"
                           : "cancelled; it had been told already, and goes off: chorok host "
                             "power-on brings it back");
    if (begun) {
      task_->percent = 50;
      const Duration usual = on ? watch.time_on : watch.time_off;
      task_->message = fmt::format("was told to go {}", on ? "on" : "off");
      if (usual > Duration{})
        task_->message += fmt::format("; the last time it took {:.0f} s", seconds(usual));
      return;
    }
    if (auto may = foresee_host(on ? "power-on" : "power-off", in_.host, in_.vms); !may)
      return refuse(may.error().message);
    task_->message = "waits for what is under way on it";
  }

  void tested(const model::WakeTest& test) {
    if (test.standing != model::WakeStanding::kPassed) return refuse(test.why);
    const std::string watts = test.standby_watts
                                  ? fmt::format(", {:.1f} W in standby", *test.standby_watts)
                                  : ", what it drew there is not known: no meter says it";
    finish(TaskState::kSucceeded,
           fmt::format("passed: off in {:.0f} s, on in {:.0f} s{}", seconds(test.time_off),
                       seconds(test.time_on), watts));
  }

  void refuse(std::string why) {
    task_->error = model::Problem{std::string(to_string(Code::kFailedPrecondition)), why, {}};
    finish(TaskState::kFailed, std::move(why));
  }

  // True while a task moves it, or a new one was made. One that was interrupted, as when an agent
  // is started anew, says nothing against the next.
  bool evacuate(const model::Vm& vm) {
    constexpr int kTriesMax = 3;
    int tries = 0;
    bool refused = false;
    for (const Task* child : in_.children) {
      if (child->target != vm.meta.id) continue;
      if (!child->finished_state()) return true;
      ++tries;
      refused |= !child->error || child->error->code != to_string(Code::kUnknown);
    }
    if (refused || tries >= kTriesMax) return false;
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
    if (admin == HostAdmin::kEnabled) out_.host->enabled_since = in_.now;
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

Result<std::string> foresee_host(std::string_view verb, const model::Host& host,
                                 std::span<const model::Vm* const> vms) {
  using model::HostPhase;
  if (verb.starts_with("power-")) return foresee_power(verb == "power-on", host, vms);
  if (verb == "enable") return enabled_words(host);
  const std::string names = running_on(vms);
  if (verb == "maintenance")
    return is_down(host)   ? "it is off, and would stay off"
           : names.empty() ? "it is empty, and would take no VMs"
                           : "would be moved away: " + names;
  TRY(check_empty(host, vms));
  const HostPhase phase = host.watch.phase;
  if (phase == HostPhase::kDown || phase == HostPhase::kFailed)
    return fail(Code::kFailedPrecondition,
                fmt::format("it is off; chorok host power-on {} first", host.meta.name));
  if (phase == HostPhase::kSilent && host.watch.told)
    return fail(Code::kFailedPrecondition, "it does not answer");
  return "it would be switched off and on again, when it is its turn: one host of a cluster at a "
         "time";
}

HostOutcome reconcile_host(const HostInput& input) {
  return Pass(input).run();
}

}  // namespace chorok::control
