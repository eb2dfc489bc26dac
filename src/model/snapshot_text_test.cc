#include "model/snapshot_text.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <ctime>

#include "base/json.h"

namespace chorok::model {
namespace {

constexpr std::string_view kSmall = R"({
  "version": 1,
  "now": "2026-11-22T08:00:00.000Z",
  "cluster": "lab",
  "settings": {"ha":{"enabled":true}},
  "hosts": [
    {"name":"sol","cores":16,"core_mhz":2500,"memory_mib":65536,"datastores":["nfs"]},
    {"name":"luna","power":"standby","cores":16,"core_mhz":2500,"memory_mib":65536,"datastores":["nfs"],"time_on_s":180.5}
  ],
  "pools": [
    {"name":"gold","cpu_mhz":{"reservation":4000,"expandable":true}}
  ],
  "vms": [
    {"name":"db1","host":"sol","pool":"gold","vcpus":4,"memory_mib":16384,"overhead_mib":210,"cpu_demand_mhz":{"now":3100.5,"upper":5200},"datastores":["nfs"],"restart_priority":1,"moved_ago_s":90.25,"moved_from":"luna"},
    {"name":"web1","run":"waiting","memory_mib":1024,"restart_after":["db1"]}
  ],
  "rules": [
    {"name":"keep-apart","kind":"apart","vms":["db1","web1"]}
  ],
  "operations": [
    {"kind":"power_on","to":"luna","since_ago_s":12}
  ]
}
)";

Snapshot read(std::string_view text) {
  auto snapshot = read_snapshot(text);
  EXPECT_TRUE(snapshot) << snapshot.error().field << ": " << snapshot.error().message;
  return snapshot ? *snapshot : Snapshot{};
}
std::string write(const Snapshot& snapshot) {
  auto text = write_snapshot(snapshot);
  EXPECT_TRUE(text) << text.error().field << ": " << text.error().message;
  return text ? *text : std::string();
}

TEST(SnapshotText, ReadsWhatAPersonWrites) {
  const Snapshot s = read(kSmall);
  ASSERT_EQ(s.hosts.size(), 2u);
  EXPECT_EQ(s.hosts[0].capacity, (Amounts{40000, 65536}));
  EXPECT_EQ(s.hosts[1].power, HostPower::kStandby);
  EXPECT_EQ(s.hosts[1].time_on, std::chrono::milliseconds(180500));
  EXPECT_EQ(s.offers.size(), 1u);
  EXPECT_EQ(s.curves, std::vector{usual_curve()});
  EXPECT_EQ(s.vms[0].size.cpu, 10000);
  EXPECT_EQ(s.vms[0].pool, 0u);
  EXPECT_EQ(s.vms[0].cpu_demand.mean, 3100.5);
  EXPECT_EQ(s.vms[0].cpu_demand.upper, 5200);
  EXPECT_EQ(s.vms[0].run, VmRun::kOn);
  EXPECT_EQ(s.now - s.vms[0].last_moved, std::chrono::milliseconds(90250));
  EXPECT_EQ(s.vms[0].moved_from, 1u);
  EXPECT_EQ(s.vms[1].run, VmRun::kWaiting);
  EXPECT_EQ(s.vms[1].restart_after, std::vector<Index>{0});
  EXPECT_EQ(s.requirements.size(), 2u);
  EXPECT_EQ(s.rules[0].vms, (std::vector<Index>{0, 1}));
  EXPECT_EQ(s.operations[0].to, 1u);
  EXPECT_TRUE(s.settings.ha.enabled);
  EXPECT_EQ(s.vms[0].cpu.limit, kUnlimited);
}

TEST(SnapshotText, WritesTheSameBytesAgain) {
  EXPECT_EQ(write(read(kSmall)), kSmall);
  EXPECT_EQ(write(read(R"({"version":1})")), "{\n  \"version\": 1\n}\n");
}

