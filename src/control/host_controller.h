// The administrative life of one host: maintenance moves its VMs away and waits until it is empty.
// Pure: see view.h.
#pragma once

#include <span>
#include <string>
#include <string_view>

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

// What a verb of hosts would do now, in words; the error says what speaks against it. `vms`: that
// belong to it.
Result<std::string> foresee_host(std::string_view verb, const model::Host& host,
                                 std::span<const model::Vm* const> vms);

HostOutcome reconcile_host(const HostInput& input);

}  // namespace chorok::control
