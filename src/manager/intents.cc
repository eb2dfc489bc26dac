#include "manager/intents.h"

#include <utility>

namespace chorok::manager {

namespace {

// What is neither says nothing new: a VM whose host is not heard, or that is on its way up or down.
std::optional<bool> runs(model::VmState state) {
  switch (state) {
    case model::VmState::kOn:
      return true;
    case model::VmState::kOff:
    case model::VmState::kSaved:
    case model::VmState::kCrashed:
      return false;
    default:
      return std::nullopt;
  }
}

}  // namespace

Intents::VmIntent Intents::intent_of(const model::Vm& vm) {
  return {.cpu_shares = vm.spec.cpu.shares,
          .cpu_reservation = vm.spec.cpu.reservation,
          .cpu_limit = vm.spec.cpu.limit,
          .memory_shares = vm.spec.memory_allocation.shares,
          .memory_reservation = vm.spec.memory_allocation.reservation,
          .memory_limit = vm.spec.memory_allocation.limit,
          .priority = vm.restart.priority,
          .automation = vm.automation,
          .pool = vm.pool};
}

bool Intents::has_changed(const std::string& id, const model::Vm* vm) {
  if (vm == nullptr) {
    vms_.erase(id);
    return false;
  }
  const auto [it, is_new] = vms_.try_emplace(id);
  KnownVm& known = it->second;
  const bool ran = std::exchange(known.runs, runs(vm->status.state).value_or(known.runs));
  VmIntent intent = intent_of(*vm);
  const bool is_other = intent != known.intent;
  if (is_other) known.intent = std::move(intent);
  return !is_new && (is_other || (known.runs && !ran));
}

bool Intents::has_changed(const std::string& id, const model::Host* host) {
  if (host == nullptr) {
    hosts_.erase(id);
    return false;
  }
  const HostIntent intent{.enabled = host->admin == model::HostAdmin::kEnabled, .dpm = host->dpm};
  const auto [it, is_new] = hosts_.try_emplace(id, intent);
  return !is_new && std::exchange(it->second, intent) != intent;
}

}  // namespace chorok::manager
