// For the agent's tests only: a core on a host of a FakeWorld, and a manager that does what it is
// told and remembers what it heard.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/core.h"
#include "base/json.h"
#include "sim/fake_cluster.h"
#include "sim/memory_channel.h"

namespace chorok::agent::testing {

using model::OpKind;
using model::OpPhase;
using model::VmState;
using sim::kLocalPool;
using sim::kSharedPool;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline model::AgentConfig test_config() {
  model::AgentConfig config;
  config.datastores.resize(2);
  config.datastores[0].meta = {.id = "ds-shared", .name = "shared"};
  config.datastores[0].path = kSharedPool;
  config.datastores[0].shared = true;
  config.datastores[1].meta = {.id = "ds-local", .name = "local"};
  config.datastores[1].path = kLocalPool;
  config.networks.resize(2);
  config.networks[0].meta = {.id = "net-1", .name = "lan"};
  config.networks[0].bridge = "br0";
  config.networks[1].meta = {.id = "net-2", .name = "nat"};
  config.networks[1].kind = model::NetworkKind::kNat;
  config.networks[1].libvirt_network = "default";
  return config;
}

// The other end of the agent's connection.
struct TestManager {
  void take(std::unique_ptr<ports::Channel> end) {
    channel = std::move(end);
    heard.clear();
    channel->on_call([this](std::string method, std::string params, ports::Channel::Reply reply) {
      handle(method, params, std::move(reply));
    });
  }
  void handle(const std::string& method, const std::string& params, ports::Channel::Reply reply) {
    heard.push_back(method);
    ++count[method];
    if (method == "hello") {
      hello = *json::decode<model::Hello>(params, {.stored = true});
      return reply(refusal ? Result<std::string>(Unexpected(*refusal))
                           : Result<std::string>(json::encode(welcome)));
    }
    if (method == "observe") {
      observation = *json::decode<model::Observation>(params, {.stored = true});
      return;
    }
    if (method == "telemetry") {
      auto batch = *json::decode<model::TelemetryBatch>(params, {.stored = true});
      std::ranges::move(batch.samples, std::back_inserter(samples));
      if (!swallow_telemetry)
        reply(telemetry_refusal ? Result<std::string>(Unexpected(*telemetry_refusal))
                                : Result<std::string>("{}"));
      return;
    }
    if (method == "op.progress")
      return progress.push_back(*json::decode<model::OpProgress>(params, {.stored = true}));
    if (method != "op.done") return;
    auto report = *json::decode<model::OpDone>(params, {.stored = true});
    done[report.id] = report;
    seen_at_done[report.id] = observation;
    if (!swallow_done) reply("{}");
  }

  model::Welcome welcome{.term = 1, .host_name = "host1", .config = test_config()};
  std::optional<Error> refusal;
  bool swallow_done = false;  // takes results and never answers
  bool swallow_telemetry = false;
  std::optional<Error> telemetry_refusal;
  std::vector<model::HostSample> samples;  // as they came
  std::unique_ptr<ports::Channel> channel;
  std::vector<std::string> heard;  // on this connection
  std::map<std::string, int> count;
  model::Hello hello;
  model::Observation observation;
  std::vector<model::OpProgress> progress;
  std::map<std::string, model::OpDone> done;
  std::map<std::string, model::Observation> seen_at_done;
};

class AgentTest : public ::testing::Test {
 protected:
  AgentTest() { boot(); }
  ~AgentTest() override { EXPECT_EQ(cluster.world.describe_violations(), ""); }

  // Kills the agent, if it runs, and starts one from what the disk has.
  void boot() {
    kill();
    hypervisor = cluster.world.open_hypervisor(0);
    storage = cluster.world.open_storage(0);
    journal = *Journal::open(medium);
    CoreSettings settings;
    settings.telemetry.medium = &telemetry_medium;
    settings.entitlements.medium = &entitlements_medium;
    settings.telemetry.meters = meters;
    settings.departure.host = standby;
    core = std::make_unique<AgentCore>(
        cluster.loop, *hypervisor, *storage, *journal,
        AgentIdentity{
            .host = "host-1", .boot_id = "boot-1", .version = "test", .address = "192.0.2.1"},
        nullptr, settings);
  }
  void kill() {
    core.reset();
    journal.reset();
    storage.reset();
    hypervisor.reset();
  }
  void connect() {
    sim::LinkSettings settings{.latency_min = milliseconds(1), .latency_max = milliseconds(1)};
    link = sim::MemoryLink::create(cluster.loop, settings, sim::Random(1));
    manager.take(link->take_b());
    core->attach(link->take_a());
    cluster.loop.advance_until([&] { return core->connected(); }, seconds(5));
  }
  void settle(Duration time = seconds(1)) { cluster.loop.run_for(time); }

