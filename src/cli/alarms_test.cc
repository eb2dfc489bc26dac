// Alarms, webhooks, recommendations and past plans: what is asked of the manager, and what people
// see.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cli/quantity.h"
#include "cli/test_support.h"

namespace chorok::cli {
namespace {

using testing::FakeManager;
using testing::FakeTerminal;
using ::testing::HasSubstr;
using testing::Ran;

class AlarmsCli : public ::testing::Test {
 protected:
  AlarmsCli() {
    manager.put("clusters",
                Value::object({{"meta", Value::object({{"id", "cluster-1"}, {"name", "lab"}})}}));
    manager.put("vms",
                Value::object({{"meta", Value::object({{"id", "vm-1"}, {"name", "web1"}})}}));
    manager.put("alarms", Value::object({{"id", "alarm-1"},
                                         {"severity", "critical"},
                                         {"state", "active"},
                                         {"kind", "vm.crashed"},
                                         {"subject_name", "web1"},
                                         {"text", "is crashed"}}));
  }
  Ran run(std::vector<std::string> args) {
    terminal.environment["CHOROK_URL"] = manager.url();
    terminal.environment["CHOROK_TOKEN"] = "chk_1_abc";
    return run_with(terminal, std::move(args));
  }
  std::string last() { return manager.requests().back(); }
  FakeManager manager;
  FakeTerminal terminal;
};

TEST_F(AlarmsCli, WhatIsOverIsShownOnDemand) {
  Ran ran = run({"alarm", "ls"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("vm.crashed"));
  EXPECT_THAT(last(), HasSubstr("field=state%21%3Dcleared"));
  ASSERT_EQ(run({"alarm", "ls", "--all"}).code, 0);
  EXPECT_THAT(last(), ::testing::Not(HasSubstr("cleared")));
}

TEST_F(AlarmsCli, AcknowledgeAndClear) {
  ASSERT_EQ(run({"alarm", "acknowledge", "alarm-1"}).code, 0);
  EXPECT_THAT(last(), HasSubstr("POST /api/v1/alarms/alarm-1/acknowledge"));
  ASSERT_EQ(run({"alarm", "ack", "alarm-1"}).code, 0);
  EXPECT_THAT(last(), HasSubstr("POST /api/v1/alarms/alarm-1/acknowledge"));
  ASSERT_EQ(run({"alarm", "clear", "alarm-1"}).code, 0);
  EXPECT_THAT(last(), HasSubstr("POST /api/v1/alarms/alarm-1/clear"));
  EXPECT_EQ(run({"alarm", "clear"}).code, exit_code::kUsage);
}

TEST_F(AlarmsCli, AWebhooksSecretComesFromAFile) {
  const std::string file = ::testing::TempDir() + "chorok-secret-" + std::to_string(::getpid());
  std::ofstream(file) << "s3cret\n";
  const Ran ran = run({"webhook", "create", "ops", "--to", "https://ops/hook", "--min-severity",
                       "critical", "--secret-file", file});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(last(), HasSubstr(R"("url":"https://ops/hook")"));
  EXPECT_THAT(last(), HasSubstr(R"("secret":"s3cret")"));
  EXPECT_THAT(last(), HasSubstr(R"("min_severity":"critical")"));
  std::filesystem::remove(file);
}

TEST_F(AlarmsCli, RecommendationsAreDecided) {
  (void)run({"cluster", "recommendations"});
  EXPECT_THAT(last(), HasSubstr("GET /api/v1/clusters/lab/recommendations"));
  (void)run({"cluster", "apply", "rec-1-2-3", "--cluster", "lab"});
  EXPECT_THAT(last(), HasSubstr(R"(/clusters/lab/recommendations/apply {"ids":["rec-1-2-3"]})"));
  (void)run({"cluster", "ignore", "--all", "--cluster", "lab"});
  EXPECT_THAT(last(), HasSubstr(R"(/recommendations/ignore {"all":true})"));
  EXPECT_EQ(run({"cluster", "apply"}).code, exit_code::kUsage);
  EXPECT_EQ(run({"cluster", "apply", "rec-1-2-3", "--all"}).code, exit_code::kUsage);
}

TEST_F(AlarmsCli, RecommendationsAreToldInUnitsOfPeople) {
  const Ran ran = run({"cluster", "recommendations", "lab"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "round 7, 30 s ago\n\n"
            "rec-1-7-1  open  priority 3  migrate web1 from host1 to host2\n"
            "    consolidate: web1 100 MHz to host2\n"
            "    gains 63.33 Wh over 30 min (126.7 W), costs 1.00 Wh, expires in 4 min\n"
            "rec-1-7-2  open  priority 3  switch host1 off\n"
            "    consolidate: host1 draws 100 W\n"
            "    gains 63.33 Wh over 30 min (126.7 W), costs 5.56 Wh, after rec-1-7-1, expires in "
            "4 min\n"
            "rec-1-6-1  waiting  priority 1  migrate db1 from host1 to host2\n"
            "    overload: db1 3000 MHz to host2\n"
            "    waits for memory on host2\n"
            "    gains 10.00 Wh worth of CPU time over 5 min, costs 1.00 Wh, applied by kim, given "
            "up in 50 min\n");
  EXPECT_EQ(run({"cluster", "recommendations", "lab", "-q"}).out,
            "rec-1-7-1\nrec-1-7-2\nrec-1-6-1\n");
  EXPECT_THAT(run({"cluster", "recommendations", "-o", "json"}).out,
              HasSubstr(R"("gain_j": 228000)"));
}

TEST_F(AlarmsCli, RecommendationsAndPlansAreRowsOfCsv) {
  Ran ran = run({"cluster", "recommendations", "lab", "-o", "csv"});
  EXPECT_THAT(ran.out,
              HasSubstr("id,state,priority,kind,vm,from,to,why,reason,gain_j,gain_over_s"));
  EXPECT_THAT(ran.out, HasSubstr("\nrec-1-7-2,open,3,power_off,,,host1,consolidate,"));
  ran = run({"cluster", "plan", "lab", "-o", "csv"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("\nmigrate,web1,host1,host2,"));
  EXPECT_THAT(ran.out, HasSubstr("\"web1, to host2\",3600"));
  ran = run({"vm", "dirty-rate", "web1", "-o", "csv"});
  EXPECT_EQ(ran.out, "name,host_name,mib_s,window\r\nweb1,host2,23.4,5\r\n");
  const std::size_t asked = manager.requests().size();
  ran = run({"why", "vm", "web1", "-o", "csv"});
  EXPECT_EQ(ran.code, exit_code::kUsage);
  EXPECT_THAT(ran.err, HasSubstr("(--output)"));
  EXPECT_EQ(manager.requests().size(), asked);
}

TEST_F(AlarmsCli, WhatCannotBeAppliedSaysWhereToLook) {
  Ran ran = run({"cluster", "apply", "rec-9-1-1", "--cluster", "lab"});
  EXPECT_EQ(ran.code, exit_code::kFailed);
  EXPECT_EQ(ran.err,
            "error: rec-9-1-1 has expired, and no round has followed\n"
            "hint: see what is recommended now: chorok cluster recommendations lab\n");
  ran = run({"cluster", "apply", "rec-0-1-1", "--cluster", "lab"});
  EXPECT_EQ(ran.code, exit_code::kNotFound);
  EXPECT_THAT(ran.err, HasSubstr("hint: see what is recommended now"));
}

TEST_F(AlarmsCli, WhyOfThePast) {
  (void)run({"why", "vm", "web1", "--at", "2026-11-21T10:00", "--last", "5"});
  EXPECT_THAT(last(), HasSubstr("/vms/web1/why?at=2026-11-21T10%3A00%3A00Z&last=5"));
  (void)run({"why", "vm", "web1", "--at", "2h"});
  EXPECT_THAT(last(), HasSubstr("/vms/web1/why?at=-7200"));
  EXPECT_NE(run({"why", "vm", "web1", "--at", "once"}).code, 0);
}

TEST(Moment, TimesAndHowLongAgo) {
  EXPECT_EQ(moment("2026-11-21T10:00:05Z").value(), "2026-11-21T10:00:05Z");
  EXPECT_EQ(moment("2026-11-21T10:00").value(), "2026-11-21T10:00:00Z");
  EXPECT_EQ(moment("2026-11-21").value(), "2026-11-21T00:00:00Z");
  EXPECT_EQ(moment("90m").value(), "-5400");
  EXPECT_FALSE(moment(""));
  EXPECT_FALSE(moment("2026-13-01"));
}

}  // namespace
}  // namespace chorok::cli
