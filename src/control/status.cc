#include "control/status.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/autostart.h"
#include "control/steps.h"

namespace chorok::control {

using model::InstanceRole;
using model::VmState;

const Sighting* VmView::on(std::string_view host_id) const {
  for (const Sighting& s : sightings)
    if (s.host == host_id) return &s;
  return nullptr;
}

bool is_dead(const model::Host* host) {
  return host != nullptr && host->link == model::HostLink::kLost &&
         host->watch.phase == model::HostPhase::kFailed && host->link_since <= host->watch.since;
}

// One that executes is not, whatever it was: somebody has let it go.
bool is_stale(const model::Vm& vm, const Sighting& s) {
  return std::ranges::find(vm.status.stale, s.host) != vm.status.stale.end() &&
         s.instance->state != VmState::kOn && s.instance->role == InstanceRole::kPrimary;
}

const Sighting* primary_sighting(const VmView& view) {
  const Sighting* running = nullptr;
  for (const Sighting& s : view.sightings) {
    if (!s.fresh || !is_running(s.instance->state) || s.instance->role != InstanceRole::kPrimary ||
        is_stale(view.vm, s))
      continue;
    // During a switch-over both ends may hold it for a moment: the one that executes is the VM.
    bool better = running == nullptr ||
                  (s.instance->state == VmState::kOn && running->instance->state != VmState::kOn) ||
                  (s.host == view.vm.host && running->instance->state != VmState::kOn);
    if (better) running = &s;
  }
  if (running != nullptr) return running;
  if (const Sighting* home = view.on(view.vm.host); home != nullptr && !is_stale(view.vm, *home))
    return home;
  // Not where it belongs, but somewhere: a move that ended with a loss of power.
  if (!view.world.fresh(view.vm.host) && !view.vm.host.empty()) return nullptr;
  for (const Sighting& s : view.sightings)
    if (s.fresh && !is_stale(view.vm, s)) return &s;
  return nullptr;
}

namespace {

// What the operation in flight makes of a state, so that people see "starting" instead of "off".
VmState in_transition(const VmView& view, VmState state) {
  if (view.operation == nullptr) return state;
  // The source pauses for the switch-over and is gone before the target is seen: to people the
  // guest runs all along.
  bool moves = view.operation->kind == model::OpKind::kMigrate && is_running(view.vm.status.state);
  if (moves && state != VmState::kCrashed && state != VmState::kUnknown)
    return view.vm.status.state;
  // Gone from its source and not seen at the target yet.
  const bool between = view.operation->kind == model::OpKind::kMigrate && state == VmState::kOff &&
                       view.on(view.operation->host) == nullptr;
  if (between && !happened(view, *view.operation)) return VmState::kUnknown;
  if (view.operation->phase > model::OpPhase::kRunning) return state;
  bool off = state == VmState::kOff || state == VmState::kSaved || state == VmState::kCrashed;
  if (view.operation->kind == model::OpKind::kStart && off) return VmState::kStarting;
  bool stops = view.operation->kind == model::OpKind::kShutdown ||
               view.operation->kind == model::OpKind::kDestroy;
  if (stops && state == VmState::kOn) return VmState::kStopping;
  return state;
}

// A copy is known to be old while it is seen beside one that executes and nothing moves; that it is
// stays true when that one has stopped. Until its host is seen without it, or it executes itself.
void keep_stale(const VmView& view, std::vector<std::string>& stale) {
  std::erase_if(stale, [&](const std::string& host) {
    if (view.world.host(host) == nullptr) return true;
    if (!view.world.fresh(host)) return false;
    const Sighting* s = view.on(host);
    if (s == nullptr || !is_stale(view.vm, *s)) return true;
    return !is_running(s->instance->state) && s->instance->state != VmState::kSaved;
  });
  if (view.operation != nullptr && view.operation->kind == model::OpKind::kMigrate) return;
  auto in_state = [](VmState state) {
    return [state](const Sighting& s) {
      return s.fresh && s.instance->state == state && s.instance->role == InstanceRole::kPrimary;
    };
  };
  if (std::ranges::none_of(view.sightings, in_state(VmState::kOn))) return;
  for (const Sighting& s : view.sightings)
    if (in_state(VmState::kPaused)(s) && std::ranges::find(stale, s.host) == stale.end())
      stale.push_back(s.host);
}

// A migration that broke between its last two steps can leave the guest held on both hosts, paused
// on at least one. It runs once at most (image locks see to that); which half is whole, a person
// has to say.
std::string held_twice(const VmView& view) {
  if (view.task != nullptr) return {};
  std::vector<std::string> holders;
  for (const Sighting& s : view.sightings) {
    const VmState state = s.instance->state;
    const bool holds = is_running(state) || state == VmState::kSaved;
    if (!s.fresh || !holds || is_stale(view.vm, s)) continue;
    const model::Host* host = view.world.host(s.host);
    holders.push_back(fmt::format("'{}' ({})", host != nullptr ? host->meta.name : s.host,
                                  name_of(s.instance->state)));
  }
  if (holders.size() < 2) return {};
  return fmt::format(
      "two hosts hold it after a broken migration: {}; destroy the paused one with virsh there",
      fmt::join(holders, " and "));
}

}  // namespace

Derived derive_status(const VmView& view) {
  const model::Vm& vm = view.vm;
  Derived out{vm.status, vm.host, vm.power, vm.defined};
  keep_stale(view, out.status.stale);
  const Sighting* primary = primary_sighting(view);
  VmState state = VmState::kOff;
  out.status.message.clear();
  if (primary != nullptr && primary->fresh) {
    state = primary->instance->state;
    out.status.ips = primary->instance->ips;
    out.status.snapshots = primary->instance->snapshots;
    out.defined = true;
    // Somebody else moved it: the world is right.
    if (view.task == nullptr) out.host = primary->host;
  } else if (!vm.host.empty() && !view.world.fresh(vm.host)) {
    const model::Host* host = view.world.host(vm.host);
    bool known_off = !vm.defined || (vm.power == model::VmPower::kOff &&
                                     (vm.status.state == VmState::kOff || is_dead(host)));
    state = known_off ? VmState::kOff : VmState::kUnknown;
    out.status.owed |= !known_off && is_dead(host);
    if (!known_off)
      out.status.message = fmt::format("host '{}' {}", host != nullptr ? host->meta.name : vm.host,
                                       is_dead(host) ? "has failed" : "is not connected");
  } else if (vm.defined && view.task == nullptr) {
    out.defined = false;
    out.status.message = "its definition is gone from its host; it is made again at the next start";
  }
  if (!is_running(state)) out.status.ips.clear();
  if (std::string both = held_twice(view); !both.empty()) out.status.message = std::move(both);
  if (out.status.message.empty() && !out.status.stale.empty()) {
    const model::Host* host = view.world.host(out.status.stale.front());
    out.status.message = fmt::format(
        "'{}' keeps an old copy of it since a migration that broke; "
        "it is cleared away",
        host != nullptr ? host->meta.name : out.status.stale.front());
  }
  const bool seen = primary != nullptr && primary->fresh;
  const bool awaits = seen && (state == VmState::kOff || state == VmState::kSaved) &&
                      awaits_autostart(vm, view.world.host(primary->host), view.world);
  // Its host went down under it, so that also where a task takes it meanwhile it is to run.
  out.status.owed |= awaits && state == VmState::kOff;
  // Without a task of ours the guest, or somebody at the host, stopped it. A crash leaves the wish
  // to run standing, and so does a boot of the host until autostart has had its turn.
  if (view.task == nullptr && seen) {
    bool off = state == VmState::kOff || state == VmState::kSaved;
    bool owed = state == VmState::kOff && out.status.owed && has_ha(vm, view.world);
    if (off && !awaits && !owed) out.power = model::VmPower::kOff;
    if (owed) out.status.message = "its host failed; it starts when a host can take it";
    if (awaits) out.status.message = "its host has booted; it starts when its turn comes";
    if (state == VmState::kOn) out.power = model::VmPower::kOn;
  }
  bool lacks = state == VmState::kOff || state == VmState::kUnknown;
  out.status.owed &= lacks && out.power == model::VmPower::kOn && has_ha(vm, view.world);
  out.status.state = in_transition(view, state);
  const model::Host* host = view.world.host(out.host);
  out.status.host = out.host;
  out.status.host_name = host != nullptr ? host->meta.name : "";
  if (out.status.state != vm.status.state || out.status.since.time_since_epoch().count() == 0)
    out.status.since = view.now;
  out.status.task = view.task != nullptr ? view.task->id : "";
  return out;
}

}  // namespace chorok::control
