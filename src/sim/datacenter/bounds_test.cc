// Bounds of several types of host against every combination there is.
#include "sim/datacenter/bounds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "sim/datacenter/bounds_fleet.h"
#include "sim/datacenter/curves.h"

namespace chorok::sim::datacenter {
namespace {

class Dice {
 public:
  explicit Dice(std::uint32_t seed) : state_(seed * 2654435761U + 1) {}
  double operator()(double from, double to) {
    state_ = state_ * 1664525U + 1013904223U;
    return from + (to - from) * static_cast<double>(state_ >> 8) / static_cast<double>(1U << 24);
  }
  std::int32_t count(std::int32_t most) {
    return std::min(most, static_cast<std::int32_t>((*this)(0, most + 1)));
  }

 private:
  std::uint32_t state_;
};

HostType random_type(Dice& dice) {
  HostType type{
      .core_mhz = dice(500, 3000), .cores = 1 + dice.count(3), .memory_mib = dice(100, 2000)};
  double watts = dice(20, 200);
  for (double& point : type.curve.watts) {
    point = watts;
    watts += dice(0, 30);  // neither straight nor convex
  }
  return type;
}

// Calls `see` with every combination of numbers.
void for_each_count(const std::vector<std::int32_t>& most,
                    const std::function<void(const std::vector<std::int32_t>&)>& see) {
  std::vector<std::int32_t> n(most.size(), 0);
  while (true) {
    see(n);
    std::size_t type = 0;
    while (type < n.size() && n[type] == most[type]) n[type++] = 0;
    if (type == n.size()) return;
    ++n[type];
  }
}

double brute_watts(const Fleet& fleet, const std::vector<HostType>& types,
                   const std::vector<std::int32_t>& most, double demand, double memory) {
  double least = kInfinity;
  for_each_count(most, [&](const std::vector<std::int32_t>& n) {
    double room = 0;
    for (std::size_t type = 0; type < n.size(); ++type) room += n[type] * types[type].memory_mib;
    if (room < memory * (1 - 1e-9)) return;
    least = std::min(least, fleet.watts(n, demand));
  });
  return least;
}

TEST(Fleet, ThreeToFiveTypesCostWhatEveryCombinationSays) {
  Dice dice(1);
  int served = 0;
  for (int round = 0; round < 1500; ++round) {
    std::vector<HostType> types;
    std::vector<std::int32_t> most;
    double mhz = 0;
    double memory = 0;
    const auto count = static_cast<std::size_t>(3 + dice.count(2));
    for (std::size_t type = 0; type < count; ++type) {
      types.push_back(random_type(dice));
      most.push_back(dice.count(4));
      mhz += most.back() * types.back().mhz();
      memory += most.back() * types.back().memory_mib;
    }
    const Fleet fleet(types, most);
    const double demand = dice(0, 1.05) * mhz;
    const double needed = dice(0, 1) < 0.4 ? 0 : dice(0, 1.05) * memory;
    const double brute = brute_watts(fleet, types, most, demand, needed);
    const double found = fleet.least_watts(demand, needed);
    if (!std::isfinite(brute)) {
      EXPECT_FALSE(std::isfinite(found)) << round;
      continue;
    }
    ++served;
    EXPECT_NEAR(found, brute, 1e-7 * brute + 1e-9) << "round " << round;
  }
  EXPECT_GT(served, 1000);
}

TEST(Fleet, AThirdTypeThatIsNotThereChangesNothing) {
  Dice dice(2);
  for (int round = 0; round < 300; ++round) {
    std::vector<HostType> types = {random_type(dice), random_type(dice)};
    std::vector<std::int32_t> most = {dice.count(30), dice.count(30)};
    const Fleet two(types, most);
    types.push_back(random_type(dice));
    most.push_back(0);
    const Fleet three(types, most);
    const double demand = dice(0, 1) * (most[0] * types[0].mhz() + most[1] * types[1].mhz());
    const double memory =
        dice(0, 1) * (most[0] * types[0].memory_mib + most[1] * types[1].memory_mib);
    const double a = two.least_watts(demand, memory);
    EXPECT_NEAR(three.least_watts(demand, memory), a, 1e-7 * a) << round;
  }
}

TEST(Fleet, BeyondItsWorkItIsABoundStill) {
  // Hundreds of hosts of six types: no combination that anybody tries is below it.
  Dice dice(3);
  for (int round = 0; round < 30; ++round) {
    std::vector<HostType> types;
    std::vector<std::int32_t> most;
    double mhz = 0;
    double memory = 0;
    for (int type = 0; type < 6; ++type) {
      types.push_back(random_type(dice));
      most.push_back(100 + dice.count(200));
      mhz += most.back() * types.back().mhz();
      memory += most.back() * types.back().memory_mib;
    }
    const Fleet fleet(types, most);
    const double demand = 0.3 * mhz;
    const double needed = 0.3 * memory;
    const double bound = fleet.least_watts(demand, needed);
    double best = kInfinity;
    for (int attempt = 0; attempt < 3000; ++attempt) {
      std::vector<std::int32_t> n;
      double room = 0;
      for (std::size_t type = 0; type < most.size(); ++type) {
        n.push_back(dice(0, 1) < 0.5 ? dice.count(most[type])
                                     : (dice(0, 1) < 0.5 ? most[type] : 0));
        room += n.back() * types[type].memory_mib;
      }
      if (room < needed) continue;
      const double watts = fleet.watts(n, demand);
      EXPECT_GE(watts, bound * (1 - 1e-9)) << round;
      best = std::min(best, watts);
    }
    ASSERT_TRUE(std::isfinite(best));
  }
}

// Every way to go through the ticks.
double brute_boots(const Fleet& fleet, const std::vector<std::int32_t>& most,
                   const std::vector<double>& demand, double seconds, double boot_j) {
  double least = kInfinity;
  std::function<void(std::size_t, const std::vector<std::int32_t>&, double)> go =
      [&](std::size_t tick, const std::vector<std::int32_t>& before, double joules) {
        if (tick == demand.size()) {
          least = std::min(least, joules);
          return;
        }
        for_each_count(most, [&](const std::vector<std::int32_t>& n) {
          const double watts = fleet.watts(n, demand[tick]);
          if (!std::isfinite(watts)) return;
          double more = seconds * watts;
          for (std::size_t type = 0; tick > 0 && type < n.size(); ++type)
            more += boot_j * std::max(0, n[type] - before[type]);
          go(tick + 1, n, joules + more);
        });
      };
  go(0, {}, 0);
  return least;
}

TEST(Bounds, BootsOfThreeTypesCostWhatEveryWaySays) {
  Dice dice(4);
  for (int round = 0; round < 20; ++round) {
    std::vector<HostType> types;
    const std::vector<std::int32_t> most = {2, 1, 1};
    double mhz = 0;
    for (std::size_t type = 0; type < 3; ++type) {
      types.push_back(random_type(dice));
      mhz += most[type] * types.back().mhz();
    }
    const std::vector<double> time = {0, 600, 1200, 1800};
    std::vector<double> demand = {dice(0, 1) * mhz, dice(0, 1) * mhz, dice(0, 1) * mhz};
    const double boot_j = dice(0, 200'000);
    const Fleet fleet(types, most);
    const double brute = brute_boots(fleet, most, demand, 600, boot_j);
    demand.push_back(0);  // steps: the last tick has no time after it
    const Bounds bounds = lower_bounds({.time_s = time,
                                        .demand_mhz = demand,
                                        .memory_mib = {},
                                        .types = types,
                                        .counts = most,
                                        .boot_j = boot_j,
                                        .steps = true});
    EXPECT_NEAR(bounds.lb3_kwh * 3.6e6, brute, 1e-6 * brute) << round;
    EXPECT_LE(bounds.lb0_kwh, bounds.lb1_kwh * (1 + 1e-9));
    EXPECT_LE(bounds.lb1_kwh, bounds.lb3_kwh * (1 + 1e-9));
  }
}

TEST(Bounds, SetsOfTheSameServersAreOneType) {
  std::vector<HostType> types;
  for (std::string_view name : {"hp-ml110-g4", "hp-ml110-g5", "hp-ml110-g4", "hp-ml110-g5"})
    types.push_back({.core_mhz = name == "hp-ml110-g4" ? 1860.0 : 2660.0,
                     .cores = 2,
                     .memory_mib = 4096,
                     .curve = known_curve(name).curve});
  std::vector<double> time;
  std::vector<double> demand;
  std::vector<double> memory;
  for (int k = 0; k < 20; ++k) {
    time.push_back(300 * k);
    demand.push_back(150'000 + 4'000 * (k % 7));
    memory.push_back(1e6);
  }
  BoundInput input{.time_s = time,
                   .demand_mhz = demand,
                   .memory_mib = memory,
                   .types = types,
                   .counts = {100, 300, 300, 100}};
  const Bounds four = lower_bounds(input);
  const std::vector<double> watts = least_watts(input);
  input.types.resize(2);
  input.counts = {400, 400};
  const Bounds two = lower_bounds(input);
  EXPECT_DOUBLE_EQ(four.lb1_kwh, two.lb1_kwh);
  EXPECT_DOUBLE_EQ(four.lb2_kwh, two.lb2_kwh);
  EXPECT_DOUBLE_EQ(four.lb3_kwh, two.lb3_kwh);
  EXPECT_EQ(watts, least_watts(input));
  EXPECT_GT(two.lb2_kwh, two.lb1_kwh);
}

}  // namespace
}  // namespace chorok::sim::datacenter
