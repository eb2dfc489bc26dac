// Rounds whose look is made elsewhere, and what comes while it is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <utility>

#include "control/hand_fleet.h"

namespace chorok::control {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Event = LoopEvent::Kind;
using enum Command::Kind;
using namespace std::chrono_literals;

class LoopLook : public LoopTest {};

// What a round sees is made elsewhere, and does not show what was asked for meanwhile.
TEST_F(LoopLook, WhoCallsForARoundThatIsLookedAtGetsTheNextToo) {
  ClusterLoop loop(only_ha(), {});
  EXPECT_TRUE(turn(loop).planned);
  loop.plan_soon();
  fleet.time += 10s;
  ASSERT_TRUE(loop.round_due(fleet.now()));
  loop.look_begins();
  fleet.looking = true;
  EXPECT_FALSE(turn(loop, 1s).planned);
  loop.plan_soon();
  fleet.looking = false;
  const Turn first = turn(loop, 1s);
  EXPECT_TRUE(first.planned);
  EXPECT_EQ(first.wake, fleet.time + LoopSettings{}.gap);
  EXPECT_FALSE(turn(loop, 1s).planned);
  EXPECT_TRUE(turn(loop, 4s).planned);
  // Who called before the look began has been answered by it.
  loop.plan_soon();
  fleet.time += 10s;
  loop.look_begins();
  EXPECT_TRUE(turn(loop, 1s).planned);
  EXPECT_FALSE(turn(loop, 5s).planned);
}

TEST_F(LoopLook, ARestartWaitsUntilItIsKnownWhoIsThere) {
  fleet.vm(0);
  ClusterLoop loop(only_ha(), {});
  turn(loop);
  fleet.seen[0] = {.connected = false, .bmc = BmcSays::kOff};
  fleet.others = true;
  EXPECT_THAT(ordered(turn(loop, 1s)), IsEmpty());
  EXPECT_THAT(ordered(turn(loop, 5s)), IsEmpty());
  EXPECT_THAT(ordered(turn(loop, 1s)), IsEmpty());
  EXPECT_THAT(kinds, ElementsAre(Event::kHostSilent, Event::kHostFailed, Event::kVmLost));
  fleet.others = fleet.looking = false;
  EXPECT_THAT(ordered(turn(loop, 1s)), ElementsAre(kStart));
}

TEST_F(LoopLook, ARestartGoesByWhatIsAndNotByWhatWasLookedAt) {
  fleet.vm(0);
  const Index moved = fleet.vm(1);
  std::vector<Index> shown;
  Brain brain = only_ha();
  brain.restart = [&, plan = brain.restart](const model::Snapshot& of,
                                            std::span<const Index> failed) {
    shown.push_back(of.vms[moved].host);
    return plan(of, failed);
  };
  ClusterLoop loop(std::move(brain), {});
  turn(loop);
  fleet.looked = fleet.snapshot();
  fleet.cluster.vms[moved].host = 2;
  fleet.seen[0] = {.connected = false, .bmc = BmcSays::kOff};
  turn(loop, 1s);
  EXPECT_THAT(ordered(turn(loop, 60s)), ElementsAre(kStart));
  EXPECT_THAT(shown, ElementsAre(2));
}

// It was started after the round's look had begun, where its host then failed.
TEST_F(LoopLook, ALostVmThatWasOffWhenItWasLookedAtIsNotForgotten) {
  const Index vm = fleet.vm(0);
  ClusterLoop loop(only_ha(), {});
  turn(loop);
  fleet.looked = fleet.snapshot();
  fleet.looked->vms[vm].run = model::VmRun::kOff;
  fleet.looked->vms[vm].host = kNone;
  fleet.seen[0] = {.connected = false, .bmc = BmcSays::kOff};
  turn(loop, 1s);
  const Turn failed = turn(loop, 60s);
  ASSERT_THAT(ordered(failed), ElementsAre(kStart));
  EXPECT_TRUE(failed.planned);
  fleet.cluster.vms[vm].host = failed.commands[0].host;
  turn(loop, 1s);
  EXPECT_THAT(kinds, ElementsAre(Event::kHostSilent, Event::kHostFailed, Event::kVmLost,
                                 Event::kVmRestarted));
}

TEST_F(LoopLook, ARoundThatFindsOthersWaitsUntilItIsKnownWhoIsThere) {
  ClusterLoop loop(only_ha(), {});
  turn(loop);
  fleet.others = true;
  const Turn found = turn(loop, 61s);
  EXPECT_FALSE(found.began);
  fleet.others = fleet.looking = false;
  EXPECT_TRUE(turn(loop, 1s).began);
  EXPECT_FALSE(turn(loop, 1s).began);
}

// Who comes back to HA later hears of it as of any other.
TEST_F(LoopLook, WhoseHaIsSwitchedOffIsNotOwedARestart) {
  fleet.vm(0);
  Brain brain = only_ha();
  brain.restart = [](const model::Snapshot&, std::span<const Index>) { return policy::Plan{}; };
  ClusterLoop loop(std::move(brain), {});
  turn(loop);
  fleet.seen[0] = {.connected = false, .bmc = BmcSays::kOff};
  turn(loop, 1s);
  turn(loop, 5s);
  ASSERT_EQ(std::ranges::count(kinds, Event::kVmLost), 1);
  loop.brain().settings.ha.enabled = false;
  turn(loop, 61s);
  loop.brain().settings.ha.enabled = true;
  turn(loop, 61s);
  EXPECT_EQ(std::ranges::count(kinds, Event::kVmLost), 2);
}

}  // namespace
}  // namespace chorok::control