TEST(SnapshotText, ManyAlikeInALine) {
  const Snapshot s = read(R"({"version":1,
    "hosts":[{"name":"h","count":3,"cores":8,"core_mhz":2000,"memory_mib":1000},
             {"name":"other","memory_mib":5}],
    "vms":[{"name":"w","count":5,"host":"h*","memory_mib":10}],
    "rules":[{"name":"r","kind":"hosts_only","vms":["w*"],"hosts":["h1","other"]}]})");
  ASSERT_EQ(s.hosts.size(), 4u);
  EXPECT_EQ(s.hosts[2].name, "h3");
  ASSERT_EQ(s.vms.size(), 5u);
  EXPECT_EQ(s.vms[4].name, "w5");
  EXPECT_EQ(s.vms[4].host, 1u);  // in turn
  EXPECT_EQ(s.rules[0].vms.size(), 5u);
  EXPECT_EQ(s.rules[0].hosts, (std::vector<Index>{0, 3}));
  EXPECT_EQ(write(read(write(s))), write(s));
}

TEST(SnapshotText, PoolsMayStandInAnyOrder) {
  const Snapshot s = read(R"({"version":1,"pools":[
    {"name":"c","parent":"b"},{"name":"a"},{"name":"b","parent":"a"}],
    "vms":[{"name":"v","memory_mib":1,"pool":"c"}]})");
  ASSERT_EQ(s.pools.size(), 3u);
  EXPECT_EQ(s.pools[0].name, "a");
  EXPECT_EQ(s.pools[2].name, "c");
  EXPECT_EQ(s.pools[2].parent, 1u);
  EXPECT_EQ(s.vms[0].pool, 2u);
}

TEST(SnapshotText, ErrorsNameThePlaceAndTheNearestName) {
  struct Row {
    std::string_view text;
    std::string_view field;
    std::string_view part;
  };
  const Row rows[] = {
      {R"({"version":1,"hosts":[{"name":"sol","memory_mib":1}],)"
       R"("vms":[{"name":"v","memory_mib":1,"host":"slo"}]})",
       "/vms/0/host", "did you mean 'sol'?"},
      {R"({"version":1,"hosts":[{"name":"sol","memory":1}]})", "/hosts/0/memory", "memory_mib"},
      {R"({"version":1,"hosts":[{"name":"sol"}]})", "/hosts/0/memory_mib", "is missing"},
      {R"({"version":1,"hosts":[{"name":"a b","memory_mib":1}]})", "/hosts/0/name", "may hold"},
      {R"({"version":1,"hosts":[{"name":"a","memory_mib":1},{"name":"a","memory_mib":1}]})",
       "/hosts/1/name", "two hosts named 'a'"},
      {R"({"version":1,"hosts":[{"name":"a","memory_mib":1,"curve":"c"}]})", "/hosts/0/curve",
       "no curve 'c'"},
      {R"({"version":1,"curves":[{"name":"c","watts":[1,2]}]})", "/curves/0/watts", "11"},
      {R"({"version":1,"pools":[{"name":"a","parent":"b"},{"name":"b","parent":"a"}]})",
       "/pools/0/parent", "within itself"},
      {R"({"version":1,"pools":[{"name":"a","cpu_mhz":{"reservation":2,"limit":1}}]})",
       "/pools/0/cpu_mhz/reservation", "above the limit"},
      {R"({"version":1,"vms":[{"name":"v","memory_mib":1,"run":"on"}]})", "/vms/0/host",
       "names no host"},
      {R"({"version":1,"vms":[{"name":"v","memory_mib":-1}]})", "/vms/0/memory_mib", "too small"},
      {R"({"version":1,"vms":[{"name":"v","memory_mib":1,"restart_after":["w*"]}]})",
       "/vms/0/restart_after/0", "begins with 'w'"},
      {R"({"version":1,"rules":[{"name":"r","kind":"apartt"}]})", "/rules/0/kind", "'apart'"},
      {R"({"version":1,"settings":{"balance":{"stability":3}}})", "/settings/balance/stability",
       "stability_s"},
      {R"({"version":1,"operations":[{"kind":"migrate","to":"x"}]})", "/operations/0/to",
       "no host"},
      {R"({"version":2,"new":1})", "/version", "version 2"},
      {R"({"version":0})", "/version", "version 0"},
      {R"({})", "/version", "missing"},
      {R"({"version":1)", "", "JSON"},
      {R"({"version":1,"hosts":[{"name":"a","count":20001,"memory_mib":1}]})", "/hosts/0/count",
       "20000"},
  };
  for (const Row& row : rows) {
    auto result = read_snapshot(row.text);
    ASSERT_FALSE(result) << row.text;
    if (!row.field.empty()) EXPECT_EQ(result.error().field, row.field) << result.error().message;
    EXPECT_NE(result.error().message.find(row.part), std::string::npos) << result.error().message;
  }
}

