#include "adapters/power/own_standby.h"

#include <unistd.h>

#include "adapters/power/test_support.h"

namespace chorok::adapters::power {
namespace {

using std::chrono::hours;

// A machine made of files: what it was told stands in them.
struct Machine {
  Folder root;
  ports::RealLoop loop;
  work::WorkerPool pool{1};

  OwnStandbyOptions options() const {
    return {.hooks = {.folder = root.at("hooks.d"), .owner = getuid()},
            .suspend = {.state = root.at("state"), .rtc = root.at("rtc0")},
            .power_off = {root.at("systemctl"), "poweroff"}};
  }
  Result<> go(model::Standby how) {
    OwnStandby standby(loop, pool, options());
    std::optional<Result<>> answer;
    standby.go(how, hours(3), [&](Result<> result) { answer = std::move(result); });
    EXPECT_TRUE(loop.run_until([&] { return answer.has_value(); }, std::chrono::seconds(30)));
    return answer ? *answer : Result<>(fail(Code::kTimeout, "no answer"));
  }
  Result<> can(model::Standby how) { return OwnStandby(loop, pool, options()).can(how); }
};

TEST(OwnStandby, AsksItsSystemToShutDown) {
  Machine machine;
  machine.root.write("systemctl", "#!/bin/sh\necho \"$1\" >\"${0%/*}/told\"\n", 0755);
  EXPECT_TRUE(machine.can(model::Standby::kOff));
  EXPECT_TRUE(machine.go(model::Standby::kOff));
  EXPECT_EQ(machine.root.read("told"), "poweroff\n");
}

TEST(OwnStandby, AHookOfTheAdministratorComesFirst) {
  Machine machine;
  machine.root.write("systemctl", "#!/bin/sh\necho \"$1\" >\"${0%/*}/told\"\n", 0755);
  machine.root.write("hooks.d/poweroff", "#!/bin/sh\necho hook >\"${0%/*}/../hooked\"\n", 0755);
  EXPECT_TRUE(machine.go(model::Standby::kOff));
  EXPECT_EQ(machine.root.read("hooked"), "hook\n");
  EXPECT_EQ(machine.root.read("told"), "");
  chmod(machine.root.at("hooks.d/poweroff").c_str(), 0777);
  auto refused = machine.go(model::Standby::kOff);
  ASSERT_FALSE(refused) << "anybody may write it";
  EXPECT_EQ(refused.error().code, Code::kPermissionDenied);
}

TEST(OwnStandby, SaysWhyItStaysOn) {
  Machine machine;
  machine.root.write("systemctl", "#!/bin/sh\necho Access denied >&2\nexit 1\n", 0755);
  auto refused = machine.go(model::Standby::kOff);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().message.contains("Access denied")) << refused.error().message;
}

TEST(OwnStandby, ASliceOfAMachineLeavesTheMachineAlone) {
  Machine machine;
  OwnStandbyOptions slice = machine.options();
  slice.suspend.state.clear();
  slice.power_off.clear();
  OwnStandby standby(machine.loop, machine.pool, slice);
  EXPECT_EQ(standby.can(model::Standby::kSuspend).error().code, Code::kUnsupported);
  EXPECT_EQ(standby.can(model::Standby::kOff).error().code, Code::kUnsupported);
  machine.root.write("hooks.d/poweroff", "#!/bin/sh\n", 0755);
  EXPECT_TRUE(standby.can(model::Standby::kOff));
}

TEST(OwnStandby, SuspendsWithATimer) {
  Machine machine;
  EXPECT_EQ(machine.can(model::Standby::kSuspend).error().code, Code::kUnsupported);
  machine.root.write("state", "freeze mem disk\n");
  machine.root.write("rtc0/wakealarm", "\n");
  EXPECT_TRUE(machine.can(model::Standby::kSuspend));
  EXPECT_TRUE(machine.go(model::Standby::kSuspend));
  EXPECT_TRUE(machine.root.read("rtc0/wakealarm").starts_with("+10800"));
  EXPECT_TRUE(machine.root.read("state").starts_with("mem"));
}

}  // namespace
}  // namespace chorok::adapters::power
