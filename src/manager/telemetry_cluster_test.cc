// Telemetry from fake guests through agents to the manager, in virtual time.
#include <gtest/gtest.h>

#include "manager/seeds_cluster.h"

namespace chorok::manager {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr double kCore = 2500;  // MHz of a fake host

class TelemetryCluster : public testing::Test {
 protected:
  TelemetryCluster() : c(1, 3, {}) {
    c.loop().advance_until([&] { return c.all_connected(); }, seconds(30));
    c.loop().run_for(seconds(1));
    listen();
  }
  void listen() {
    c.manager->telemetry.on_consumed([this](const Consumption& each) {
      for (const VmConsumption& vm : each.vms) counted[vm.uuid] += vm.cpu_s;
    });
  }
  std::string running(const std::string& name, double cpu) {
    auto asked = c.create(name, true);
    EXPECT_TRUE(asked) << asked.error().message;
    c.wait(*asked);
    const std::string uuid = c.vm(name)->uuid;
    sim::GuestLoad load;
    load.cpu = cpu;
    EXPECT_TRUE(c.fake.world.set_load(uuid, load));
    return uuid;
  }
  const VmUsage* usage(const std::string& name) {
    return c.manager->telemetry.vm(c.vm(name)->meta.id);
  }
  Node& node_of(const std::string& name) {
    for (auto& node : c.nodes)
      if (node->id == c.vm(name)->host) return *node;
    ADD_FAILURE() << name << " is on no host";
    return *c.nodes[0];
  }
  // What a guest has used since it booted, as only the world knows.
  double truth(const std::string& uuid, double cpu) {
    for (const sim::Sighting& each : c.fake.world.running())
      if (each.uuid == uuid) return chorok::seconds(each.counter) * cpu;
    return 0;
  }

  SeedsCluster c;
  std::map<std::string, double> counted;
};

TEST_F(TelemetryCluster, TheManagerKnowsWhatVmsUse) {
  running("web", 0.4);
  c.loop().run_for(minutes(1));
  ASSERT_TRUE(usage("web"));
  EXPECT_NEAR(usage("web")->cpu_mhz, 0.4 * kCore, 1);
  EXPECT_EQ(usage("web")->ready_mhz, 0);
  EXPECT_EQ(usage("web")->active, 256);
  EXPECT_TRUE(usage("web")->dirty_known);
  const HostUsage* host = c.manager->telemetry.host(c.vm("web")->host);
  ASSERT_TRUE(host);
  EXPECT_NEAR(host->guests_mhz, 0.4 * kCore, 1);
  EXPECT_GT(host->cpu_mhz, host->guests_mhz);
}

TEST_F(TelemetryCluster, AFullHostShowsInReadyTime) {
  running("big", 0.1);
  const std::string uuid = c.vm("big")->uuid;
  sim::GuestLoad load;
  load.cpu = 16;  // of one vCPU: as much as sixteen, on eight cores
  ASSERT_TRUE(c.fake.world.set_load(uuid, load));
  c.loop().run_for(minutes(1));
  ASSERT_TRUE(usage("big"));
  EXPECT_GT(usage("big")->ready_mhz, 0);
  // What it got and what it waited for is more than it can use: it asks for no more than that.
  const VmLoad* seen = c.manager->telemetry.find(*c.vm("big"), {});
  ASSERT_TRUE(seen);
  EXPECT_NEAR(seen->cpu.now, kCore, 1);
}

TEST_F(TelemetryCluster, NothingIsLostOrCountedTwiceThroughTroubles) {
  const std::string uuid = running("web", 0.5);
  // What it used until it was first seen, and at most one interval at each move.
  double slack = 0.5 * 11;
  c.loop().run_for(minutes(2));
  EXPECT_NEAR(counted[uuid], truth(uuid, 0.5), slack);
  // The link is lost for a while; the agent remembers.
  Node& first = node_of("web");
  first.unreachable = true;
  c.manager->agents.drop(first.id);
  c.loop().run_for(minutes(3));
  EXPECT_LT(counted[uuid], truth(uuid, 0.5) - 60);
  first.unreachable = false;
  c.loop().run_for(minutes(1));
  EXPECT_NEAR(counted[uuid], truth(uuid, 0.5), slack);
  // The agent is killed; the counters are libvirt's.
  c.kill_agent(first);
  c.loop().run_for(minutes(2));
  c.start_agent(first);
  c.loop().run_for(minutes(1));
  EXPECT_NEAR(counted[uuid], truth(uuid, 0.5), slack);
  // Two moves.
  for (int i = 0; i < 2; ++i) {
    auto asked = c.verb("migrate", "web");
    ASSERT_TRUE(asked) << asked.error().message;
    EXPECT_EQ(c.wait(*asked).state, model::TaskState::kSucceeded);
    c.loop().run_for(minutes(2));
    slack += 0.5 * 11;
    EXPECT_EQ(usage("web")->host, c.vm("web")->host);
    EXPECT_NEAR(usage("web")->cpu_mhz, 0.5 * kCore, 1);
  }
  EXPECT_NEAR(counted[uuid], truth(uuid, 0.5), slack);
  // A manager without a memory of its own begins to count where it meets the VM again.
  c.kill_manager();
  c.loop().run_for(seconds(5));
  c.start_manager();
  c.loop().advance_until([&] { return c.manager_ready() && c.all_connected(); }, minutes(1));
  listen();
  c.loop().run_for(minutes(2));
  slack += 0.5 * 30;
  EXPECT_NEAR(counted[uuid], truth(uuid, 0.5), slack);
  EXPECT_LE(counted[uuid], truth(uuid, 0.5));
}

}  // namespace
}  // namespace chorok::manager
