#include "adapters/sqlite/sqlite_plan_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "adapters/sqlite/pack.h"
#include "adapters/sqlite/plan_file.h"
#include "model/snapshot_text.h"

namespace chorok::sqlite {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

const Time kStart = Time(std::chrono::days(20000));

std::shared_ptr<const model::Snapshot> snapshot_of(int hosts) {
  auto out = std::make_shared<model::Snapshot>();
  out->cluster = "c";
  out->curves.push_back(model::usual_curve());
  out->offers.emplace_back();
  for (int i = 0; i < hosts; ++i) {
    model::SnapshotHost host;
    host.name = "host" + std::to_string(i);
    host.capacity = {.cpu = 10000.0 + i, .memory = 65536};
    out->hosts.push_back(host);
  }
  return out;
}

class PlanLogTest : public ::testing::Test {
 protected:
  PlanLogTest() {
    folder = ::testing::TempDir() + "chorok-plans-" + std::to_string(::getpid());
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    settings.path = folder + "/plans.db";
  }
  ~PlanLogTest() override { std::filesystem::remove_all(folder); }

  static ports::LoggedRound round(int n, const std::string& cluster = "cluster-1") {
    return {.cluster = cluster,
            .at = kStart + n * 1min,
            .number = n,
            .snapshot = snapshot_of(3),
            .plan = "{\"nothing\":\"round " + std::to_string(n) + "\"}",
            .decisions = {{"web", "decision " + std::to_string(n)}, {"host1", "other"}}};
  }
  std::unique_ptr<PlanFile> open() {
    auto file = PlanFile::open(settings);
    EXPECT_TRUE(file) << file.error().message;
    return std::move(*file);
  }
  std::string folder;
  PlanLogSettings settings;
};

TEST_F(PlanLogTest, ARoundComesBackAsItWas) {
  auto file = open();
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(file->append(round(i)));
  ASSERT_TRUE(file->append(round(2, "cluster-2")));
  const auto found = file->find("cluster-1", kStart + 2min + 30s);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->number, 2);
  EXPECT_EQ(found->at, kStart + 2min);
  EXPECT_EQ(found->plan, round(2).plan);
  ASSERT_NE(found->snapshot, nullptr);
  EXPECT_EQ(*model::write_snapshot(*found->snapshot), *model::write_snapshot(*snapshot_of(3)));
  EXPECT_EQ(file->find("cluster-1", kStart).error().code, Code::kNotFound);
  EXPECT_EQ(file->find("cluster-3", kStart + 1h).error().code, Code::kNotFound);
}

TEST_F(PlanLogTest, DecisionsAreFoundByName) {
  auto file = open();
  for (int i = 1; i <= 5; ++i) ASSERT_TRUE(file->append(round(i)));
  const auto texts = [&](Time at, std::size_t limit) {
    std::vector<std::string> out;
    for (const auto& each : *file->decisions("cluster-1", "web", at, limit))
      out.push_back(each.text);
    return out;
  };
  EXPECT_THAT(texts(kStart + 1h, 2), ElementsAre("decision 5", "decision 4"));
  EXPECT_THAT(texts(kStart + 2min, 9), ElementsAre("decision 2", "decision 1"));
  EXPECT_TRUE(file->decisions("cluster-1", "nobody", kStart + 1h, 9)->empty());
}

TEST_F(PlanLogTest, BoundedInBytesWhatWasSeenGoesFirst) {
  settings.bytes_max = 64 << 10;
  auto file = open();
  for (int i = 1; i <= 400; ++i) {
    ports::LoggedRound large = round(i);
    large.snapshot = snapshot_of(300);  // what was seen is the bulk, as it is in a real cluster
    ASSERT_TRUE(file->append(large));
  }
  const auto newest = file->find("cluster-1", kStart + 400min);
  ASSERT_TRUE(newest);
  EXPECT_NE(newest->snapshot, nullptr);
  EXPECT_FALSE(file->find("cluster-1", kStart + 1min)) << "the oldest are gone";
  bool without = false;
  for (int i = 1; i <= 400 && !without; ++i)
    if (const auto one = file->find("cluster-1", kStart + i * 1min))
      without = one->snapshot == nullptr;
  EXPECT_TRUE(without) << "some are known by what was decided alone";
  file.reset();
  EXPECT_LT(std::filesystem::file_size(settings.path), 400U << 10);
  EXPECT_TRUE(open()->find("cluster-1", kStart + 400min));
}

TEST_F(PlanLogTest, BoundedInAge) {
  settings.age_max = 1h;
  auto file = open();
  for (int i = 1; i <= 120; i += 10) ASSERT_TRUE(file->append(round(i)));
  EXPECT_FALSE(file->find("cluster-1", kStart + 40min));
  EXPECT_TRUE(file->find("cluster-1", kStart + 60min));
}

TEST_F(PlanLogTest, ADamagedFileIsPutAside) {
  std::ofstream(settings.path) << std::string(8192, 'x');
  auto file = open();
  ASSERT_TRUE(file->append(round(1)));
  EXPECT_TRUE(std::filesystem::exists(settings.path + ".damaged"));
}

// What was answered is there, wherever the process is killed.
TEST_F(PlanLogTest, KilledAtAnyMoment) {
  for (int kill_after = 1; kill_after <= 5; ++kill_after) {
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe(pipe.data()), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      auto file = PlanFile::open(settings);
      for (int i = 1; file; ++i) {
        if (!(*file)->append(round(kill_after * 1000 + i))) break;
        (void)!::write(pipe[1], &i, sizeof i);
      }
      ::_exit(1);
    }
    ::close(pipe[1]);
    int done = 0;
    while (done < kill_after * 3)
      ASSERT_EQ(::read(pipe[0], &done, sizeof done), static_cast<ssize_t>(sizeof done));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    int more = 0;
    while (::read(pipe[0], &more, sizeof more) == sizeof more) done = more;
    ::close(pipe[0]);
    const auto found = open()->find("cluster-1", kStart + (kill_after * 1000 + done) * 1min);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(found->number, kill_after * 1000 + done);
  }
}

TEST(Pack, RoundTripAndBounds) {
  const std::string text(1 << 20, 'a');
  const std::string packed = *pack(text);
  EXPECT_LT(packed.size(), 4096U);
  EXPECT_EQ(*unpack(packed, 2 << 20), text);
  EXPECT_EQ(unpack(packed, 1000).error().code, Code::kExhausted);
  EXPECT_FALSE(unpack("not packed at all", 1000));
  EXPECT_FALSE(unpack(packed.substr(0, packed.size() / 2), 2 << 20));
}

}  // namespace
}  // namespace chorok::sqlite
