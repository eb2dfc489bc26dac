#include "manager/host_meter.h"

#include <gtest/gtest.h>

namespace chorok::manager {
namespace {

using model::MeterMethod;
using model::MeterScope;
using model::PowerReading;
using model::WattSource;
using std::chrono::seconds;

// A host whose curve in the book is 100 to 200 W and that draws a quarter more; its processors take
// what is above 70 W.
class HostMeterTest : public testing::Test {
 protected:
  HostMeterTest() {
    HostMeter::Curve curve;
    for (std::size_t i = 0; i < 11; ++i) curve.watts.watts[i] = 100 + 10.0 * i;
    curve.watts.standby = 8;
    curve.watts.name = "book";
    meter.set_curve(curve);
  }
  double truth(double load) const { return 1.25 * (100 + 100 * load); }

  // Ten seconds of so much load.
  Drawn step(double load, bool bmc, bool rapl = false) {
    now += seconds(10);
    if (bmc)
      meter.read({.watts = Watts(truth(load) * lie),
                  .source = WattSource::kMeasured,
                  .method = MeterMethod::kRedfish,
                  .error = 0.02,
                  .at = now});
    counter += (truth(load) - 70) * 10;
    std::vector<PowerReading> local;
    if (rapl)
      local.push_back({.energy = Joules(counter),
                       .energy_since = since,
                       .source = WattSource::kMeasured,
                       .method = MeterMethod::kRapl,
                       .scope = MeterScope::kProcessors,
                       .error = 0.05});
    return meter.take({.from = now - seconds(10), .to = now, .load = load, .local = &local});
  }

