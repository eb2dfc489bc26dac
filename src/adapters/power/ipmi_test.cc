#include "adapters/power/ipmi.h"

#include "adapters/power/test_support.h"
#include "ports/power_contract.h"

namespace chorok::adapters::power {
namespace {

constexpr const char* kIpmitool = R"sh(
echo "$*" >>"$d/arguments"
read -r password </dev/stdin
if [ -e "$d/dead" ] || [ "$password" != secret ]; then
  echo "Error: Unable to establish IPMI v2 / RMCP+ session" >&2
  exit 1
fi
[ ! -e "$d/slow" ] || exec sleep 100
case $* in
  *"chassis power status") echo "Chassis Power is $(cat "$d/state")" ;;
  *"chassis power on") turn on; echo "Chassis Power Control: Up/On" ;;
  *"chassis power off") turn off; echo "Chassis Power Control: Down/Off" ;;
  *"chassis power soft")
    if [ -e "$d/refuse" ]; then
      echo "Set Chassis Power Control to Soft failed: Insufficient privilege level" >&2
      exit 1
    fi
    turn off; echo "Chassis Power Control: Soft" ;;
  *"mc info") printf 'Device ID : 32\nFirmware Revision         : 1.74\nManufacturer Name         : Supermicro\n' ;;
  *"dcmi power reading")
    printf '\n    Instantaneous power reading:                   %s Watts\n' "$(cat "$d/watts")"
    printf '    Power reading state is:                   activated\n\n' ;;
  *) exit 2 ;;
esac
)sh";

struct ScriptedIpmi : RealFixture, ChassisFiles {
  ScriptedIpmi() {
    folder.write("ipmitool", std::string("#!/bin/bash\n") + kTurn + kIpmitool, 0755);
    use(make_ipmi_switch(options()).value());
    use(make_ipmi_meter(options()).value());
  }
  IpmiOptions options() const {
    return {.address = "10.0.0.1",
            .user = "admin",
            .password = "secret",
            .cipher_suite = 17,
            .ipmitool = folder.at("ipmitool")};
  }
  static std::string missing() { return {}; }
};

TEST(Ipmi, ThePasswordIsNowhereToBeSeen) {
  ScriptedIpmi host;
  ASSERT_TRUE(make_ipmi_switch(host.options()).value()->status());
  const std::string seen = host.folder.read("arguments");
  EXPECT_TRUE(seen.contains("-C 17 chassis power status")) << seen;
  EXPECT_FALSE(seen.contains("secret")) << seen;
}

TEST(Ipmi, RefusesWhatCannotBe) {
  IpmiOptions good = {.address = "bmc-1.example", .user = "admin", .password = "secret"};
  EXPECT_TRUE(make_ipmi_switch(good));
  auto refused = [&](auto change) {
    IpmiOptions bad = good;
    change(bad);
    auto made = make_ipmi_switch(bad);
    return made ? "taken" : made.error().field;
  };
  EXPECT_EQ(refused([](auto& o) { o.address = "-H evil"; }), "/address");
  EXPECT_EQ(refused([](auto& o) { o.address = "a b"; }), "/address");
  EXPECT_EQ(refused([](auto& o) { o.address = ""; }), "/address");
  EXPECT_EQ(refused([](auto& o) { o.port = 0; }), "/port");
  EXPECT_EQ(refused([](auto& o) { o.user = "a\nb"; }), "/user");
  EXPECT_EQ(refused([](auto& o) { o.password = "123456789012345678901"; }), "/password");
  EXPECT_EQ(refused([](auto& o) { o.cipher_suite = 0; }), "/cipher_suite");
}

TEST(Ipmi, SaysWhatItKnowsOfAFailure) {
  ScriptedIpmi host;
  auto driver = make_ipmi_switch(host.options()).value();
  host.folder.write("refuse", "");
  auto soft = driver->send(PowerDriver::Command::kSoftOff);
  EXPECT_EQ(soft.error().code, Code::kPermissionDenied);
  EXPECT_TRUE(soft.error().message.contains("10.0.0.1")) << soft.error().message;

  IpmiOptions hasty = host.options();
  hasty.call_limit = std::chrono::milliseconds(100);
  host.folder.write("slow", "");
  driver = make_ipmi_switch(hasty).value();
  EXPECT_EQ(driver->send(PowerDriver::Command::kOff).error().code, Code::kUnknown);
  EXPECT_EQ(driver->status().error().code, Code::kUnavailable);
  hasty.ipmitool = "/nowhere/ipmitool";
  EXPECT_EQ(make_ipmi_switch(hasty).value()->status().error().code, Code::kUnavailable);
}

