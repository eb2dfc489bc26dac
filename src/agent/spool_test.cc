#include "agent/spool.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace chorok::agent {
namespace {

using std::chrono::seconds;

model::HostSample sample(std::uint64_t sequence, std::vector<std::pair<std::string, int>> vms = {},
                         std::string boot_id = "boot") {
  model::HostSample made{.boot_id = std::move(boot_id), .sequence = sequence};
  for (const auto& [uuid, cpu] : vms)
    made.vms.push_back({.uuid = uuid, .life = 1, .cpu_time = seconds(cpu)});
  return made;
}
std::vector<model::HostSample> read(const Spool& spool) {
  auto batch = json::decode<model::TelemetryBatch>("{\"samples\":" + spool.batch().samples + "}",
                                                   {.stored = true});
  return batch ? batch->samples : std::vector<model::HostSample>();
}

TEST(Spool, WritesNothingWhileAllIsTakenAtOnce) {
  MemoryMedium medium;
  Spool spool(&medium);
  for (std::uint64_t i = 1; i <= 10; ++i) {
    spool.add(sample(i));
    EXPECT_EQ(read(spool).size(), 1u);
    spool.acknowledge(spool.batch());
    EXPECT_TRUE(spool.empty());
  }
  EXPECT_EQ(medium.content, "");
}

TEST(Spool, WhatWaitsOutlivesTheAgent) {
  MemoryMedium medium;
  {
    Spool spool(&medium);
    spool.add(sample(1, {{"a", 5}}));
    spool.add(sample(2, {{"a", 6}}));
  }
  medium.content += "{\"sequence\":3,\"half of a rec";  // torn
  Spool spool(&medium);
  ASSERT_EQ(spool.size(), 2u);
  auto all = read(spool);
  EXPECT_EQ(all[0].sequence, 1u);
  EXPECT_EQ(all[1].vms[0].cpu_time, seconds(6));
  spool.acknowledge(spool.batch());
  EXPECT_EQ(medium.content, "");
}

TEST(Spool, AFullDiskIsNoReasonToForget) {
  MemoryMedium medium;
  medium.full = true;
  Spool spool(&medium);
  for (std::uint64_t i = 1; i <= 5; ++i) spool.add(sample(i));
  EXPECT_EQ(read(spool).size(), 5u);
  medium.full = false;
  spool.add(sample(6));
  EXPECT_EQ(Spool(&medium).size(), 6u);
}

TEST(Spool, MergesTheOldestAndLosesNoConsumption) {
  MemoryMedium medium;
  Spool spool(&medium, {.samples_max = 8});
  spool.add(sample(1, {{"short", 3}, {"long", 1}}));
  for (std::uint64_t i = 2; i <= 100; ++i) spool.add(sample(i, {{"long", static_cast<int>(i)}}));
  EXPECT_LE(spool.size(), 8u);
  auto all = read(spool);
  EXPECT_EQ(all.back().sequence, 100u);
  int counted = 0;
  Duration longest{};
  bool short_ended = false;
  std::uint64_t before = 0;
  for (const model::HostSample& each : all) {
    EXPECT_GT(each.sequence, before);
    before = each.sequence;
    counted += 1 + each.merged;
    for (const model::VmSample& vm : each.vms) {
      if (vm.uuid == "long") longest = std::max(longest, vm.cpu_time);
      if (vm.uuid == "short") short_ended = vm.ended && vm.cpu_time == seconds(3);
    }
  }
  EXPECT_EQ(counted, 100);
  EXPECT_EQ(longest, seconds(100));
  EXPECT_TRUE(short_ended);
  EXPECT_EQ(Spool(&medium).size(), spool.size());
}

TEST(Spool, IsBoundedInBytesAndOverManyBoots) {
  Spool spool(nullptr, {.samples_max = 1000, .bytes_max = 2000});
  for (std::uint64_t i = 1; i <= 500; ++i)
    spool.add(sample(1, {{"a", 1}}, "boot-" + std::to_string(i)));
  EXPECT_LT(spool.batch().samples.size(), 2200u);
  EXPECT_FALSE(spool.empty());
}

TEST(Spool, AMessageHasASize) {
  Spool spool(nullptr, {.message_max = 500});
  for (std::uint64_t i = 1; i <= 50; ++i) spool.add(sample(i, {{"a", 1}}));
  std::uint64_t last = 0;
  while (!spool.empty()) {
    auto batch = spool.batch();
    EXPECT_LE(batch.samples.size(), 600u);
    EXPECT_GT(batch.sequence, last);
    last = batch.sequence;
    spool.acknowledge(batch);
  }
  EXPECT_EQ(last, 50u);
}

TEST(Spool, WhatWasMergedWhileItWasSentIsToldAgain) {
  Spool spool(nullptr, {.samples_max = 4});
  for (std::uint64_t i = 1; i <= 3; ++i) spool.add(sample(i));
  auto sent = spool.batch();
  for (std::uint64_t i = 4; i <= 6; ++i) spool.add(sample(i));
  spool.acknowledge(sent);
  for (const model::HostSample& each : read(spool)) EXPECT_GT(each.sequence, 3u);
  EXPECT_EQ(read(spool).back().sequence, 6u);
}

}  // namespace
}  // namespace chorok::agent
