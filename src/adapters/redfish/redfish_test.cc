#include "adapters/redfish/redfish.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "adapters/power/test_support.h"
#include "adapters/redfish/https.h"
#include "ports/power_contract.h"

namespace chorok::adapters::redfish {
namespace {

using power::ChassisFiles;
using power::Folder;
using power::LabHost;
using power::RealFixture;
using Command = power::PowerDriver::Command;

constexpr const char* kPython = "/usr/bin/python3";

// The lab's Redfish service over a chassis made of files.
constexpr const char* kChassis = R"sh(
case "$1 $2 $3" in
  "get power ") echo "power:$(grep -c on "$d/state")" ;;
  "set power 1") turn on ;;
  "set power 0" | "set shutdown 1") turn off; echo "$2" >>"$d/how" ;;
  "set reset 1") turn off; turn on ;;
esac
)sh";

struct Certificate {
  Folder folder;
  std::string fingerprint;
  Certificate() {
    const std::string make =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "
        "/CN=bmc -addext subjectAltName=IP:127.0.0.1 -keyout " +
        folder.at("key") + " -out " + folder.at("crt") + " 2>/dev/null && cat " + folder.at("crt") +
        " " + folder.at("key") + " >" + folder.at("pem") + " && openssl x509 -in " +
        folder.at("crt") + " -noout -fingerprint -sha256 >" + folder.at("print");
    if (std::system(make.c_str()) != 0) return;
    std::string line = folder.read("print");
    fingerprint = std::string(power::trimmed(line.substr(line.find('=') + 1)));
  }
};
const Certificate& certificate() {
  static const Certificate kCertificate;
  return kCertificate;
}

struct Service : RealFixture, ChassisFiles {
  pid_t server = 0;
  int port = 0;

  Service() {
    folder.write("chassis", std::string("#!/bin/bash\n") + kTurn + kChassis, 0755);
    folder.write("password", "secret\n");
    folder.write("quirks", "");
    load(0);
    start();
    use(make_redfish_switch(options()).value());
    use(make_redfish_meter(options()).value());
  }
  ~Service() {
    power_switch.reset();
    power_meter.reset();
    unplug();
  }

  static std::string missing() {
    return access(kPython, X_OK) == 0 ? "" : "needs python3, for the lab's Redfish service";
  }
  void start() {
    std::vector<std::string> words = {kPython,
                                      CHOROK_SOURCE "/lab/tools/redfish.py",
                                      "--host",
                                      "host1",
                                      "--address",
                                      "127.0.0.1",
                                      "--port",
                                      "0",
                                      "--cert",
                                      certificate().folder.at("pem"),
                                      "--watts",
                                      folder.at("meter"),
                                      "--quirks",
                                      folder.at("quirks"),
                                      "--port-file",
                                      folder.at("port"),
                                      "--password-file",
                                      folder.at("password"),
                                      "--",
                                      folder.at("chassis")};
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 1, folder.at("log").c_str(), O_WRONLY | O_CREAT, 0644);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    if (posix_spawn(&server, kPython, &files, nullptr, argv.data(), environ) != 0) server = 0;
    posix_spawn_file_actions_destroy(&files);
    // A file tells nobody that it was written.
    for (int i = 0; i < 500 && folder.read("port").empty(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    port = std::atoi(folder.read("port").c_str());
  }
  void unplug() {
    if (server == 0) return;
    kill(server, SIGKILL);
    waitpid(server, nullptr, 0);
    server = 0;
  }
  void load(double busy) {
    const std::string watts = std::to_string(120 + 230 * busy);
    folder.write("meter", watts + " 0 " + watts + " 0 1\n");
  }
  void quirk(const std::string& words) { folder.write("quirks", words + "\n"); }
  RedfishOptions options() const {
    return {.address = "127.0.0.1",
            .port = port,
            .user = "admin",
            .password = "secret",
            .fingerprint = certificate().fingerprint};
  }
  std::unique_ptr<power::PowerDriver> driver() const {
    return make_redfish_switch(options()).value();
  }
  std::unique_ptr<power::MeterDriver> meter_driver() const {
    return make_redfish_meter(options()).value();
  }
};

class Redfish : public testing::Test {
 protected:
  void SetUp() override {
    if (!Service::missing().empty()) GTEST_SKIP() << Service::missing();
  }
};

TEST_F(Redfish, SendsNothingToAStranger) {
  Service host;
  RedfishOptions wrong = host.options();
  wrong.fingerprint[0] = wrong.fingerprint[0] == '0' ? '1' : '0';
  auto status = make_redfish_switch(wrong).value()->status();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kUnavailable);
  EXPECT_TRUE(status.error().message.contains("certificate")) << status.error().message;
  wrong.fingerprint.clear();  // the system's CAs do not know it
  EXPECT_EQ(make_redfish_switch(wrong).value()->status().error().code, Code::kUnavailable);
  EXPECT_FALSE(host.folder.read("log").contains("GET")) << host.folder.read("log");
  wrong.ca_file = certificate().folder.at("crt");
  EXPECT_TRUE(make_redfish_switch(wrong).value()->status());
}

TEST_F(Redfish, AWrongPasswordIsNamed) {
  Service host;
  RedfishOptions wrong = host.options();
  wrong.password = "other";
  EXPECT_EQ(make_redfish_switch(wrong).value()->status().error().code, Code::kPermissionDenied);
}

