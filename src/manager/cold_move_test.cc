// A VM that is off moves with all that it is, also what lies beside its disks and definition.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "manager/seeds_cluster.h"

namespace chorok::manager {
namespace {

using model::OpKind;
using model::TaskState;
using model::VmState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

constexpr std::uint64_t kRemembered = 42;

class ColdMove : public ::testing::TestWithParam<const char*> {
 protected:
  ColdMove() : c(7, 3, {}) {
    c.loop().advance_until([&] { return c.all_connected(); }, 30s);
    c.loop().run_for(1s);
  }
  // Has run, and is off.
  void make(model::Firmware firmware, std::string_view datastore = "shared") {
    end(c.create("db", true, datastore, {}, firmware));
    ASSERT_TRUE(c.fake.world.set_firmware(c.vm("db")->uuid, kRemembered));
    end(c.verb("stop", "db", {.hard = true}));
    for (auto& node : c.nodes) (node->id == c.vm("db")->host ? here : target) = node.get();
  }
  model::Task end(const Result<std::string>& task) {
    EXPECT_TRUE(task) << task.error().message;
    model::Task out = c.wait(*task);
    EXPECT_EQ(out.state, TaskState::kSucceeded) << out.message;
    c.loop().run_for(2s);
    return out;
  }
  Result<std::string> move() {
    model::TaskArgs args;
    args.host = target->id;
    args.cold = true;
    return c.verb("migrate", "db", args);
  }
  static std::vector<OpKind> kinds(const model::Task& task) {
    std::vector<OpKind> out;
    for (const model::TaskStep& step : task.steps) out.push_back(step.kind);
    return out;
  }
  // It is off, on that host alone, and remembers.
  void is_at(const Node* host) {
    EXPECT_EQ(c.vm("db")->host, host->id);
    EXPECT_EQ(c.vm("db")->power, model::VmPower::kOff);
    EXPECT_EQ(c.vm("db")->status.state, VmState::kOff);
    for (auto& node : c.nodes) {
      const auto& domains = c.fake.world.host(node->index).domains();
      const auto found = domains.find(c.vm("db")->uuid);
      ASSERT_EQ(found != domains.end(), node.get() == host) << node->name;
      if (found != domains.end()) EXPECT_EQ(found->second.firmware, kRemembered);
    }
    EXPECT_THAT(c.check_settled(), IsEmpty());
  }

  SeedsCluster c;
  Node* here = nullptr;
  Node* target = nullptr;  // another one
};

INSTANTIATE_TEST_SUITE_P(Disks, ColdMove, ::testing::Values("shared", "local"));

TEST_P(ColdMove, TakesWhatItsFirmwareRemembers) {
  make(model::Firmware::kUefi, GetParam());
  end(move());
  is_at(target);
  end(c.verb("start", "db"));
  EXPECT_EQ(c.vm("db")->status.state, VmState::kOn);
}

// Agents are killed earlier and earlier in the next move: it is made or not, and nothing is lost.
TEST_P(ColdMove, IsWholeThoughAgentsDie) {
  make(model::Firmware::kUefi, GetParam());
  int made = 0, undone = 0;
  for (auto after = 6000ms; after > 0ms; after -= 200ms) {
    const auto asked = move();
    ASSERT_TRUE(asked) << asked.error().message;
    c.loop().run_for(after);
    for (auto& node : c.nodes) {
      c.kill_agent(*node);
      c.start_agent(*node);
    }
    const bool is_made = c.wait(*asked).state == TaskState::kSucceeded;
    c.loop().run_for(2min);
    ++(is_made ? made : undone);
    if (is_made) std::swap(here, target);
    is_at(here);
  }
  EXPECT_GT(made, 0);
  EXPECT_GT(undone, 0);
}

TEST_P(ColdMove, IsWholeThoughItIsCancelled) {
  make(model::Firmware::kUefi, GetParam());
  int made = 0, undone = 0;
  for (auto after = 6000ms; after > 0ms; after -= 50ms) {
    const auto asked = move();
    ASSERT_TRUE(asked) << asked.error().message;
    c.loop().run_for(after);
    (void)c.ask([&](Answered done) {
      c.manager->requests.cancel_task(SeedsCluster::admin(), *asked, {}, std::move(done));
    });
    ++(c.wait(*asked).state == TaskState::kSucceeded ? made : undone);
    c.loop().run_for(5s);
    if (c.vm("db")->host != here->id) std::swap(here, target);
    is_at(here);
  }
  EXPECT_GT(made, 0);
  EXPECT_GT(undone, 0);
}

TEST_F(ColdMove, IsADefinitionWhereNothingElseIsKept) {
  make(model::Firmware::kBios);
  EXPECT_THAT(kinds(end(move())), ElementsAre(OpKind::kDefine, OpKind::kUndefine));
  EXPECT_EQ(c.vm("db")->host, target->id);
}

TEST_F(ColdMove, AStartElsewhereWouldLoseIt) {
  make(model::Firmware::kUefi);
  model::TaskArgs there;
  there.host = target->id;
  const auto refused = c.verb("start", "db", there);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().field, "/host");
  EXPECT_THAT(refused.error().message, HasSubstr("what its firmware remembers is on 'host"));
  EXPECT_THAT(refused.error().message, HasSubstr("migrate it first"));
  end(move());
  end(c.verb("start", "db", there));
  EXPECT_EQ(c.vm("db")->host, target->id);
}

// What a host kept that will never tell again holds nobody.
TEST_F(ColdMove, AStartElsewhereIsAllThereIsWhereItsHostHasFailed) {
  make(model::Firmware::kUefi);
  c.power_off(*here);
  ASSERT_TRUE(c.loop().advance_until(
      [&] { return c.inventory().hosts().find(here->id)->link == model::HostLink::kLost; }, 1min));
  model::TaskArgs there;
  there.host = target->id;
  const auto refused = c.verb("start", "db", there);
  ASSERT_FALSE(refused) << "it may come back";
  Changes failed;
  model::Host host = *c.inventory().hosts().find(here->id);
  host.watch.phase = model::HostPhase::kFailed;
  host.watch.since = c.loop().now();
  failed.put(std::move(host));
  c.manager->engine.commit(std::move(failed), [](Result<> r) { ASSERT_TRUE(r); });
  c.loop().run_for(1s);
  end(c.verb("start", "db", there));
  EXPECT_EQ(c.vm("db")->status.state, VmState::kOn);
  EXPECT_EQ(c.vm("db")->host, target->id);
}

TEST_F(ColdMove, AStartElsewhereIsAllThereIsWhereItsHostIsRemoved) {
  make(model::Firmware::kUefi);
  c.power_off(*here);
  c.loop().run_for(30s);
  model::TaskArgs args;
  args.force = true;
  const auto removed = c.ask([&](Answered done) {
    c.manager->requests.remove(SeedsCluster::admin(), "host", here->id, args, {}, std::move(done));
  });
  ASSERT_TRUE(removed) << removed.error().message;
  c.loop().run_for(2s);
  model::TaskArgs there;
  there.host = target->id;
  end(c.verb("start", "db", there));
  EXPECT_EQ(c.vm("db")->status.state, VmState::kOn);
}

}  // namespace
}  // namespace chorok::manager
