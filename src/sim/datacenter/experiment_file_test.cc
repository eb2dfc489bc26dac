// Experiments in TOML: what is built in, what lies in experiments/, and what is wrong with others.
#include "sim/datacenter/experiment_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <numeric>

#include "base/json.h"
#include "sim/datacenter/experiment.h"
#include "sim/datacenter/test_support.h"
#include "sim/datacenter/toml.h"

namespace chorok::sim::datacenter {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kSmall = R"(
[synthetic]
vms = 30
[[hosts]]
count = 3
curve = "hp-ml110-g5"
core_mhz = 2660
memory_mib = 32768
[[hosts]]
count = 6
curve = "hp-ml110-g4"
core_mhz = 1860
memory_mib = 16384
[[vms]]
mhz = 1000
memory_mib = 1024
)";

TEST(Toml, BecomesJson) {
  EXPECT_EQ(toml_to_json("b = 1\n[a]\nx = [1, 2.5, \"t\\n\"]\ny = true\n").value(),
            R"({"a":{"x":[1,2.5,"t\n"],"y":true},"b":1})");
  EXPECT_THAT(toml_to_json("a = ").error().message, HasSubstr("line 1"));
  EXPECT_THAT(toml_to_json("\na = 09:00:00\n").error().message, HasSubstr("line 2"));
  EXPECT_EQ(toml_to_json("a = 2026-01-01\nb = 2026-01-01T09:00:00+09:00\n").value(),
            R"({"a":"2026-01-01","b":"2026-01-01T09:00:00+09:00"})");
  EXPECT_EQ(toml_to_json("[a]\nb = [1, inf]\n").error().field, "/a/b/1");
  EXPECT_FALSE(toml_to_json(std::string(2 << 20, '\n')));
}

TEST(ExperimentFile, MistakesHaveAPlaceAndAdvice) {
  const struct {
    const char* toml;
    const char* field;
    const char* message;
  } cases[] = {
      {"mod = \"compat\"\nhosts = []\n", "/mod", "did you mean 'mode'"},
      {"mode = \"honst\"\nhosts = []\n", "/mode", "did you mean 'honest'"},
      {"[settings.power]\ndeviation = 2\n", "/settings/power/deviation", "did you mean"},
      {"[settings.power]\ntarget = 2\n", "/settings/power/target", "1"},
      {"[[hosts]]\nmemory_mib = 1\n", "/hosts/0", "core_mhz"},
      {"name = \"x\"\n", "", "hosts"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.toml);
    auto parsed = parse_experiment(c.toml);
    ASSERT_FALSE(parsed);
    EXPECT_THAT(parsed.error().field, ::testing::StartsWith(c.field));
    EXPECT_THAT(parsed.error().message + parsed.error().field, HasSubstr(c.message));
  }
}

TEST(ExperimentFile, DefaultsAreThoseOfProduction) {
  auto file = parse_experiment(std::string(kSmall) + "[settings.power]\ndeviations = 3\n").value();
  EXPECT_EQ(file.settings.power.deviations, 3);
  model::PolicySettings expected = ChorokPlannerSettings::defaults();
  expected.power.deviations = 3;
  EXPECT_TRUE(equal(file.settings, expected));
}

TEST(ExperimentFile, MixesSetsOfHostsEvenly) {
  auto file = parse_experiment(kSmall).value();
  const TraceSet traces = open_traces(file).value();
  const HostMix mix = host_mix(file, traces).value();
  EXPECT_EQ(mix.hosts, 9);
  EXPECT_THAT(mix.counts, ElementsAre(3, 6));
  ASSERT_EQ(mix.pattern.size(), 3U);
  EXPECT_EQ(std::ranges::count(mix.pattern, 1860, &HostType::core_mhz), 2);
  EXPECT_EQ(mix.types[0].cores, 2);  // the curve's
  EXPECT_NEAR(mix.types[0].boot_j, 300 * (93.7 + (135 - 93.7) / 6), 1e-9);
  EXPECT_NEAR(mix.types[0].shutdown_j, 60 * 93.7, 1e-9);

  file.hosts[0].curve = "hp-ml110-g6";
  EXPECT_EQ(host_mix(file, traces).error().field, "/hosts/0/curve");
  EXPECT_THAT(host_mix(file, traces).error().message, HasSubstr("did you mean 'hp-ml110-g"));
  file.hosts[0].watts = {1, 2};
  EXPECT_EQ(host_mix(file, traces).error().field, "/hosts/0/watts");
  file.hosts[0].watts.assign(11, 100);
  file.hosts[0].cores = 4;
  file.hosts[0].count = 0;
  EXPECT_EQ(host_mix(file, traces).error().field, "/hosts/0/count");
  file.hosts.pop_back();
  EXPECT_EQ(host_mix(file, traces).value().hosts, 4);  // 1.2 * 30 * 1000 / 10640
  file.hosts.clear();
  EXPECT_FALSE(host_mix(file, traces));
}

