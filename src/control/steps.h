// How a task becomes steps, what each step leaves behind, and how to find out whether an
// interrupted one happened: one row an operation kind. docs/states.md is drawn from these tables.
#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "control/view.h"

namespace chorok::control {

struct OpTraits {
  model::OpKind kind;
  // An agent looks before it acts, so an operation whose outcome is unknown may be asked for again
  // after looking.
  bool repeatable;
  bool cancellable;
  // Short, for people: "starting".
  std::string_view doing;
};
const OpTraits& traits(model::OpKind kind);

// The steps of a task, from its arguments and what is known now. Deterministic. Errors are what
// makes the task fail before anything was touched.
Result<std::vector<model::TaskStep>> plan_steps(const VmView& view);

// The host that these steps move the VM to; empty: none.
std::string move_target(const VmView& view, const std::vector<model::TaskStep>& steps);

// What has to be undone when `task` fails or is cancelled at its step in hand.
std::vector<model::TaskStep> plan_compensation(const model::Task& task, const VmView& view);

// The operation for the task's step in hand. Its id and term are the runtime's to fill in.
Result<model::Operation> make_operation(const VmView& view, const model::TaskStep& step);

// Whether an operation of unknown outcome happened: yes, no, or not to be known yet (a host must be
// seen first).
std::optional<bool> happened(const VmView& view, const model::Operation& operation);

// How long the target of a migration that has ended is still waited for; nullopt: not any more, or
// it is no migration.
std::optional<Duration> arrival_left(const VmView& view, const model::Operation& operation);

// What the success of an operation changes in the VM's record.
void apply_success(model::Vm& vm, const model::Task& task, const model::Operation& operation,
                   const Lookup& world);

// The disks of a VM that `target` does not reach as they are, each as it is to be there. Empty when
// all are shared.
Result<std::vector<model::DiskSpec>> disks_to_copy(const model::Vm& vm, const model::Host& target,
                                                   std::string_view datastore, const Lookup& world);

bool is_running(model::VmState state);

}  // namespace chorok::control
