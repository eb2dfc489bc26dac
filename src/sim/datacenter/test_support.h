// Traces for tests: made by hand, or those under ../shared/data where the machine has them.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sim/datacenter/trace.h"

namespace chorok::sim::datacenter {

// A row a VM: its share of CPU at each sample.
inline TraceSet traces_of(const std::vector<std::vector<double>>& rows) {
  TraceSet set;
  set.source = "made by hand";
  set.samples = rows.at(0).size();
  set.vms.resize(rows.size());
  set.cpu.resize(rows.size() * set.samples);
  for (std::size_t v = 0; v < rows.size(); ++v) {
    set.vms[v].name = "vm" + std::to_string(v);
    for (std::size_t k = 0; k < set.samples; ++k) set.cpu[k * rows.size() + v] = rows[v][k];
  }
  return set;
}

// A day of `vms` that differ in level, phase and noise; the same for a seed.
inline TraceSet synthetic_day(std::size_t vms, std::uint32_t seed) {
  std::vector<std::vector<double>> rows;
  std::uint32_t state = seed * 2654435761U + 1;
  auto dice = [&] {
    state = state * 1664525U + 1013904223U;
    return static_cast<double>(state >> 8) / static_cast<double>(1U << 24);
  };
  for (std::size_t v = 0; v < vms; ++v) {
    const double level = 0.02 + 0.3 * dice() * dice();
    const auto peak = static_cast<std::size_t>(dice() * 288);
    std::vector<double> row(288);
    for (std::size_t k = 0; k < row.size(); ++k) {
      const double day = (k + 288 - peak) % 288 < 96 ? 1.8 : 0.8;
      row[k] = std::min(
          1.0, static_cast<double>(static_cast<int>(100 * level * day * (0.7 + 0.6 * dice()) + 1)) /
                   100);
    }
    rows.push_back(std::move(row));
  }
  return traces_of(rows);
}

// The folder of shared data beside the project, when it is there.
inline std::optional<std::filesystem::path> shared_data() {
  const char* named = std::getenv("CHOROK_SHARED_DATA");
  const std::filesystem::path here = std::filesystem::path(__FILE__).parent_path();
  for (const std::filesystem::path& path :
       {std::filesystem::path(named ? named : ""), std::filesystem::path("../shared/data"),
        here / "../../../../shared/data"})
    if (!path.empty() && std::filesystem::exists(path / "planetlab")) return path;
  return std::nullopt;
}

#define CHOROK_NEED_SHARED_DATA()                                                        \
  if (!shared_data())                                                                    \
  GTEST_SKIP() << "SKIPPED, NOT PASSED: no ../shared/data/planetlab beside the project " \
                  "(CHOROK_SHARED_DATA names another place)"

}  // namespace chorok::sim::datacenter
