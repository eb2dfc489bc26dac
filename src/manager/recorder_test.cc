#include "manager/recorder.h"

#include <gtest/gtest.h>

#include "manager/memory_history.h"
#include "manager/seeds_cluster.h"

namespace chorok::manager {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr double kCore = 2500;  // MHz of a fake host
constexpr double kCpu = 0.5;

class RecorderTest : public testing::Test {
 protected:
  RecorderTest() : c(3, 2, {}), history(c.loop()) {
    c.loop().advance_until([&] { return c.all_connected(); }, seconds(30));
    record();
    auto asked = c.create("web", true);
    EXPECT_TRUE(asked);
    c.wait(*asked);
    uuid = c.vm("web")->uuid;
    EXPECT_TRUE(c.fake.world.set_load(uuid, {.cpu = kCpu}));
  }
  ~RecorderTest() override { recorder.reset(); }

  void record() {
    recorder.emplace(c.manager->engine, c.manager->telemetry, nullptr, history);
    bool is_restored = false;
    recorder->restore([&](const Result<>& done) { is_restored = done.has_value(); });
    c.loop().advance_until([&] { return is_restored; }, seconds(1));
    EXPECT_TRUE(is_restored);
    c.manager->agents.on_telemetry(
        [this](const std::string& host, const model::TelemetryBatch& batch, Done<Result<>> done) {
          recorder->take(host, batch, std::move(done));
        });
  }
  void kill_manager() {
    recorder.reset();
    c.kill_manager();
  }
  void start_manager() {
    c.start_manager();
    // Before any agent is there.
    c.loop().advance_until([&] { return c.manager_ready(); }, seconds(10));
    record();
    c.loop().advance_until([&] { return c.all_connected(); }, minutes(1));
  }
  double truth() {
    for (const sim::Sighting& each : c.fake.world.running())
      if (each.uuid == uuid) return chorok::seconds(each.counter) * kCpu * kCore;
    return 0;
  }
  double counted() { return history.sum("vm/" + uuid, ports::Measure::kCpu); }

  SeedsCluster c;
  MemoryHistory history;
  std::optional<Recorder> recorder;
  std::string uuid;
};

// One interval, and what it used before its load was set.
constexpr double kSlack = 12 * kCpu * kCore;

TEST_F(RecorderTest, EverythingOnceThoughManagersDie) {
  c.loop().run_for(minutes(5));
  for (int i = 0; i < 12; ++i) {
    kill_manager();
    c.loop().run_for(seconds(1 + 37 * i % 200));
    start_manager();
    c.loop().run_for(seconds(3 + 17 * i % 40));
  }
  c.loop().run_for(seconds(30));
  EXPECT_NEAR(counted(), truth(), kSlack);
  EXPECT_GT(history.sum("host/" + c.vm("web")->host, ports::Measure::kCpu), counted());
}

TEST_F(RecorderTest, AFullDiskLosesNothingThatFitsInMemory) {
  c.loop().run_for(minutes(2));
  history.full = true;
  const double before = counted();
  c.loop().run_for(minutes(10));
  EXPECT_EQ(counted(), before);
  EXPECT_GT(recorder->unsaved(), 0u);
  // What is known of now is known.
  EXPECT_NEAR(c.manager->telemetry.vm_by_uuid(uuid)->cpu_mhz, kCpu * kCore, 1);
  history.full = false;
  c.loop().run_for(seconds(30));
  EXPECT_NEAR(counted(), truth(), kSlack);
  EXPECT_EQ(recorder->unsaved(), 0u);
}

TEST_F(RecorderTest, AManagerThatDiesWithAFullDiskIsToldAgain) {
  c.loop().run_for(minutes(2));
  history.full = true;
  c.loop().run_for(minutes(3));
  kill_manager();
  history.full = false;
  c.loop().run_for(seconds(30));
  start_manager();
  c.loop().run_for(seconds(30));
  EXPECT_NEAR(counted(), truth(), kSlack);
}

}  // namespace
}  // namespace chorok::manager