TEST(SnapshotText, WhatHasNoNameOrTwoCannotBeWritten) {
  Snapshot s = read(kSmall);
  s.vms[1].name = "db1";
  EXPECT_EQ(write_snapshot(s).error().field, "/vms/1/name");
  s.vms[1].name = "";
  EXPECT_EQ(write_snapshot(s).error().field, "/vms/1/name");
}

// A task may be made a moment after the clock was read for a round.
TEST(SnapshotText, WhatBeganAfterItsNowCanBeReadAgain) {
  Snapshot s = read(kSmall);
  const Time later = s.now + std::chrono::microseconds(84);
  s.operations[0].since = s.vms[0].last_moved = later;
  s.hosts[0].power_since = s.hosts[0].enabled_since = later;
  const Snapshot again = read(write(s));
  EXPECT_EQ(again.operations[0].since, s.now);
  EXPECT_EQ(again.vms[0].last_moved, s.now);
  EXPECT_EQ(again.hosts[0].power_since, s.now);
  EXPECT_EQ(again.hosts[0].enabled_since, s.now);
}

TEST(SnapshotText, AThousandHostsAreAMatterOfMoments) {
  Snapshot s = read(R"({"version":1,
    "hosts":[{"name":"h","count":1000,"cores":8,"core_mhz":2000,"memory_mib":100000}],
    "vms":[{"name":"w","count":20000,"host":"h*","memory_mib":1024,"overhead_mib":100,
            "cpu_demand_mhz":{"now":123.25,"mean":99.5,"deviation":7.125},"consumed_mib":900}]})");
  const std::clock_t start = std::clock();
  const std::string text = write(s);
  const std::clock_t written = std::clock();
  EXPECT_EQ(write(read(text)), text);
  const double tick = 1e3 / CLOCKS_PER_SEC;
  std::printf("20,000 VMs, %zu KiB: written in %.0f ms, read and written again in %.0f ms of CPU\n",
              text.size() / 1024, static_cast<double>(written - start) * tick,
              static_cast<double>(std::clock() - written) * tick);
}

// Numbers of a fixed pseudo-random walk, so that every field takes odd values.
TEST(SnapshotText, OddNumbersComeBackExactly) {
  std::uint64_t state = 1;
  auto number = [&] {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<double>(state >> 33) / 7.0;
  };
  Snapshot s = read(kSmall);
  for (int round = 0; round < 200; ++round) {
    for (SnapshotVm& v : s.vms) {
      v.size.cpu = number();
      v.cpu_demand = {number(), number(), number(), number(), number(), number()};
      v.memory_demand = {number(), number(), number(), number(), number(), number()};
      v.dirty_rate = number();
      v.cpu.shares = number();
      v.restart_delay = Duration(static_cast<std::int64_t>(number()));
      v.last_moved = s.now - Duration(static_cast<std::int64_t>(number() * 1000));
    }
    s.settings.balance.stability = Duration(static_cast<std::int64_t>(number()));
    const std::string text = write(s);
    const Snapshot back = read(text);
    ASSERT_EQ(write(back), text);
    ASSERT_EQ(back.vms[0].last_moved, s.vms[0].last_moved);
    ASSERT_EQ(back.vms[0].cpu_demand, s.vms[0].cpu_demand);
  }
}

