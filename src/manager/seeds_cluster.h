// For tests: a whole cluster in one thread and virtual time. The manager's engine, reconciler and
// agents' sessions, the agents' cores and journals are the production code; hosts, disks and
// connections are sim's, with its faults. Managers and agents can be killed at any instant: what
// they leave is the store, the journals and the world.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "adapters/memory/memory_store.h"
#include "agent/core.h"
#include "manager/agents.h"
#include "manager/alarms.h"
#include "manager/engine.h"
#include "manager/reconciler.h"
#include "manager/requests.h"
#include "manager/telemetry.h"
#include "manager/world.h"
#include "sim/fake_cluster.h"
#include "sim/history_check.h"
#include "sim/memory_channel.h"

namespace chorok::manager {

// One life of the manager.
struct ManagerLife {
  ManagerLife(Loop& loop, ports::Store& store, IdSource ids, Identities identities)
      : engine(loop, store, std::move(ids), {.owner = "manager"}),
        world(engine),
        agents(engine, world),
        requests(engine, world, agents, std::move(identities)),
        telemetry(engine) {
    agents.on_telemetry([this](const std::string& host, const model::TelemetryBatch& batch,
                               Done<Result<>> done) { done(telemetry.take(host, batch)); });
  }
  // Once the engine has loaded.
  void begin() {
    reconciler = std::make_unique<Reconciler>(engine, world, agents);
    agents.connect(*reconciler);
    reconciler->mark_all();
    alarms = std::make_unique<Alarms>(engine, AlarmSources{});
  }
  bool ready() const { return reconciler != nullptr; }

  Engine engine;
  World world;
  Agents agents;
  std::unique_ptr<Reconciler> reconciler;
  Requests requests;
  Telemetry telemetry;
  std::unique_ptr<Alarms> alarms;
};

// One host's agent; its journal outlives it.
struct AgentLife {
  std::unique_ptr<ports::Hypervisor> hypervisor;
  std::unique_ptr<ports::Storage> storage;
  std::unique_ptr<agent::Journal> journal;
  std::unique_ptr<agent::AgentCore> core;
};

struct Node {
  std::string id;
  std::string name;
  sim::HostIndex index = 0;
  agent::MemoryMedium medium;
  agent::MemoryMedium telemetry;
  agent::MemoryMedium entitlements;
  std::unique_ptr<AgentLife> agent;
  std::shared_ptr<sim::MemoryLink> link;  // the newest; its ends do not keep it
  bool dialing = false;
  bool unreachable = false;  // nobody answers when its agent dials
  bool powered = true;
  ports::HostStandby* standby = nullptr;  // from its agent's next start on
};

class SeedsCluster {
 public:
  SeedsCluster(std::uint64_t seed, std::uint32_t hosts, sim::WorldSettings settings)
      : random_(seed), fake(hosts, settings), history(fake.world), store(fake.loop) {
    for (std::uint32_t i = 0; i < hosts; ++i) {
      auto node = std::make_unique<Node>();
      node->index = i;
      node->name = fmt::format("host{}", i + 1);
      node->id = fmt::format("host-{:010}", i + 1);
      nodes.push_back(std::move(node));
    }
    start_manager();
    EXPECT_TRUE(loop().advance_until([&] { return manager_ready(); }, std::chrono::seconds(10)));
    add_inventory();
    for (auto& node : nodes) start_agent(*node);
  }
  ~SeedsCluster() {
    manager.reset();
    for (auto& node : nodes) node->agent.reset();
  }

  sim::VirtualLoop& loop() { return fake.loop; }
  bool manager_ready() const { return manager != nullptr && manager->ready(); }
  const Inventory& inventory() const { return manager->engine.inventory(); }

  // ---- Lives and deaths
  // ------------------------------------------------------------------------------------------

  void start_manager() {
    if (manager != nullptr) return;
    manager = std::make_unique<ManagerLife>(
        fake.loop, store,
        [this](std::string_view prefix) {
          return fmt::format("{}-{:010}", prefix, 100 + next_id_++);
        },
        Identities{[this] { return fmt::format("uuid-{}", next_id_++); },
                   [this] { return static_cast<std::uint32_t>(random_.next()); },
                   [](std::string, Done<Result<std::string>> done) { done("hash"); },
                   [](const std::string& secret, const std::string& place) {
                     return fmt::format("sealed for {}: {} bytes", place, secret.size());
                   },
                   {},
                   [](const model::BmcSpec& bmc) -> Result<> {
                     if (bmc.driver != "fence_nosuch") return {};
                     return fail(Code::kInvalid, "there is no fence_nosuch here", "/bmc/driver");
                   }});
    auto life = std::weak_ptr<bool>(manager_alive_);
    manager->engine.start([this, life](Result<> started) {
      if (life.expired()) return;
      ASSERT_TRUE(started) << started.error().message;
      manager->begin();
    });
  }
  void kill_manager() {
    manager.reset();
    manager_alive_ = std::make_shared<bool>(true);
    for (auto& node : nodes)
      if (node->link != nullptr) node->link->cut("the manager is gone");
  }

