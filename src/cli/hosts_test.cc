// Hosts as people see and switch them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "cli/test_support.h"

namespace chorok::cli {
namespace {

using testing::FakeManager;
using testing::FakeTerminal;
using ::testing::HasSubstr;
using testing::Ran;

class HostsCli : public ::testing::Test {
 protected:
  HostsCli() {
    host("rack1", "connected", "on");
    host("rack2", "asleep", "off");
    host("rack3", "lost", "unknown");
  }
  void host(const std::string& name, const std::string& link, const std::string& power) {
    Value record = Value::object();
    record.make("meta/id") = "host-" + name;
    record.make("meta/name") = name;
    record.member("link") = link;
    record.member("power") = power;
    record.member("dpm") = "excluded";
    record.member("dpm_reason") = "a dongle";
    record.make("watch/off_by") = "dpm";
    manager.put("hosts", std::move(record));
  }
  Ran run(std::vector<std::string> args) {
    terminal.environment["CHOROK_URL"] = manager.url();
    terminal.environment["CHOROK_TOKEN"] = "chk_1_abc";
    return run_with(terminal, std::move(args));
  }
  FakeManager manager;
  FakeTerminal terminal;
};

TEST_F(HostsCli, WhoSleepsIsNotLost) {
  const Ran status = run({"status"});
  ASSERT_EQ(status.code, 0) << status.err;
  EXPECT_THAT(status.out, HasSubstr("1 asleep, 1 connected, 1 lost"));
  EXPECT_THAT(run({"host", "ls"}).out, HasSubstr("asleep"));
  const std::string wide = run({"host", "ls", "-o", "wide"}).out;
  EXPECT_THAT(wide, HasSubstr("a dongle"));
  EXPECT_THAT(wide, HasSubstr("dpm"));
}

TEST_F(HostsCli, StatusTellsOfAlarms) {
  EXPECT_THAT(run({"status"}).out, HasSubstr("alarms      none"));
  const auto alarm = [&](std::string id, std::string_view severity, std::string_view state) {
    Value record = Value::object();
    record.member("id") = id;
    record.member("kind") = "host.lost";
    record.member("severity") = severity;
    record.member("state") = state;
    record.member("subject_name") = "rack1";
    record.member("text") = "what " + id + " says";
    manager.put("alarms", std::move(record));
  };
  alarm("alarm-1", "warning", "active");
  alarm("alarm-2", "critical", "active");
  alarm("alarm-3", "critical", "cleared");
  const std::string out = run({"status"}).out;
  EXPECT_THAT(out, HasSubstr("alarms      1 critical, 1 warning"));
  EXPECT_LT(out.find("what alarm-2 says"), out.find("what alarm-1 says"));
  EXPECT_EQ(out.find("what alarm-3 says"), std::string::npos);
}

TEST_F(HostsCli, AreSwitchedByHand) {
  ASSERT_EQ(run({"host", "power-off", "rack1"}).code, 0);
  const auto asked = [&](std::string_view line) {
    const auto all = manager.requests();
    return std::ranges::any_of(all, [&](const std::string& r) { return r.starts_with(line); });
  };
  EXPECT_TRUE(asked("POST /api/v1/hosts/rack1/power-off"));
  ASSERT_EQ(run({"host", "power-on", "rack2", "rack3", "--no-wait"}).code, 0);
  EXPECT_TRUE(asked("POST /api/v1/hosts/rack2/power-on"));
  EXPECT_TRUE(asked("POST /api/v1/hosts/rack3/power-on"));
  EXPECT_THAT(run({"host", "--help"}).out, HasSubstr("power-off"));
}

}  // namespace
}  // namespace chorok::cli