TEST(ExperimentFile, SizesOfVmsAreCounted) {
  auto file = parse_experiment(kSmall).value();
  const TraceSet traces = open_traces(file).value();
  const HostMix mix = host_mix(file, traces).value();
  file.vms = {{.count = 5, .mhz = 100, .memory_mib = 1},
              {.count = 0, .mhz = 200, .memory_mib = 1},
              {.count = 0, .mhz = 300, .memory_mib = 1}};
  auto settings = honest_settings(file, mix, traces).value();
  ASSERT_EQ(settings.vm_types.size(), 30U);
  EXPECT_EQ(std::ranges::count(settings.vm_types, 200, &VmType::mhz), 13);
  EXPECT_EQ(std::ranges::count(settings.vm_types, 300, &VmType::mhz), 12);
  file.vms.pop_back();
  file.vms[1].count = 24;
  EXPECT_EQ(honest_settings(file, mix, traces).error().field, "/vms");
  file.vms[1].count = 26;
  EXPECT_EQ(honest_settings(file, mix, traces).error().field, "/vms");
}

TEST(ExperimentFile, FieldsAreSetByName) {
  auto file = parse_experiment(kSmall).value();
  ASSERT_TRUE(set_field(file, "power.deviations", "3.5"));
  ASSERT_TRUE(set_field(file, "settings.power.judge_off_s", "600"));
  ASSERT_TRUE(set_field(file, "horizon_s", "60"));
  ASSERT_TRUE(set_field(file, "hosts.1.count", "4"));
  ASSERT_TRUE(set_field(file, "policy", "dvfs"));
  ASSERT_TRUE(set_field(file, "mode", "compat"));
  ASSERT_TRUE(set_field(file, "synthetic.vms", "7"));
  ASSERT_TRUE(set_field(file, "keep_vms", "true"));
  EXPECT_EQ(file.settings.power.deviations, 3.5);
  EXPECT_EQ(seconds(file.settings.power.judge_off), 600);
  EXPECT_EQ(seconds(file.settings.horizon), 60);
  EXPECT_EQ(file.hosts[1].count, 4);
  EXPECT_EQ(file.policy, "dvfs");
  EXPECT_EQ(file.mode, Mode::kCompat);
  EXPECT_EQ(file.synthetic->vms, 7);
  EXPECT_TRUE(file.keep_vms);

  EXPECT_THAT(set_field(file, "power.deviaton", "3").error().message, HasSubstr("did you mean"));
  EXPECT_THAT(set_field(file, "power.target", "3").error().field, "/settings/power/target");
  EXPECT_THAT(set_field(file, "power.target", "x").error().message, HasSubstr("'x' is no value"));
  EXPECT_THAT(set_field(file, "hosts.2.count", "3").error().message, HasSubstr("a list of 2"));
  for (const char* bad : {"", "hosts", "hosts.0", "hosts.x", "power", "power.target.x", "policy.x",
                          "...", "nothing.at.all", "synthetic.vms.x"})
    EXPECT_FALSE(set_field(file, bad, "1")) << bad;
}