  HostMeter meter;
  Time now{seconds(1'000'000)};
  Time since{seconds(999'000)};
  double counter = 5000;
  double lie = 1;
};

TEST_F(HostMeterTest, TheWallIsTheBest) {
  step(0.5, true, true);
  const Drawn drawn = step(0.5, true, true);
  EXPECT_NEAR(drawn.joules, truth(0.5) * 10, 0.1);
  EXPECT_EQ(drawn.source, WattSource::kMeasured);
  EXPECT_EQ(drawn.method, MeterMethod::kRedfish);
  EXPECT_NEAR(drawn.error / drawn.joules, 0.02, 1e-6);
}

TEST_F(HostMeterTest, AModelHasLearnedFromTheMeterThatFails) {
  EXPECT_NEAR(step(0.5, false).joules, 1500, 0.1) << "of the book";
  for (int i = 0; i < 60; ++i) step(i / 12 % 5 * 0.2, true);
  for (int i = 0; i < 8; ++i) step(0.4, false);  // the last reading is held for a minute
  const Drawn drawn = step(0.8, false);
  EXPECT_EQ(drawn.source, WattSource::kModelled);
  EXPECT_NEAR(drawn.joules, truth(0.8) * 10, truth(0.8) * 10 * 0.05);
  EXPECT_LT(drawn.error / drawn.joules, 0.15) << "it knows that it is better than a book";
  EXPECT_EQ(drawn.measured, 0);
}

TEST_F(HostMeterTest, ItsCurveIsWhatItsMeterHasShown) {
  EXPECT_FALSE(meter.learned()) << "nobody has said anything yet";
  for (int i = 0; i < 60; ++i) step(i / 12 % 5 * 0.2, true);
  const auto learned = meter.learned();
  ASSERT_TRUE(learned);
  EXPECT_NEAR(learned->at(0), 125, 0.01);
  EXPECT_NEAR(learned->at(0.9), truth(0.9), 0.01);
  EXPECT_EQ(learned->standby, 8);
  EXPECT_TRUE(learned->measured);
  EXPECT_EQ(learned->name, "book.x1.25") << "a name that snapshots can hold";
  lie = 1.01;  // within a step: the same curve, so that plans do not change with each reading
  for (int i = 0; i < 60; ++i) step(0.5, true);
  EXPECT_EQ(meter.learned(), learned);
}

// As when a manager has come back and nothing was read yet.
TEST_F(HostMeterTest, ACurveIsTaughtOnlyOnceThereIsOne) {
  for (int i = 0; i < 60; ++i) step(i / 12 % 5 * 0.2, true);
  ASSERT_TRUE(meter.learned());
  HostMeter restored;
  restored.restore(meter.cursor());
  EXPECT_FALSE(restored.learned()) << "no watts at any load";
}

TEST_F(HostMeterTest, ProcessorsAreScaledToTheWall) {
  for (int i = 0; i < 60; ++i) step(i / 12 % 5 * 0.2, true, true);
  for (int i = 0; i < 8; ++i) step(0.4, false, true);
  const Drawn drawn = step(0.9, false, true);
  EXPECT_EQ(drawn.method, MeterMethod::kRapl);
  EXPECT_EQ(drawn.source, WattSource::kMeasured);
  EXPECT_NEAR(drawn.joules, truth(0.9) * 10, truth(0.9) * 10 * 0.05);
}

TEST_F(HostMeterTest, AnotherCounterIsNoConsumption) {
  for (int i = 0; i < 60; ++i) step(i / 12 % 5 * 0.2, true, true);
  for (int i = 0; i < 8; ++i) step(0.4, false, true);
  counter = 1e9;  // the agent began anew
  since += seconds(5000);
  Drawn drawn = step(0.4, false, true);
  EXPECT_EQ(drawn.method, MeterMethod::kModel);
  EXPECT_NEAR(drawn.joules, truth(0.4) * 10, truth(0.4) * 10 * 0.1);
  drawn = step(0.4, false, true);
  EXPECT_EQ(drawn.method, MeterMethod::kRapl);
}

TEST_F(HostMeterTest, AMeterThatStumblesTeachesLittle) {
  for (int i = 0; i < 60; ++i) step(i / 12 % 5 * 0.2, true, true);
  lie = 8;
  step(0.4, true, true);
  lie = 1;
  for (int i = 0; i < 20; ++i) step(0.4, false, true);
  EXPECT_NEAR(step(0.4, false, true).joules, truth(0.4) * 10, truth(0.4) * 10 * 0.05);
  EXPECT_NEAR(step(0.4, false).joules, truth(0.4) * 10, truth(0.4) * 10 * 0.05);
}

TEST_F(HostMeterTest, LearnsWhatItDrawsIdle) {
  EXPECT_EQ(meter.idle(), 100) << "of the book";
  for (int i = 0; i < 20; ++i) step(0.01, true);
  EXPECT_NEAR(meter.idle(), truth(0), 1);
  for (int i = 0; i < 200; ++i) step(1, true);
  EXPECT_NEAR(meter.idle(), truth(0), 1) << "full load says nothing of it";
}

TEST_F(HostMeterTest, OffWithoutAMeterItStandsBy) {
  const Drawn drawn = meter.take({.from = now, .to = now + seconds(100), .off = true});
  EXPECT_DOUBLE_EQ(drawn.joules, 800);
  EXPECT_EQ(drawn.source, WattSource::kModelled);
}

TEST_F(HostMeterTest, WhereNothingIsKnownItSaysSo) {
  step(0.5, true);
  const Drawn drawn = meter.take({.from = now, .to = now + seconds(600)});
  EXPECT_NEAR(drawn.joules, truth(0.5) * 600, 1);
  EXPECT_EQ(drawn.estimated, drawn.joules);
  EXPECT_GT(drawn.error, drawn.joules * 0.3);
}

TEST_F(HostMeterTest, GoesOnInAnotherProcess) {
  for (int i = 0; i < 60; ++i) step(i / 12 % 5 * 0.2, true, true);
  HostMeter again;
  again.restore(meter.cursor());
  HostMeter::Curve curve;
  for (std::size_t i = 0; i < 11; ++i) curve.watts.watts[i] = 100 + 10.0 * i;
  again.set_curve(curve);
  meter = again;
  for (int i = 0; i < 10; ++i) step(0.4, false);
  EXPECT_NEAR(step(0.8, false).joules, truth(0.8) * 10, truth(0.8) * 10 * 0.05);
}

}  // namespace
}  // namespace chorok::manager
