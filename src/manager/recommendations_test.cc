// A cluster whose moves a person decides, in virtual time: what is recommended, applied, ignored.
#include "manager/recommendations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "manager/cluster_driver.h"
#include "manager/cluster_drivers.h"
#include "manager/driven_cluster.h"
#include "manager/seeds_cluster.h"

namespace chorok::manager {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

class RecommendationsTest : public ::testing::Test {
 protected:
  RecommendationsTest() : c(1, 2, {}) {
    c.loop().advance_until([&] { return c.all_connected(); }, 30s);
    c.loop().run_for(1s);
    model::Cluster cluster = c.manager->engine.cluster();
    cluster.settings.balance.automation = model::Automation::kManual;
    cluster.settings.balance.level = 5;
    Changes changes;
    changes.put(std::move(cluster));
    c.manager->engine.commit(std::move(changes), [](Result<> r) { ASSERT_TRUE(r); });
    c.loop().run_for(1s);
  }
  // Four busy VMs on the first host, none on the second.
  void crowd() {
    const auto& host = *c.inventory().hosts().all().begin()->second;
    for (int i = 0; i < 4; ++i) {
      model::Vm vm;
      vm.meta.name = fmt::format("vm{}", i);
      vm.spec.vcpus = host.inventory.cpu.online / 2;
      vm.spec.memory = Mib{1024};
      vm.spec.disks.push_back({.name = "root", .datastore = "shared", .size = Mib{2048}});
      const auto made = c.ask([&](Answered done) {
        c.manager->requests.create(c.admin(), "vm", json::encode(vm), true, {}, std::move(done));
      });
      ASSERT_TRUE(made) << made.error().message;
      c.wait(*made);
      c.loop().run_for(2s);
      move(vm.meta.name, 0);
      loads.say(c.vm(vm.meta.name)->meta.id,
                static_cast<double>(host.inventory.cpu.capacity.value) * 0.45);
    }
    drive();
    c.loop().run_for(10min);
  }
  void move(const std::string& vm, std::size_t node) {
    model::TaskArgs args;
    args.host = c.nodes[node]->id;
    if (c.vm(vm)->host != args.host) c.wait(*c.verb("migrate", vm, args));
    c.loop().run_for(2s);
    ASSERT_EQ(c.vm(vm)->host, args.host);
  }
  void drive() {
    driver = std::make_unique<ClusterDriver>(c.manager->engine, c.manager->world, switches, &loads,
                                             c.manager->engine.cluster().meta.id, settings);
  }
  Recommendations& all() { return driver->recommendations(); }
  std::vector<Recommendation> items() { return all().list().items; }
  std::vector<Recommendation> open() {
    auto out = items();
    std::erase_if(out, [](const auto& r) { return r.state != RecommendationState::kOpen; });
    return out;
  }
  int moved() {
    int count = 0;
    for (const auto& [id, task] : c.inventory().tasks().all())
      count += task->user == "chorok" && task->state == model::TaskState::kSucceeded;
    return count;
  }

  SeedsCluster c;
  DriverSettings settings;
  SaidLoads loads;
  NoSwitches switches;
  std::unique_ptr<ClusterDriver> driver;
};

TEST_F(RecommendationsTest, NothingMovesUntilAPersonSaysSo) {
  crowd();
  ASSERT_FALSE(open().empty());
  EXPECT_EQ(moved(), 0);
  const Recommendation first = open()[0];
  EXPECT_EQ(first.kind, policy::ActionKind::kMigrate);
  EXPECT_EQ(first.from, "host1");
  EXPECT_EQ(first.to, "host2");
  EXPECT_FALSE(first.reason.empty());
  EXPECT_GT(all().list().expires, c.loop().now());
  const auto applied = all().apply({.ids = {first.id}}, "kim");
  ASSERT_TRUE(applied) << applied.error().message;
  c.loop().run_for(3min);
  EXPECT_EQ(moved(), 1);
  EXPECT_EQ(c.vm(first.vm)->host, c.nodes[1]->id);
  bool said = false;
  for (const auto& [id, task] : c.inventory().tasks().all())
    if (task->user == "chorok") {
      said = true;
      EXPECT_THAT(task->reason, HasSubstr(first.reason));
      EXPECT_THAT(task->reason, HasSubstr("applied by kim"));
    }
  EXPECT_TRUE(said);
  c.loop().run_for(10min);
  EXPECT_EQ(moved(), 1) << "what comes after is decided anew";
}

TEST_F(RecommendationsTest, SayWhyWhatForAtWhatPriceAndUntilWhen) {
  crowd();
  ASSERT_FALSE(open().empty());
  const RecommendationList list = all().list();
  EXPECT_EQ(list.expires, list.at + 5min) << "five rounds";
  const Recommendation first = open()[0];
  EXPECT_EQ(first.why, policy::Why::kOverload);
  EXPECT_EQ(first.priority, 1) << "what mends comes first";
  EXPECT_THAT(first.reason, ::testing::StartsWith(first.vm + " "));
  EXPECT_THAT(first.reason, HasSubstr("MHz to host2 ("));
  const model::PolicySettings settings = c.manager->engine.cluster().settings;
  EXPECT_EQ(first.gain_over, settings.balance.stability);
  EXPECT_GT(first.cost_j, 0);
  EXPECT_GT(first.gain_j, first.cost_j);
  EXPECT_EQ(first.expires, list.expires);
  ASSERT_TRUE(all().apply({.ids = {first.id}}, "kim"));
  ASSERT_EQ(items()[0].id, first.id);
  EXPECT_EQ(items()[0].expires, c.loop().now() + 1h) << "applied, it is given up then";
  c.loop().run_for(3min);
  ASSERT_EQ(items()[0].state, RecommendationState::kDone);
  EXPECT_EQ(items()[0].expires, Time{});
}

TEST_F(RecommendationsTest, ExpireWhenNoRoundFollows) {
  bool is_stuck = false;  // planning, at the first round after it
  settings.offload = [&](Work work, Work then) {
    if (is_stuck) return;
    work();
    c.loop().post(std::move(then));
  };
  crowd();
  const Recommendation first = open()[0];
  is_stuck = true;
  c.loop().run_for(4min);
  EXPECT_TRUE(all().check({.ids = {first.id}})) << "five rounds' time has not passed";
  c.loop().run_for(2min);
  const auto refused = all().apply({.ids = {first.id}}, "kim");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kConflict);
  EXPECT_EQ(refused.error().message, first.id + " has expired, and no round has followed");
}

