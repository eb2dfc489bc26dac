#include "adapters/power/fence.h"

#include <unistd.h>

#include "adapters/power/ipmi.h"
#include "adapters/power/test_support.h"
#include "ports/power_contract.h"

namespace chorok::adapters::power {
namespace {

// Takes its options as the API of fence agents says, waits for the effect itself.
constexpr const char* kAgent = R"sh(
if [ "$1 $2" = "-o metadata" ]; then
  echo '<?xml version="1.0" ?><resource-agent name="fence_fake" shortdesc="Fake PDU"><actions>
    <action name="on" automatic="0"/><action name="off" /><action name="status" /></actions></resource-agent>'
  exit 0
fi
[ $# = 0 ] || exit 3
while IFS= read -r line; do
  echo "$line" >>"$d/given"
  case $line in action=*) action=${line#action=} ;; password=secret) known=1 ;; esac
done
if [ -e "$d/dead" ] || [ -z "$known" ]; then
  echo "Failed: Unable to connect/login to fencing device" >&2
  exit 1
fi
case $action in
  status) if grep -q on "$d/state"; then echo "Status: ON"; else echo "Status: OFF"; exit 2; fi ;;
  on | off)
    turn $action
    if [ -e "$d/breaks" ]; then
      echo "Failed: Connection lost" >&2
      exit 1
    fi
    if ! grep -q "$action" "$d/state"; then
      echo "Failed: Timed out waiting to power $action" >&2
      exit 1
    fi
    echo "Success: Powered ${action^^}" ;;
  *) exit 1 ;;
esac
)sh";

struct ScriptedFence : RealFixture, ChassisFiles {
  ScriptedFence() {
    folder.write("fence_fake", std::string("#!/bin/bash\n") + kTurn + kAgent, 0755);
    use(make_fence_switch(options()).value());
    // Fence agents meter nothing: for the contract's fixture alone.
    use(make_ipmi_meter({.address = "x", .user = "x", .ipmitool = "/nowhere"}).value());
  }
  FenceOptions options() const {
    return {.agent = "fence_fake",
            .options = {{"ip", "10.0.0.1"}, {"username", "admin"}, {"password", "secret"}},
            .folder = folder.path()};
  }
  static std::string missing() { return {}; }
};

TEST(Fence, OptionsGoToItsInput) {
  ScriptedFence host;
  auto driver = make_fence_switch(host.options()).value();
  ASSERT_TRUE(driver->status());
  EXPECT_EQ(host.folder.read("given"),
            "ip=10.0.0.1\npassword=secret\nusername=admin\naction=status\n");
  auto can = driver->capabilities();
  ASSERT_TRUE(can) << can.error().message;
  EXPECT_TRUE(can->on && can->off && can->cycle && can->status);
  EXPECT_FALSE(can->shutdown);
  EXPECT_EQ(can->device, "Fake PDU");
}

TEST(Fence, AnAgentThatFailedMayHaveDoneIt) {
  ScriptedFence host;
  host.folder.write("breaks", "");
  EXPECT_EQ(
      make_fence_switch(host.options()).value()->send(PowerDriver::Command::kOff).error().code,
      Code::kUnknown);
}

TEST(Fence, ASwitchWithoutASoftOffSaysSo) {
  ScriptedFence host;
  std::optional<Result<>> answer;
  host.power().shutdown({"op-1", 1}, [&](Result<> result) { answer = std::move(result); });
  ASSERT_TRUE(host.wait([&] { return answer.has_value(); }));
  EXPECT_EQ(answer->error().code, Code::kUnsupported);
  EXPECT_TRUE(host.has_power());
}

TEST(Fence, RefusesWhatReachesThisMachine) {
  FenceOptions good{.agent = "fence_apc", .options = {{"ip", "10.0.0.1"}, {"plug", "3"}}};
  EXPECT_TRUE(make_fence_switch(good));
  auto refused = [&](const char* key, const char* value) {
    FenceOptions bad = good;
    bad.options[key] = value;
    auto made = make_fence_switch(bad);
    return made ? Code::kInternal : made.error().code;
  };
  for (const char* key : {"password_script", "ipmitool_path", "identity_file", "ssh_options",
                          "exec", "debug", "debug_file", "snmp_priv_passwd_script"})
    EXPECT_EQ(refused(key, "/tmp/x"), Code::kPermissionDenied) << key;
  EXPECT_EQ(refused("action", "off"), Code::kInvalid);
  EXPECT_EQ(refused("plug", "1\naction=off"), Code::kInvalid);
  EXPECT_EQ(refused("pl ug", "1"), Code::kInvalid);
  for (const char* agent : {"fence_../../bin/sh", "sh", "fence_", "fence_APC", "fence_a b"}) {
    FenceOptions bad = good;
    bad.agent = agent;
    if (std::string_view(agent) == "fence_") continue;  // a name, of nothing
    EXPECT_FALSE(make_fence_switch(bad)) << agent;
  }
  FenceOptions local = good;
  local.local_options["ssh_options"] = "-o x";
  EXPECT_TRUE(make_fence_switch(local));
}

TEST(Fence, AnAgentOfDebian) {
  if (access("/usr/sbin/fence_dummy", X_OK) != 0) GTEST_SKIP() << "needs fence-agents";
  Folder folder;
  auto driver = make_fence_switch({.agent = "fence_dummy",
                                   .options = {{"type", "file"}},
                                   .local_options = {{"status_file", folder.at("state")}}})
                    .value();
  ASSERT_TRUE(driver->send(PowerDriver::Command::kOn));
  EXPECT_EQ(driver->status().value(), model::ChassisPower::kOn);
  ASSERT_TRUE(driver->send(PowerDriver::Command::kOff));
  EXPECT_EQ(driver->status().value(), model::ChassisPower::kOff);
  auto can = driver->capabilities();
  ASSERT_TRUE(can) << can.error().message;
  EXPECT_TRUE(can->on && can->off && can->status);
  EXPECT_EQ(can->driver, "fence_dummy");
}

TEST(Fence, MetadataThatIsNone) {
  for (const char* bad : {"", "<", "<html/>", "no"}) EXPECT_FALSE(parse_fence_metadata(bad)) << bad;
}

struct LabFence : RealFixture, LabHost {
  LabFence() : LabHost("host1") {
    auto known = facts();
    use(make_fence_switch({.agent = "fence_ipmilan",
                           .options = {{"ip", known[0]},
                                       {"username", known[1]},
                                       {"password", password()},
                                       {"lanplus", "1"},
                                       {"cipher", known[3]},
                                       {"power_timeout", "3"}}})
            .value(),
        test_options(std::chrono::seconds(3)));
  }
  using LabHost::missing;
};

}  // namespace
}  // namespace chorok::adapters::power

namespace chorok::ports {
using adapters::power::LabFence;
using adapters::power::ScriptedFence;
INSTANTIATE_TYPED_TEST_SUITE_P(Fence, PowerSwitchContract, ScriptedFence);
INSTANTIATE_TYPED_TEST_SUITE_P(LabFence, PowerSwitchContract, LabFence);
}  // namespace chorok::ports
