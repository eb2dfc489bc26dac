#include <algorithm>
#include <cmath>
#include <numbers>

#include "sim/datacenter/trace.h"

namespace chorok::sim::datacenter {

namespace {

constexpr double kDay = 86400;

// SplitMix64 (Steele, Lea, Flood 2014): the same figures on every machine.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  double roll() {  // 0 to 1, without 1
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return static_cast<double>((z ^ (z >> 31)) >> 11) / static_cast<double>(1ULL << 53);
  }

 private:
  std::uint64_t state_;
};

}  // namespace

TraceSet synthetic_traces(const SyntheticSettings& settings) {
  TraceSet set;
  set.source = "synthetic";
  set.interval = settings.interval;
  const double interval = seconds(settings.interval);
  set.samples = std::max<std::size_t>(4, static_cast<std::size_t>(settings.days * kDay / interval));
  set.vms.resize(settings.vms);
  set.cpu.resize(set.samples * settings.vms);
  Dice dice(settings.seed * 0x2545f4914f6cdd1d + 1);
  for (std::size_t v = 0; v < settings.vms; ++v) {
    set.vms[v].name = "vm" + std::to_string(v);
    // Few VMs are busy, most hardly ask: the square of a die, whose mean is a third.
    const double u = dice.roll();
    const double level = settings.level * (0.25 + 2.25 * u * u);
    const double swing = 0.3 + 0.6 * dice.roll();
    // Office hours, give or take three.
    const double peak = (14 + 6 * (dice.roll() - 0.5)) / 24;
    double noise = 0;
    for (std::size_t k = 0; k < set.samples; ++k) {
      const double day = static_cast<double>(k) * interval / kDay;
      noise = 0.8 * noise + 0.3 * (dice.roll() - 0.5);
      const double wave = std::cos(2 * std::numbers::pi * (day - peak));
      // Whole percent, as PlanetLab has them; never nothing, which compat mode takes for the end.
      const double share = level * (1 + swing * wave) * (1 + noise);
      set.cpu[k * settings.vms + v] = std::clamp(std::round(100 * share), 1.0, 100.0) / 100;
    }
  }
  return set;
}

}  // namespace chorok::sim::datacenter
