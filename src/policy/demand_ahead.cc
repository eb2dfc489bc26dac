#include "policy/demand_ahead.h"

#include <algorithm>
#include <cmath>

namespace chorok::policy {

DemandAhead demand_ahead(const Round& round) {
  const Snapshot& snapshot = round.snapshot();
  const model::PowerSettings& settings = snapshot.settings.power;
  DemandAhead out;
  double now = 0;
  double expected = 0;
  double variance = 0;
  for (Index v = 0; v < snapshot.vms.size(); ++v) {
    if (snapshot.vms[v].run == model::VmRun::kOff) continue;
    const VmLoad& load = round.what.vm_load(v);
    now += load.now.cpu;
    expected += std::max(snapshot.vms[v].cpu_demand.expected, load.mean);
    variance += load.deviation * load.deviation;
    out.memory_now += load.now.memory;
    out.sizes += load.size.memory;
  }
  out.cpu = std::max(now, expected + settings.deviations * std::sqrt(variance)) / settings.target;
  return out;
}

}  // namespace chorok::policy
