// Sweeps: every combination, in order, the same on any number of threads.
#include "sim/datacenter/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chorok::sim::datacenter {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ExperimentFile small() {
  auto file = parse_experiment(find_experiment("planetlab-honest").value()->toml).value();
  file.synthetic.emplace();
  file.synthetic->vms = 40;
  file.synthetic->days = 0.5;
  file.hosts[0].count = 20;
  file.hosts[1].count = 20;
  return file;
}

TEST(Sweep, IsTheSameOnAnyNumberOfThreads) {
  SweepRequest request{.base = small(),
                       .axes = {{"seed", {"1", "2"}},
                                {"policy", {"chorok", "always-on"}},
                                {"power.deviations", {"2", "4"}}}};
  std::vector<std::size_t> told;
  request.threads = 1;
  request.progress = [&](std::size_t done, std::size_t of) {
    EXPECT_EQ(of, 8U);
    told.push_back(done);
  };
  const auto one = run_sweep(request).value();
  EXPECT_EQ(told.front(), 0U);
  EXPECT_EQ(told.back(), 8U);
  EXPECT_TRUE(std::ranges::is_sorted(told));
  request.threads = 3;
  const auto three = run_sweep(request).value();
  ASSERT_EQ(one.size(), 8U);
  EXPECT_THAT(one[0].values, ElementsAre("1", "chorok", "2"));
  EXPECT_THAT(one[1].values, ElementsAre("1", "chorok", "4"));
  EXPECT_THAT(one[7].values, ElementsAre("2", "always-on", "4"));
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_FALSE(one[i].error);
    EXPECT_EQ(one[i].values, three[i].values);
    EXPECT_EQ(one[i].report.energy_kwh, three[i].report.energy_kwh);
    EXPECT_EQ(one[i].report.migrations, three[i].report.migrations);
    EXPECT_EQ(one[i].report.unmet_demand, three[i].report.unmet_demand);
  }
  EXPECT_NE(one[0].report.lb0_kwh, one[4].report.lb0_kwh);  // another seed
  EXPECT_LT(one[0].report.energy_kwh, one[2].report.energy_kwh);
  // As run alone.
  ExperimentFile alone = small();
  ASSERT_TRUE(set_field(alone, "seed", "2"));
  ASSERT_TRUE(set_field(alone, "power.deviations", "4"));
  EXPECT_EQ(run_experiment({.file = alone})->energy_kwh, one[5].report.energy_kwh);
}

TEST(Sweep, ARunThatCannotBeDoesNotEndTheOthers) {
  const auto runs =
      run_sweep({.base = small(), .axes = {{"policy", {"dvfs", "nobody", "always-on"}}}}).value();
  EXPECT_FALSE(runs[0].error);
  ASSERT_TRUE(runs[1].error);
  EXPECT_THAT(runs[1].error->message, HasSubstr("nobody"));
  EXPECT_GT(runs[2].report.energy_kwh, 0);
}

TEST(Sweep, MistakesAreFoundBeforeAnythingRuns) {
  int told = 0;
  SweepRequest request{.base = small()};
  request.progress = [&](std::size_t, std::size_t) { ++told; };
  request.axes = {{"power.deviatons", {"1"}}};
  EXPECT_THAT(run_sweep(request).error().message, HasSubstr("did you mean"));
  request.axes = {{"seed", {}}};
  EXPECT_FALSE(run_sweep(request));
  request.axes = {{"traces", {"no-such-traces"}}};
  EXPECT_THAT(run_sweep(request).error().message, HasSubstr("no-such-traces"));
  request.axes = {{"seed", std::vector<std::string>(101, "1")},
                  {"policy", std::vector<std::string>(100, "dvfs")}};
  EXPECT_THAT(run_sweep(request).error().message, HasSubstr("combinations"));
  EXPECT_EQ(told, 0);
}

}  // namespace
}  // namespace chorok::sim::datacenter
