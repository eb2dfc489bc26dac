// The administrative life of one host: maintenance moves its VMs away and waits until it is empty.
// Pure: see view.h.
#pragma once

#include "control/view.h"

namespace chorok::control {

struct HostInput {
  Time now{};
  const model::Host& host;
  const model::Task* task = nullptr;         // head of the host's queue
  std::vector<const model::Vm*> vms;         // that belong to it
  std::vector<const model::Task*> children;  // tasks whose parent is `task`
  const Lookup& world;
};

struct HostOutcome {
  std::optional<model::Host> host;
  std::optional<model::Task> task;
  std::vector<model::Task>
      new_tasks;  // children: kind, target, target_name, args, parent; the rest is the runtime's
  std::vector<std::string> cancel_tasks;
  std::vector<model::Event> events;
};

HostOutcome reconcile_host(const HostInput& input);

}  // namespace chorok::control
