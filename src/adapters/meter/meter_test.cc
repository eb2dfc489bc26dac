#include <unistd.h>

#include "adapters/meter/hwmon.h"
#include "adapters/meter/model_meter.h"
#include "adapters/meter/rapl.h"
#include "adapters/power/test_support.h"
#include "ports/power_contract.h"

namespace chorok::adapters::meter {
namespace {

using power::Folder;
using power::RealFixture;
using std::chrono::seconds;

void zone(const Folder& root, const std::string& path, const std::string& name, std::uint64_t uj,
          std::uint64_t range = 262'143'328'850) {
  root.write(path + "/name", name + "\n");
  root.write(path + "/energy_uj", std::to_string(uj) + "\n");
  root.write(path + "/max_energy_range_uj", std::to_string(range) + "\n");
}

struct Rapl {
  Folder root;
  Duration now = seconds(1000);
  std::unique_ptr<power::MeterDriver> meter;
  void open() {
    meter = make_rapl_meter({.root = root.path(), .clock = [this] { return now; }}).value();
  }
  model::PowerReading read(int after_s = 0) {
    now += seconds(after_s);
    auto reading = meter->read();
    EXPECT_TRUE(reading) << reading.error().message;
    return reading.value_or(model::PowerReading{});
  }
};

TEST(Rapl, AddsPackagesAndTheirMemoryAndNothingTwice) {
  Rapl host;
  zone(host.root, "intel-rapl:0", "package-0", 1'000'000);
  zone(host.root, "intel-rapl:0:0", "core", 500'000);
  zone(host.root, "intel-rapl:0:1", "dram", 100'000);
  zone(host.root, "intel-rapl:1", "package-1", 2'000'000);
  zone(host.root, "intel-rapl-mmio:0", "package-0", 1'000'000);
  host.open();
  auto first = host.read();
  EXPECT_FALSE(first.watts);
  EXPECT_EQ(first.energy->value, 0);
  zone(host.root, "intel-rapl:0", "package-0", 1'000'000 + 300'000'000);
  zone(host.root, "intel-rapl:0:0", "core", 500'000 + 200'000'000);
  zone(host.root, "intel-rapl:0:1", "dram", 100'000 + 50'000'000);
  zone(host.root, "intel-rapl:1", "package-1", 2'000'000 + 250'000'000);
  zone(host.root, "intel-rapl-mmio:0", "package-0", 1'000'000 + 300'000'000);
  auto second = host.read(10);
  EXPECT_NEAR(second.energy->value, 600, 1e-6);
  EXPECT_NEAR(second.watts->value, 60, 1e-6);
  EXPECT_EQ(second.window, seconds(10));
  EXPECT_EQ(second.scope, model::MeterScope::kProcessors);
}

TEST(Rapl, ThePlatformsCounterStandsAlone) {
  Rapl host;
  zone(host.root, "intel-rapl:0", "package-0", 0);
  zone(host.root, "intel-rapl:0:1", "dram", 0);
  zone(host.root, "intel-rapl:1", "psys", 0);
  host.open();
  host.read();
  zone(host.root, "intel-rapl:0", "package-0", 20'000'000);
  zone(host.root, "intel-rapl:0:1", "dram", 5'000'000);
  zone(host.root, "intel-rapl:1", "psys", 40'000'000);
  EXPECT_NEAR(host.read(1).watts->value, 40, 1e-6);
}

TEST(Rapl, CountsOverAWrap) {
  Rapl host;
  zone(host.root, "intel-rapl:0", "package-0", 262'143'000'000);
  host.open();
  auto first = host.read();
  zone(host.root, "intel-rapl:0", "package-0", 671'150);
  auto second = host.read(1);
  EXPECT_NEAR(second.energy->value, 1.0, 1e-6);
  EXPECT_EQ(second.energy_since, first.energy_since);
}

TEST(Rapl, ACounterThatWasSetBackBeginsAnew) {
  Rapl host;
  zone(host.root, "intel-rapl:0", "package-0", 100'000'000);
  host.open();
  auto first = host.read();
  usleep(1000);
  zone(host.root, "intel-rapl:0", "package-0", 5'000'000);  // as a wrap: 262 kJ in a second
  auto second = host.read(1);
  EXPECT_FALSE(second.watts);
  EXPECT_GT(second.energy_since, first.energy_since);
  zone(host.root, "intel-rapl:0", "package-0", 15'000'000);
  EXPECT_NEAR(host.read(1).energy->value, 10, 1e-6);
}

TEST(Rapl, AfterAnHourNobodyKnowsHowOftenItWrapped) {
  Rapl host;
  zone(host.root, "intel-rapl:0", "package-0", 100'000'000);
  host.open();
  host.read();
  zone(host.root, "intel-rapl:0", "package-0", 200'000'000);
  EXPECT_FALSE(host.read(3600).watts);
}

TEST(Rapl, AProcessorThatGoesBeginsAnew) {
  Rapl host;
  zone(host.root, "intel-rapl:0", "package-0", 0);
  zone(host.root, "intel-rapl:1", "package-1", 0);
  host.open();
  host.read();
  std::filesystem::remove_all(host.root.at("intel-rapl:1"));
  EXPECT_FALSE(host.read(1).watts);
}

TEST(Rapl, SaysWhyItCannot) {
  Folder root;
  EXPECT_EQ(make_rapl_meter({.root = root.path()}).error().code, Code::kUnsupported);
  EXPECT_EQ(make_rapl_meter({.root = "/nowhere"}).error().code, Code::kUnsupported);
  zone(root, "intel-rapl:0", "package-0", 0);
  auto meter = make_rapl_meter({.root = root.path()}).value();
  root.write("intel-rapl:0/energy_uj", "much\n");
  EXPECT_EQ(meter->read().error().code, Code::kUnavailable);
}

TEST(Hwmon, PrefersTheBoardsMeterAndItsAverage) {
  Folder root;
  root.write("hwmon0/name", "amdgpu\n");
  root.write("hwmon0/power1_average", "30000000\n");
  EXPECT_EQ(make_hwmon_meter({.root = root.path()}).error().code, Code::kUnsupported);
  root.write("hwmon1/name", "pmbus\n");
  root.write("hwmon1/power1_label", "pin\n");
  root.write("hwmon1/power1_input", "101000000\n");
  root.write("hwmon1/power2_label", "pout1\n");
  root.write("hwmon1/power2_input", "90000000\n");
  root.write("hwmon2/name", "pmbus\n");
  root.write("hwmon2/power1_label", "pin\n");
  root.write("hwmon2/power1_input", "99000000\n");
  auto meter = make_hwmon_meter({.root = root.path()}).value();
  EXPECT_DOUBLE_EQ(meter->read()->watts->value, 200);
  root.write("hwmon3/name", "power_meter\n");
  root.write("hwmon3/power1_input", "250000000\n");
  root.write("hwmon3/power1_average", "210000000\n");
  root.write("hwmon3/power1_accuracy", "98.00%\n");
  EXPECT_DOUBLE_EQ(meter->read()->watts->value, 210);
  EXPECT_NEAR(meter->read()->error, 0.02, 1e-9);
}

TEST(Model, FollowsItsCurveAndSaysItIsAModel) {
  Duration now = seconds(50);
  Duration cpu = seconds(7);
  auto meter =
      make_model_meter({.curve = {.watts = {100, 110, 120, 130, 140, 150, 160, 170, 180, 190, 200}},
                        .cores = 4,
                        .cpu_time = [&]() -> Result<Duration> { return cpu; },
                        .clock = [&] { return now; }})
          .value();
  EXPECT_FALSE(meter->read()->watts);
  now += seconds(10);
  cpu += seconds(20);
  auto reading = meter->read().value();
  EXPECT_DOUBLE_EQ(reading.watts->value, 150);
  EXPECT_DOUBLE_EQ(reading.energy->value, 1500);
  EXPECT_EQ(reading.source, model::WattSource::kModelled);
  now += seconds(10);
  cpu = seconds(4);  // a boot in between
  EXPECT_DOUBLE_EQ(meter->read()->watts->value, 110);
  EXPECT_FALSE(make_model_meter({.curve = {.watts = {0}}}));
  EXPECT_GT(*busy_time(), Duration{});
}

// Watts by load, as files; for the contract.
struct SysfsHost : RealFixture {
  Folder root;
  double busy = 0;
  double joules = 0;
  bool gone = false;

  static std::string missing() { return {}; }
  bool has_power() { return true; }
  int turns() { return 0; }
  void sticks() {}
  void unplug() { std::filesystem::remove_all(root.path()); }
  void load(double value) { busy = value; }
};
struct RaplHost : SysfsHost {
  Duration now = seconds(1000);
  RaplHost() {
    zone(root, "intel-rapl:0", "package-0", 0);
    use(make_rapl_meter({.root = root.path(),
                         .clock =
                             [this] {
                               now += seconds(1);
                               joules += 20 + 80 * busy;
                               if (std::filesystem::exists(root.at("intel-rapl:0")))
                                 zone(root, "intel-rapl:0", "package-0",
                                      static_cast<std::uint64_t>(joules * 1e6));
                               return now;
                             }})
            .value());
  }
};
struct HwmonHost : SysfsHost {
  HwmonHost() {
    load(0);
    use(make_hwmon_meter({.root = root.path()}).value());
  }
  void load(double value) {
    root.write("hwmon0/name", "power_meter\n");
    root.write("hwmon0/power1_average",
               std::to_string(static_cast<int>((100 + 200 * value) * 1e6)) + "\n");
  }
};
struct ModelHost : SysfsHost {
  Duration now = seconds(1000);
  Duration cpu{};
  ModelHost() {
    use(make_model_meter(
            {.curve = {.watts = {100, 110, 120, 130, 140, 150, 160, 170, 180, 190, 200}},
             .cpu_time = [this]() -> Result<Duration> {
               if (gone) return fail(Code::kUnavailable, "no statistics");
               cpu += from_seconds(busy);
               return cpu;
             },
             .clock = [this] { return now += seconds(1); }})
            .value());
  }
  void unplug() { gone = true; }
};

}  // namespace
}  // namespace chorok::adapters::meter

namespace chorok::ports {
using adapters::meter::HwmonHost;
using adapters::meter::ModelHost;
using adapters::meter::RaplHost;
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(PowerSwitchContract);  // meters switch nothing
INSTANTIATE_TYPED_TEST_SUITE_P(Rapl, PowerMeterContract, RaplHost);
INSTANTIATE_TYPED_TEST_SUITE_P(Hwmon, PowerMeterContract, HwmonHost);
INSTANTIATE_TYPED_TEST_SUITE_P(Model, PowerMeterContract, ModelHost);
}  // namespace chorok::ports