  void start_agent(Node& node) {
    if (node.agent != nullptr || !node.powered) return;
    auto life = std::make_unique<AgentLife>();
    life->hypervisor = fake.world.open_hypervisor(node.index);
    life->storage = fake.world.open_storage(node.index);
    auto journal = agent::Journal::open(node.medium);
    ASSERT_TRUE(journal) << journal.error().message;
    life->journal = std::move(*journal);
    agent::CoreSettings settings;
    settings.telemetry.medium = &node.telemetry;
    settings.entitlements.medium = &node.entitlements;
    settings.departure.host = node.standby;
    settings.target_uri = [this](const model::MigrationTarget& target,
                                 const model::MigrationSettings&) {
      return uri_of(target.address);
    };
    agent::AgentIdentity identity{node.id, fake.world.host(node.index).inventory().boot_id, "test",
                                  fake.world.host(node.index).settings().address};
    life->core = std::make_unique<agent::AgentCore>(fake.loop, *life->hypervisor, *life->storage,
                                                    *life->journal, identity, nullptr, settings);
    life->core->on_detached([this, &node](const Error&) { dial_later(node); });
    node.agent = std::move(life);
    dial_later(node);
  }
  void kill_agent(Node& node) {
    node.agent.reset();
    if (node.link != nullptr) node.link->cut("the agent is gone");
  }
  // Its agent reaches nobody until `unreachable` is taken back.
  void cut_off(Node& node) {
    node.unreachable = true;
    if (node.link != nullptr) node.link->cut("the network is cut");
  }
  void power_off(Node& node) {
    kill_agent(node);
    node.powered = false;
    fake.world.kill_host(node.index);
  }
  void power_on(Node& node) {
    if (node.powered) return;
    node.powered = true;
    fake.world.start_host(node.index);
    start_agent(node);
  }

  // ---- Asking
  // ----------------------------------------------------------------------------------------------------

  static Caller admin() {
    return Caller{
        "user-1", "admin", "", model::Role::kAdmin, {model::Grant{"", model::Role::kAdmin}},
        "test"};
  }
  // The task's id, or an error.
  Result<std::string> ask(std::function<void(Answered)> call) {
    auto answer = std::make_shared<std::optional<Result<Answer>>>();
    call([answer](Result<Answer> result) { *answer = std::move(result); });
    loop().advance_until([&] { return answer->has_value(); }, std::chrono::seconds(30));
    if (!answer->has_value()) return fail(Code::kTimeout, "no answer");
    if (!**answer) return Unexpected((*answer)->error());
    return (**answer)->task != nullptr ? (**answer)->task->id : std::string();
  }
  Result<std::string> verb(std::string_view name, const std::string& vm,
                           model::TaskArgs args = {}) {
    return ask([&](Answered done) {
      const model::Verb* found = model::find_verb("vm", name);
      manager->requests.verb(admin(), *found, vm, std::move(args), {}, std::move(done));
    });
  }
  Result<std::string> create(const std::string& name, bool start,
                             std::string_view datastore = "shared",
                             model::AutostartSpec autostart = {},
                             model::Firmware firmware = model::Firmware::kBios) {
    model::Vm vm;
    vm.spec.autostart = autostart;
    vm.spec.firmware = firmware;
    vm.meta.name = name;
    vm.spec.memory = Mib{1024};
    model::DiskSpec disk;
    disk.name = "root";
    disk.datastore = datastore;
    disk.size = Mib{2048};
    vm.spec.disks.push_back(disk);
    model::NicSpec nic;
    nic.name = "eth0";
    nic.network = "lan";
    vm.spec.nics.push_back(nic);
    return ask([&](Answered done) {
      manager->requests.create(admin(), "vm", json::encode(vm), start, {}, std::move(done));
    });
  }
  model::Task wait(const std::string& task, Duration limit = std::chrono::minutes(10)) {
    loop().advance_until(
        [&] {
          auto found = manager_ready() ? inventory().tasks().find(task) : nullptr;
          return found != nullptr && found->finished_state();
        },
        limit);
    auto found = inventory().tasks().find(task);
    return found != nullptr ? *found : model::Task{};
  }
  std::shared_ptr<const model::Vm> vm(std::string_view name) {
    return inventory().vms().resolve(name);
  }
  bool all_connected() const {
    return std::ranges::all_of(nodes,
                               [&](const auto& n) { return manager->agents.connected(n->id); });
  }

