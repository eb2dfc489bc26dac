#include "model/snapshot.h"

#include <gtest/gtest.h>

#include <functional>

namespace chorok::model {
namespace {

Snapshot small() {
  Snapshot s;
  s.offers.resize(1);
  s.curves.resize(1);
  s.requirements.resize(1);
  s.hosts.resize(2);
  for (SnapshotHost& host : s.hosts) host.capacity = {20000, 65536};
  s.pools.resize(2);
  s.pools[1].parent = 0;
  s.vms.resize(2);
  s.vms[0].host = 0;
  s.vms[1].host = 1;
  s.vms[1].pool = 1;
  s.rules.push_back({.kind = RuleKind::kApart, .vms = {0, 1}});
  s.operations.push_back({.vm = 0, .from = 0, .to = 1});
  return s;
}

TEST(SnapshotCheck, TakesWhatHolds) {
  EXPECT_TRUE(check(Snapshot{}));
  EXPECT_TRUE(check(small()));
}

TEST(SnapshotCheck, NamesTheFirstFaultByItsPath) {
  struct Row {
    const char* field;
    std::function<void(Snapshot&)> spoil;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Row rows[] = {
      {"/hosts/1/offer", [](Snapshot& s) { s.hosts[1].offer = 1; }},
      {"/hosts/0/curve", [](Snapshot& s) { s.hosts[0].curve = kNone; }},
      {"/hosts/0/capacity/memory", [&](Snapshot& s) { s.hosts[0].capacity.memory = nan; }},
      {"/hosts/1/time_on", [](Snapshot& s) { s.hosts[1].time_on = Duration(-1); }},
      {"/pools/0/parent", [](Snapshot& s) { s.pools[0].parent = 1; }},
      {"/pools/1/parent", [](Snapshot& s) { s.pools[1].parent = 1; }},
      {"/pools/0/cpu/shares", [](Snapshot& s) { s.pools[0].cpu.shares = -1; }},
      {"/vms/1/host", [](Snapshot& s) { s.vms[1].host = 2; }},
      {"/vms/1/host", [](Snapshot& s) { s.vms[1].host = kNone; }},
      {"/vms/0/host", [](Snapshot& s) { s.vms[0].run = VmRun::kWaiting; }},
      {"/vms/0/pool", [](Snapshot& s) { s.vms[0].pool = 7; }},
      {"/vms/0/requirement", [](Snapshot& s) { s.vms[0].requirement = 1; }},
      {"/vms/0/restart_after/0", [](Snapshot& s) { s.vms[0].restart_after = {9}; }},
      {"/vms/1/memory/reservation",
       [](Snapshot& s) { s.vms[1].memory = {.reservation = 2, .limit = 1}; }},
      {"/vms/1/cpu/limit", [&](Snapshot& s) { s.vms[1].cpu.limit = nan; }},
      {"/vms/0/cpu_demand", [&](Snapshot& s) { s.vms[0].cpu_demand.upper = nan; }},
      {"/vms/0/gaps", [](Snapshot& s) { s.vms[0].gaps = 1.5; }},
      {"/vms/0/vcpus", [](Snapshot& s) { s.vms[0].vcpus = 0; }},
      {"/vms/0/restart_priority", [](Snapshot& s) { s.vms[0].restart_priority = 6; }},
      {"/rules/0/vms/1", [](Snapshot& s) { s.rules[0].vms[1] = 2; }},
      {"/rules/0/hosts", [](Snapshot& s) { s.rules[0].hosts = {0}; }},
      {"/curves/0/watts", [](Snapshot& s) { s.curves[0].watts[10] = -1; }},
      {"/operations/0/from", [](Snapshot& s) { s.operations[0].from = kNone; }},
      {"/operations/0/to", [](Snapshot& s) { s.operations[0].to = 2; }},
      {"/settings/power/target", [](Snapshot& s) { s.settings.power.target = 2; }},
      {"/settings/balance/level", [](Snapshot& s) { s.settings.balance.level = 0; }},
      {"/settings/ha/failures", [](Snapshot& s) { s.settings.ha.failures = -1; }},
  };
  for (const Row& row : rows) {
    Snapshot s = small();
    row.spoil(s);
    auto result = check(s);
    ASSERT_FALSE(result) << row.field;
    EXPECT_EQ(result.error().field, row.field);
    EXPECT_FALSE(result.error().message.empty());
  }
}

TEST(SnapshotCheck, ALimitMayBeInfinite) {
  Snapshot s = small();
  s.vms[0].cpu.limit = kUnlimited;
  EXPECT_TRUE(check(s));
  s.vms[0].cpu.reservation = kUnlimited;
  EXPECT_FALSE(check(s));
}

TEST(PowerCurve, IsLinearBetweenItsPoints) {
  PowerCurve curve;
  for (std::size_t i = 0; i < 11; ++i) curve.watts[i] = 100 + 10 * static_cast<double>(i * i);
  EXPECT_DOUBLE_EQ(curve.at(0), 100);
  EXPECT_DOUBLE_EQ(curve.at(1), 1100);
  EXPECT_DOUBLE_EQ(curve.at(0.15), 125);
  EXPECT_DOUBLE_EQ(curve.at(-3), 100);
  EXPECT_DOUBLE_EQ(curve.at(7), 1100);
}

}  // namespace
}  // namespace chorok::model
