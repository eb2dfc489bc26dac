#include "agent/test_support.h"

namespace chorok::agent {
namespace {

using namespace testing;

class Recovery : public AgentTest {};

TEST_F(Recovery, RefusesWhenItCannotRemember) {
  connect();
  medium.full = true;
  auto refused = start(operation(OpKind::kDefine, vm("web")));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kExhausted);
  settle(seconds(5));
  EXPECT_FALSE(cluster.see(0, "uuid-web"));
  EXPECT_FALSE(has_file("/srv/shared/vms/vm-web/root.qcow2"));
}

TEST_F(Recovery, ReportsWhatItsDeathInterruptedAndDoesNotRepeatIt) {
  connect();
  model::VmTarget web = vm("web");
  expect_ok(run(OpKind::kDefine, web));
  model::Operation op = operation(OpKind::kStart, web);
  EXPECT_EQ(*start(op), OpPhase::kRunning);
  kill();
  settle(seconds(5));
  cluster.ask([&](auto done) { cluster.hypervisors[0]->destroy(web.uuid, std::move(done)); });
  boot();
  connect();
  model::OpDone done = wait_for(op.id);
  EXPECT_EQ(done.phase, OpPhase::kUnknown);
  ASSERT_TRUE(done.error);
  EXPECT_EQ(done.error->code, "unknown");
  EXPECT_EQ(*start(op), OpPhase::kUnknown);
  settle(seconds(5));
  EXPECT_EQ(state(web.uuid), VmState::kOff);
  // Acknowledged: the next agent has nothing to say of it.
  manager.done.clear();
  boot();
  connect();
  settle(seconds(5));
  EXPECT_TRUE(manager.done.empty());
}

TEST_F(Recovery, SaysWhatBecameOfAMigrationOnlyWhenItIsOver) {
  connect();
  model::VmTarget web = running_vm("web");
  model::Operation op = operation(OpKind::kMigrate, web);
  op.args.migration =
      model::MigrationTarget{.host = "host-2", .host_name = "host2", .address = "192.0.2.2"};
  op.args.migration->settings.bandwidth_mib_s = 20;
  EXPECT_TRUE(start(op));
  settle(seconds(2));
  EXPECT_EQ(cluster.world.migrations(), 1u);
  kill();
  boot();
  connect();
  EXPECT_EQ(*start(op), OpPhase::kRunning);
  EXPECT_EQ(wait_for(op.id).phase, OpPhase::kUnknown);
  EXPECT_EQ(cluster.world.migrations(), 0u);
  EXPECT_TRUE(seen(manager.seen_at_done[op.id], web.uuid));
  EXPECT_EQ(state(web.uuid), VmState::kOn);
  EXPECT_FALSE(cluster.see(1, web.uuid));
}

TEST_F(Recovery, RepeatsAResultUntilItIsAnswered) {
  connect();
  manager.swallow_done = true;
  model::Operation op = operation(OpKind::kDefine, vm("web"));
  expect_ok(finish(op));
  settle(seconds(30));
  EXPECT_GT(manager.count["op.done"], 1);
  EXPECT_FALSE(journal->find(op.id)->acknowledged);
  // Also on the next connection, and also by the next agent.
  for (int round = 0; round < 2; ++round) {
    if (round == 1) boot();
    manager.done.clear();
    connect();
    expect_ok(wait_for(op.id));
  }
  manager.swallow_done = false;
  settle(seconds(30));
  EXPECT_TRUE(journal->find(op.id)->acknowledged);
  const int sent = manager.count["op.done"];
  settle(seconds(60));
  EXPECT_EQ(manager.count["op.done"], sent);
}

TEST_F(Recovery, FinishesWhatRunsWhileNobodyIsConnected) {
  connect();
  model::VmTarget web = vm("web");
  expect_ok(run(OpKind::kDefine, web));
  model::Operation op = operation(OpKind::kStart, web);
  EXPECT_TRUE(start(op));
  link->cut("the cable");
  settle(seconds(10));
  EXPECT_FALSE(core->connected());
  EXPECT_EQ(state(web.uuid), VmState::kOn);
  connect();
  expect_ok(wait_for(op.id));
}

TEST_F(Recovery, SaysWhenLibvirtIsGoneAndWhenItIsBack) {
  connect();
  model::VmTarget web = running_vm("web");
  cluster.world.stop_libvirtd(0);
  settle(seconds(3));
  EXPECT_FALSE(manager.observation.libvirt_connected);
  EXPECT_NE(manager.observation.libvirt_message, "");
  model::OpDone done = run(OpKind::kSuspend, web);
  EXPECT_EQ(done.phase, OpPhase::kFailed);
  EXPECT_EQ(done.error->code, "unavailable");
  cluster.world.start_libvirtd(0);
  settle(seconds(10));
  EXPECT_TRUE(manager.observation.libvirt_connected);
  EXPECT_EQ(seen(manager.observation, web.uuid)->state, VmState::kOn);
  EXPECT_TRUE(core->connected());
  expect_ok(run(OpKind::kSuspend, web));
}

TEST_F(Recovery, SaysHelloAgainWhenItLearnsWhatTheHostIs) {
  cluster.world.stop_libvirtd(0);
  boot();
  connect();
  settle(seconds(2));
  EXPECT_EQ(manager.hello.inventory.memory, Mib{});
  EXPECT_FALSE(manager.observation.libvirt_connected);
  bool detached = false;
  core->on_detached([&](const Error&) { detached = true; });
  cluster.world.start_libvirtd(0);
  settle(seconds(10));
  ASSERT_TRUE(detached);
  connect();
  EXPECT_GT(manager.hello.inventory.memory, Mib{});
}

TEST_F(Recovery, TellsWhenADatastoreIsCutOff) {
  connect();
  settle();
  cluster.world.cut_datastore(0, kSharedPool, true);
  settle(seconds(70));
  EXPECT_FALSE(manager.observation.datastores[1].reachable);
  EXPECT_NE(manager.observation.datastores[1].message, "");
  cluster.world.cut_datastore(0, kSharedPool, false);
  settle(seconds(70));
  EXPECT_TRUE(manager.observation.datastores[1].reachable);
}

}  // namespace
}  // namespace chorok::agent
