// How fast the store is on this machine. Prints figures; fails only when they are far from the
// goals (2,000 transactions a second in groups; 20,000 records of 2 KB opened and read in 300 ms),
// because a test machine is busy with other things.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>

#include "adapters/sqlite/test_store.h"

namespace chorok::sqlite {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kBusyMachine = 5;

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

TEST(SqliteSpeed, CommitsOneByOne) {
  TestFolder folder;
  TestStore store({.path = folder / "store.db"});
  ASSERT_TRUE(store.open());
  std::vector<double> latencies;
  for (int i = 0; i < 300; ++i) {
    const auto begin = Clock::now();
    ASSERT_TRUE(store.put("k" + std::to_string(i % 50), std::string(2000, 'x')));
    latencies.push_back(ms_since(begin));
  }
  std::ranges::sort(latencies);
  fmt::print("speed: one commit of 2 KB: median {:.2f} ms, p99 {:.2f} ms\n", latencies[150],
             latencies[297]);
}

TEST(SqliteSpeed, CommitsInGroups) {
  TestFolder folder;
  TestStore store({.path = folder / "store.db"});
  ASSERT_TRUE(store.open());
  constexpr int kTransactions = 20'000, kInFlight = 64;
  int asked = 0, answered = 0;
  std::function<void()> submit = [&] {
    if (asked == kTransactions) return;
    const std::string key = "vm/" + std::to_string(asked++ % 1000);
    store.store().commit({{{.key = key, .value = std::string(1000, 'x')}}},
                         [&](Result<ports::Revision> result) {
                           ASSERT_TRUE(result);
                           ++answered;
                           submit();
                         });
  };
  const auto begin = Clock::now();
  for (int i = 0; i < kInFlight; ++i) submit();
  ASSERT_TRUE(
      store.loop().run_until([&] { return answered == kTransactions; }, std::chrono::minutes(2)));
  const double rate = kTransactions / ms_since(begin) * 1000;
  const SqliteStats stats = store.store().stats();
  fmt::print("speed: {} in flight: {:.0f} transactions/s, {:.1f} a group\n", kInFlight, rate,
             static_cast<double>(stats.transactions) / static_cast<double>(stats.groups));
  EXPECT_GT(rate, 2000 / kBusyMachine);
}

TEST(SqliteSpeed, OpensAndReads20000) {
  TestFolder folder;
  TestStore store({.path = folder / "store.db"});
  ASSERT_TRUE(store.open());
  for (int i = 0; i < 20'000; i += 100) {
    std::vector<ports::Write> writes;
    for (int j = i; j < i + 100; ++j)
      writes.push_back({.key = "vm/" + std::to_string(j), .value = std::string(2048, 'x')});
    ASSERT_TRUE(store.commit(writes));
  }
  store.close();
  auto begin = Clock::now();
  ASSERT_TRUE(store.open());
  const double opened = ms_since(begin);
  ASSERT_EQ(store.all("vm/").value().size(), 20'000u);
  const double read = ms_since(begin);
  store.close();
  store.settings().check = CheckOnOpen::kAlways;
  begin = Clock::now();
  ASSERT_TRUE(store.open());
  fmt::print(
      "speed: 20,000 records of 2 KB: opened in {:.1f} ms (checked in {:.1f} ms), opened "
      "and read in {:.1f} ms\n",
      opened, ms_since(begin), read);
  EXPECT_LT(read, 300 * kBusyMachine);
}

}  // namespace
}  // namespace chorok::sqlite