  // What must hold when all has settled, in words.
  std::vector<std::string> check_settled() {
    std::vector<std::string> wrong;
    for (const auto& [id, task] : inventory().tasks().all())
      if (!task->finished_state())
        wrong.push_back(fmt::format("task {} {} is still {}: {}", id, task->kind,
                                    name_of(task->state), task->message));
    for (const auto& [id, op] : inventory().operations().all())
      wrong.push_back(
          fmt::format("operation {} {} is left, {}", id, name_of(op->kind), name_of(op->phase)));
    std::vector<sim::Expected> expected;
    for (const auto& [id, each] : inventory().vms().all()) {
      if (each->status.state == model::VmState::kUnknown)
        wrong.push_back(each->meta.name + " is unknown");
      expected.push_back({each->uuid, each->meta.name, each->status.state == model::VmState::kOn,
                          each->defined, each->status.host_name});
    }
    for (std::string& line : history.settled(expected))
      if (!reported(line)) wrong.push_back(std::move(line));
    for (const auto& [id, alarm] : inventory().alarms().all())
      if (alarm->kind == "host.lost" && alarm->state != model::AlarmState::kCleared)
        wrong.push_back(fmt::format("{} is missed although it is there", alarm->subject_name));
    if (!fake.world.violations().empty()) wrong.push_back(fake.world.describe_violations());
    return wrong;
  }

 private:
  // What the manager cannot settle by itself it has to show: a VM held by two hosts says so in its
  // status, a definition that came back with a host after its VM was deleted is listed there as a
  // foreign guest that does not run.
  bool reported(const std::string& line) const {
    for (const auto& [id, vm] : inventory().vms().all())
      if (line.starts_with("'" + vm->meta.name + "'") &&
          vm->status.message.starts_with("two hosts hold it"))
        return true;
    for (const auto& [id, host] : inventory().hosts().all())
      for (const model::Instance& guest : host->foreign)
        if (line == fmt::format("'{}' is on {} and in no record", guest.name, host->meta.name) &&
            (guest.state == model::VmState::kOff || guest.state == model::VmState::kCrashed))
          return true;
    return false;
  }

  void add_inventory() {
    ChangeBatches changes;
    for (auto& node : nodes) {
      model::Host host;
      host.meta.id = node->id;
      host.meta.name = node->name;
      host.address = fake.world.host(node->index).settings().address;
      changes.next().put(std::move(host));
    }
    for (bool shared : {true, false}) {
      model::Datastore datastore;
      datastore.meta.id = shared ? "ds-1" : "ds-2";
      datastore.meta.name = shared ? "shared" : "local";
      datastore.path = shared ? sim::kSharedPool : sim::kLocalPool;
      datastore.shared = shared;
      changes.next().put(std::move(datastore));
    }
    model::Network network;
    network.meta.id = "net-1";
    network.meta.name = "lan";
    network.bridge = "br0";
    changes.next().put(std::move(network));
    for (Changes& set : changes.sets())
      manager->engine.commit(std::move(set), [](Result<> r) { ASSERT_TRUE(r); });
  }

  std::string uri_of(const std::string& address) {
    for (auto& node : nodes)
      if (fake.world.host(node->index).settings().address == address)
        return fake.world.host(node->index).uri();
    return address;
  }

  void dial_later(Node& node) {
    if (node.dialing) return;
    node.dialing = true;
    loop().after(std::chrono::milliseconds(200 + random_.below(1000)), [this, &node] {
      node.dialing = false;
      dial(node);
    });
  }
  void dial(Node& node) {
    if (node.agent == nullptr) return;
    if (!manager_ready() || node.unreachable) return dial_later(node);
    auto link = sim::MemoryLink::create(loop(), link_settings, sim::Random(random_.next()));
    node.link = link;
    manager->agents.attach(node.id, link->take_a());
    node.agent->core->attach(link->take_b());
  }

  sim::Random random_;

 public:
  sim::LinkSettings link_settings;
  sim::FakeCluster fake;
  sim::HistoryCheck history;
  memory::MemoryStore store;
  std::unique_ptr<ManagerLife> manager;
  std::vector<std::unique_ptr<Node>> nodes;

 private:
  std::uint64_t next_id_ = 0;
  std::shared_ptr<bool> manager_alive_ = std::make_shared<bool>(true);
};

}  // namespace chorok::manager
