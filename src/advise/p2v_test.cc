// Consolidation of a few machines, computed by hand, and what is wrong with files.
#include "advise/p2v.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "advise/html.h"
#include "advise/report.h"

namespace chorok::advise {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr std::string_view kHeader =
    "name,cores,mhz,memory_mib,cpu_percent,memory_used_mib,watts_idle,watts_full,rack_units\n";

// 10 x 1000 MHz, 10,000 MiB, 100 W idle, 200 W full.
HostClass ten() {
  HostClass hosts{.name = "ten", .source = "made by hand"};
  hosts.type = {.core_mhz = 1000, .cores = 10, .memory_mib = 10'000};
  for (std::size_t i = 0; i <= 10; ++i)
    hosts.type.curve.watts[i] = 100 + 10 * static_cast<double>(i);
  return hosts;
}

P2vPlan plan_of(const Fleet& fleet, const HostClass& hosts = ten()) {
  return plan_p2v(fleet, hosts, 2,
                  {.price = {.value = 100, .unit = "EUR"}, .carbon = {.value = 0.5}});
}

Result<Fleet> parse(std::string_view text, const P2vLimits& limits = {}) {
  return parse_fleet(text, "servers.csv", 20, limits);
}
std::string wrong(std::string_view text, const P2vLimits& limits = {}) {
  const auto fleet = parse(text, limits);
  return fleet ? "nothing is wrong" : fleet.error().message;
}

TEST(P2v, FourServersOnTwoHosts) {
  // Each asks for 1000 MHz and uses 2000 of 4000 MiB, at 150 W.
  std::string text(kHeader);
  for (const char* name : {"a", "b", "c", "d"})
    text += std::string(name) + ",4,2000,4000,12.5,2000,140,220,2\n";
  const auto fleet = parse(text);
  ASSERT_TRUE(fleet) << fleet.error().message;
  EXPECT_TRUE(fleet->notes.empty());
  const P2vPlan plan = plan_of(*fleet);
  ASSERT_EQ(plan.cases.size(), 3U);
  // low: 4000 MiB each, two on a host of 9500; one host to spare.
  EXPECT_EQ(plan.cases[0].hosts, 3);
  // mid: 2500 MiB each, three on a host.
  const P2vCase& mid = plan.cases[1];
  EXPECT_EQ(mid.hosts, 3);
  EXPECT_EQ(mid.spare, 1);
  EXPECT_NEAR(mid.watts_now, 600, 1e-9);
  EXPECT_NEAR(mid.watts_then, 130 + 110 + 100, 1e-9);
  EXPECT_NEAR(mid.year_kwh, 0.260 * 8760, 1e-6);
  EXPECT_NEAR(mid.year_money, 26 * 8760, 1e-3);
  EXPECT_NEAR(mid.year_co2_kg, 0.130 * 8760, 1e-6);
  EXPECT_EQ(mid.rack_units_now, 8);
  EXPECT_EQ(mid.rack_units_then, 6);
  EXPECT_NEAR(mid.cpu_share, 0.2, 1e-9);
  // high: 2200 MiB each, all four on one.
  EXPECT_EQ(plan.cases[2].hosts, 1);
  EXPECT_NEAR(plan.cases[2].watts_then, 140, 1e-9);
  EXPECT_THAT(html_of(report_of({plan})), HasSubstr("Rack units now"));
}

TEST(P2v, WhatIsTooLargeStays) {
  const auto fleet = parse(std::string(kHeader) + "big,64,3000,4000,90,2000,300,600,4\n" +
                           "small,4,1000,4000,10,1000,100,100,1\n");
  ASSERT_TRUE(fleet) << fleet.error().message;
  const P2vPlan plan = plan_of(*fleet);
  const P2vCase& high = plan.cases[2];
  ASSERT_EQ(high.stays.size(), 1U);
  EXPECT_EQ(high.stays[0].name, "big");
  EXPECT_THAT(high.stays[0].why, HasSubstr("172800 MHz"));
  EXPECT_EQ(high.hosts, 1);
  EXPECT_NEAR(high.watts_then, 570 + 104, 1e-9);
  EXPECT_EQ(high.rack_units_then, 4 + 2);
}

TEST(P2v, StatedHostsAreKeptTo) {
  const auto fleet = parse(std::string(kHeader) + "a,4,1000,4000,10,1000,100,100,1\n");
  HostClass hosts = ten();
  hosts.count = 4;
  EXPECT_EQ(plan_of(*fleet, hosts).cases[2].hosts, 4);
  hosts.count = 1;
  const P2vPlan plan = plan_of(*fleet, hosts);
  EXPECT_EQ(plan.cases[0].hosts, 2);
  EXPECT_THAT(plan.notes, Contains(HasSubstr("low needs 2 hosts")));
}

TEST(P2v, WhatIsNotKnownIsAssumedAndSaid) {
  const auto fleet = parse("name,cores,mhz,memory_mib,cpu_percent\na,4,1000,4000,0\n");
  ASSERT_TRUE(fleet) << fleet.error().message;
  EXPECT_NEAR(fleet->machines[0].watts, 51, 1e-9);  // the median two-socket server of 2017, idle
  EXPECT_EQ(fleet->machines[0].rack_units, 1);
  EXPECT_EQ(fleet->loads[0].used_mib, 4000);
  EXPECT_EQ(fleet->notes.size(), 3U);
}

TEST(P2v, ReadsRvtoolsHosts) {
  // Semicolons, a byte order mark, quotes, CRLF, columns nobody asked for.
  const auto fleet = parse(
      "\xef\xbb\xbfHost;Datacenter;Speed;# CPU;Cores per CPU;# Cores;CPU usage %;# Memory;Memory "
      "usage %;# VMs\r\n\"esx1\";\"A \"\"b\"\"; c\";2000;2;8;16;50;65536;25;4\r\n");
  ASSERT_TRUE(fleet) << fleet.error().message;
  EXPECT_EQ(fleet->format, "RVTools vHost");
  ASSERT_EQ(fleet->machines.size(), 1U);
  EXPECT_EQ(fleet->machines[0].name, "esx1");
  ASSERT_EQ(fleet->loads.size(), 4U);
  EXPECT_EQ(fleet->loads[3].cpu_mhz, 4000);
  EXPECT_EQ(fleet->loads[3].memory_mib, 16384);
  EXPECT_EQ(fleet->loads[3].used_mib, 4096);
  const auto batch = parse(
      "vHostName,vHostCpuMhz,vHostNumCpuCores,vHostOverallCpuUsage,vHostMemorySize,"
      "vHostOverallMemoryUsage\nesx1,2000,16,50,65536,25\n");
  ASSERT_TRUE(batch) << batch.error().message;
  EXPECT_EQ(batch->loads.size(), 1U);
}

TEST(P2v, ReadsRvtoolsVms) {
  const auto fleet = parse(
      "VM,Powerstate,Template,CPUs,Memory,Host\nweb,poweredOn,False,4,\"8192\",esx1\n"
      "old,poweredOff,False,4,8192,esx2\ngold,poweredOn,True,4,8192,esx2\n"
      "db,poweredOn,False,8,16384,esx1\n");
  ASSERT_TRUE(fleet) << fleet.error().message;
  EXPECT_EQ(fleet->format, "RVTools vInfo");
  EXPECT_EQ(fleet->machines.size(), 1U);
  ASSERT_EQ(fleet->loads.size(), 2U);
  EXPECT_NEAR(fleet->loads[1].cores, 1.6, 1e-12);
  EXPECT_THAT(fleet->notes, Contains(HasSubstr("2 VMs that")));
  // A placeholder of Site Recovery runs elsewhere; a name of the command line's export.
  const auto batch = parse(
      "vInfoVMName,vInfoPowerstate,vInfoTemplate,SRM Placeholder,vInfoCPUs,vInfoMemory,vInfoHost\n"
      "web,poweredOn,False,False,4,8192,esx1\nghost,poweredOn,False,True,4,8192,esx1\n");
  ASSERT_TRUE(batch) << batch.error().message;
  EXPECT_EQ(batch->loads.size(), 1U);
}

// The header of vHost as RVTools 4 writes it, with a row of numbers as it gives them.
TEST(P2v, ReadsAWholeSheetOfRvtools) {
  const auto fleet = parse(
      "Host,Datacenter,Cluster,Config status,in Maintenance Mode,in Quarantine Mode,vSAN Fault "
      "Domain Name,CPU Model,Speed,HT Available,HT Active,# CPU,Cores per CPU,# Cores,CPU usage "
      "%,# Memory,Memory usage %,Console,# NICs,# HBAs,# VMs total,# VMs,VMs per Core,# "
      "vCPUs,vCPUs "
      "per Core,vRAM,VM Used memory\n"
      "esx1,DC,A,green,False,False,,Xeon,2400,True,True,2,16,32,40,524288,50,0,4,2,12,10,0.31,40,"
      "1.25,163840,120000\n");
  ASSERT_TRUE(fleet) << fleet.error().message;
  EXPECT_EQ(fleet->format, "RVTools vHost");
  ASSERT_EQ(fleet->loads.size(), 10U);  // those that are on
  EXPECT_NEAR(fleet->loads[0].cpu_mhz, 32 * 2400 * 0.4 / 10, 1e-9);
  EXPECT_NEAR(fleet->loads[0].used_mib, 26214.4, 1e-9);
}

TEST(P2v, SeveralListsAddUpAndNoMachineCountsTwice) {
  const std::string row = ",4,2000,4000,12.5,2000,140,220,2\n";
  std::vector<Fleet> fleets;
  for (const char* names : {"ab", "cd"}) {
    std::string text(kHeader);
    for (const char* name = names; *name != 0; ++name) text += *name + row;
    fleets.push_back(parse_fleet(text, names, 20).value());
  }
  EXPECT_TRUE(check_once(fleets));
  const P2vReport report = report_of({plan_of(fleets[0]), plan_of(fleets[1])});
  EXPECT_EQ(report.cases[1].hosts, 4);
  EXPECT_EQ(report.cases[1].rack_units_now, 8);
  EXPECT_NEAR(report.cases[1].watts_now, 600, 1e-9);
  EXPECT_NEAR(report.cases[1].cpu_share, 0.2, 1e-9);
  EXPECT_THAT(report.summary, HasSubstr("4 hosts would do the work of 4 machines"));
  fleets.push_back(fleets[0]);
  fleets[2].source = "again";
  EXPECT_THAT(check_once(fleets).error().message, HasSubstr("a stands in ab and in again"));
}

TEST(P2v, ErrorsNameLineColumnAndFix) {
  const std::string header = "name,cores,mhz,memory_mib,cpu_percent\n";
  EXPECT_THAT(wrong(""), HasSubstr("servers.csv:1:1: nothing in it"));
  EXPECT_THAT(wrong("name,cores,ghz\n"), HasSubstr("servers.csv:1:3: column 'ghz' is unknown; "
                                                   "there are name, cores, mhz"));
  EXPECT_THAT(wrong("name,cores,mhz,memory_mib\n"), HasSubstr("no column 'cpu_percent'"));
  EXPECT_THAT(wrong("name,name\n"), HasSubstr("servers.csv:1:2: column 'name' is there twice"));
  EXPECT_THAT(wrong(header), HasSubstr("no server in it"));
  EXPECT_THAT(wrong(header + "a,4,1000,4000,120\n"),
              HasSubstr("servers.csv:2:5: cpu_percent is '120'; write a number from 0 to 100"));
  EXPECT_THAT(wrong(header + "\n\na,4,\"1,000\",4000,1\n"),
              HasSubstr("servers.csv:4:3: mhz is '1,000'"));
  EXPECT_THAT(wrong(header + "a,4,nan,4000,1\n"), HasSubstr("servers.csv:2:3"));
  EXPECT_THAT(wrong(header + "a,4,2.6,65536,1\n"),
              HasSubstr("servers.csv:2:3: mhz is '2.6'; write a number from 100 to 20000"));
  EXPECT_THAT(wrong(header + "a,4,2600,64,1\n"), HasSubstr("memory_mib is '64'"));
  EXPECT_THAT(wrong(header + "a,4\n"), HasSubstr("servers.csv:2:3: mhz is ''"));
  EXPECT_THAT(wrong(header + ",4,1000,4000,1\n"), HasSubstr("servers.csv:2:1: no name"));
  EXPECT_THAT(wrong(header + "a,4,1000,4000,1\na,4,1000,4000,1\n"),
              HasSubstr("servers.csv:3:1: server 'a' is there twice"));
  EXPECT_THAT(wrong(header + "\"a,4,1000,4000,1\n"), HasSubstr("not closed"));
  EXPECT_THAT(wrong(header + "\"a\"b,4,1000,4000,1\n"), HasSubstr("after the closing quote"));
  EXPECT_THAT(wrong("VM,Powerstate,CPUs,Host\n"), HasSubstr("no column 'Memory'"));
  EXPECT_THAT(wrong(header + "a,4,1000,4000,1\nb,4,1000,4000,1\n", {.rows_max = 1}),
              HasSubstr("servers.csv:3:1: more than 1 rows"));
  EXPECT_THAT(wrong(header, {.columns_max = 3}), HasSubstr("more than 3 columns"));
}

// One server on one host of two units that draws more: nothing is saved, and there is no plural.
TEST(P2v, TheSummaryOfASingleMachine) {
  const std::string header = "name,cores,mhz,memory_mib,cpu_percent,watts_idle,watts_full\n";
  P2vReport report = report_of({plan_of(parse(header + "a,4,1000,4000,1,5,10\n").value())});
  EXPECT_THAT(report.summary, HasSubstr("draw no less than the machine does now"));
  report = report_of({plan_of(parse(header + "a,4,1000,4000,1,5000,5000\n").value())});
  EXPECT_THAT(report.summary, HasSubstr("do the work of 1 machine and save"));
  EXPECT_THAT(report.summary, HasSubstr("rack units where there are 1 now"));
}

TEST(P2v, ThousandsSignsAreNotTakenForPoints) {
  EXPECT_THAT(wrong("VM;Powerstate;CPUs;Memory;Host\nweb;poweredOn;4;131.072;esx1\n"),
              HasSubstr("servers.csv:2:4: Memory is '131.072'; write a whole number"));
}

TEST(P2v, AnyBytesAreAnErrorOrAFleet) {
  const std::string_view texts[] = {
      "name,cores,mhz,memory_mib,cpu_percent\na,4,1000,4000,1\n\"b\",4,1000,4000,1\r\n",
      "Host;Speed;# Cores;CPU usage %;# Memory;Memory usage %;# VMs\nesx1;2000;16;50;65536;25;4\n",
      "VM,Powerstate,Template,CPUs,Memory,Host\nweb,poweredOn,False,4,\"8192\",esx1\n"};
  constexpr std::string_view kBytes = "\",;\n\r.-+e019aN#% \xef\xff";
  std::uint32_t state = 7;
  const auto dice = [&state](std::size_t most) {
    state = state * 1664525U + 1013904223U;
    return (state >> 8) % most;
  };
  for (int round = 0; round < 20'000; ++round) {
    std::string text(texts[dice(3)]);
    for (std::size_t change = dice(4) + 1; change > 0; --change) {
      const std::size_t at = dice(text.size());
      if (dice(2))
        text[at] = kBytes[dice(kBytes.size())];
      else
        text.erase(at, dice(6));
      if (text.empty()) text = "x";
    }
    const auto fleet = parse(text);
    if (!fleet) {
      EXPECT_THAT(fleet.error().message, ::testing::StartsWith("servers.csv:"));
      continue;
    }
    const P2vPlan plan = plan_of(*fleet);
    EXPECT_EQ(plan.cases.size(), 3U);
  }
}

}  // namespace
}  // namespace chorok::advise