TEST(ExperimentFile, SyntheticDemandFollowsTheSeed) {
  const TraceSet a = synthetic_traces({.vms = 50, .seed = 1});
  EXPECT_EQ(a.cpu, synthetic_traces({.vms = 50, .seed = 1}).cpu);
  EXPECT_NE(a.cpu, synthetic_traces({.vms = 50, .seed = 2}).cpu);
  EXPECT_EQ(a.samples, 288U);
  for (double share : a.cpu) {
    ASSERT_GT(share, 0);
    ASSERT_LE(share, 1);
  }
  const double mean = std::reduce(a.cpu.begin(), a.cpu.end()) / static_cast<double>(a.cpu.size());
  EXPECT_NEAR(mean, 0.12, 0.04);
}

TEST(ExperimentFile, MadeUpDemandIsBounded) {
  auto file = parse_experiment(kSmall).value();
  file.synthetic->vms = 100'000;
  file.synthetic->days = 300;
  const auto traces = open_traces(file, {});
  ASSERT_FALSE(traces);
  EXPECT_EQ(traces.error().field, "/synthetic");
  EXPECT_THAT(traces.error().message, HasSubstr("give fewer VMs or days"));
}

TEST(ExperimentFile, RunsInBothModesAndEndsWhenItSays) {
  auto file = parse_experiment(kSmall).value();
  file.duration_s = 6 * 3600;
  for (Mode mode : {Mode::kHonest, Mode::kCompat}) {
    file.mode = mode;
    double last = 0;
    auto report =
        run_experiment({.file = file, .row = [&](const TickRow& row) { last = row.time_s; }});
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->vms, 30);
    EXPECT_GT(report->energy_kwh, report->lb0_kwh);
    EXPECT_GE(report->actions_dropped, 0);
    EXPECT_EQ(report->memory_short, 0);  // memory as it was given always fits
    EXPECT_THAT(json::encode(*report), HasSubstr("\"memory_short\":0"));
    EXPECT_THAT(json::encode(*report), HasSubstr("\"actions_dropped\":"));
    EXPECT_NEAR(last, 6 * 3600, 300);
  }
}

TEST(ExperimentFile, BootsCostWhatTheirHostSays) {
  auto file = parse_experiment(kSmall).value();
  const double cheap = run_experiment({.file = file})->energy_kwh;
  for (HostSet& set : file.hosts) set.boot_j = 1e8;
  EXPECT_GT(run_experiment({.file = file})->energy_kwh, cheap);
}

TEST(ExperimentFile, WhatIsBuiltInReads) {
  for (const KnownExperiment& known : known_experiments()) {
    auto file = parse_experiment(known.toml);
    ASSERT_TRUE(file) << known.name << ": " << file.error().message << file.error().field;
    EXPECT_EQ(file->name, known.name);
    EXPECT_EQ(file->doc, known.doc);
    EXPECT_EQ(file->policy, known.policies.at(0));
  }
}

TEST(ExperimentFile, ExamplesReadAndRun) {
  const fs::path folder = fs::path(__FILE__).parent_path() / "../../../experiments";
  ASSERT_TRUE(fs::exists(folder))
      << "there is no folder experiments seen from here; run this from the project's root";
  int found = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".toml") continue;
    ++found;
    auto file = read_experiment(entry.path());
    ASSERT_TRUE(file) << file.error().message << " " << file.error().field;
    if (!file->synthetic) continue;
    file->synthetic->days = 0.25;
    auto report = run_experiment({.file = *file});
    ASSERT_TRUE(report) << entry.path() << report.error().message;
    EXPECT_LT(report->unmet_demand, 0.01);
  }
  EXPECT_GE(found, 3);
}

TEST(ExperimentFile, FindsTracesBesideItself) {
  const fs::path folder = fs::temp_directory_path() / "chorok-experiment-file";
  fs::create_directories(folder);
  std::ofstream(folder / "e.toml") << "traces = \"day\"\nhosts = []\n";
  EXPECT_EQ(read_experiment(folder / "e.toml")->traces, (folder / "day").string());
  EXPECT_EQ(read_experiment(folder / "e.toml")->name, "e");
  std::ofstream(folder / "e.toml") << "x = \n";
  EXPECT_THAT(read_experiment(folder / "e.toml").error().message, HasSubstr("e.toml: line 1"));
  EXPECT_FALSE(read_experiment(folder / "none.toml"));
  fs::remove_all(folder);
}

}  // namespace
}  // namespace chorok::sim::datacenter
