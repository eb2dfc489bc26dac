#include "sim/virtual_loop.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

namespace chorok::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(VirtualLoop, RunsPostedWorkInOrderAndNotBefore) {
  VirtualLoop loop;
  std::string log;
  loop.post([&] {
    log += 'a';
    loop.post([&] { log += 'c'; });
  });
  loop.post([&] { log += 'b'; });
  EXPECT_EQ(log, "");
  EXPECT_EQ(loop.run_until_idle(), 3u);
  EXPECT_EQ(log, "abc");
}

TEST(VirtualLoop, TimersFireByDueTimeThenByAge) {
  VirtualLoop loop;
  std::string log;
  loop.after(seconds(2), [&] { log += 'c'; });
  loop.after(seconds(1), [&] { log += 'a'; });
  loop.after(seconds(1), [&] { log += 'b'; });
  loop.after(seconds(-5), [&] { log += '0'; });
  loop.run_until_idle();
  EXPECT_EQ(log, "0");
  EXPECT_EQ(loop.next_timer(), Time(seconds(1)));
  loop.run_for(milliseconds(1500));
  EXPECT_EQ(log, "0ab");
  EXPECT_EQ(loop.now(), Time(milliseconds(1500)));
  loop.run_for(seconds(1));
  EXPECT_EQ(log, "0abc");
}

TEST(VirtualLoop, TimeIsTheTimersDueTimeWhenItFires) {
  VirtualLoop loop({.start = Time(seconds(100))});
  Time fired{};
  loop.after(seconds(7), [&] { loop.after(seconds(1), [&] { fired = loop.now(); }); });
  loop.run_for(seconds(60));
  EXPECT_EQ(fired, Time(seconds(108)));
  EXPECT_EQ(loop.now(), Time(seconds(160)));
}

TEST(VirtualLoop, CancelForgetsAndToleratesEverything) {
  VirtualLoop loop;
  int fired = 0;
  TimerId first = loop.after(seconds(1), [&] { ++fired; });
  TimerId second = 0;
  loop.after(milliseconds(10), [&] { loop.cancel(second); });
  second = loop.after(milliseconds(20), [&] { ++fired; });
  loop.cancel(0);
  loop.cancel(999);
  loop.run_for(seconds(2));
  EXPECT_EQ(fired, 1);
  loop.cancel(first);
}

TEST(VirtualLoop, AdvanceUntilStopsWhereTheConditionHolds) {
  VirtualLoop loop;
  int ticks = 0;
  std::function<void()> tick = [&] {
    ++ticks;
    loop.after(seconds(1), [&] { tick(); });
  };
  tick();
  EXPECT_TRUE(loop.advance_until([&] { return ticks == 5; }, seconds(100)));
  EXPECT_EQ(loop.now(), Time(seconds(4)));
  EXPECT_FALSE(loop.advance_until([&] { return ticks == 50; }, seconds(10)));
  EXPECT_EQ(loop.now(), Time(seconds(14)));
}

TEST(VirtualLoop, RunUntilWaitsForOtherThreads) {
  VirtualLoop loop;
  int seen = 0;
  std::thread other([&] {
    for (int i = 0; i < 100; ++i) loop.post([&] { ++seen; });
  });
  EXPECT_TRUE(loop.run_until([&] { return seen == 100; }));
  other.join();
  EXPECT_EQ(loop.now(), Time{});
  EXPECT_FALSE(loop.run_until([] { return false; }, milliseconds(20)));
}

}  // namespace
}  // namespace chorok::sim
