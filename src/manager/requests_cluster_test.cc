// Clusters, pools and rules as people ask for them, over real agents on fake hosts: three of
// 20,000 MHz and 32 GiB.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "manager/cluster_snapshot.h"
#include "manager/seeds_cluster.h"
#include "policy/planner.h"

namespace chorok::manager {
namespace {

using model::VmState;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ClusterRequests : public ::testing::Test {
 protected:
  ClusterRequests() : c(1, 3, {}) {
    c.loop().advance_until([&] { return c.all_connected(); }, std::chrono::seconds(30));
    c.loop().run_for(std::chrono::seconds(1));
  }
  const Inventory& inventory() { return c.inventory(); }
  Result<std::string> create(std::string_view kind, const std::string& body) {
    return c.ask([&](Answered done) {
      c.manager->requests.create(c.admin(), kind, body, false, {}, std::move(done));
    });
  }
  Result<std::string> patch(std::string_view kind, const std::string& ref,
                            const std::string& body) {
    return c.ask([&](Answered done) {
      c.manager->requests.patch(c.admin(), kind, ref, body, {}, std::move(done));
    });
  }
  Result<std::string> remove(std::string_view kind, const std::string& ref,
                             model::TaskArgs args = {}) {
    return c.ask([&](Answered done) {
      c.manager->requests.remove(c.admin(), kind, ref, std::move(args), {}, std::move(done));
    });
  }
  // Asserts that it is refused, and answers "FIELD: MESSAGE".
  static std::string refusal(const Result<std::string>& asked) {
    EXPECT_FALSE(asked);
    return asked ? "" : asked.error().field + ": " + asked.error().message;
  }
  void make(std::string_view kind, const std::string& body) {
    const auto made = create(kind, body);
    EXPECT_TRUE(made) << refusal(made);
  }
  void change(std::string_view kind, const std::string& ref, const std::string& body) {
    const auto changed = patch(kind, ref, body);
    EXPECT_TRUE(changed) << refusal(changed);
  }
  void done(const Result<std::string>& asked) {
    ASSERT_TRUE(asked) << refusal(asked);
    const model::Task task = c.wait(*asked);
    c.loop().run_for(std::chrono::seconds(2));
    EXPECT_EQ(task.state, model::TaskState::kSucceeded) << task.kind << ": " << task.message;
  }
  auto pool(std::string_view name) { return inventory().pools().find_name(name); }
  auto rule(std::string_view name) { return inventory().rules().find_name(name); }
  std::string host_of(std::string_view vm) {
    return inventory().hosts().find(c.vm(vm)->host)->meta.name;
  }

  SeedsCluster c;
};

TEST_F(ClusterRequests, AHostMovesToAnotherClusterWhenNothingRunsOnIt) {
  make("cluster", R"({"meta":{"name":"lab"},"settings":{"power":{"automation":"full"}}})");
  const auto lab = inventory().clusters().find_name("lab");
  ASSERT_NE(lab, nullptr);
  EXPECT_EQ(inventory().default_cluster().meta.name, "default");
  EXPECT_EQ(lab->settings.power.automation, model::Automation::kFull);
  done(c.create("web", true));
  const std::string busy = host_of("web");
  EXPECT_THAT(refusal(patch("host", busy, R"({"cluster":"lab"})")),
              HasSubstr("/cluster: 1 VMs run on it"));
  EXPECT_THAT(refusal(patch("host", busy, R"({"cluster":"lub"})")),
              HasSubstr("there is no cluster 'lub'; did you mean 'lab'?"));
  const std::string idle = busy == "host1" ? "host2" : "host1";
  change("host", idle, R"({"cluster":"lab"})");
  EXPECT_EQ(inventory().hosts().find_name(idle)->cluster, lab->meta.id);
  // Nobody chooses a host of another cluster for a VM.
  change("host", busy == "host3" ? "host2" : "host3", R"({"cluster":"lab"})");
  EXPECT_THAT(refusal(c.verb("migrate", "web")), HasSubstr("another cluster"));
  EXPECT_THAT(refusal(remove("cluster", "lab")), HasSubstr("it has 2 hosts"));
  const ClusterSnapshot made = make_snapshot(inventory(), lab->meta.id, c.loop().now());
  EXPECT_EQ(made.hosts.size(), 2U);
}

TEST_F(ClusterRequests, ABmcsPasswordIsKeptSealedAndNeverShown) {
  const auto host = [&] { return inventory().hosts().find_name("host1"); };
  EXPECT_THAT(refusal(patch("host", "host1", R"({"bmc":{"driver":"telnet","address":"b"}})")),
              HasSubstr("/bmc/driver: 'telnet' is no driver"));
  EXPECT_THAT(refusal(patch("host", "host1", R"({"bmc":{"driver":"ipmi"}})")),
              HasSubstr("/bmc/address"));
  change("host", "host1",
         R"({"bmc":{"driver":"ipmi","address":"10.0.0.9","user":"admin","password":"hunter2"}})");
  EXPECT_EQ(host()->bmc.password, "");
  EXPECT_EQ(host()->bmc.sealed, "sealed for host/host-0000000001/bmc: 7 bytes");
  EXPECT_THAT(json::encode(*host()), ::testing::Not(HasSubstr("sealed")));
  // Another address keeps the password; no driver forgets it.
  change("host", "host1", R"({"bmc":{"address":"10.0.0.10"}})");
  EXPECT_THAT(host()->bmc.sealed, HasSubstr("7 bytes"));
  change("host", "host1", R"({"bmc":{"driver":""}})");
  EXPECT_EQ(host()->bmc, model::BmcSpec{});
}

TEST_F(ClusterRequests, TheLastClusterStays) {
  EXPECT_THAT(refusal(remove("cluster", "default")), HasSubstr("the only cluster"));
  make("cluster", R"({"meta":{"name":"lab"}})");
  ASSERT_TRUE(remove("cluster", "lab"));
  EXPECT_EQ(inventory().clusters().size(), 1U);
}

TEST_F(ClusterRequests, PoolsPromiseWhatThereIs) {
  make("pool", R"({"meta":{"name":"gold"},"cpu":{"reservation":50000}})");
  EXPECT_EQ(pool("gold")->cluster, inventory().default_cluster().meta.id);
  EXPECT_THAT(
      refusal(create("pool", R"({"meta":{"name":"more"},"cpu":{"reservation":20000}})")),
      AllOf(HasSubstr("/cpu/reservation: "), HasSubstr("10000 MHz"), HasSubstr("20000 MHz")));
  make("pool", R"({"meta":{"name":"web"},"parent":"gold","cpu":{"reservation":30000}})");
  EXPECT_EQ(pool("web")->parent, pool("gold")->meta.id);
  EXPECT_THAT(refusal(patch("pool", "gold", R"({"cpu":{"reservation":20000,"expandable":false}})")),
              HasSubstr("/cpu/reservation: 30000 MHz of cpu are already promised in it"));
  EXPECT_THAT(refusal(patch("pool", "gold", R"({"parent":"web"})")),
              HasSubstr("/parent: 'web' lies within it"));
  EXPECT_THAT(refusal(patch("pool", "gold", R"({"cpu":{"reservation":0,"limit":1000}})")),
              HasSubstr("/cpu/limit: 30000 MHz are promised in it"));
  EXPECT_THAT(
      refusal(create("pool", R"({"meta":{"name":"x"},"memory":{"reservation":9,"limit":5}})")),
      HasSubstr("/memory/limit: is less than the reservation"));
  change("pool", "gold", R"({"cpu":{"reservation":0}})");  // expandable: the child's is the root's
  EXPECT_THAT(refusal(patch("pool", "gold", R"({"parent":"gald"})")),
              HasSubstr("/parent: there is no pool 'gald'; did you mean 'gold'?"));
}

TEST_F(ClusterRequests, AVmsReservationIsKeptInItsPoolOrRefused) {
  make("pool", R"({"meta":{"name":"tight"},
                   "cpu":{"reservation":1000,"expandable":false},"memory":{"expandable":true}})");
  done(c.create("web", false));
  change("vm", "web", R"({"pool":"tight","spec":{"cpu":{"reservation":1500}}})");
  EXPECT_EQ(c.vm("web")->pool, pool("tight")->meta.id);
  EXPECT_THAT(refusal(c.verb("start", "web")),
              AllOf(HasSubstr("pool tight has 1000 MHz of cpu left"), HasSubstr("1500 MHz")));
  change("vm", "web", R"({"spec":{"cpu":{"reservation":800}}})");
  done(c.verb("start", "web"));
  EXPECT_THAT(refusal(patch("vm", "web", R"({"spec":{"cpu":{"reservation":1200}}})")),
              HasSubstr("/spec/cpu/reservation: pool tight has 1000 MHz"));
  model::TaskArgs tune;
  tune.cpu = model::CpuAllocation{.reservation = Mhz{1200}};
  EXPECT_THAT(refusal(c.verb("tune", "web", tune)),
              HasSubstr("/cpu/reservation: pool tight has 1000 MHz"));
  tune.cpu = model::CpuAllocation{.reservation = Mhz{900}, .limit = Mhz{500}};
  EXPECT_THAT(refusal(c.verb("tune", "web", tune)), HasSubstr("/cpu/limit: is less"));
  tune.cpu = model::CpuAllocation{.reservation = Mhz{900}};
  done(c.verb("tune", "web", tune));
  EXPECT_EQ(c.vm("web")->spec.cpu.reservation, Mhz{900});
  make("pool", R"({"meta":{"name":"empty"},"cpu":{"expandable":false}})");
  EXPECT_THAT(refusal(patch("vm", "web", R"({"pool":"empty"})")),
              HasSubstr("/pool: pool empty has 0 MHz of cpu left"));
  change("vm", "web", R"({"pool":""})");
  EXPECT_EQ(c.vm("web")->pool, "");
}

TEST_F(ClusterRequests, WithHaNoStartUsesUpTheReserve) {
  change("cluster", "default", R"({"settings":{"ha":{"enabled":true}}})");
  // Three hosts of 32 GiB, VMs of 14 GiB: two fit on a host, four in all if one may fail.
  int started = 0;
  std::string why;
  for (int i = 1; i <= 6 && why.empty(); ++i) {
    const std::string name = "big" + std::to_string(i);
    done(c.create(name, false));
    change("vm", name, R"({"spec":{"memory":14336}})");
    const auto asked = c.verb("start", name);
    if (!asked) why = asked.error().message;
    if (asked) done(asked);
    started += asked ? 1 : 0;
  }
  EXPECT_EQ(started, 4);
  EXPECT_THAT(why, HasSubstr("would find no host"));
}

TEST_F(ClusterRequests, APoolIsDeletedEmptyOrWithWhatIsInItMovedUp) {
  make("pool", R"({"meta":{"name":"top"}})");
  make("pool", R"({"meta":{"name":"mid"},"parent":"top"})");
  make("pool", R"({"meta":{"name":"leaf"},"parent":"mid"})");
  for (const char* name : {"a", "b"}) {
    done(c.create(name, false));
    change("vm", name, R"({"pool":"mid"})");
  }
  EXPECT_THAT(refusal(remove("pool", "mid")), HasSubstr("2 VMs and 1 pools are in it"));
  ASSERT_TRUE(remove("pool", "mid", {.force = true}));
  EXPECT_EQ(pool("mid"), nullptr);
  EXPECT_EQ(c.vm("a")->pool, pool("top")->meta.id);
  EXPECT_EQ(c.vm("b")->pool, pool("top")->meta.id);
  EXPECT_EQ(pool("leaf")->parent, pool("top")->meta.id);
  ASSERT_TRUE(remove("pool", "leaf"));
}

TEST_F(ClusterRequests, MoreVmsMoveUpThanATransactionHolds) {
  make("pool", R"({"meta":{"name":"top"}})");
  Changes changes;
  for (int i = 0; i < 250; ++i) {
    model::Vm vm;
    vm.meta.id = "vm-x" + std::to_string(i);
    vm.meta.name = "x" + std::to_string(i);
    vm.host = "host-0000000001";
    vm.pool = pool("top")->meta.id;
    changes.put(std::move(vm));
    if (changes.items().size() == 90)
      c.manager->engine.commit(std::exchange(changes, {}), [](Result<>) {});
  }
  c.manager->engine.commit(std::move(changes), [](Result<> stored) { EXPECT_TRUE(stored); });
  const auto removed = remove("pool", "top", {.force = true});
  ASSERT_TRUE(removed) << refusal(removed);
  EXPECT_EQ(pool("top"), nullptr);
  for (const auto& [id, vm] : inventory().vms().all()) EXPECT_EQ(vm->pool, "") << id;
}

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
