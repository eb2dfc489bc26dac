// From pools to what guests really get: manager, agents and hypervisors in virtual time, hosts that
// share out their cores by weights and limits, and a count of what each guest has had.
#include "manager/enforcement.h"

#include <gmock/gmock.h>

#include "base/json.h"
#include "manager/requests_cluster_fixture.h"

namespace chorok::manager {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

// Hosts have 8 cores of 2,500 MHz. Every guest has 8 vCPUs and wants them all.
class EnforcementTest : public ClusterRequests {
 protected:
  // Rounds take so long on a thread of their own.
  void enforce(Duration elsewhere = {}) {
    ManagerLife& life = *c.manager;
    Offload offload = [this, elsewhere](Work work, Work then) {
      c.loop().after(elsewhere, [work = std::move(work), then = std::move(then)]() mutable {
        work();
        work = nullptr;
        then();
      });
    };
    if (elsewhere == Duration{}) offload = {};
    enforcement = std::make_unique<Enforcement>(
        Enforcement::Sources{.engine = life.engine,
                             .world = life.world,
                             .loads = &life.telemetry,
                             .offload = std::move(offload)},
        [this](const std::string& host, std::string params, ports::Channel::Reply reply) {
          ++told;
          c.manager->agents.call(host, "enforce", std::move(params), 60s, std::move(reply));
        });
  }
  void busy_vm(const std::string& name, std::size_t host, std::int64_t shares,
               const std::string& more = "") {
    model::Vm vm;
    vm.meta.name = name;
    vm.spec.vcpus = 8;
    vm.spec.memory = Mib{1024};
    vm.spec.cpu.shares = shares;
    vm.spec.disks.push_back({.name = "root", .datastore = "shared", .size = Mib{2048}});
    const auto task = c.ask([&](Answered answered) {
      c.manager->requests.create(c.admin(), "vm", json::encode(vm), true, {}, std::move(answered));
    });
    ASSERT_TRUE(task) << task.error().message;
    c.wait(*task);
    c.loop().run_for(2s);
    if (!more.empty()) change("vm", name, more);
    model::TaskArgs args;
    args.host = c.nodes[host]->id;
    if (c.vm(name)->host != args.host) c.wait(*c.verb("migrate", name, args));
    c.loop().run_for(1s);
    ASSERT_EQ(c.vm(name)->host, args.host);
    load(name, 1);
  }
  void load(const std::string& name, double cpu) {
    ASSERT_TRUE(c.fake.world.set_load(c.vm(name)->uuid, {.cpu = cpu, .dirty_mib_s = 0}));
  }
  // Whether or not a manager is there to be asked.
  Duration used(const std::string& name) {
    for (const auto& node : c.nodes) {
      sim::FakeHost& host = c.fake.world.host(node->index);
      host.account();
      for (const auto& [uuid, domain] : host.domains())
        if (domain.spec().name == name && domain.active()) return domain.usage.cpu;
    }
    return {};
  }
  // MHz that each has had over half a minute.
  std::vector<double> had(const std::vector<std::string>& names) {
    std::vector<Duration> before;
    for (const std::string& name : names) before.push_back(used(name));
    c.loop().run_for(30s);
    std::vector<double> mhz;
    for (std::size_t i = 0; i < names.size(); ++i)
      mhz.push_back(seconds(used(names[i]) - before[i]) / 30 * 2500);
    return mhz;
  }

