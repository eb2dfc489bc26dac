#include "agent/test_support.h"

namespace chorok::agent {
namespace {

using namespace testing;

class Moves : public AgentTest {
 protected:
  Moves() { connect(); }
  model::Operation migration(const model::VmTarget& target) {
    model::Operation op = operation(OpKind::kMigrate, target);
    op.args.migration =
        model::MigrationTarget{.host = "host-2", .host_name = "host2", .address = "192.0.2.2"};
    return op;
  }
  static constexpr const char* kRoot = "/srv/shared/vms/vm-web/root.qcow2";
};

TEST_F(Moves, MigratesAndSaysHowItWent) {
  model::VmTarget web = running_vm("web");
  model::Operation op = migration(web);
  model::OpDone done = finish(op);
  expect_ok(done);
  ASSERT_TRUE(done.result.migration);
  EXPECT_EQ(done.result.migration->from, "host1");
  EXPECT_EQ(done.result.migration->to, "host2");
  EXPECT_EQ(done.result.migration->kind, "live");
  EXPECT_TRUE(done.result.migration->tls);
  EXPECT_GT(done.result.migration->transferred, Bytes{});
  EXPECT_FALSE(seen(manager.seen_at_done[op.id], web.uuid));
  EXPECT_EQ(cluster.see(1, web.uuid)->state, VmState::kOn);
  expect_failed(finish(migration(web)), Code::kNotFound);
}

TEST_F(Moves, MigratesColdWhatIsOff) {
  model::VmTarget web = vm("web");
  expect_ok(run(OpKind::kDefine, web));
  model::Operation op = migration(web);
  op.args.args.cold = true;
  model::OpDone done = finish(op);
  expect_ok(done);
  EXPECT_EQ(done.result.migration->kind, "cold");
  EXPECT_EQ(cluster.see(1, web.uuid)->state, VmState::kOff);
}

TEST_F(Moves, ReportsProgressAtMostTwiceASecond) {
  model::VmTarget web = running_vm("web");
  ASSERT_TRUE(cluster.world.set_load(web.uuid, {.dirty_mib_s = 50}));
  model::Operation op = migration(web);
  op.args.migration->settings.bandwidth_mib_s = 60;
  const Time before = cluster.loop.now();
  const auto done = finish(op);
  expect_ok(done);
  EXPECT_EQ(done.result.migration->limit_mib_s, 60);
  ASSERT_GT(manager.progress.size(), 2u);
  EXPECT_LE(static_cast<double>(manager.progress.size()),
            2 * chorok::seconds(cluster.loop.now() - before) + 1);
  EXPECT_EQ(manager.progress.front().id, op.id);
}

// libvirt goes on with what an agent had asked for that was killed, and may begin with it late.
TEST_F(Moves, AMigrationThatADeadAgentBeganIsStoppedFirst) {
  model::VmTarget web = running_vm("web");
  ASSERT_TRUE(cluster.world.set_load(web.uuid, {.dirty_mib_s = 50}));
  auto dead = cluster.world.open_hypervisor(0);
  ports::MigrateRequest request;
  request.target_uri = cluster.world.host(1).uri();
  request.settings.bandwidth_mib_s = 1;
  std::optional<Result<model::MigrationStats>> ended;
  dead->migrate(web.uuid, request, nullptr,
                [&](Result<model::MigrationStats> r) { ended = std::move(r); });
  settle(seconds(2));
  ASSERT_FALSE(ended);
  model::OpDone done = finish(migration(web));
  expect_ok(done);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->error().code, Code::kCancelled);
  EXPECT_EQ(cluster.see(1, web.uuid)->state, VmState::kOn);
}

TEST_F(Moves, ACancelledMigrationLeavesTheVmWhereItWas) {
  model::VmTarget web = running_vm("web");
  model::Operation op = migration(web);
  op.args.migration->settings.bandwidth_mib_s = 20;
  EXPECT_TRUE(start(op));
  settle(seconds(2));
  EXPECT_TRUE(ask("op.cancel", json::encode(model::OpRef{op.id})));
  expect_failed(wait_for(op.id, seconds(5)), Code::kCancelled);
  EXPECT_EQ(state(web.uuid), VmState::kOn);
  EXPECT_FALSE(cluster.see(1, web.uuid));
}

TEST_F(Moves, AMigrationThatBreaksIsAFailureWhenTheVmIsStillHere) {
  model::VmTarget web = running_vm("web");
  cluster.world.set_link(0, 1, false);
  model::OpDone done = finish(migration(web));
  EXPECT_EQ(done.phase, OpPhase::kFailed);
  EXPECT_EQ(state(web.uuid), VmState::kOn);
}

TEST_F(Moves, MigratesWithStorage) {
  model::VmTarget web = vm("web");
  web.spec.disks[0].datastore = "local";
  expect_ok(run(OpKind::kDefine, web));
  expect_ok(run(OpKind::kStart, web));
  model::Operation op = migration(web);
  op.args.migration->copy_disks = {web.spec.disks[0]};
  cluster.make_disk(1, "/srv/local/vms/vm-web/root.qcow2");
  model::OpDone done = finish(op);
  expect_ok(done);
  EXPECT_EQ(done.result.migration->kind, "live-storage");
  op = operation(OpKind::kRemoveDisks, web);
  op.args.migration = model::MigrationTarget{.copy_disks = {web.spec.disks[0]}};
  expect_ok(finish(op));
  EXPECT_FALSE(has_file("/srv/local/vms/vm-web/root.qcow2"));
}

TEST_F(Moves, PreparesDisksButNeverOverData) {
  model::VmTarget web = vm("web");
  model::Operation op = operation(OpKind::kPrepareDisks, web);
  op.args.migration = model::MigrationTarget{.copy_disks = {web.spec.disks[0]}};
  expect_ok(finish(op));
  EXPECT_EQ(cluster.world.files().find(0, kRoot)->capacity, Mib{1024});
  op.id = "op-again";
  expect_ok(finish(op));
  cluster.world.files().find(0, kRoot)->allocated = Mib{500};
  op.id = "op-third";
  expect_failed(finish(op), Code::kAlreadyExists, "/migration/copy_disks/0/path");
}

TEST_F(Moves, KeepsDisksThatAreInUse) {
  model::VmTarget web = running_vm("web");
  model::Operation op = operation(OpKind::kRemoveDisks, web);
  op.args.migration = model::MigrationTarget{.copy_disks = {web.spec.disks[0]}};
  expect_failed(finish(op), Code::kFailedPrecondition);
  EXPECT_TRUE(has_file(kRoot));
}

TEST_F(Moves, MovesDisksToAnotherDatastore) {
  for (const bool is_running : {true, false}) {
    const std::string name = is_running ? "web" : "db";
    model::VmTarget target = vm(name);
    expect_ok(run(OpKind::kDefine, target));
    if (is_running) expect_ok(run(OpKind::kStart, target));
    model::Operation op = operation(OpKind::kMigrateStorage, target);
    op.args.args.datastore = "local";
    model::OpDone done = finish(op);
    expect_ok(done);
    ASSERT_TRUE(done.result.spec);
    EXPECT_EQ(done.result.spec->disks[0].datastore, "ds-local");
    const std::string path = fmt::format("/vms/vm-{}/root.qcow2", name);
    EXPECT_EQ(cluster.see(0, target.uuid)->disks[0].path, std::string(kLocalPool) + path);
    EXPECT_TRUE(has_file(std::string(kLocalPool) + path));
    EXPECT_FALSE(has_file(std::string(kSharedPool) + path));
    target.spec = *done.result.spec;
    op = operation(OpKind::kMigrateStorage, target);
    op.args.args.datastore = "local";
    expect_ok(finish(op));
  }
}

TEST(TargetUri, SaysWhereTheCertificatesAre) {
  const TargetUri uri = libvirt_target_uri("/etc/chorok/pki");
  model::MigrationTarget target{.address = "192.0.2.7"};
  EXPECT_EQ(uri(target, {}), "qemu+tls://192.0.2.7/system?pkipath=/etc/chorok/pki");
  EXPECT_EQ(uri(target, {.tls = false}), "qemu+tcp://192.0.2.7/system");
  target.address = "2001:db8::7";
  EXPECT_EQ(uri(target, {.tls = false}), "qemu+tcp://[2001:db8::7]/system");
}

}  // namespace
}  // namespace chorok::agent