constexpr std::string_view kHtools = R"(rack1|uuid-1|preferred||
rack2|uuid-2|last_resort|

n1|16384|512|13824|409600|153600|16|M|uuid-1|1||N|0|2|1.5
n2|16384|0|14336|409600|153600|16|N|uuid-1
n3|?|?|?|?|?|?|N|uuid-2|1
n4|8192|0|8192|1|1|8|Y|uuid-2|1

dns1|1024|51200|1|running|Y|n1|n2|drbd|service:dns,foo|1
dns2|1024|51200|2|ERROR_up|N|n2|n1|drbd|service:dns|1|-|N
off1|1024|51200|1|ADMIN_down|Y|n2|n1|drbd||1
lost1|1024|51200|1|ERROR_nodedown|Y|n2|n1|drbd|foo|1

htools:iextags:service

|128,1,1024,1,1,1|128,1,1024,1,1,1;32768,8,1048576,16,8,12|drbd,plain|2.0|32.0
)";

TEST(Htools, ReadsNodesInstancesAndExclusionTags) {
  ASSERT_TRUE(looks_like_htools(kHtools));
  auto result = read_htools(kHtools);
  ASSERT_TRUE(result) << result.error().message;
  const Snapshot& s = *result;
  ASSERT_EQ(s.hosts.size(), 4u);
  EXPECT_EQ(s.hosts[0].core_mhz, 1500);
  EXPECT_EQ(s.hosts[0].capacity.cpu, 14 * 1500);
  // 16384 - 512 is 15872; 13824 are free and 1024 dns1's: 1024 nobody accounts for.
  EXPECT_EQ(s.hosts[0].capacity.memory, 13824 + 1024);
  EXPECT_EQ(s.hosts[1].capacity.cpu, 15000);
  EXPECT_EQ(s.hosts[2].link, HostLink::kLost);
  EXPECT_EQ(s.hosts[3].link, HostLink::kLost);
  ASSERT_EQ(s.vms.size(), 4u);
  EXPECT_EQ(s.vms[0].cpu_demand.now, 500);
  EXPECT_EQ(s.vms[0].consumed, 1024);
  EXPECT_EQ(s.vms[1].run, VmRun::kOn);
  EXPECT_EQ(s.vms[1].restart_priority, 0);
  EXPECT_EQ(s.vms[2].run, VmRun::kOff);
  EXPECT_EQ(s.vms[3].run, VmRun::kWaiting);
  ASSERT_EQ(s.rules.size(), 1u);
  EXPECT_EQ(s.rules[0].vms, (std::vector<Index>{0, 1}));
  EXPECT_NE(s.hosts[0].offer, s.hosts[2].offer);
  // And it can be kept as one of ours.
  EXPECT_EQ(write(read(write(s))), write(s));
}

TEST(Htools, SaysWhichLineIsWrong) {
  auto error = [](std::string_view text) {
    auto result = read_htools(text);
    EXPECT_FALSE(result);
    return result ? Error{} : result.error();
  };
  EXPECT_EQ(error("g|u|p\n\nn|1|1|1\n").field, "/3");
  EXPECT_EQ(error("g|u|p\n\nn|x|0|1|1|1|4|N|u\n").message,
            "line 3 has 'x' for total_mem, which is no amount");
  EXPECT_EQ(error("g|u|p\n\nn|1|0|1|1|1|4|N|v\n").field, "/3");
  EXPECT_EQ(error("g|u|p\n\nn|1|0|1|1|1|4|N|u\n\ni|1|1|1|running|Y|m||plain\n").field, "/5");
  EXPECT_FALSE(error("").message.empty());
  EXPECT_FALSE(looks_like_htools("{\"version\":1}"));
  EXPECT_FALSE(looks_like_htools(""));
}

}  // namespace
}  // namespace chorok::model
