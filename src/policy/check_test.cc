#include "policy/check.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "policy/explain.h"
#include "policy/restart.h"

namespace chorok::policy {
namespace {

using model::RuleKind;

Snapshot cluster() {
  Snapshot s;
  s.cluster = "lab";
  s.offers.resize(1);
  s.curves.resize(1);
  s.requirements.resize(1);
  s.hosts.resize(2);
  s.hosts[0].name = "sol";
  s.hosts[1].name = "luna";
  for (auto& host : s.hosts) host.capacity = {10000, 10000};
  s.vms.resize(2);
  for (Index v = 0; v < 2; ++v) {
    s.vms[v].name = "web" + std::to_string(v + 1);
    s.vms[v].host = v;
    s.vms[v].size = {4000, 4000};
    s.vms[v].cpu_demand.now = 1000;
    s.vms[v].memory_demand.now = 1000;
  }
  return s;
}

TEST(CheckCluster, ASoundOne) {
  ClusterCheck check = check_cluster(cluster());
  EXPECT_TRUE(check.sound);
  EXPECT_TRUE(check.violations.empty());
  EXPECT_EQ(check.hosts_serving, 2);
  EXPECT_EQ(check.cpu_mhz.wanted, 2000);
  EXPECT_TRUE(check.failover.survives);
  EXPECT_EQ(check.failover.needed, 0.5);
  EXPECT_TRUE(json::decode<ClusterCheck>(json::encode(check)));
}

TEST(CheckCluster, SaysWhatIsWrong) {
  Snapshot s = cluster();
  s.vms[0].cpu_demand.now = 12800;
  s.vms[0].size = {12800, 12800};
  s.vms[0].memory_demand.now = 12800;
  s.rules = {{.name = "with", .kind = RuleKind::kTogether, .vms = {0, 1}},
             {.name = "off", .kind = RuleKind::kHostsNever, .vms = {1}, .hosts = {1}},
             {.name = "fine", .kind = RuleKind::kApart, .vms = {0, 1}}};
  s.pools.push_back({.name = "gold"});
  s.vms[1].pool = 0;
  s.vms[1].cpu.reservation = 500;
  ClusterCheck check = check_cluster(s);
  EXPECT_FALSE(check.sound);
  std::vector<std::string> texts;
  for (const NamedViolation& v : check.violations) texts.push_back(v.text);
  EXPECT_EQ(texts,
            (std::vector<std::string>{"sol: 128% of its CPU and 128% of its memory are asked for",
                                      "rule with (together, must): web1 is on sol, web2 on luna",
                                      "rule off (hosts_never, must): web2 is on luna",
                                      "pool gold promises 500 of cpu and may promise 0"}));
}

TEST(CheckCluster, ARuleThatOnlyShouldHoldIsSaidAndNoFault) {
  Snapshot s = cluster();
  s.rules = {{.name = "with", .kind = RuleKind::kTogether, .must = false, .vms = {0, 1}}};
  EXPECT_EQ(check_cluster(s).violations.size(), 1u);
  EXPECT_TRUE(check_cluster(s).sound);
}

TEST(CheckCluster, HaMakesAnUncoveredFailureAFault) {
  Snapshot s = cluster();
  for (auto& vm : s.vms) vm.size.memory = 6000;
  EXPECT_TRUE(check_cluster(s).sound);
  EXPECT_FALSE(check_cluster(s).failover.survives);
  EXPECT_FALSE(check_cluster(s, 1).sound);
  s.settings.ha.enabled = true;
  ClusterCheck check = check_cluster(s);
  EXPECT_FALSE(check.sound);
  ASSERT_EQ(check.failover.uncovered.size(), 2u);
  EXPECT_EQ(check.failover.uncovered[0].hosts, std::vector<std::string>{"sol"});
  EXPECT_EQ(check.failover.uncovered[0].vms, std::vector<std::string>{"web1"});
  EXPECT_TRUE(check.failover.percent_enough);
}

TEST(Explain, AVmAndAHost) {
  Snapshot s = cluster();
  s.rules = {{.name = "apart", .kind = RuleKind::kApart, .vms = {0, 1}}};
  s.hosts.push_back(s.hosts[0]);
  s.hosts[2].name = "mars";
  s.hosts[2].power = model::HostPower::kStandby;
  const Index lost[] = {0};
  const Plan plan = plan_restart(s, lost);
  auto vm = explain(s, plan, "web1");
  ASSERT_TRUE(vm);
  EXPECT_EQ(vm->facts[0], "runs on sol");
  EXPECT_EQ(vm->actions.size(), 1u);
  ASSERT_EQ(vm->verdicts.size(), 2u);
  EXPECT_EQ(vm->verdicts[0].sentence, "a rule forbids it");
  EXPECT_EQ(vm->verdicts[1].sentence, "it would have to be switched on first");
  auto host = explain(s, plan, "luna");
  ASSERT_TRUE(host);
  EXPECT_EQ(host->facts[1], "runs 1 VM");
  EXPECT_NE(host->facts.back().find("leaves it"), std::string::npos);
  EXPECT_NE(explain(s, plan, "lunar").error().message.find("'luna'"), std::string::npos);
}

}  // namespace
}  // namespace chorok::policy
