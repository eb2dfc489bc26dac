#include "sim/faults.h"

#include <gtest/gtest.h>

namespace chorok::sim {
namespace {

TEST(Random, TheSameSeedGivesTheSameNumbersAndForksAreApart) {
  Random a(7), b(7);
  EXPECT_EQ(a.next(), b.next());
  Random fork = a.fork("x");
  a.next();
  EXPECT_EQ(fork.next(), a.fork("x").next());
  EXPECT_NE(b.fork("x").next(), b.fork("y").next());
}

TEST(Random, StaysWithinItsBounds) {
  Random random(1);
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_LT(random.below(3), 3u);
    double unit = random.unit();
    EXPECT_TRUE(unit >= 0 && unit < 1);
    Duration between = random.between(Duration(5), Duration(7));
    EXPECT_TRUE(between >= Duration(5) && between <= Duration(7));
  }
  EXPECT_EQ(random.below(0), 0u);
  EXPECT_FALSE(random.chance(0));
}

TEST(FaultPlan, ScriptsHitTheCallTheyNameAndOnlyThat) {
  FaultPlan plan{Random(1)};
  plan.script("hypervisor.start", "host2", Fault::kUnknownAfter, 1);
  EXPECT_EQ(plan.decide("hypervisor.start", "host1").fault, Fault::kNone);
  EXPECT_EQ(plan.decide("hypervisor.start", "host2").fault, Fault::kNone);
  EXPECT_EQ(plan.decide("hypervisor.list", "host2").fault, Fault::kNone);
  EXPECT_EQ(plan.decide("hypervisor.start", "host2").fault, Fault::kUnknownAfter);
  EXPECT_EQ(plan.decide("hypervisor.start", "host2").fault, Fault::kNone);
  EXPECT_EQ(plan.count(Fault::kUnknownAfter), 1u);
}

TEST(FaultPlan, RatesVaryFromSeedToSeedAndCanBeSilenced) {
  FaultRates rates;
  rates[Fault::kSlow] = 1;
  FaultPlan plan(Random(1), rates);
  Decision decision = plan.decide("x", "h");
  EXPECT_EQ(decision.fault, Fault::kSlow);
  EXPECT_GE(decision.slowness, 1);
  plan.enable(false);
  EXPECT_EQ(plan.decide("x", "h").fault, Fault::kNone);
  plan.script("x", "", Fault::kLostAnswer);
  EXPECT_EQ(plan.decide("x", "h").fault, Fault::kLostAnswer);

  int with_slow = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed)
    with_slow += FaultRates::vary(Random(seed))[Fault::kSlow] > 0;
  EXPECT_GT(with_slow, 60);
  EXPECT_LT(with_slow, 140);
}

}  // namespace
}  // namespace chorok::sim
