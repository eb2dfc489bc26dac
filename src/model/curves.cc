#include "model/curves.h"

#include <algorithm>
#include <vector>

#include "base/result.h"

namespace chorok::model {

namespace {

constexpr std::string_view kMedian =
    "median of the two-socket SPECpower_ssj2008 results of that year (idle and full load; linear "
    "between, since medians of the steps were not taken)";

// A server of which only idle and full load are known.
KnownCurve straight(std::string_view name, double idle, double full, std::int32_t cores) {
  KnownCurve known;
  known.curve.name = name;
  for (std::size_t step = 0; step < known.curve.watts.size(); ++step)
    known.curve.watts[step] = idle + (full - idle) * static_cast<double>(step) / 10;
  known.cores = cores;
  known.source = kMedian;
  return known;
}

std::vector<KnownCurve> all() {
  std::vector<KnownCurve> curves;
  curves.push_back({.curve = {.name = "hp-ml110-g4",
                              .watts = {86, 89.4, 92.6, 96, 99.5, 102, 106, 108, 112, 114, 117}},
                    .cores = 2,
                    .source = "HP ProLiant ML110 G4 (Xeon 3040), SPECpower_ssj2008 result "
                              "20110127-00342, as CloudSim cites it"});
  curves.push_back({.curve = {.name = "hp-ml110-g5",
                              .watts = {93.7, 97, 101, 105, 110, 116, 121, 125, 129, 133, 135}},
                    .cores = 2,
                    .source = "HP ProLiant ML110 G5 (Xeon 3075), SPECpower_ssj2008 result "
                              "20110124-00339, as CloudSim cites it"});
  curves.push_back(straight("spec-median-2017", 51, 450, 56));
  curves.push_back(straight("spec-median-2021", 119, 566, 80));
  curves.push_back(straight("spec-median-2023", 154, 717, 120));
  curves.push_back(straight("spec-median-2025", 196, 827, 172));
  return curves;
}

}  // namespace

std::span<const KnownCurve> known_curves() {
  static const std::vector<KnownCurve> kCurves = all();
  return kCurves;
}

const KnownCurve* find_curve(std::string_view name) {
  auto curves = known_curves();
  auto found = std::ranges::find_if(curves, [&](const auto& k) { return k.curve.name == name; });
  return found == curves.end() ? nullptr : &*found;
}

const KnownCurve& known_curve(std::string_view name) {
  const KnownCurve* found = find_curve(name);
  CHOROK_ASSERT(found != nullptr);
  return *found;
}

}  // namespace chorok::model
