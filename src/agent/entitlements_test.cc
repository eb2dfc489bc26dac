// What VMs are to get, from the manager's call to the host's kernel: kept over the agent's death,
// carried out again for guests that start or come, never set back by an older word.
#include "agent/entitlements.h"

#include <gmock/gmock.h>

#include "agent/test_support.h"

namespace chorok::agent::testing {
namespace {

using ::testing::HasSubstr;

class EntitlementsTest : public AgentTest {
 protected:
  EntitlementsTest() { connect(); }

  static model::VmEnforcement enforcement(const model::VmTarget& target, std::int64_t shares) {
    return {.uuid = target.uuid, .shares = shares, .limit = Mhz(700), .memory = {}};
  }
  Result<model::EnforceAnswer> tell(std::uint64_t sequence, std::vector<model::VmEnforcement> vms,
                                    std::uint64_t term = 1) {
    const model::EnforceRequest request{.term = term, .sequence = sequence, .vms = std::move(vms)};
    return json::decode<model::EnforceAnswer>(TRY(ask("enforce", json::encode(request))));
  }
  // Shares in force; -1: none.
  std::int64_t shares(const model::VmTarget& target, sim::HostIndex host = 0) {
    const sim::FakeDomain* domain = cluster.world.host(host).find(target.uuid);
    if (domain == nullptr || domain->in_force() == nullptr) return -1;
    return domain->in_force()->shares;
  }
};

TEST_F(EntitlementsTest, ItIsSoWhenItIsAnswered) {
  const auto a = running_vm("a");
  const auto answer = tell(1, {enforcement(a, 1500)});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_TRUE(answer->problems.empty());
  EXPECT_EQ(shares(a), 1500);
}

TEST_F(EntitlementsTest, AnOlderWordIsRefusedAndTheSameTakenAgain) {
  const auto a = running_vm("a");
  ASSERT_TRUE(tell(5, {enforcement(a, 1500)}, 2));
  const auto older = tell(4, {enforcement(a, 100)}, 2);
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().code, Code::kConflict);
  EXPECT_FALSE(tell(9, {enforcement(a, 100)}, 1)) << "a leader of an older term";
  EXPECT_EQ(shares(a), 1500);
  EXPECT_TRUE(tell(5, {enforcement(a, 1500)}, 2));
  EXPECT_TRUE(tell(1, {enforcement(a, 300)}, 3)) << "a newer leader counts from one again";
  EXPECT_EQ(shares(a), 300);
}

TEST_F(EntitlementsTest, AVmThatStartsLaterGetsIt) {
  const auto a = vm("a");
  expect_ok(run(OpKind::kDefine, a));
  const auto answer = tell(1, {enforcement(a, 1500)});
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->problems.empty()) << "it does not run, which is no problem";
  EXPECT_EQ(shares(a), -1);
  expect_ok(run(OpKind::kStart, a));
  settle();
  EXPECT_EQ(shares(a), 1500);
  expect_ok(run(OpKind::kDestroy, a));
  expect_ok(run(OpKind::kStart, a));
  settle();
  EXPECT_EQ(shares(a), 1500) << "another QEMU knows nothing of the first one's";
}

TEST_F(EntitlementsTest, AnAgentThatWasKilledGoesOnWithIt) {
  const auto a = running_vm("a");
  ASSERT_TRUE(tell(7, {enforcement(a, 1500)}));
  expect_ok(run(OpKind::kDestroy, a));
  kill();
  // Somebody starts it while no agent is there.
  auto outside = cluster.world.open_hypervisor(0);
  ASSERT_TRUE(
      cluster.ask<void>([&](auto done) { outside->start(a.uuid, false, std::move(done)); }));
  outside.reset();
  EXPECT_EQ(shares(a), -1);
  boot();
  settle();
  EXPECT_EQ(shares(a), 1500) << "no manager has been there yet";
  connect();
  EXPECT_FALSE(tell(6, {enforcement(a, 100)})) << "it knows what was newer";
}

