#include "policy/obstacle.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/text.h"

namespace chorok::policy {

using model::SnapshotHost;
using model::SnapshotVm;

namespace {

// The host with most of something among those that could hold the VM but for room.
struct Most {
  Index host = kNone;
  double left = 0;
};
Most most(const WhatIf& world, Index vm, const std::function<double(Index)>& left) {
  Most best;
  for (Index h = 0; h < world.snapshot().hosts.size(); ++h) {
    if (!world.usable(h) || world.compatible(vm, h) || h == world.host_of(vm)) continue;
    const double here = std::max(0.0, left(h));
    if (best.host == kNone || here > best.left) best = {h, here};
  }
  return best;
}

std::string short_of(const WhatIf& world, std::string_view verb, double needs,
                     std::string_view left, const Most& best, std::string_view unit) {
  if (best.host == kNone || best.left >= needs) return {};
  return fmt::format("it {} {:.0f} {} and the most {} is {:.0f} {} on {}", verb, needs, unit, left,
                     best.left, unit, world.snapshot().hosts[best.host].name);
}

std::string first_of(std::initializer_list<std::string> texts) {
  for (const std::string& text : texts)
    if (!text.empty()) return text;
  return {};
}

std::string memory_lacking(const WhatIf& world, Index vm) {
  const Snapshot& s = world.snapshot();
  const VmLoad& needs = world.vm_load(vm);
  const model::PowerSettings& power = s.settings.power;
  const Most size = most(world, vm, [&](Index h) {
    return (s.hosts[h].capacity.memory * power.memory_overcommit) - world.load(h).size.memory;
  });
  const Most reserved = most(world, vm, [&](Index h) {
    return s.hosts[h].capacity.memory - world.load(h).reserved.memory;
  });
  const Most used = most(world, vm, [&](Index h) {
    return (s.hosts[h].capacity.memory * power.memory_target) - world.load(h).now.memory;
  });
  return first_of(
      {short_of(world, "needs", needs.size.memory, "left", size, "MiB"),
       short_of(world, "reserves", needs.reserved.memory, "not reserved", reserved, "MiB"),
       short_of(world, "uses", needs.now.memory, "not in use", used, "MiB")});
}

std::string cpu_lacking(const WhatIf& world, Index vm) {
  const Snapshot& s = world.snapshot();
  const VmLoad& needs = world.vm_load(vm);
  const Most cores =
      most(world, vm, [&](Index h) { return s.hosts[h].cores > 0 ? s.hosts[h].cores : HUGE_VAL; });
  if (cores.host != kNone && s.vms[vm].vcpus > cores.left)
    return fmt::format("it has {} and no host more than {:.0f} cores",
                       counted(s.vms[vm].vcpus, "vCPU"), cores.left);
  const Most reserved = most(
      world, vm, [&](Index h) { return s.hosts[h].capacity.cpu - world.load(h).reserved.cpu; });
  const Most asked = most(world, vm, [&](Index h) {
    return (s.hosts[h].capacity.cpu * s.settings.power.target) - world.load(h).now.cpu;
  });
  return first_of({short_of(world, "reserves", needs.reserved.cpu, "not reserved", reserved, "MHz"),
                   short_of(world, "asks for", needs.now.cpu, "left", asked, "MHz")});
}

std::string rules_of(const WhatIf& world, Index vm) {
  std::vector<std::string> names;
  for (const model::SnapshotRule& rule : world.snapshot().rules)
    if (rule.must && std::ranges::find(rule.vms, vm) != rule.vms.end()) names.push_back(rule.name);
  return names.empty() ? std::string()
                       : fmt::format("it is named by rule{} {}", names.size() == 1 ? "" : "s",
                                     fmt::join(names, ", "));
}

std::string needs_all(std::string_view noun, const std::vector<std::string>& names) {
  return fmt::format("it needs {}{} {}", noun, names.size() == 1 ? "" : "s",
                     fmt::join(names, ", "));
}

}  // namespace

std::string lacking(const WhatIf& world, Index vm, Why why) {
  const Snapshot& s = world.snapshot();
  const model::Requirement& needs = s.requirements[s.vms[vm].requirement];
  switch (why) {
    case Why::kNoMemory:
      return memory_lacking(world, vm);
    case Why::kNoCpu:
      return cpu_lacking(world, vm);
    case Why::kNoCpuModel:
      return fmt::format("it needs CPU {}", needs.cpu);
    case Why::kNoDatastore:
      return needs_all("datastore", needs.datastores);
    case Why::kNoNetwork:
      return needs_all("network", needs.networks);
    case Why::kNoNuma:
      return fmt::format("it asks for {} with {:.0f} MiB each",
                         counted(s.vms[vm].numa_nodes, "NUMA node"),
                         world.vm_load(vm).size.memory / std::max(1, s.vms[vm].numa_nodes));
    case Why::kRuleForbids:
      return rules_of(world, vm);
    default:
      return {};
  }
}

std::string size_text(const WhatIf& world, Index vm) {
  const SnapshotVm& it = world.snapshot().vms[vm];
  return fmt::format("{} ({}, {:.0f} MiB)", it.name, counted(it.vcpus, "vCPU"),
                     world.vm_load(vm).size.memory);
}

Obstacle obstacle_of(const Round& round, Index vm) {
  const WhatIf& world = round.what;
  const Snapshot& s = world.snapshot();
  const Wanted least{.deviations = 0, .target = s.settings.power.target};
  Refusals refusals;
  for (Index h = 0; h < s.hosts.size(); ++h) {
    if (h == world.host_of(vm)) continue;
    const bool awake = world.usable(h);
    if (!awake && !s.hosts[h].keep_off.empty()) {
      refusals.add(Why::kKeepOff);
    } else if (!awake && !world.could_run(h)) {
      refusals.add(Why::kHostNotReady);
    } else if (const auto hard = world.forbids(vm, h)) {
      refusals.add(*hard);
    } else if (awake && round.closed(h)) {
      refusals.add(world.broken(h).value_or(Why::kHostNotReady));
    } else if (!round.has_room(vm, h, least)) {
      refusals.add(Why::kNoCpu);
    } else {
      refusals.add(round.within_limits(vm, h) ? Why::kHostNotReady : Why::kMovesLimit);
    }
  }
  const Why why = refusals.main();
  const std::string numbers = lacking(world, vm, why);
  return {why, refusals.text() + (numbers.empty() ? "" : "; " + numbers)};
}

}  // namespace chorok::policy