TEST_F(Redfish, TakesASessionWhereThePasswordAloneIsRefused) {
  Service host;
  host.quirk("no_basic");
  auto driver = host.driver();
  EXPECT_EQ(driver->status().value(), model::ChassisPower::kOn);
  EXPECT_TRUE(driver->send(Command::kOff));
  EXPECT_FALSE(host.has_power());
}

TEST_F(Redfish, ChoosesTheResetThatIsThere) {
  Service host;
  host.quirk("resets=On,PushPowerButton");
  auto driver = host.driver();
  auto can = driver->capabilities();
  ASSERT_TRUE(can) << can.error().message;
  EXPECT_TRUE(can->on && can->shutdown);
  EXPECT_FALSE(can->off || can->cycle);
  EXPECT_EQ(driver->send(Command::kOff).error().code, Code::kUnsupported);
  EXPECT_TRUE(host.has_power());
  EXPECT_TRUE(driver->send(Command::kSoftOff));
  EXPECT_EQ(host.folder.read("how"), "shutdown\n");
  EXPECT_TRUE(driver->send(Command::kOn));
  EXPECT_TRUE(host.has_power());
}

TEST_F(Redfish, TheChainOfResets) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(resets_for(Command::kOn, {}), (Names{"On", "ForceOn", "PushPowerButton"}));
  EXPECT_EQ(resets_for(Command::kOn, {"ForceOn", "Nmi"}), Names{"ForceOn"});
  EXPECT_EQ(resets_for(Command::kSoftOff, {"PushPowerButton", "GracefulShutdown"}),
            (Names{"GracefulShutdown", "PushPowerButton"}));
  EXPECT_EQ(resets_for(Command::kOff, {"GracefulRestart", "ForceRestart"}), Names{});
}

TEST_F(Redfish, ReadsTheOldAndTheNewPowerResource) {
  Service host;
  auto meter = host.meter_driver();
  for (const char* quirk : {"", "no_environment", "no_power"}) {
    host.quirk(quirk);
    auto reading = meter->read();
    ASSERT_TRUE(reading) << quirk << reading.error().message;
    EXPECT_EQ(reading->watts->value, 120) << quirk;
    EXPECT_EQ(reading->method, model::MeterMethod::kRedfish);
  }
  host.quirk("no_environment\nno_power");
  EXPECT_EQ(meter->read().error().code, Code::kUnsupported);
}

TEST_F(Redfish, ASlowServiceIsNotWaitedForLong) {
  Service host;
  host.quirk("slow=5");
  RedfishOptions hasty = host.options();
  hasty.call_limit = std::chrono::milliseconds(300);
  auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(make_redfish_switch(hasty).value()->status().error().code, Code::kUnavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(3));
}

TEST_F(Redfish, GarbageIsRefused) {
  Service host;
  host.quirk("garbage");
  EXPECT_EQ(host.driver()->status().error().code, Code::kInvalid);
  host.quirk("huge");
  EXPECT_FALSE(host.driver()->status());
}

TEST_F(Redfish, RefusesWhatCannotBe) {
  RedfishOptions good{.address = "10.0.0.1", .user = "admin", .password = "x"};
  EXPECT_TRUE(make_redfish_switch(good));
  auto refused = [&](auto change) {
    RedfishOptions bad = good;
    change(bad);
    auto made = make_redfish_switch(bad);
    return made ? "taken" : made.error().field;
  };
  EXPECT_EQ(refused([](auto& o) { o.address = "x/y"; }), "/address");
  EXPECT_EQ(refused([](auto& o) { o.address = "user@host"; }), "/address");
  EXPECT_EQ(refused([](auto& o) { o.port = 70000; }), "/port");
  EXPECT_EQ(refused([](auto& o) { o.user = "a:b"; }), "/user");
  EXPECT_EQ(refused([](auto& o) { o.fingerprint = "abc"; }), "/fingerprint");
  EXPECT_EQ(refused([](auto& o) { o.system = "//elsewhere"; }), "/system");
  EXPECT_EQ(refused([](auto& o) { o.system = "/a\r\nX: y"; }), "/system");
}

struct LabRedfish : RealFixture, LabHost {
  LabRedfish() : LabHost("host2") {
    auto known = facts();
    RedfishOptions options{.address = known[0],
                           .user = known[1],
                           .password = password(),
                           .fingerprint = known[4],
                           .call_limit = std::chrono::seconds(8)};
    use(make_redfish_switch(options).value(), power::test_options(std::chrono::seconds(3)));
    use(make_redfish_meter(options).value());
  }
  using LabHost::missing;
};

}  // namespace
}  // namespace chorok::adapters::redfish

namespace chorok::ports {
using adapters::redfish::LabRedfish;
using adapters::redfish::Service;
INSTANTIATE_TYPED_TEST_SUITE_P(Redfish, PowerSwitchContract, Service);
INSTANTIATE_TYPED_TEST_SUITE_P(Redfish, PowerMeterContract, Service);
INSTANTIATE_TYPED_TEST_SUITE_P(LabRedfish, PowerSwitchContract, LabRedfish);
INSTANTIATE_TYPED_TEST_SUITE_P(LabRedfish, PowerMeterContract, LabRedfish);
}  // namespace chorok::ports
