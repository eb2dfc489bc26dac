#include "manager/engine.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/memory/memory_store.h"
#include "sim/virtual_loop.h"

namespace chorok::manager {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

class LeaseStore : public ports::Store {
 public:
  explicit LeaseStore(Loop& loop) : loop_(loop), memory_(loop) {}
  bool refuses_leases = false;

  void get(std::string key, Done<Result<ports::KeyValue>> done) override {
    memory_.get(std::move(key), std::move(done));
  }
  void range(std::string prefix, std::string after, std::size_t limit,
             Done<Result<ports::Page>> done) override {
    memory_.range(std::move(prefix), std::move(after), limit, std::move(done));
  }
  void commit(ports::Txn txn, Done<Result<ports::Revision>> done) override {
    memory_.commit(std::move(txn), std::move(done));
  }
  std::unique_ptr<ports::Watch> watch(std::string prefix, ports::Revision from,
                                      std::function<void(ports::WatchEvent)> on_event) override {
    return memory_.watch(std::move(prefix), from, std::move(on_event));
  }
  void acquire_lease(std::string name, std::string owner, Duration ttl,
                     Done<Result<bool>> done) override {
    if (!refuses_leases)
      return memory_.acquire_lease(std::move(name), std::move(owner), ttl, std::move(done));
    loop_.post(
        [done = std::move(done)]() mutable { done(fail(Code::kExhausted, "the disk is full")); });
  }
  void release_lease(std::string name, std::string owner, Done<Result<>> done) override {
    memory_.release_lease(std::move(name), std::move(owner), std::move(done));
  }

 private:
  Loop& loop_;
  memory::MemoryStore memory_;
};

class EngineTest : public ::testing::Test {
 protected:
  void start(EngineSettings settings = {}) {
    if (settings.owner.empty()) settings.owner = "first";
    engine = std::make_unique<Engine>(
        loop, store, [this](std::string_view p) { return fmt::format("{}-{}", p, ++ids); },
        settings);
    bool started = false;
    engine->start([&](Result<> result) {
      ASSERT_TRUE(result) << result.error().message;
      started = true;
    });
    loop.advance_until([&] { return started; }, seconds(5));
    ASSERT_TRUE(started);
  }
  Result<> audit() {
    model::AuditEntry entry;
    entry.path = fmt::format("/{}", ++audited);
    Changes changes;
    engine->add_audit(changes, std::move(entry));
    return commit(std::move(changes));
  }
  Result<> commit(Changes changes) {
    std::optional<Result<>> answer;
    engine->commit(std::move(changes), [&](Result<> result) { answer = std::move(result); });
    loop.advance_until([&] { return answer.has_value(); }, seconds(5));
    return answer.value_or(fail(Code::kTimeout, "no answer"));
  }
  std::string oldest() const { return engine->inventory().audit().all().begin()->second->path; }

  sim::VirtualLoop loop;
  LeaseStore store{loop};
  std::unique_ptr<Engine> engine;
  int ids = 0;
  int audited = 0;
};

TEST_F(EngineTest, TheAuditIsBoundedAndTheOldestGoFirst) {
  start({.audit_max = 10});
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(audit());
    EXPECT_LE(engine->inventory().audit().size(), 11U);
  }
  EXPECT_EQ(oldest(), "/90");
}

TEST_F(EngineTest, TheAuditEndsWithItsAgeAlsoInTheStore) {
  start({.audit_age = hours(24)});
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(audit());
  loop.run_for(hours(12));
  ASSERT_TRUE(audit());
  EXPECT_EQ(engine->inventory().audit().size(), 21U);
  loop.run_for(hours(13));
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(audit());
  EXPECT_EQ(oldest(), "/21");
  engine.reset();
  loop.run_for(seconds(60));
  start();
  EXPECT_EQ(oldest(), "/21");
}

// What goes of old tasks and events is put into the commits of others, which may be large.
TEST_F(EngineTest, WhatGoesNeverMakesACommitTooLarge) {
  start({.events_max = 10, .tasks_max = 100, .audit_max = 10});
  for (int round = 0; round < 20; ++round) {
    ChangeBatches many;
    for (int i = 0; i < 200; ++i) {
      model::Task task;
      task.id = fmt::format("task-{}", ++ids);
      task.state = model::TaskState::kSucceeded;
      task.finished = loop.now();
      many.next().put(std::move(task));
      engine->add_event(many.next(), {});
    }
    for (Changes& set : many.sets()) {
      const auto stored = commit(std::move(set));
      ASSERT_TRUE(stored) << stored.error().message;
    }
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(audit());
  }
  EXPECT_LE(engine->inventory().audit().size(), 11U);
  EXPECT_LT(engine->inventory().tasks().size(), 3000U);
}

