#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/fake_cluster.h"
#include "sim/history_check.h"

namespace chorok::sim {
namespace {

using model::InstanceRole;
using model::VmState;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(FakeMigration, MovesARunningGuestAndLosesNothing) {
  FakeCluster cluster(3);
  HistoryCheck history(cluster.world);
  std::string uuid = cluster.make_vm(0, "a").uuid;
  ASSERT_TRUE(cluster.start(0, uuid));
  for (HostIndex hop = 0; hop < 9; ++hop) {
    auto stats = cluster.migrate(hop % 3, (hop + 1) % 3, uuid);
    ASSERT_TRUE(stats) << stats.error().message;
    EXPECT_EQ(stats->kind, "live");
    EXPECT_GT(stats->downtime, Duration{});
    EXPECT_LT(stats->downtime, milliseconds(500));
    EXPECT_GE(stats->rounds, 1);
    history.tick();
    EXPECT_FALSE(cluster.see(hop % 3, uuid));
  }
  ASSERT_EQ(cluster.world.running().size(), 1u);
  EXPECT_EQ(cluster.world.running()[0].boots, 1u);
  EXPECT_TRUE(cluster.see(0, uuid)->persistent);
  EXPECT_EQ(cluster.world.describe_violations(), "");
}

TEST(FakeMigration, ShowsTwoInstancesOnTheWay) {
  FakeCluster cluster(2);
  std::string uuid = cluster.make_vm(0, "a").uuid;
  ASSERT_TRUE(cluster.start(0, uuid));
  ports::MigrateRequest request;
  request.target_uri = "qemu+tls://192.0.2.2/system";
  double percent = 0;
  std::optional<Result<model::MigrationStats>> ended;
  cluster.hypervisors[0]->migrate(
      uuid, request, [&](ports::MigrateProgress p) { percent = p.percent; },
      [&](Result<model::MigrationStats> r) { ended = std::move(r); });
  cluster.loop.run_for(milliseconds(350));
  EXPECT_EQ(cluster.see(0, uuid)->state, VmState::kOn);
  EXPECT_EQ(cluster.see(1, uuid)->role, InstanceRole::kIncoming);
  cluster.loop.run_for(seconds(30));
  ASSERT_TRUE(ended && *ended);
  EXPECT_GT(percent, 90);
}

TEST(FakeMigration, AnAbortLeavesTheGuestWhereItWas) {
  FakeCluster cluster(2);
  std::string uuid = cluster.make_vm(0, "a").uuid;
  ASSERT_TRUE(cluster.start(0, uuid));
  ports::MigrateRequest request;
  request.target_uri = cluster.world.host(1).uri();
  request.settings.bandwidth_mib_s = 10;
  std::optional<Result<model::MigrationStats>> ended;
  cluster.hypervisors[0]->migrate(uuid, request, nullptr,
                                  [&](Result<model::MigrationStats> r) { ended = std::move(r); });
  cluster.loop.run_for(seconds(5));
  EXPECT_FALSE(ended);
  ASSERT_TRUE(*cluster.ask(
      [&](auto done) { cluster.hypervisors[0]->abort_migration(uuid, std::move(done)); }));
  cluster.loop.run_for(seconds(1));
  EXPECT_EQ(ended->error().code, Code::kCancelled);
  EXPECT_EQ(cluster.see(0, uuid)->state, VmState::kOn);
  EXPECT_FALSE(cluster.see(1, uuid));
  EXPECT_TRUE(*cluster.ask(
      [&](auto done) { cluster.hypervisors[0]->abort_migration(uuid, std::move(done)); }));
}

TEST(FakeMigration, ConvergesByThrottlingOrPostCopyOrGivesUp) {
  for (int kind = 0; kind < 3; ++kind) {
    FakeCluster cluster(2);
    std::string uuid = cluster.make_vm(0, "a").uuid;
    ASSERT_TRUE(cluster.start(0, uuid));
    ASSERT_TRUE(cluster.world.set_load(uuid, {.cpu = 1, .dirty_mib_s = 300, .working_set = 0.8}));
    ports::MigrateRequest request;
    request.settings.bandwidth_mib_s = 100;
    request.settings.auto_converge = kind == 0;
    request.settings.post_copy = kind == 1;
    request.settings.timeout = std::chrono::minutes(2);
    auto stats = cluster.migrate(0, 1, uuid, request);
    if (kind == 0) {
      ASSERT_TRUE(stats) << stats.error().message;
      EXPECT_GT(stats->rounds, 3);
    } else if (kind == 1) {
      ASSERT_TRUE(stats) << stats.error().message;
      EXPECT_TRUE(stats->post_copy);
    } else {
      ASSERT_FALSE(stats);
      EXPECT_EQ(stats.error().code, Code::kTimeout);
    }
    cluster.loop.run_for(seconds(10));
    EXPECT_EQ(cluster.world.running().size(), 1u);
    EXPECT_EQ(cluster.world.running()[0].host, kind == 2 ? 0u : 1u);
  }
}

TEST(FakeMigration, CopiesDisksThatTheTargetDoesNotShare) {
  FakeCluster cluster(2);
  HistoryCheck history(cluster.world);
  model::DomainSpec spec = cluster.make_vm(0, "a", kLocalPool);
  ASSERT_TRUE(cluster.start(0, spec.uuid));
  history.tick();
  EXPECT_EQ(cluster.migrate(0, 1, spec.uuid).error().code, Code::kFailedPrecondition);
  cluster.make_disk(1, "/srv/local/moved.qcow2");
  ports::MigrateRequest request;
  request.copy_storage = true;
  request.copy_disks = {"root"};
  request.target_paths = {"/srv/local/moved.qcow2"};
  auto stats = cluster.migrate(0, 1, spec.uuid, request);
  ASSERT_TRUE(stats) << stats.error().message;
  EXPECT_EQ(stats->kind, "live-storage");
  EXPECT_EQ(cluster.see(1, spec.uuid)->disks[0].path, "/srv/local/moved.qcow2");
  history.tick();
  cluster.world.kill_host(1);
  cluster.world.start_host(1);
  ASSERT_TRUE(cluster.start(1, spec.uuid));
  EXPECT_EQ(cluster.world.running()[0].boots, 2u);
  history.tick();
  EXPECT_EQ(cluster.world.describe_violations(), "");
}

TEST(FakeMigration, MovesDisksOnOneHost) {
  FakeCluster cluster(1);
  HistoryCheck history(cluster.world);
  model::DomainSpec spec = cluster.make_vm(0, "a", kLocalPool);
  ASSERT_TRUE(cluster.start(0, spec.uuid));
  history.tick();
  cluster.make_disk(0, "/srv/shared/b.qcow2");
  auto stats = *cluster.ask<model::MigrationStats>([&](auto done) {
    cluster.hypervisors[0]->migrate_storage(spec.uuid, {"root"}, {"/srv/shared/b.qcow2"}, nullptr,
                                            std::move(done));
  });
  ASSERT_TRUE(stats) << stats.error().message;
  EXPECT_EQ(stats->kind, "storage");
  EXPECT_EQ(cluster.see(0, spec.uuid)->disks[0].path, "/srv/shared/b.qcow2");
  history.tick();
  EXPECT_TRUE(cluster.migrate(0, 0, spec.uuid).error().code == Code::kFailedPrecondition);
  EXPECT_EQ(cluster.world.describe_violations(), "");
}

TEST(FakeMigration, ColdMovesOnlyTheDefinition) {
  FakeCluster cluster(2);
  std::string uuid = cluster.make_vm(0, "a").uuid;
  ports::MigrateRequest request;
  request.live = false;
  auto stats = cluster.migrate(0, 1, uuid, request);
  ASSERT_TRUE(stats) << stats.error().message;
  EXPECT_EQ(stats->kind, "cold");
  EXPECT_FALSE(cluster.see(0, uuid));
  EXPECT_EQ(cluster.see(1, uuid)->state, VmState::kOff);
}

// What stands after a fault at any moment of a migration, whatever it was: at most one of it runs,
// and somebody who looks can make exactly one of it run again.
TEST(FakeMigration, AnyFaultAtAnyMomentLeavesAtMostOneRunning) {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    FakeCluster cluster(2, {.seed = seed});
    HistoryCheck history(cluster.world);
    std::string uuid = cluster.make_vm(0, "a").uuid;
    ASSERT_TRUE(cluster.start(0, uuid));
    Random random(seed);
    ports::MigrateRequest request;
    request.target_uri = cluster.world.host(1).uri();
    cluster.hypervisors[0]->migrate(uuid, request, nullptr, [](Result<model::MigrationStats>) {});
    cluster.loop.run_for(random.between(Duration{}, milliseconds(1100)));
    history.tick();
    switch (seed % 8) {
      case 0:
        cluster.world.kill_host(0);
        break;
      case 1:
        cluster.world.kill_host(1);
        break;
      case 2:
        cluster.world.restart_libvirtd(0);
        break;
      case 3:
        cluster.world.restart_libvirtd(1);
        break;
      case 4:
        cluster.world.set_link(0, 1, false);
        break;
      case 5:
        cluster.world.crash_qemu(uuid);
        break;
      case 6:
        cluster.world.guest_poweroff(uuid);
        break;
      case 7:
        cluster.hypervisors[1]->destroy(uuid, [](Result<>) {});
        break;
    }
    cluster.loop.run_for(seconds(5));
    history.tick();
    EXPECT_LE(cluster.world.running().size(), 1u) << "seed " << seed;
    cluster.world.start_host(0);
    cluster.world.start_host(1);
    if (cluster.world.running().empty())
      for (HostIndex host = 0; host < 2; ++host) {
        auto seen = cluster.see(host, uuid);
        if (!seen || !cluster.world.running().empty()) continue;
        (void)cluster.start(host, uuid);
        (void)cluster.ask([&](auto d) { cluster.hypervisors[host]->resume(uuid, std::move(d)); });
      }
    EXPECT_EQ(cluster.world.running().size(), 1u) << "seed " << seed;
    history.tick();
    EXPECT_EQ(cluster.world.describe_violations(), "") << "seed " << seed;
    EXPECT_EQ(cluster.world.migrations(), 0u) << "seed " << seed;
  }
}

}  // namespace
}  // namespace chorok::sim
