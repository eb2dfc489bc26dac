// Rules as people ask for them, and what becomes of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "manager/cluster_snapshot.h"
#include "manager/requests_cluster_fixture.h"
#include "policy/planner.h"

namespace chorok::manager {
namespace {

using model::VmState;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(ClusterRequests, RulesNameWhatIsThereAndCanHold) {
  for (const char* name : {"web1", "web2"}) done(c.create(name, false));
  EXPECT_THAT(refusal(create("rule", R"({"meta":{"name":"r"},"vms":["web1","web3"]})")),
              HasSubstr("/vms/1: there is no vm 'web3'"));
  EXPECT_THAT(refusal(create("rule", R"({"meta":{"name":"r"},"vms":["web1","web1"]})")),
              HasSubstr("/vms: a rule 'apart' needs two VMs"));
  EXPECT_THAT(refusal(create("rule", R"({"meta":{"name":"r"},"vms":["web1","web2"],
                                         "hosts":["host1"]})")),
              HasSubstr("/hosts: "));
  make("rule", R"({"meta":{"name":"spread"},"vms":["web1","web2"]})");
  EXPECT_THAT(rule("spread")->vms, ElementsAre(c.vm("web1")->meta.id, c.vm("web2")->meta.id));
  EXPECT_THAT(refusal(create("rule", R"({"meta":{"name":"r"},"kind":"together",
                                         "vms":["web1","web2"]})")),
              HasSubstr("rule 'spread' says 'apart' of web1 and web2"));
  make("rule", R"({"meta":{"name":"should"},"kind":"together","must":false,
                   "vms":["web1","web2"]})");
  make("rule", R"({"meta":{"name":"here"},"kind":"hosts_only","vms":["web1"],"hosts":["host1"]})");
  EXPECT_THAT(refusal(create("rule", R"({"meta":{"name":"r"},"kind":"hosts_never",
                                         "vms":["web1"],"hosts":["host1"]})")),
              HasSubstr("with rule 'here' it leaves no host for web1"));
  EXPECT_THAT(refusal(remove("host", "host1", {.force = true})),
              HasSubstr("rule 'here' keeps VMs on it alone"));
}

TEST_F(ClusterRequests, WhoIsDeletedLeavesItsRules) {
  for (const char* name : {"web1", "web2", "db"}) done(c.create(name, false));
  make("rule", R"({"meta":{"name":"spread"},"vms":["web1","web2","db"]})");
  change("vm", "web1", R"({"restart":{"priority":1,"after":["db"]}})");
  EXPECT_THAT(c.vm("web1")->restart.after, ElementsAre(c.vm("db")->meta.id));
  EXPECT_THAT(refusal(patch("vm", "web1", R"({"restart":{"after":["web1"]}})")),
              HasSubstr("does not wait for itself"));
  done(remove("vm", "db"));
  EXPECT_EQ(rule("spread")->vms.size(), 2U);
  EXPECT_THAT(c.vm("web1")->restart.after, IsEmpty());
  bool said = false;
  for (const auto& [id, event] : inventory().events().all())
    said = said || (event->kind == "rule.changed" &&
                    event->message == "VM 'db' was deleted and is no longer in it");
  EXPECT_TRUE(said);
  change("rule", "spread", R"({"enabled":false})");
}

TEST_F(ClusterRequests, AVmStartsBesideItsRuleInThePlan) {
  for (const char* name : {"web1", "web2"}) done(c.create(name, true));
  if (host_of("web1") != host_of("web2")) {
    model::TaskArgs beside;
    beside.host = c.vm("web1")->host;
    done(c.verb("migrate", "web2", beside));
  }
  ASSERT_EQ(host_of("web1"), host_of("web2"));
  make("rule", R"({"meta":{"name":"spread"},"vms":["web1","web2"]})");
  const ClusterSnapshot made = make_snapshot(inventory(), inventory().default_cluster().meta.id,
                                             c.loop().now(), {.world = &c.manager->world});
  const policy::Plan plan = policy::plan_cluster(made.snapshot);
  ASSERT_FALSE(plan.actions.empty());
  EXPECT_EQ(plan.actions[0].why, policy::Why::kRule);
  model::TaskArgs args;
  args.host = made.hosts[plan.actions[0].to];
  const std::string moved = made.vms[plan.actions[0].vm];
  done(c.verb("migrate", moved, args));  // what is planned can be done
  EXPECT_NE(host_of("web1"), host_of("web2"));
}

}  // namespace
}  // namespace chorok::manager
