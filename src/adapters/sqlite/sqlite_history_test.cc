#include "adapters/sqlite/sqlite_history.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cmath>
#include <fstream>
#include <random>

#include "adapters/sqlite/test_store.h"

namespace chorok::sqlite {
namespace {

using ports::HistoryBatch;
using ports::HistoryPoint;
using ports::Measure;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

// Not on an hour, as nothing is.
constexpr Time kBegin{seconds(1'790'000'123)};

class History : public testing::Test {
 protected:
  History() {
    settings.path = folder / "history.db";
    settings.gather = Duration{};
    loop.run_for(kBegin - loop.now());
    open();
  }
  void open() {
    history.reset();
    loop.run_until_idle();
    auto opened = SqliteHistory::open(loop, settings);
    ASSERT_TRUE(opened) << opened.error().message;
    history = std::move(*opened);
  }
  template <class T, class Start>
  T await(Start start) {
    std::optional<T> answer;
    start([&](T result) { answer = std::move(result); });
    if (!loop.run_until([&] { return answer.has_value(); }, seconds(60)))
      return fail(Code::kTimeout, "never completed");
    return std::move(*answer);
  }
  // Uses `mhz` for `length` up to now.
  static HistoryBatch use(const std::string& source, const std::string& series, Time to,
                          Duration length, double mhz) {
    HistoryBatch batch{.source = source, .from = to - length, .to = to, .uses = {}, .cursor = {}};
    batch.uses.push_back({series, {}});
    batch.uses[0].amounts[Measure::kCpu] = mhz * chorok::seconds(length);
    batch.uses[0].amounts[Measure::kMemory] = 1024 * chorok::seconds(length);
    batch.cursor = "at " + std::to_string(to.time_since_epoch().count());
    return batch;
  }
  Result<> append(std::vector<HistoryBatch> batches) {
    return await<Result<>>(
        [&](auto done) { history->append(std::move(batches), std::move(done)); });
  }
  std::vector<HistoryPoint> range(const std::string& series, Time from, Time to, Duration step) {
    auto points = await<Result<std::vector<HistoryPoint>>>(
        [&](auto done) { history->range({series, from, to, step}, std::move(done)); });
    EXPECT_TRUE(points) << points.error().message;
    return points ? *points : std::vector<HistoryPoint>();
  }
  static double total(const std::vector<HistoryPoint>& points, Measure m = Measure::kCpu) {
    double sum = 0;
    for (const HistoryPoint& each : points) sum += each.amounts[m];
    return sum;
  }
  static double measured(const std::vector<HistoryPoint>& points) {
    double sum = 0;
    for (const HistoryPoint& each : points) sum += chorok::seconds(each.measured);
    return sum;
  }
  // `mhz` from now on, a sample in ten seconds.
  void live(Duration time, double mhz, const std::string& source = "host-1") {
    for (Duration gone{}; gone < time; gone += seconds(10)) {
      loop.run_for(seconds(10));
      ASSERT_TRUE(append({use(source, "vm/a", loop.now(), seconds(10), mhz)}));
    }
  }

  TestFolder folder;
  HistorySettings settings;
  sim::VirtualLoop loop;
  std::unique_ptr<SqliteHistory> history;
};

TEST_F(History, IsNobodyElses) {
  live(minutes(1), 100);
  using std::filesystem::perms;
  for (const char* suffix : {"", "-wal"}) {
    const auto mode = std::filesystem::status(settings.path + suffix).permissions();
    EXPECT_EQ(mode & (perms::group_all | perms::others_all), perms::none) << suffix;
  }
}

TEST_F(History, AnswersMeansOverSteps) {
  const Time from = loop.now();
  live(minutes(5), 100);
  live(minutes(5), 300);
  auto points = range("vm/a", from, loop.now(), minutes(5));
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(points[0].at, from);
  EXPECT_EQ(points[1].at, from + minutes(5));
  EXPECT_EQ(points[0].measured, minutes(5));
  EXPECT_NEAR(points[0].amounts[Measure::kCpu], 100 * 300, 1);
  EXPECT_NEAR(points[1].amounts[Measure::kCpu], 300 * 300, 1);
  EXPECT_NEAR(points[1].cpu_peak, 300, 0.1);
  EXPECT_NEAR(points[1].amounts[Measure::kMemory], 1024 * 300, 10);
  // Half of it, cut through the middle of samples.
  points = range("vm/a", from + seconds(5), from + seconds(15), seconds(10));
  EXPECT_NEAR(total(points), 1000, 0.1);
  EXPECT_TRUE(range("vm/b", from, loop.now(), minutes(5)).empty());
  EXPECT_TRUE(range("vm/a", from - hours(5), from - hours(1), minutes(5)).empty());
}

TEST_F(History, TotalsAreTheSameAtAnyResolutionAndAge) {
  const Time from = loop.now();
  live(hours(5), 200);
  const double sum = 5 * 3600 * 200.0;
  for (Duration step : {Duration(seconds(10)), Duration(seconds(30)), Duration(minutes(1)),
                        Duration(minutes(7)), Duration(hours(1)), Duration(hours(24))}) {
    // From before the first bucket, so that none is cut.
    auto points =
        range("vm/a", from - hours(24), loop.now(), std::max(step, Duration(seconds(15))));
    EXPECT_NEAR(total(points), sum, sum * 1e-5) << chorok::seconds(step);
    EXPECT_NEAR(measured(points), 5 * 3600, 1) << chorok::seconds(step);
  }
}

TEST_F(History, AGapIsNotMeasured) {
  const Time from = loop.now();
  live(minutes(10), 100);
  loop.run_for(hours(3));
  live(minutes(10), 100);
  auto points = range("vm/a", from - hours(1), loop.now(), minutes(5));
  EXPECT_NEAR(measured(points), 20 * 60, 1);
  EXPECT_LE(points.size(), 6u);
}

TEST_F(History, WhatComesLateIsAdded) {
  const Time from = loop.now();
  live(hours(4), 100, "host-1");
  // Another host was cut off for three hours, and ran the VM for a while.
  std::vector<HistoryBatch> late;
  for (int i = 1; i <= 360; ++i)
    late.push_back(use("host-2", "vm/a", from + seconds(10 * i), seconds(10), 50));
  ASSERT_TRUE(append(late));
  for (Duration step : {Duration(minutes(1)), Duration(hours(1))}) {
    auto points = range("vm/a", from - hours(24), loop.now(), step);
    EXPECT_NEAR(total(points), 4 * 3600 * 100.0 + 3600 * 50.0, 30) << chorok::seconds(step);
  }
}

TEST_F(History, AVmThatMovesIsOneSeries) {
  const Time from = loop.now();
  live(minutes(30), 100, "host-1");
  live(minutes(30), 100, "host-2");
  EXPECT_NEAR(total(range("vm/a", from, loop.now(), seconds(30))), 3600 * 100.0, 10);
}

TEST_F(History, KnowsWhatPeopleCalledASeriesLast) {
  const auto label = [&] {
    auto all = await<Result<std::map<std::string, HistoryPoint>>>([&](auto done) {
      history->totals("vm/", loop.now() - hours(1), loop.now(), std::move(done));
    });
    EXPECT_TRUE(all) << all.error().message;
    return all ? (*all)["vm/a"].label : "?";
  };
  const auto called = [&](const std::string& name) {
    loop.run_for(seconds(10));
    HistoryBatch batch = use("host-1", "vm/a", loop.now(), seconds(10), 100);
    batch.uses[0].label = name;
    EXPECT_TRUE(append({std::move(batch)}));
  };
  called("");
  EXPECT_EQ(label(), "");
  called("lab/web");
  called("");
  EXPECT_EQ(label(), "lab/web");
  called("lab/web1");
  EXPECT_EQ(label(), "lab/web1");
  called(std::string(257, 'x'));
  EXPECT_EQ(label(), "lab/web1");
  open();
  EXPECT_EQ(label(), "lab/web1");
  called("lab/web");
  open();
  EXPECT_EQ(label(), "lab/web");
}

TEST_F(History, OutlivesAProcessThatIsKilled) {
  const Time from = loop.now();
  live(hours(2), 100);
  history.reset();
  const pid_t child = ::fork();
  if (child == 0) {
    HistorySettings own = settings;
    sim::VirtualLoop other;
    other.run_for(loop.now() + seconds(10) - other.now());
    auto opened = SqliteHistory::open(other, own);
    bool is_done = false;
    (*opened)->append({use("host-1", "vm/a", other.now(), seconds(10), 100)},
                      [&](Result<> done) { is_done = done.has_value(); });
    other.run_until([&] { return is_done; }, seconds(30));
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  open();
  EXPECT_NEAR(total(range("vm/a", from - hours(24), loop.now() + minutes(1), minutes(1))),
              7210 * 100.0, 10);
  auto cursors = await<Result<std::map<std::string, std::string>>>(
      [&](auto done) { history->cursors(std::move(done)); });
  ASSERT_TRUE(cursors);
  EXPECT_EQ(cursors->at("host-1"),
            "at " + std::to_string((loop.now() + seconds(10)).time_since_epoch().count()));
}

TEST_F(History, IsBoundedAndOldThingsGo) {
  settings.keep_minutes = hours(6);
  settings.keep_fine = hours(2);
  open();
  const Time from = loop.now();
  live(hours(24), 100);
  // Coarse now, and nothing of it lost.
  auto points = range("vm/a", from - hours(24), from + hours(10), minutes(1));
  EXPECT_LE(points.size(), 12u);
  EXPECT_NEAR(total(range("vm/a", from - hours(24), loop.now(), hours(24))), 86400 * 100.0, 200);
}

TEST_F(History, AFullFileDropsTheOldestRatherThanTheNewest) {
  settings.bytes_max = 400 << 10;
  open();
  const Time from = loop.now();
  for (int i = 0; i < 30 * 6; ++i) {
    loop.run_for(minutes(10));
    std::vector<HistoryBatch> batches;
    for (int vm = 0; vm < 20; ++vm)
      batches.push_back(use("host-1", "vm/" + std::to_string(vm), loop.now(), minutes(10), 100));
    ASSERT_TRUE(append(batches)) << i;
  }
  EXPECT_LT(std::filesystem::file_size(settings.path), (600u << 10));
  EXPECT_NEAR(total(range("vm/7", loop.now() - hours(2), loop.now(), minutes(1))), 7200 * 100.0,
              70'000);
  EXPECT_GT(total(range("vm/7", from - hours(24), loop.now(), hours(24))), 20 * 3600 * 100.0);
}

TEST_F(History, AFullDiskIsAnErrorAndNothingElse) {
  history.reset();
  settings.bytes_max = 4096 * 8;  // less than the tables alone, and nothing to drop
  settings.path = folder / "small.db";
  auto small = SqliteHistory::open(loop, settings);
  ASSERT_TRUE(small) << small.error().message;
  history = std::move(*small);
  Result<> last;
  for (int i = 0; i < 3000 && last; ++i) {
    std::vector<HistoryBatch> batches;
    for (int vm = 0; vm < 20; ++vm)
      batches.push_back(use("h", fmt::format("vm/{}-{}", i, vm), loop.now(), seconds(10), 1));
    last = append(batches);
  }
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, Code::kExhausted) << last.error().message;
  EXPECT_FALSE(range("vm/0-0", loop.now() - hours(1), loop.now(), minutes(1)).empty());
}

TEST_F(History, ADamagedFileIsPutAside) {
  history.reset();
  std::ofstream(settings.path) << std::string(20000, 'x');
  open();
  live(minutes(1), 100);
  EXPECT_TRUE(std::filesystem::exists(settings.path + ".damaged"));
}

TEST_F(History, NonsenseDoesNoHarm) {
  const Time now = loop.now();
  HistoryBatch backwards = use("h", "vm/a", now, seconds(10), 1);
  std::swap(backwards.from, backwards.to);
  HistoryBatch far = use("h", "vm/a", now + hours(24 * 400), seconds(10), 1);
  HistoryBatch wild = use("h", "vm/a", now, seconds(10), NAN);
  HistoryBatch longest = use("h", std::string(5000, 'x'), now, seconds(10), 1);
  ASSERT_TRUE(append({backwards, far, wild, longest}));
  loop.run_for(hours(2));
  live(minutes(1), 100);
  EXPECT_NEAR(total(range("vm/a", now - hours(1), loop.now(), minutes(1))), 6000, 1);
}

TEST_F(History, RandomHistoriesKeepTheirTotals) {
  std::mt19937_64 random(7);
  double sum = 0;
  const Time from = loop.now();
  for (int i = 0; i < 600; ++i) {
    const auto length = seconds(1 + static_cast<int>(random() % 200));
    loop.run_for(length);
    const double mhz = static_cast<double>(random() % 4000);
    sum += mhz * chorok::seconds(length);
    const std::string source = random() % 2 == 0 ? "host-1" : "host-2";
    ASSERT_TRUE(append({use(source, "vm/a", loop.now(), length, mhz)}));
    if (random() % 100 == 0) open();
  }
  for (Duration step : {Duration(seconds(20)), Duration(minutes(3)), Duration(hours(2))})
    EXPECT_NEAR(total(range("vm/a", from - hours(48), loop.now(), step)), sum, sum * 1e-4)
        << chorok::seconds(step);
}

}  // namespace
}  // namespace chorok::sqlite
