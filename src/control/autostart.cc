#include "control/autostart.h"

#include <algorithm>
#include <tuple>

#include "control/compatibility.h"
#include "control/steps.h"

namespace chorok::control {
namespace {

using model::Vm;

bool wanted(const Vm& vm, const Lookup& world) {
  return has_autostart(vm, world) && vm.power == model::VmPower::kOn;
}

bool comes_before(const AutostartCandidate& a, const AutostartCandidate& b) {
  auto rank = [](const Vm& vm) {
    return std::tie(vm.spec.autostart.order, vm.meta.name, vm.meta.id);
  };
  return rank(*a.vm) < rank(*b.vm);
}

// Runs somewhere, as far as anybody knows: it must not be started.
bool runs(const AutostartCandidate& candidate) {
  return std::ranges::any_of(candidate.sightings, [](const Sighting& s) {
    return s.fresh && is_running(s.instance->state);
  });
}

// Was seen on a host that has been lost since. It may run there, so that one has to be seen first.
bool perhaps_elsewhere(const AutostartCandidate& candidate) {
  return std::ranges::any_of(candidate.sightings, [](const Sighting& s) {
    return !s.fresh && is_running(s.instance->state);
  });
}

}  // namespace

bool autostart_due(const model::Host& host) {
  return !host.inventory.boot_id.empty() && host.autostart_boot != host.inventory.boot_id;
}

bool has_ha(const Vm& vm, const Lookup& world) {
  return vm.restart.priority > 0 && world.cluster_of(vm.host).settings.ha.enabled;
}

bool has_autostart(const Vm& vm, const Lookup& world) {
  return vm.spec.autostart.enabled || has_ha(vm, world);
}

bool awaits_autostart(const Vm& vm, const model::Host* host, const Lookup& world) {
  return host != nullptr && autostart_due(*host) && wanted(vm, world) &&
         vm.autostarted != host->inventory.boot_id;
}

AutostartOutcome plan_autostart(Time now, const model::Host& host,
                                std::vector<AutostartCandidate> candidates, const Lookup& world) {
  AutostartOutcome out;
  if (!autostart_due(host) || !world.fresh(host.meta.id)) return out;
  // What is to be done with it is a person's to say; the host's next change is looked at again.
  if (host.admin != model::HostAdmin::kEnabled) return out;
  std::ranges::sort(candidates, comes_before);
  Time before = host.link_since;  // when the one before it was done
  bool held_back = false;
  for (const AutostartCandidate& candidate : candidates) {
    const Vm& vm = *candidate.vm;
    if (vm.autostarted == host.inventory.boot_id) {
      if (candidate.busy) return out;  // one at a time; its end wakes us
      before = std::max(before, vm.status.since);
      continue;
    }
    if (!wanted(vm, world) || runs(candidate)) continue;
    if (candidate.busy || perhaps_elsewhere(candidate)) {
      held_back = true;  // its own task comes first, and the others do not wait for it
      continue;
    }
    Time at = before + vm.spec.autostart.delay;
    bool able = incompatibilities(vm, host, Purpose::kStart, {}, world).empty();
    if (at > now) {
      out.wake = at - now;
    } else if (!able && now - host.link_since < kAutostartPatience) {
      out.wake = kAutostartLookAgain;
    } else {
      out.vm = vm;
      out.vm->autostarted = host.inventory.boot_id;
    }
    return out;
  }
  if (held_back)
    out.wake = kAutostartLookAgain;
  else
    out.finished = true;
  return out;
}

}  // namespace chorok::control
