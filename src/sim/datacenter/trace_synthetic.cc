#include <algorithm>
#include <cmath>
#include <numbers>

#include "sim/datacenter/trace.h"
#include "sim/random.h"

namespace chorok::sim::datacenter {

namespace {

constexpr double kDay = 86400;

}  // namespace

TraceSet synthetic_traces(const SyntheticSettings& settings) {
  TraceSet set;
  set.source = "synthetic";
  set.interval = settings.interval;
  const double interval = seconds(settings.interval);
  set.samples = std::max<std::size_t>(4, static_cast<std::size_t>(settings.days * kDay / interval));
  set.vms.resize(settings.vms);
  set.cpu.resize(set.samples * settings.vms);
  Random dice(settings.seed * 0x2545f4914f6cdd1d + 1);
  for (std::size_t v = 0; v < settings.vms; ++v) {
    set.vms[v].name = "vm" + std::to_string(v);
    // Few VMs are busy, most hardly ask: the square of a die, whose mean is a third.
    const double u = dice.unit();
    const double level = settings.level * (0.25 + 2.25 * u * u);
    const double swing = 0.3 + 0.6 * dice.unit();
    // Office hours, give or take three.
    const double peak = (14 + 6 * (dice.unit() - 0.5)) / 24;
    double noise = 0;
    for (std::size_t k = 0; k < set.samples; ++k) {
      const double day = static_cast<double>(k) * interval / kDay;
      noise = 0.8 * noise + 0.3 * (dice.unit() - 0.5);
      const double wave = std::cos(2 * std::numbers::pi * (day - peak));
      // Whole percent, as PlanetLab has them; never nothing, which compat mode takes for the end.
      const double share = level * (1 + swing * wave) * (1 + noise);
      set.cpu[k * settings.vms + v] = std::clamp(std::round(100 * share), 1.0, 100.0) / 100;
    }
  }
  return set;
}

}  // namespace chorok::sim::datacenter
