#include <gtest/gtest.h>

#include "cli/session.h"
#include "cli/test_support.h"

namespace chorok::cli::testing {
namespace {

constexpr std::string_view kYaml = R"(
version: 1
hosts:
  - {name: sol, cores: 4, core_mhz: 2500, memory_mib: 8192}
  - {name: luna, cores: 4, core_mhz: 2500, memory_mib: 8192}
vms:
  - {name: db1, host: sol, vcpus: 2, memory_mib: 4096, restart_priority: 1}
  - {name: web1, host: sol, memory_mib: 2048, restart_after: [db1]}
  - {name: web2, host: luna, memory_mib: 2048}
)";

struct Ran {
  int code = 0;
  std::string said;
  std::string complained;
};

Ran plan(const std::vector<std::string>& words, std::string_view input) {
  FakeTerminal terminal;
  terminal.input = input;
  std::vector<std::string> args = {"plan"};
  args.insert(args.end(), words.begin(), words.end());
  args.insert(args.end(), {"-f", "-"});
  Ran ran;
  ran.code = run(args, terminal);
  ran.said = terminal.said;
  ran.complained = terminal.complained;
  return ran;
}

TEST(PlanCommand, RestartSaysWhatStartsWhere) {
  Ran ran = plan({"restart", "--lost", "sol"}, kYaml);
  EXPECT_EQ(ran.code, 0) << ran.complained;
  EXPECT_EQ(ran.said,
            "#  DO     VM    FROM  TO    AFTER  WHY      REASON\n"
            "1  start  db1   sol   luna         restart  sol was lost; priority 1; luna then has "
            "0% of its CPU and 100% of its memory in use\n"
            "2  start  web1  sol   luna  1      restart  sol was lost; priority 3, when db1 is "
            "ready; luna then has 0% of its CPU and 100% of its memory in use\n");
  ran = plan({"restart", "--lost", "sol", "-o", "json"}, kYaml);
  auto value = parse_json(ran.said);
  ASSERT_TRUE(value);
  EXPECT_EQ(value->get("actions/0/vm").text(), "db1");
  EXPECT_EQ(value->get("actions/1/after/0").integer(), 0);
  ran = plan({"restart", "--lost", "slo"}, kYaml);
  EXPECT_EQ(ran.code, 3);
  EXPECT_NE(ran.complained.find("did you mean 'sol'?"), std::string::npos) << ran.complained;
}

TEST(PlanCommand, WhyTellsOfOne) {
  Ran ran = plan({"restart", "--lost", "sol", "--why", "db1"}, kYaml);
  EXPECT_EQ(ran.code, 0) << ran.complained;
  EXPECT_NE(ran.said.find("vm db1\n  runs on sol\n"), std::string::npos) << ran.said;
  EXPECT_NE(ran.said.find("could take it: luna"), std::string::npos) << ran.said;
  EXPECT_EQ(plan({"check", "--why", "dbx"}, kYaml).code, 3);
}

TEST(PlanCommand, CheckFailsWhenSomethingIsWrong) {
  Ran ran = plan({"check"}, kYaml);
  EXPECT_EQ(ran.code, 0) << ran.said << ran.complained;
  EXPECT_NE(ran.said.find("sound: 2 of 2 hosts serve 3 VMs"), std::string::npos) << ran.said;
  EXPECT_NE(ran.said.find("1 host may fail at once: yes (all 2 tried)"), std::string::npos);
  ran = plan({"check", "--failures", "2"}, kYaml);
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(plan({"check", "--failures", "x"}, kYaml).code, 2);
  ran = plan({"check", "-o", "json"}, kYaml);
  EXPECT_TRUE(parse_json(ran.said)->get("failover/survives").boolean());
}

TEST(PlanCommand, EveryPolicyRunsOnEveryFormat) {
  constexpr std::string_view kHtools =
      "rack1|uuid-1|preferred||\n\n"
      "n1|16384|0|14336|1|1|16|N|uuid-1|1\nn2|16384|0|16384|1|1|16|N|uuid-1|1\n\n"
      "i1|1024|1|1|running|Y|n1|n2|drbd||1\ni2|1024|1|1|running|Y|n1|n2|drbd||1\n\n\n";
  for (const char* policy : {"balance", "power", "place", "all", "restart", "check"}) {
    for (std::string_view input : {kYaml, kHtools}) {
      Ran ran = plan({policy}, input);
      EXPECT_EQ(ran.code, 0) << policy << ran.complained;
      EXPECT_FALSE(ran.said.empty());
      EXPECT_TRUE(parse_json(plan({policy, "-o", "json"}, input).said)) << policy;
    }
  }
  Ran first = plan({"convert"}, kHtools);
  EXPECT_EQ(first.code, 0);
  EXPECT_EQ(plan({"convert"}, first.said).said, first.said);
}

TEST(PlanCommand, WhatIsLeftToPeopleIsTold) {
  constexpr std::string_view kCrowd = R"(
version: 1
hosts: [{name: h, count: 2, cores: 4, core_mhz: 2500, memory_mib: 8192}]
vms:
  - {name: mine, count: 3, host: h1, vcpus: 2, memory_mib: 512, cpu_demand_mhz: {now: 4000},
     automation: manual}
  - {name: yours, host: h1, vcpus: 2, memory_mib: 512, cpu_demand_mhz: {now: 4000}}
)";
  Ran ran = plan({"balance"}, kCrowd);
  EXPECT_EQ(ran.code, 0) << ran.complained;
  EXPECT_NE(ran.said.find("\nfor a person to decide, as their VMs are set: 2\n"), std::string::npos)
      << ran.said;
  ran = plan({"balance", "--why", "mine1"}, kCrowd);
  EXPECT_NE(ran.said.find("\nrecommended: migrate mine1 from h1 to h2\n"), std::string::npos)
      << ran.said;
  ran = plan({"balance", "-o", "json"}, kCrowd);
  EXPECT_FALSE(parse_json(ran.said)->get("actions/0/recommended").boolean());
  EXPECT_TRUE(parse_json(ran.said)->get("actions/1/recommended").boolean());
}

TEST(PlanCommand, MistakesInTheFileNameThePlace) {
  Ran ran = plan({"check"}, "version: 1\nhosts:\n- {name: sol, memory: 3}\n");
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.complained.find("/hosts/0/memory"), std::string::npos) << ran.complained;
  FakeTerminal terminal;
  EXPECT_EQ(run({"plan", "check"}, terminal), 2);
  EXPECT_EQ(run({"plan", "check", "-f", "no/such/file"}, terminal), 3);
}

}  // namespace
}  // namespace chorok::cli::testing