  std::unique_ptr<Enforcement> enforcement;
  int told = 0;
};

TEST_F(EnforcementTest, TwoToOneToOneOnOneHost) {
  make("pool", R"({"meta":{"name":"gold"}})");
  busy_vm("a", 0, 16000, R"({"pool":"gold"})");
  busy_vm("b", 0, 8000, R"({"pool":"gold"})");
  busy_vm("c", 0, 8000, R"({"pool":"gold"})");
  enforce();
  c.loop().run_for(60s);
  const auto mhz = had({"a", "b", "c"});
  EXPECT_NEAR(mhz[0], 10000, 300);
  EXPECT_NEAR(mhz[1], 5000, 300);
  EXPECT_NEAR(mhz[2], 5000, 300);
  const std::optional<Enforced> of = enforcement->find(c.vm("a")->meta.id);
  ASSERT_TRUE(of);
  EXPECT_TRUE(of->in_force);
  EXPECT_EQ(of->limit, 0) << "no limit anywhere: it may use what is free";
  EXPECT_EQ(of->host, c.vm("a")->status.host_name);
  EXPECT_EQ(of->cpu_why, "counts " + std::to_string(of->shares) + " when CPU is short on " +
                             of->host + ", and may use all that is free");
  EXPECT_EQ(of->memory_why, "keeps all of its memory");
}

TEST_F(EnforcementTest, APoolOverTwoHostsGetsWhatTheTreeSays) {
  make("pool", R"({"meta":{"name":"gold"},"cpu":{"limit":24000}})");
  busy_vm("a", 0, 16000, R"({"pool":"gold"})");
  busy_vm("b", 0, 8000, R"({"pool":"gold"})");
  busy_vm("c", 1, 8000, R"({"pool":"gold"})");
  EXPECT_NEAR(had({"c"})[0], 20000, 300) << "nobody holds it back yet";
  enforce();
  c.loop().run_for(60s);
  const auto mhz = had({"a", "b", "c"});
  EXPECT_NEAR(mhz[0], 12000, 300);
  EXPECT_NEAR(mhz[1], 6000, 300);
  EXPECT_NEAR(mhz[2], 6000, 300);
  const std::optional<Enforced> of = enforcement->find(c.vm("c")->meta.id);
  ASSERT_TRUE(of);
  EXPECT_EQ(of->host, c.vm("c")->status.host_name);
  EXPECT_THAT(of->cpu_why, HasSubstr("its part of the 24000 MHz that pool gold is limited to"));
  // Who sleeps leaves his part to the others, wherever they are, and has it back when he wakes.
  load("a", 0.01);
  c.loop().run_for(60s);
  EXPECT_GT(had({"c"})[0], 9000);
  load("a", 1);
  c.loop().run_for(90s);
  EXPECT_NEAR(had({"a"})[0], 12000, 300);
  // The limit goes, and so does what came of it.
  change("pool", "gold", R"({"cpu":{"limit":0}})");
  c.loop().run_for(30s);
  EXPECT_NEAR(had({"c"})[0], 20000, 300);
}

// Guests come and go and are changed while it is worked out, and so does a host.
TEST_F(EnforcementTest, WorkedOutElsewhereItEndsAsTheTreeSays) {
  make("pool", R"({"meta":{"name":"gold"},"cpu":{"limit":24000}})");
  busy_vm("a", 0, 16000, R"({"pool":"gold"})");
  enforce(3s);
  c.loop().run_for(25s);
  EXPECT_NEAR(had({"a"})[0], 20000, 300);
  busy_vm("b", 0, 8000, R"({"pool":"gold"})");
  busy_vm("gone", 1, 8000, R"({"pool":"gold"})");
  busy_vm("c", 1, 8000, R"({"pool":"gold"})");
  c.wait(*c.verb("stop", "gone", {}));
  done(remove("vm", "gone"));
  c.loop().run_for(60s);
  const auto mhz = had({"a", "b", "c"});
  EXPECT_NEAR(mhz[0], 12000, 300);
  EXPECT_NEAR(mhz[1], 6000, 300);
  EXPECT_NEAR(mhz[2], 6000, 300);
  const int before = told;
  c.loop().run_for(10min);
  EXPECT_EQ(told, before) << "at rest";
  // One that is let go in the middle of a round is not heard of again.
  load("a", 0.5);
  c.loop().run_for(21s);
  enforcement = nullptr;
  c.loop().run_for(60s);
}

TEST_F(EnforcementTest, AtRestNobodyIsTold) {
  make("pool", R"({"meta":{"name":"gold"},"cpu":{"limit":24000}})");
  busy_vm("a", 0, 16000, R"({"pool":"gold"})");
  busy_vm("b", 1, 8000, R"({"pool":"gold"})");
  enforce();
  c.loop().run_for(120s);
  const int before = told;
  EXPECT_GE(before, 2);
  c.loop().run_for(30min);
  EXPECT_EQ(told, before);
}

TEST_F(EnforcementTest, ItFollowsAMove) {
  make("pool", R"({"meta":{"name":"gold"},"cpu":{"limit":8000}})");
  busy_vm("a", 0, 8000, R"({"pool":"gold"})");
  enforce();
  c.loop().run_for(60s);
  EXPECT_NEAR(had({"a"})[0], 8000, 100);
  model::TaskArgs args;
  args.host = c.nodes[1]->id;
  c.wait(*c.verb("migrate", "a", args));
  c.loop().run_for(3s);
  EXPECT_NEAR(had({"a"})[0], 8000, 300) << "it was told to the target before it came";
}

TEST_F(EnforcementTest, KilledManagersAndAgentsAreNoMatter) {
  make("pool", R"({"meta":{"name":"gold"},"cpu":{"limit":8000}})");
  busy_vm("a", 0, 8000, R"({"pool":"gold"})");
  enforce();
  c.loop().run_for(60s);
  enforcement.reset();
  c.kill_manager();
  c.kill_agent(*c.nodes[0]);
  c.start_agent(*c.nodes[0]);
  EXPECT_NEAR(had({"a"})[0], 8000, 100) << "nobody leads, and it is as it was";
  c.start_manager();
  ASSERT_TRUE(c.loop().advance_until([&] { return c.manager_ready() && c.all_connected(); }, 60s));
  enforce();
  c.loop().run_for(60s);
  change("pool", "gold", R"({"cpu":{"limit":4000}})");
  c.loop().run_for(30s);
  EXPECT_NEAR(had({"a"})[0], 4000, 100);
  EXPECT_TRUE(enforcement->find(c.vm("a")->meta.id)->in_force);
}

TEST_F(EnforcementTest, TuningAVmDoesNotUndoIt) {
  make("pool", R"({"meta":{"name":"gold"}})");
  busy_vm("a", 0, 8000, R"({"pool":"gold"})");
  enforce();
  c.loop().run_for(60s);
  model::TaskArgs tune;
  tune.cpu = model::CpuAllocation{.shares = 8000, .limit = Mhz{5000}};
  done(c.verb("tune", "a", tune));
  c.loop().run_for(30s);
  EXPECT_NEAR(had({"a"})[0], 5000, 100);
  EXPECT_THAT(enforcement->find(c.vm("a")->meta.id)->cpu_why, HasSubstr("its own limit"));
}

}  // namespace
}  // namespace chorok::manager
