#include "agent/test_support.h"

namespace chorok::agent {
namespace {

using namespace testing;

class Ops : public AgentTest {
 protected:
  Ops() { connect(); }
  static constexpr const char* kRoot = "/srv/shared/vms/vm-web/root.qcow2";
};

TEST_F(Ops, NamesTheFieldThatIsAtFault) {
  model::VmTarget web = vm("web");
  web.spec.disks[0].datastore = "nowhere";
  expect_failed(run(OpKind::kDefine, web), Code::kNotFound, "/spec/disks/0/datastore");
  web = vm("web");
  web.spec.disks[0].path = "../../etc/passwd";
  EXPECT_EQ(run(OpKind::kDefine, web).error->field, "/spec/disks/0/path");
  web = vm("web");
  web.spec.nics[0].network = "nothing";
  expect_failed(run(OpKind::kDefine, web), Code::kNotFound, "/spec/nics/0/network");
  web = vm("web");
  web.spec.disks[0].size = {};
  expect_failed(run(OpKind::kDefine, web), Code::kInvalid, "/spec/disks/0/size");
  web.spec.disks[0].keep = true;
  expect_failed(run(OpKind::kDefine, web), Code::kNotFound, "/spec/disks/0/path");
  web = vm("web");
  web.spec.boot = {.datastore = "shared", .kernel = "boot/vmlinuz"};
  expect_failed(run(OpKind::kDefine, web), Code::kNotFound, "/spec/boot/kernel");
  EXPECT_FALSE(cluster.see(0, web.uuid));
}

TEST_F(Ops, MakesDisksFromImagesThatStandAlone) {
  sim::FakeFile image{.format = model::DiskFormat::kQcow2, .capacity = Mib{3000}};
  ASSERT_TRUE(cluster.world.files().make(0, "/srv/shared/images/debian.qcow2", image));
  image.has_backing = true;
  ASSERT_TRUE(cluster.world.files().make(0, "/srv/shared/images/thin.qcow2", image));
  model::VmTarget web = vm("web");
  web.spec.disks[0].image = "shared:images/debian.qcow2";
  expect_ok(run(OpKind::kDefine, web));
  EXPECT_EQ(cluster.world.files().find(0, kRoot)->capacity, Mib{3000});
  web = vm("thin");
  web.spec.disks[0].image = "shared:images/thin.qcow2";
  expect_failed(run(OpKind::kDefine, web), Code::kFailedPrecondition, "/spec/disks/0/image");
  web = vm("linked");
  web.spec.disks[0].path = "images/thin.qcow2";
  expect_failed(run(OpKind::kDefine, web), Code::kFailedPrecondition, "/spec/disks/0/path");
}

TEST_F(Ops, ADefinitionThatFailsLeavesNoDisks) {
  cluster.world.faults().script("hypervisor.define", "", sim::Fault::kErrorBefore);
  EXPECT_EQ(run(OpKind::kDefine, vm("web")).phase, OpPhase::kFailed);
  EXPECT_FALSE(has_file(kRoot));
}

TEST_F(Ops, BelievesItsEyesOverAnError) {
  cluster.world.faults().script("hypervisor.define", "", sim::Fault::kErrorAfter);
  expect_ok(run(OpKind::kDefine, vm("web")));
  EXPECT_TRUE(has_file(kRoot));
  cluster.world.faults().script("hypervisor.start", "", sim::Fault::kErrorAfter);
  expect_ok(run(OpKind::kStart, vm("web")));
}

TEST_F(Ops, SaysUnknownWhenItIs) {
  expect_ok(run(OpKind::kDefine, vm("web")));
  cluster.world.faults().script("hypervisor.start", "", sim::Fault::kUnknownBefore);
  EXPECT_EQ(run(OpKind::kStart, vm("web")).phase, OpPhase::kUnknown);
}

TEST_F(Ops, UndefinesOnlyWhatIsOff) {
  model::VmTarget web = running_vm("web");
  expect_failed(run(OpKind::kUndefine, web), Code::kFailedPrecondition);
  expect_ok(run(OpKind::kDestroy, web));
  expect_ok(run(OpKind::kUndefine, web, {.keep_disks = true}));
  EXPECT_TRUE(has_file(kRoot));
  // Again: there is nothing to forget, and the disks go now.
  expect_ok(run(OpKind::kUndefine, web));
  EXPECT_FALSE(has_file(kRoot));
  EXPECT_FALSE(cluster.see(0, web.uuid));
}

TEST_F(Ops, NeverRemovesWhatIsNotItsOwn) {
  cluster.make_disk(0, "/srv/shared/data.qcow2");
  model::VmTarget web = vm("web");
  web.spec.disks.push_back({.name = "data",
                            .datastore = "shared",
                            .path = "data.qcow2",
                            .size = {},
                            .image = {},
                            .keep = true});
  expect_ok(run(OpKind::kDefine, web));
  model::VmTarget thief = vm("thief");
  thief.spec.disks[0].path = "vms/vm-web/root.qcow2";
  expect_failed(run(OpKind::kUndefine, thief), Code::kFailedPrecondition);
  EXPECT_TRUE(has_file(kRoot));
  expect_ok(run(OpKind::kUndefine, web));
  EXPECT_TRUE(has_file("/srv/shared/data.qcow2"));
  EXPECT_FALSE(has_file(kRoot));
}

TEST_F(Ops, ShutsDownWhenTheGuestIsOff) {
  model::VmTarget web = running_vm("web");
  model::Operation op = operation(OpKind::kShutdown, web);
  expect_ok(finish(op));
  EXPECT_EQ(seen(manager.seen_at_done[op.id], web.uuid)->state, VmState::kOff);
  expect_ok(run(OpKind::kShutdown, web));  // already so
}

TEST_F(Ops, AGuestThatDoesNotListenTimesOut) {
  model::VmTarget web = running_vm("web");
  ASSERT_TRUE(cluster.world.set_load(web.uuid, {.ignores_acpi = true}));
  const Time before = cluster.loop.now();
  model::OpDone done = run(OpKind::kShutdown, web, {.timeout = seconds(25)});
  expect_failed(done, Code::kTimeout);
  EXPECT_NE(done.error->message.find("--hard"), std::string::npos);
  EXPECT_NEAR(chorok::seconds(cluster.loop.now() - before), 25, 1);
  EXPECT_EQ(state(web.uuid), VmState::kOn);
}

TEST_F(Ops, IsAskedAgainWhenTheGuestWasNotReady) {
  model::VmTarget web = running_vm("web");
  ASSERT_TRUE(cluster.world.set_load(web.uuid, {.ignores_acpi = true}));
  model::Operation op = operation(OpKind::kShutdown, web);
  EXPECT_TRUE(start(op));
  settle(seconds(5));
  ASSERT_TRUE(cluster.world.set_load(web.uuid, {}));
  expect_ok(wait_for(op.id, seconds(20)));
}

TEST_F(Ops, PullingThePlugEndsAShutdown) {
  model::VmTarget web = running_vm("web");
  ASSERT_TRUE(cluster.world.set_load(web.uuid, {.ignores_acpi = true}));
  model::Operation soft = operation(OpKind::kShutdown, web);
  EXPECT_TRUE(start(soft));
  settle();
  expect_ok(run(OpKind::kDestroy, web));
  expect_ok(wait_for(soft.id, seconds(2)));
}

TEST_F(Ops, CancelsAShutdownAndWhatHasNotBegun) {
  model::VmTarget web = running_vm("web");
  ASSERT_TRUE(cluster.world.set_load(web.uuid, {.ignores_acpi = true}));
  model::Operation soft = operation(OpKind::kShutdown, web);
  model::Operation next = operation(OpKind::kSuspend, web);
  EXPECT_TRUE(start(soft));
  EXPECT_TRUE(start(next));
  settle();
  EXPECT_EQ(state(web.uuid), VmState::kOn);  // it waits its turn
  EXPECT_TRUE(ask("op.cancel", json::encode(model::OpRef{next.id})));
  expect_failed(wait_for(next.id, seconds(1)), Code::kCancelled);
  EXPECT_TRUE(ask("op.cancel", json::encode(model::OpRef{soft.id})));
  expect_failed(wait_for(soft.id, seconds(1)), Code::kCancelled);
  EXPECT_TRUE(ask("op.cancel", json::encode(model::OpRef{"op-nobody"})));
}

TEST_F(Ops, SuspendsResumesSavesRestores) {
  model::VmTarget web = running_vm("web");
  expect_ok(run(OpKind::kSuspend, web));
  EXPECT_EQ(state(web.uuid), VmState::kPaused);
  expect_failed(run(OpKind::kShutdown, web), Code::kFailedPrecondition);
  expect_ok(run(OpKind::kResume, web));
  expect_ok(run(OpKind::kReboot, web));
  settle(seconds(5));
  expect_ok(run(OpKind::kSave, web));
  EXPECT_EQ(state(web.uuid), VmState::kSaved);
  expect_ok(run(OpKind::kStart, web));
  EXPECT_EQ(state(web.uuid), VmState::kOn);
}

TEST_F(Ops, ChangesSizeAndDevices) {
  model::VmTarget web = vm("web");
  web.spec.max_vcpus = 4;
  expect_ok(run(OpKind::kDefine, web));
  expect_ok(run(OpKind::kStart, web));
  model::OpDone done = run(OpKind::kResize, web, {.vcpus = 2});
  expect_ok(done);
  EXPECT_FALSE(done.result.live.empty() && done.result.next_boot.empty());
  expect_ok(run(OpKind::kTune, web, {.cpu = model::CpuAllocation{.shares = 2000}}));
  model::TaskArgs args;
  args.disk = model::DiskSpec{.name = "data", .datastore = "local", .size = Mib{100}};
  expect_ok(run(OpKind::kAttachDisk, web, args));
  EXPECT_TRUE(has_file("/srv/local/vms/vm-web/data.qcow2"));
  web.spec.disks.push_back(*args.disk);
  args = {};
  args.nic = model::NicSpec{.name = "eth1", .network = "nat", .mac = "52:54:00:00:00:03"};
  expect_ok(run(OpKind::kAttachNic, web, args));
  EXPECT_EQ(cluster.see(0, web.uuid)->macs.size(), 2u);
  expect_ok(run(OpKind::kDetach, web, {.device = "eth1"}));
  expect_ok(run(OpKind::kDetach, web, {.device = "data"}));
  EXPECT_FALSE(has_file("/srv/local/vms/vm-web/data.qcow2"));
}

TEST_F(Ops, ADiskThatCannotBeAttachedIsNotLeftBehind) {
  model::VmTarget web = running_vm("web");
  cluster.world.faults().script("hypervisor.attach_disk", "", sim::Fault::kErrorBefore);
  model::TaskArgs args;
  args.disk = model::DiskSpec{.name = "data", .datastore = "local", .size = Mib{100}};
  EXPECT_EQ(run(OpKind::kAttachDisk, web, args).phase, OpPhase::kFailed);
  EXPECT_FALSE(has_file("/srv/local/vms/vm-web/data.qcow2"));
}

TEST_F(Ops, TakesSnapshotsOnce) {
  model::VmTarget web = running_vm("web");
  expect_ok(run(OpKind::kSnapshotCreate, web, {.name = "before"}));
  expect_failed(run(OpKind::kSnapshotCreate, web, {.name = "before"}), Code::kAlreadyExists,
                "/name");
  EXPECT_EQ(cluster.see(0, web.uuid)->snapshots.size(), 1u);
  expect_ok(run(OpKind::kSnapshotRevert, web, {.name = "before"}));
  expect_ok(run(OpKind::kSnapshotDelete, web, {.name = "before"}));
  expect_ok(run(OpKind::kSnapshotDelete, web, {.name = "before"}));
}

TEST_F(Ops, AdoptsAGuestAndNamesItsPlaces) {
  model::DomainSpec foreign = cluster.describe_vm("old", kSharedPool);
  foreign.vm.clear();
  cluster.make_disk(0, foreign.disks[0].path);
  ASSERT_TRUE(cluster.world.define_foreign(0, foreign, true));
  model::VmTarget target{.id = "vm-old", .uuid = foreign.uuid, .name = "old"};
  model::OpDone done = run(OpKind::kAdopt, target, {.uuid = foreign.uuid});
  expect_ok(done);
  ASSERT_TRUE(done.result.spec);
  EXPECT_EQ(done.result.spec->disks[0].datastore, "ds-shared");
  EXPECT_EQ(done.result.spec->disks[0].path, "old.qcow2");
  EXPECT_TRUE(done.result.spec->disks[0].keep);
  EXPECT_EQ(done.result.spec->nics[0].network, "net-1");
  EXPECT_EQ(cluster.see(0, foreign.uuid)->vm, "vm-old");
}

TEST_F(Ops, RefusesWhatIsIncomplete) {
  model::VmTarget web = vm("web");
  expect_failed(run(OpKind::kMigrate, web), Code::kInvalid, "/migration");
  expect_failed(run(OpKind::kPrepareDisks, web), Code::kInvalid, "/migration");
  expect_failed(run(OpKind::kAttachDisk, web), Code::kInvalid, "/disk");
  expect_failed(run(OpKind::kAttachNic, web), Code::kInvalid, "/nic");
  expect_failed(run(OpKind::kChangeMedium, web), Code::kInvalid, "/cdrom");
}

}  // namespace
}  // namespace chorok::agent