// Records of 0.0: one cluster without policy settings, hosts without a cluster, VMs without a pool.
TEST_F(EngineTest, RecordsOfBeforeThereWereSeveralClustersAreRead) {
  ports::Txn old;
  for (auto [key, value] :
       {std::pair{"cluster/cluster-1",
                  R"({"meta":{"id":"cluster-1","name":"default"},"migration":{"tls":false}})"},
        {"host/host-1", R"({"meta":{"id":"host-1","name":"sol"}})"},
        {"vm/vm-1",
         R"({"meta":{"id":"vm-1","name":"web"},"host":"host-1","spec":{"vcpus":2,"memory":512}})"}})
    old.writes.push_back({key, value, std::nullopt});
  bool stored = false;
  store.commit(std::move(old), [&](Result<ports::Revision> done) { stored = done.has_value(); });
  loop.advance_until([&] { return stored; }, seconds(5));
  start();
  const Inventory& inventory = engine->inventory();
  const auto cluster = inventory.clusters().find("cluster-1");
  ASSERT_NE(cluster, nullptr);
  EXPECT_FALSE(cluster->migration.tls);
  EXPECT_EQ(cluster->settings.balance.level, 3);
  EXPECT_EQ(cluster->settings.power.automation, model::Automation::kOff);
  EXPECT_FALSE(cluster->settings.ha.enabled);
  EXPECT_EQ(inventory.hosts().find("host-1")->cluster, "cluster-1");
  const auto vm = inventory.vms().find("vm-1");
  EXPECT_EQ(vm->pool, "");
  EXPECT_EQ(vm->restart.priority, 3);
  EXPECT_FALSE(vm->automation);
  EXPECT_EQ(inventory.cluster_of(*vm).meta.id, "cluster-1");
}

TEST_F(EngineTest, WhenAnotherLeadsNothingIsCommittedAnyMore) {
  start({.lease_ttl = seconds(30)});
  int lost = 0;
  engine->on_lost([&](const Error& why) {
    ++lost;
    EXPECT_EQ(why.code, Code::kUnavailable);
  });
  loop.run_for(hours(1));
  ASSERT_TRUE(audit());
  EXPECT_EQ(lost, 0);
  // Somebody takes the lease: as after a pause that was longer than it.
  store.release_lease("leader", "first", [](Result<>) {});
  store.acquire_lease("leader", "second", hours(1), [](Result<bool> held) { EXPECT_TRUE(*held); });
  loop.run_for(seconds(60));
  EXPECT_EQ(lost, 1);
  EXPECT_EQ(audit().error().code, Code::kUnavailable);
  EXPECT_FALSE(engine->store_problem().empty());
}

TEST_F(EngineTest, ALeaseThatRanOutAndIsHeldAgainIsCheckedByTheTerm) {
  start({.lease_ttl = seconds(30)});
  bool lost = false;
  engine->on_lost([&](const Error&) { lost = true; });
  store.refuses_leases = true;  // as a full disk does
  loop.run_for(seconds(60));
  EXPECT_FALSE(lost);
  EXPECT_FALSE(engine->store_problem().empty()) << "a renewal that fails is not ignored";
  store.refuses_leases = false;
  loop.run_for(seconds(60));
  EXPECT_FALSE(lost) << "nobody has led meanwhile";
  EXPECT_TRUE(engine->store_problem().empty());
  ASSERT_TRUE(audit());
  store.refuses_leases = true;
  loop.run_for(seconds(60));
  ports::Txn txn;
  txn.writes.push_back({"meta/term", std::to_string(engine->term() + 1), std::nullopt});
  store.commit(std::move(txn), [](Result<ports::Revision> r) { EXPECT_TRUE(r); });
  store.refuses_leases = false;
  loop.run_for(seconds(60));
  EXPECT_TRUE(lost) << "another has led, and is gone again";
  EXPECT_FALSE(audit());
}

}  // namespace
}  // namespace chorok::manager