  model::VmTarget vm(const std::string& name) {
    model::VmTarget target{.id = "vm-" + name, .uuid = "uuid-" + name, .name = name};
    target.generation = 1;
    target.spec.memory = Mib{512};
    target.spec.disks.push_back({.name = "root", .datastore = "shared", .size = Mib{1024}});
    target.spec.nics.push_back({.name = "eth0", .network = "lan", .mac = "52:54:00:00:00:02"});
    return target;
  }
  model::Operation operation(OpKind kind, const model::VmTarget& target) {
    model::Operation made{.id = fmt::format("op-{}", ++last_operation), .host = "host-1"};
    made.kind = kind;
    made.term = manager.welcome.term;
    made.vm = target.id;
    made.args.vm = target;
    return made;
  }
  // The agent's answer to a call of the manager.
  Result<std::string> ask(const std::string& method, const std::string& params,
                          Duration limit = seconds(30)) {
    auto answer = cluster.ask<std::string>(
        [&](auto done) { manager.channel->call(method, params, limit, std::move(done)); });
    return *answer;
  }
  Result<OpPhase> start(const model::Operation& op) {
    auto answer = TRY(ask("op.start", json::encode(op)));
    return json::decode<model::OpAccepted>(answer)->phase;
  }
  // Starts it and waits for its end.
  model::OpDone finish(const model::Operation& op, Duration limit = std::chrono::minutes(5)) {
    auto accepted = start(op);
    EXPECT_TRUE(accepted) << accepted.error().message;
    return wait_for(op.id, limit);
  }
  model::OpDone wait_for(const std::string& id, Duration limit = std::chrono::minutes(5)) {
    EXPECT_TRUE(cluster.loop.advance_until([&] { return manager.done.contains(id); }, limit))
        << id << " was not done in time";
    return manager.done[id];
  }
  model::OpDone run(OpKind kind, const model::VmTarget& target, model::TaskArgs args = {}) {
    model::Operation op = operation(kind, target);
    op.args.args = std::move(args);
    return finish(op);
  }
  void expect_ok(const model::OpDone& done) {
    EXPECT_EQ(done.phase, OpPhase::kSucceeded) << (done.error ? done.error->message : "");
  }
  void expect_failed(const model::OpDone& done, Code code, const std::string& field = "") {
    EXPECT_EQ(done.phase, OpPhase::kFailed);
    ASSERT_TRUE(done.error);
    EXPECT_EQ(done.error->code, to_string(code)) << done.error->message;
    EXPECT_EQ(done.error->field, field) << done.error->message;
  }
  model::VmTarget running_vm(const std::string& name) {
    model::VmTarget target = vm(name);
    expect_ok(run(OpKind::kDefine, target));
    expect_ok(run(OpKind::kStart, target));
    return target;
  }
  const model::Instance* seen(const model::Observation& observation, const std::string& uuid) {
    auto found = std::ranges::find(observation.instances, uuid, &model::Instance::uuid);
    return found == observation.instances.end() ? nullptr : &*found;
  }
  VmState state(const std::string& uuid) {
    auto instance = cluster.see(0, uuid);
    return instance ? instance->state : VmState::kUnknown;
  }
  bool has_file(const std::string& path) { return cluster.world.files().find(0, path); }

  sim::FakeCluster cluster{2};
  MemoryMedium medium;
  MemoryMedium telemetry_medium;
  MemoryMedium entitlements_medium;
  std::unique_ptr<ports::Hypervisor> hypervisor;
  std::unique_ptr<ports::Storage> storage;
  std::unique_ptr<Journal> journal;
  TestManager manager;
  std::shared_ptr<sim::MemoryLink> link;
  std::vector<ports::PowerMeter*> meters;  // from the next boot() on
  ports::HostStandby* standby = nullptr;   // so is this
  std::unique_ptr<AgentCore> core;
  int last_operation = 0;
};

}  // namespace chorok::agent::testing
