#include "agent/test_support.h"

namespace chorok::agent {
namespace {

using namespace testing;

class Core : public AgentTest {};

TEST_F(Core, SaysHelloAndThenWhatItSees) {
  connect();
  settle();
  EXPECT_EQ(manager.hello.host, "host-1");
  EXPECT_EQ(manager.hello.inventory.boot_id, "boot-1");
  EXPECT_GT(manager.hello.inventory.memory, Mib{});
  ASSERT_GE(manager.heard.size(), 2u);
  EXPECT_EQ(manager.heard[0], "hello");
  EXPECT_EQ(manager.heard[1], "observe");
  EXPECT_TRUE(manager.observation.libvirt_connected);
  ASSERT_EQ(manager.observation.datastores.size(), 2u);
  EXPECT_TRUE(manager.observation.datastores[0].reachable);
  EXPECT_EQ(manager.observation.networks.size(), 2u);
}

TEST_F(Core, RestsButForItsBeat) {
  connect();
  settle(seconds(5));
  manager.count.clear();
  const std::uint64_t works = cluster.loop.run_for(std::chrono::minutes(10));
  EXPECT_EQ(manager.count["beat"], 300);
  EXPECT_LE(manager.count["observe"], 11);
  // Each beat is a timer here and a message over there; the rest is a probe a minute.
  EXPECT_LT(works, 300u * 2 + 10 * 20);
}

TEST_F(Core, TellsTheEffectBeforeTheResult) {
  connect();
  model::VmTarget web = vm("web");
  expect_ok(run(OpKind::kDefine, web));
  EXPECT_TRUE(has_file("/srv/shared/vms/vm-web/root.qcow2"));
  model::Operation op = operation(OpKind::kStart, web);
  expect_ok(finish(op));
  const auto* instance = seen(manager.seen_at_done[op.id], web.uuid);
  ASSERT_TRUE(instance);
  EXPECT_EQ(instance->state, VmState::kOn);
  EXPECT_EQ(instance->vm, "vm-web");
  EXPECT_EQ(instance->generation, 1u);
}

TEST_F(Core, TellsWhatHappensByItself) {
  connect();
  model::VmTarget web = running_vm("web");
  settle(seconds(5));
  ASSERT_TRUE(cluster.world.guest_poweroff(web.uuid));
  settle(seconds(3));
  EXPECT_EQ(seen(manager.observation, web.uuid)->state, VmState::kOff);
}

TEST_F(Core, TellsAnAddressAsSoonAsItIsKnown) {
  connect();
  model::VmTarget web = running_vm("web");
  settle(seconds(3));
  EXPECT_FALSE(seen(manager.observation, web.uuid)->ips.empty());
}

TEST_F(Core, BeginsAnOperationOnce) {
  connect();
  model::VmTarget web = vm("web");
  expect_ok(run(OpKind::kDefine, web));
  model::Operation op = operation(OpKind::kStart, web);
  EXPECT_EQ(*start(op), OpPhase::kRunning);
  EXPECT_EQ(*start(op), OpPhase::kRunning);
  expect_ok(wait_for(op.id));
  settle();
  expect_ok(run(OpKind::kDestroy, web));
  // Redelivered after it is over, acknowledged and undone: the recorded result, and no start.
  EXPECT_EQ(*start(op), OpPhase::kSucceeded);
  settle(seconds(5));
  EXPECT_EQ(state(web.uuid), VmState::kOff);
  EXPECT_EQ(manager.count["op.done"], 4);
}

TEST_F(Core, RefusesAnOlderTerm) {
  manager.welcome.term = 5;
  connect();
  model::Operation op = operation(OpKind::kDefine, vm("web"));
  op.term = 4;
  auto refused = start(op);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kConflict);
  op.term = 6;
  EXPECT_TRUE(start(op));
  EXPECT_EQ(journal->term(), 6u);
  // A manager that was deposed meanwhile is not talked to.
  bool detached = false;
  core->on_detached([&](const Error&) { detached = true; });
  connect();
  EXPECT_TRUE(detached);
  EXPECT_FALSE(core->connected());
}

TEST_F(Core, RefusesAnotherHostsOperation) {
  connect();
  model::Operation op = operation(OpKind::kDefine, vm("web"));
  op.host = "host-2";
  EXPECT_EQ(start(op).error().code, Code::kInvalid);
}

TEST_F(Core, TakesANewConfiguration) {
  connect();
  model::AgentConfig config = test_config();
  config.datastores.pop_back();
  manager.channel->notify("config", json::encode(config));
  settle();
  ASSERT_EQ(manager.observation.datastores.size(), 1u);
  EXPECT_EQ(core->config().datastores.size(), 1u);
}

TEST_F(Core, SaysEverythingThatStandsAgainstAVm) {
  connect();
  model::CheckRequest request{.vm = vm("web")};
  request.vm.spec.disks[0].datastore = "nowhere";
  request.vm.spec.nics[0].network = "nothing";
  request.vm.spec.machine = "vax";
  auto problems = json::decode<model::Problems>(*ask("vm.check", json::encode(request)))->problems;
  EXPECT_GE(problems.size(), 3u);
  expect_ok(run(OpKind::kDefine, vm("web")));
  request = {.vm = vm("web")};
  problems = json::decode<model::Problems>(*ask("vm.check", json::encode(request)))->problems;
  EXPECT_TRUE(problems.empty()) << problems.front();
}

TEST_F(Core, ComputesACpuBaseline) {
  connect();
  model::BaselineRequest request{.definitions = {sim::cpu_definition(3), sim::cpu_definition(2)}};
  auto answer = json::decode<model::BaselineAnswer>(*ask("cpu.baseline", json::encode(request)));
  EXPECT_EQ(answer->definition, sim::cpu_definition(2));
  EXPECT_EQ(answer->model, "Fake-v2");
}

TEST_F(Core, AnswersWhatItCannotDo) {
  connect();
  EXPECT_EQ(ask("vm.fly", "{}").error().code, Code::kUnsupported);
  EXPECT_EQ(ask("stream.open", "{}").error().code, Code::kUnsupported);
  EXPECT_EQ(ask("op.start", R"({"kind":7})").error().code, Code::kInvalid);
  EXPECT_EQ(ask("op.start", "{}").error().field, "/id");
}

TEST_F(Core, ServesCallsThatComeWithTheWelcome) {
  sim::LinkSettings settings{.latency_min = milliseconds(1), .latency_max = milliseconds(1)};
  link = sim::MemoryLink::create(cluster.loop, settings, sim::Random(1));
  manager.take(link->take_b());
  core->attach(link->take_a());
  model::Operation op = operation(OpKind::kDefine, vm("web"));
  manager.channel->call("op.start", json::encode(op), seconds(10), [](Result<std::string> answer) {
    EXPECT_TRUE(answer) << answer.error().message;
  });
  expect_ok(wait_for(op.id));
}

}  // namespace
}  // namespace chorok::agent