TEST_F(EntitlementsTest, WhatIsKeptAndDamagedIsWaitedFor) {
  const auto a = running_vm("a");
  ASSERT_TRUE(tell(7, {enforcement(a, 1500)}));
  kill();
  entitlements_medium.content.resize(entitlements_medium.content.size() / 2);
  boot();
  connect();
  ASSERT_TRUE(tell(3, {enforcement(a, 400)}));
  EXPECT_EQ(shares(a), 400);
}

TEST_F(EntitlementsTest, WhatCouldNotBeIsTriedAgainThoughNothingChanges) {
  const auto a = running_vm("a");
  settle();
  cluster.world.faults().script("hypervisor.enforce", "", sim::Fault::kUnknownBefore);
  const auto answer = tell(1, {enforcement(a, 1500)});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->problems.size(), 1);
  EXPECT_EQ(shares(a), -1);
  settle(seconds(6));
  EXPECT_EQ(shares(a), 1500);
}

TEST_F(EntitlementsTest, WhatADomainWasTooBusyForIsTriedAgain) {
  const auto a = running_vm("a");
  settle();
  // kFailedPrecondition, as libvirt says while a job has the domain.
  cluster.world.faults().script("hypervisor.enforce", "", sim::Fault::kErrorBefore);
  ASSERT_TRUE(tell(1, {enforcement(a, 1500)}));
  EXPECT_EQ(shares(a), -1);
  settle(seconds(6));
  EXPECT_EQ(shares(a), 1500);
}

TEST_F(EntitlementsTest, AFullDiskDoesNotHinderIt) {
  const auto a = running_vm("a");
  entitlements_medium.full = true;
  ASSERT_TRUE(tell(1, {enforcement(a, 1500)}));
  EXPECT_EQ(shares(a), 1500);
}

TEST_F(EntitlementsTest, AGuestThatArrivesGetsItAtOnce) {
  auto target = cluster.world.open_hypervisor(1);
  const auto a = running_vm("a");
  // It runs on the other host and comes back here.
  ports::MigrateRequest there{.target_uri = cluster.world.host(1).uri()};
  auto moved = cluster.ask<model::MigrationStats>(
      [&](auto done) { hypervisor->migrate(a.uuid, there, nullptr, std::move(done)); });
  ASSERT_TRUE(moved && *moved) << (*moved).error().message;
  ASSERT_TRUE(tell(1, {enforcement(a, 1500)}));
  EXPECT_EQ(shares(a), -1);
  ports::MigrateRequest back{.target_uri = cluster.world.host(0).uri()};
  moved = cluster.ask<model::MigrationStats>(
      [&](auto done) { target->migrate(a.uuid, back, nullptr, std::move(done)); });
  ASSERT_TRUE(moved && *moved) << (*moved).error().message;
  settle();
  EXPECT_EQ(shares(a), 1500);
}

TEST_F(EntitlementsTest, AGuestWithoutABalloonIsNamed) {
  const auto a = running_vm("a");
  model::VmEnforcement less = enforcement(a, 1000);
  less.memory = Mib(256);
  auto fresh = tell(1, {less});
  ASSERT_TRUE(fresh);
  ASSERT_EQ(fresh->problems.size(), 1) << "its programs have not come up yet";
  EXPECT_EQ(fresh->problems[0].uuid, a.uuid);
  EXPECT_THAT(fresh->problems[0].message, HasSubstr("no balloon driver"));
  settle(seconds(5));
  fresh = tell(2, {less});
  ASSERT_TRUE(fresh);
  EXPECT_TRUE(fresh->problems.empty());
}

TEST_F(EntitlementsTest, NonsenseIsRefused) {
  for (const char* bad : {R"({"term":1,"sequence":1,"vms":[{"uuid":"u","shares":"x"}]})",
                          R"({"term":1,"sequence":1,"vms":7})", "[]", "{"}) {
    const auto answer = ask("enforce", bad);
    ASSERT_FALSE(answer) << bad;
    EXPECT_EQ(answer.error().code, Code::kInvalid) << bad;
  }
}

}  // namespace
}  // namespace chorok::agent::testing
