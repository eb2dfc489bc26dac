#include "manager/watts_line.h"

#include <gtest/gtest.h>

#include <random>

namespace chorok::manager {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Time at(double s) {
  return Time(seconds(1'000'000)) + from_seconds(s);
}

TEST(WattsLine, HoldsTheLastReadingAndMakesItGoodLater) {
  WattsLine line;
  line.add({at(0), 100});
  EXPECT_DOUBLE_EQ(line.take(at(0), at(10)).joules, 1000);
  // It had risen to 200 by then: half of that was missed, and comes with the next account.
  line.add({at(10), 200});
  EXPECT_NEAR(line.take(at(0), at(20)).joules, 2000 + 500, 1e-6);
  line.add({at(20), 200});
  EXPECT_NEAR(line.take(at(0), at(30)).joules, 2000, 1e-6);
}

// Whenever accounts are taken, and whoever took the one before: their sum is the integral.
TEST(WattsLine, AccountsAddUpToTheIntegral) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> watts(50, 400), step(1, 20);
    WattsLine line;
    double truth = 0, sum = 0, reading_at = 0, account_at = 0, last = watts(random);
    line.add({at(0), last});
    double until = 0;
    while (reading_at < 3600) {
      const double next = reading_at + step(random);
      const double now = watts(random);
      // Accounts between two readings do not know the second one yet.
      for (account_at = std::max(account_at, reading_at); account_at < next;
           account_at += step(random)) {
        if (account_at <= until) continue;
        sum += line.take(at(until), at(account_at)).joules;
        until = account_at;
        if (random() % 7 != 0) continue;
        WattsLine again;  // another process
        again.restore(line.cursor());
        line = again;
      }
      truth += (last + now) / 2 * (next - reading_at);
      line.add({at(next), now});
      reading_at = next;
      last = now;
    }
    // Long enough for what was held too high before.
    line.add({at(reading_at + 100), last});
    truth += last * 100;
    sum += line.take(at(until), at(reading_at + 100)).joules;
    EXPECT_NEAR(sum, truth, truth * 1e-6) << "seed " << seed;
  }
}

TEST(WattsLine, AGapIsAnEstimate) {
  WattsLine line;
  line.set_gap(seconds(60));
  line.add({at(0), 100});
  EXPECT_TRUE(line.covers(at(60)));
  EXPECT_FALSE(line.covers(at(61)));
  line.add({at(600), 200});
  const auto account = line.take(at(0), at(610));
  EXPECT_NEAR(account.joules, 90'000 + 2000, 1);
  EXPECT_NEAR(account.estimated, 90'000, 1);
}

TEST(WattsLine, WhatSomebodyElseAccountedForIsNotTakenAgain) {
  WattsLine line;
  line.add({at(0), 100, 0.05});
  line.take(at(0), at(10));
  line.skip(at(200));
  line.add({at(205), 100, 0.05});
  const auto account = line.take(at(0), at(210));
  EXPECT_NEAR(account.joules, 1000, 1);
  EXPECT_NEAR(account.error, 50, 1);
}

TEST(WattsLine, IsBoundedAndLosesNoEnergyByThat) {
  WattsLine line;
  double truth = 0;
  for (int i = 0; i <= 20'000; ++i) {
    line.add({at(i), 100 + i % 2 * 50.0});
    if (i > 0) truth += 125;
  }
  EXPECT_NEAR(line.take(at(0), at(20'000)).joules, truth, truth * 0.001);
}

}  // namespace
}  // namespace chorok::manager
