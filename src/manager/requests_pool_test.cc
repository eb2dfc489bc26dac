// Pools as people ask for them, and what they promise.
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
      HasSubstr("/memory/limit: is 5 MiB, less than the reservation (9)"));
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
  EXPECT_THAT(refusal(c.verb("tune", "web", tune)),
              HasSubstr("/cpu/limit: is 500 MHz, less than the reservation (900)"));
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

}  // namespace
}  // namespace chorok::manager