TEST(Ipmi, ASoftOffAsksOnce) {
  ScriptedIpmi host;
  auto driver = make_ipmi_switch(host.options()).value();
  EXPECT_TRUE(driver->send(PowerDriver::Command::kSoftOff));
  EXPECT_FALSE(host.has_power());
  auto can = driver->capabilities();
  ASSERT_TRUE(can);
  EXPECT_TRUE(can->shutdown);
  EXPECT_EQ(can->device, "Supermicro firmware 1.74");
}

TEST(Ipmi, ReadsDcmiAndNothingElse) {
  auto reading = parse_dcmi_reading(
      "\n    Instantaneous power reading:                   231 Watts\n"
      "    Minimum during sampling period:                118 Watts\n"
      "    IPMI timestamp:                           11/22/26 05:26:08 UTC    Sampling period:   "
      "                       00000155 Seconds.\n"
      "    Power reading state is:                   activated\n\n\n");
  ASSERT_TRUE(reading) << reading.error().message;
  EXPECT_EQ(reading->watts->value, 231);
  EXPECT_EQ(reading->source, model::WattSource::kMeasured);
  auto code = [](std::string_view text) { return parse_dcmi_reading(text).error().code; };
  EXPECT_EQ(code(""), Code::kInvalid);
  EXPECT_EQ(code("Instantaneous power reading: many Watts\nPower reading state is: activated"),
            Code::kInvalid);
  EXPECT_EQ(code("Instantaneous power reading: -5 Watts\nPower reading state is: activated"),
            Code::kInvalid);
  EXPECT_EQ(code("Instantaneous power reading: 5 Volts\nPower reading state is: activated"),
            Code::kInvalid);
  EXPECT_EQ(code("Instantaneous power reading: 0 Watts\nPower reading state is: deactivated"),
            Code::kUnavailable);
}

TEST(Ipmi, AMeterThatSaysTheImpossibleIsNotBelieved) {
  ScriptedIpmi host;
  for (const char* watts : {"4000000000", "nan", "-1"}) {
    host.folder.write("watts", watts);
    std::optional<Result<model::PowerReading>> answer;
    host.meter().read([&](Result<model::PowerReading> result) { answer = std::move(result); });
    ASSERT_TRUE(host.wait([&] { return answer.has_value(); }));
    ASSERT_FALSE(*answer) << watts;
    EXPECT_EQ(answer->error().code, Code::kInvalid);
  }
}

struct LabIpmi : RealFixture, LabHost {
  LabIpmi() : LabHost("host1") {
    auto known = facts();
    IpmiOptions options{.address = known[0],
                        .user = known[1],
                        .password = password(),
                        .cipher_suite = std::atoi(known[3].c_str()),
                        .call_limit = std::chrono::seconds(8)};
    use(make_ipmi_switch(options).value(), test_options(std::chrono::seconds(3)));
    use(make_ipmi_meter(options).value());
  }
  using LabHost::missing;
};

}  // namespace
}  // namespace chorok::adapters::power

namespace chorok::ports {
using adapters::power::LabIpmi;
using adapters::power::ScriptedIpmi;
INSTANTIATE_TYPED_TEST_SUITE_P(Ipmi, PowerSwitchContract, ScriptedIpmi);
INSTANTIATE_TYPED_TEST_SUITE_P(Ipmi, PowerMeterContract, ScriptedIpmi);
INSTANTIATE_TYPED_TEST_SUITE_P(LabIpmi, PowerSwitchContract, LabIpmi);
INSTANTIATE_TYPED_TEST_SUITE_P(LabIpmi, PowerMeterContract, LabIpmi);
}  // namespace chorok::ports
