#include "adapters/meter/wall_meter.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sim/random.h"

namespace chorok::adapters::meter {
namespace {

using std::chrono::seconds;

TEST(WallScale, LearnsTheLineBehindRoundedReadings) {
  sim::Random random(4);
  WallScale scale;
  EXPECT_FALSE(scale.wall(Watts(100)));
  for (int i = 0; i < 500; ++i) {
    double x = random.between(30.0, 300.0);
    scale.add(Watts(x), Watts(std::round(70 + 1.3 * x + random.between(-3.0, 3.0))));
  }
  EXPECT_NEAR(scale.slope(), 1.3, 0.02);
  EXPECT_NEAR(scale.base(), 70, 3);
  EXPECT_NEAR(scale.wall(Watts(200))->value, 330, 3);
  EXPECT_LT(scale.scatter(), 0.02);
}

TEST(WallScale, WithoutVariationItIsRightWhereItWas) {
  WallScale scale;
  for (int i = 0; i < 50; ++i) scale.add(Watts(40), Watts(120));
  EXPECT_NEAR(scale.wall(Watts(40))->value, 120, 1e-6);
  EXPECT_NEAR(scale.wall(Watts(140))->value, 245, 1e-6);
  EXPECT_GE(scale.wall(Watts(5000))->value, 5000);
}

TEST(WallScale, FollowsAChange) {
  WallScale scale;
  sim::Random random(5);
  auto learn = [&](double base, int pairs) {
    for (int i = 0; i < pairs; ++i) {
      double x = random.between(30.0, 300.0);
      scale.add(Watts(x), Watts(base + 1.2 * x));
    }
  };
  learn(60, 2000);
  learn(90, 7000);  // more disks
  EXPECT_NEAR(scale.base(), 90, 1);
}

struct Scripted final : power::MeterDriver {
  std::function<Result<model::PowerReading>()> answer;
  Result<model::PowerReading> read() override { return answer(); }
  void stop() override {}
};

TEST(WallMeter, TheWallsWattsAtEveryMoment) {
  Duration now = seconds(0);
  double x = 50;
  int asked = 0;
  bool alive = true;
  auto processors = std::make_unique<Scripted>();
  processors->answer = [&]() -> Result<model::PowerReading> {
    model::PowerReading r{.watts = Watts(x), .window = seconds(1), .energy = Joules(1)};
    r.source = model::WattSource::kMeasured;
    r.method = model::MeterMethod::kRapl;
    r.scope = model::MeterScope::kProcessors;
    r.error = 0.05;
    return r;
  };
  auto wall = std::make_unique<Scripted>();
  wall->answer = [&]() -> Result<model::PowerReading> {
    ++asked;
    if (!alive) return fail(Code::kUnavailable, "gone");
    model::PowerReading r{.watts = Watts(60 + 1.4 * x)};
    r.error = 0.03;
    return r;
  };
  auto meter =
      make_wall_meter(std::move(processors), std::move(wall), {.clock = [&] { return now; }});
  double sum = 0;
  Joules last{};
  for (int i = 0; i < 600; ++i) {
    now += seconds(1);
    x = 50 + 40 * std::sin(i * 0.05);
    auto reading = meter->read().value();
    EXPECT_EQ(reading.scope, model::MeterScope::kWall);
    if (i > 100) EXPECT_NEAR(reading.watts->value, 60 + 1.4 * x, 1);
    sum += reading.watts->value;
    EXPECT_GE(*reading.energy, last);
    last = *reading.energy;
  }
  EXPECT_NEAR(last.value, sum, 1);
  EXPECT_NEAR(asked, 60, 2);
  // The BMC dies: what was learned holds for a while, then the processors stand alone.
  alive = false;
  now += seconds(60);
  EXPECT_EQ(meter->read()->scope, model::MeterScope::kWall);
  now += seconds(700);
  auto alone = meter->read().value();
  EXPECT_EQ(alone.scope, model::MeterScope::kProcessors);
  EXPECT_DOUBLE_EQ(alone.watts->value, x);
}

}  // namespace
}  // namespace chorok::adapters::meter
