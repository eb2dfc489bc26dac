#include "sim/fake_bmc.h"

#include "ports/power_contract.h"
#include "sim/virtual_loop.h"

namespace chorok::sim {
namespace {

struct Bmc {
  VirtualLoop loop{{.start = Time(std::chrono::hours(24 * 365))}};
  int booted = 0;
  int asked = 0;
  double busy = 0;
  FakeBmc bmc{loop,
              {.boot = [this] { ++booted; },
               .cut = [] {},
               .ask_to_stop =
                   [this] {
                     ++asked;
                     loop.after(std::chrono::seconds(5), [this] { bmc.stopped(); });
                   },
               .draws = [this] { return Watts(100 + 200 * busy); }}};

  static std::string missing() { return {}; }
  ports::PowerSwitch& power() { return bmc; }
  ports::PowerMeter& meter() { return bmc; }
  bool wait(const std::function<bool()>& done) {
    return loop.advance_until(done, std::chrono::minutes(10));
  }
  bool has_power() { return bmc.has_power(); }
  int turns() { return bmc.turns(); }
  void unplug() { bmc.faults().unreachable = true; }
  void sticks() { bmc.faults().stuck_on = true; }
  void load(double value) { busy = value; }

  Result<> act(model::PowerAction action, std::string operation) {
    std::optional<Result<>> answer;
    bmc.act(action, {std::move(operation), 1}, [&](Result<> result) { answer = result; });
    EXPECT_TRUE(wait([&] { return answer.has_value(); }));
    return answer.value_or(fail(Code::kTimeout, "never completed"));
  }
};

TEST(FakeBmc, ALostAnswerIsUnknownAndYetItHappened) {
  Bmc host;
  host.bmc.faults().answers_lost = true;
  auto off = host.act(model::PowerAction::kOff, "op-1");
  EXPECT_EQ(off.error().code, Code::kUnknown);
  EXPECT_FALSE(host.has_power());
  // The same operation again is no second try.
  host.bmc.faults().answers_lost = false;
  EXPECT_EQ(host.act(model::PowerAction::kOff, "op-1").error().code, Code::kUnknown);
  EXPECT_TRUE(host.act(model::PowerAction::kOff, "op-2"));
  EXPECT_EQ(host.turns(), 1);
}

TEST(FakeBmc, ALostCommandIsUnknownAndDidNotHappen) {
  Bmc host;
  host.bmc.faults().commands_lost = true;
  EXPECT_EQ(host.act(model::PowerAction::kOff, "op-1").error().code, Code::kUnknown);
  host.loop.run_for(std::chrono::minutes(10));
  EXPECT_TRUE(host.has_power());
}

TEST(FakeBmc, AHostWithPowerMayStillNotWake) {
  Bmc host;
  ASSERT_TRUE(host.act(model::PowerAction::kOff, "op-1"));
  host.bmc.faults().wake_fails = true;
  ASSERT_TRUE(host.act(model::PowerAction::kOn, "op-2"));
  EXPECT_TRUE(host.has_power());
  EXPECT_EQ(host.booted, 0);
}

TEST(FakeBmc, ShutdownAsksAndTheMachineGoesInItsOwnTime) {
  Bmc host;
  ASSERT_TRUE(host.act(model::PowerAction::kShutdown, "op-1"));
  EXPECT_TRUE(host.has_power());
  host.loop.run_for(std::chrono::seconds(6));
  EXPECT_EQ(host.asked, 1);
  EXPECT_FALSE(host.has_power());
  host.bmc.push_on();
  host.bmc.faults().ignores_shutdown = true;
  ASSERT_TRUE(host.act(model::PowerAction::kShutdown, "op-2"));
  host.loop.run_for(std::chrono::minutes(1));
  EXPECT_TRUE(host.has_power());
}

TEST(FakeBmc, StuckOffIsFoundOut) {
  Bmc host;
  ASSERT_TRUE(host.act(model::PowerAction::kOff, "op-1"));
  host.bmc.faults().stuck_off = true;
  EXPECT_EQ(host.act(model::PowerAction::kOn, "op-2").error().code, Code::kFailedPrecondition);
}

TEST(FakeBmc, EnergyIsWattsTimesTime) {
  Bmc host;
  auto read = [&] {
    std::optional<Result<model::PowerReading>> answer;
    host.bmc.read([&](Result<model::PowerReading> result) { answer = result; });
    EXPECT_TRUE(host.wait([&] { return answer.has_value(); }));
    return **answer;
  };
  auto first = read();
  host.loop.run_for(std::chrono::hours(1));
  auto second = read();
  EXPECT_NEAR(second.energy->value - first.energy->value, 100 * seconds(second.at - first.at), 1);
  host.bmc.faults().watts_factor = 3;
  EXPECT_DOUBLE_EQ(read().watts->value, 300);
}

TEST(FakeBmc, ChanceStrikesAndTheBmcComesBack) {
  VirtualLoop loop;
  FaultPlan plan(Random(7));
  plan.rates()[Fault::kUnknownBefore] = 0.2;
  plan.rates()[Fault::kLostAnswer] = 0.2;
  plan.rates()[Fault::kErrorBefore] = 0.2;
  FakeBmc bmc(loop, {}, {.host = "host1"}, &plan);
  int unknown = 0;
  int wrong = 0;
  for (int i = 0; i < 200; ++i) {
    bool on = i % 2 == 1;
    std::optional<Result<>> answer;
    bmc.act(on ? model::PowerAction::kOn : model::PowerAction::kOff, {"op-" + std::to_string(i), 1},
            [&](Result<> result) { answer = result; });
    ASSERT_TRUE(loop.advance_until([&] { return answer.has_value(); }, std::chrono::hours(1)));
    if (*answer && bmc.has_power() != on) ++wrong;
    if (!*answer && answer->error().code == Code::kUnknown) ++unknown;
  }
  EXPECT_EQ(wrong, 0) << "success is never a lie";
  EXPECT_GT(unknown, 20);
}

}  // namespace
}  // namespace chorok::sim

namespace chorok::ports {
using FakeBmcFixture = sim::Bmc;
INSTANTIATE_TYPED_TEST_SUITE_P(Fake, PowerSwitchContract, FakeBmcFixture);
INSTANTIATE_TYPED_TEST_SUITE_P(Fake, PowerMeterContract, FakeBmcFixture);
}  // namespace chorok::ports