TEST_F(RecommendationsTest, AllOfThemSpreadTheLoad) {
  crowd();
  const auto many = open().size();
  ASSERT_GE(many, 1U);
  ASSERT_TRUE(all().apply({.all = true}, "kim"));
  c.loop().run_for(10min);
  EXPECT_GE(static_cast<std::size_t>(moved()), many);
}

TEST_F(RecommendationsTest, AnOlderRoundsIsAppliedWhileItIsStillWanted) {
  crowd();
  const std::string id = open()[0].id;
  const std::string vm = open()[0].vm;
  c.loop().run_for(3min);
  ASSERT_FALSE(open().empty());
  ASSERT_NE(open()[0].id, id) << "rounds have followed";
  const auto applied = all().apply({.ids = {id}}, "kim");
  ASSERT_TRUE(applied) << applied.error().message;
  c.loop().run_for(3min);
  EXPECT_EQ(c.vm(vm)->host, c.nodes[1]->id);
}

TEST_F(RecommendationsTest, AChangedWorldRefusesWithTheReason) {
  crowd();
  const Recommendation first = open()[0];
  model::TaskArgs args;
  args.host = c.nodes[1]->id;
  c.wait(*c.verb("migrate", first.vm, args));
  c.loop().run_for(1s);  // seen, and no round has followed yet
  const auto refused = all().apply({.ids = {first.id}}, "kim");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message,
              ::testing::AnyOf(HasSubstr("is on host2 by now"), HasSubstr("not wanted any more")));
  EXPECT_EQ(refused.error().code, Code::kConflict);
  EXPECT_EQ(all().apply({.ids = {"rec-9999-1-1"}}, "kim").error().code, Code::kConflict);
  EXPECT_EQ(all().apply({.ids = {"nonsense"}}, "kim").error().code, Code::kNotFound);
  EXPECT_THAT(all().apply({.ids = {"nonsense"}}, "kim").error().message, HasSubstr("list them"));
  EXPECT_EQ(all().apply({}, "kim").error().code, Code::kInvalid);
}

TEST_F(RecommendationsTest, AHostThatTakesNoVmsRefuses) {
  crowd();
  const Recommendation first = open()[0];
  model::Host host = *c.inventory().hosts().find(c.nodes[1]->id);
  host.admin = model::HostAdmin::kMaintenance;
  Changes changes;
  changes.put(std::move(host));
  c.manager->engine.commit(std::move(changes), [](Result<>) {});
  const auto refused = all().apply({.ids = {first.id}}, "kim");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("maintenance"));
}

// Three that only people move and one that the cluster does, of which each is nearly half of what
// their host has: by itself the cluster mends what it can.
TEST_F(RecommendationsTest, AVmOfAnAutomaticClusterMayBeLeftToPeople) {
  crowd();
  Changes changes;
  for (const char* name : {"vm0", "vm1", "vm2"}) {
    model::Vm vm = *c.vm(name);
    vm.automation =
        name == std::string("vm2") ? model::Automation::kPartial : model::Automation::kManual;
    changes.put(std::move(vm));
  }
  model::Cluster cluster = c.manager->engine.cluster();
  cluster.settings.balance.automation = model::Automation::kFull;
  changes.put(std::move(cluster));
  c.manager->engine.commit(std::move(changes), [](Result<> r) { ASSERT_TRUE(r); });
  c.loop().run_for(10min);
  EXPECT_EQ(moved(), 1);
  EXPECT_EQ(c.vm("vm3")->host, c.nodes[1]->id) << "what is not left to people is done";
  ASSERT_EQ(open().size(), 1U) << "what is left is asked, and no more";
  const Recommendation first = open()[0];
  EXPECT_NE(first.vm, "vm3");
  EXPECT_EQ(first.to, "host2");
  EXPECT_EQ(first.why, policy::Why::kOverload);
  EXPECT_THAT(all().apply({.ids = {first.id}}, "kim"),
              ::testing::Truly([](const auto& r) { return r.has_value() && r->size() == 1; }));
  c.loop().run_for(3min);
  EXPECT_EQ(moved(), 2);
  EXPECT_EQ(c.vm(first.vm)->host, c.nodes[1]->id);
  EXPECT_THAT(open(), IsEmpty()) << "two and two";
}

TEST_F(RecommendationsTest, IgnoredOnesStayIgnoredForAnHour) {
  crowd();
  ASSERT_TRUE(all().ignore({.all = true}, "kim", true));
  EXPECT_FALSE(open().empty()) << "a dry run changes nothing";
  ASSERT_TRUE(all().ignore({.all = true}, "kim", false));
  EXPECT_THAT(open(), IsEmpty());
  c.loop().run_for(30min);
  EXPECT_THAT(open(), IsEmpty());
  EXPECT_FALSE(items().empty());
  c.loop().run_for(40min);
  EXPECT_FALSE(open().empty());
  EXPECT_EQ(moved(), 0);
}

}  // namespace
}  // namespace chorok::manager
