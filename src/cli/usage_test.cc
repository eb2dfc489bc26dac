#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/test_support.h"

namespace chorok::cli {
namespace {

using testing::FakeManager;
using testing::FakeTerminal;
using testing::Ran;

class Usage : public ::testing::Test {
 protected:
  Ran run(std::vector<std::string> args) {
    terminal.environment["CHOROK_URL"] = manager.url();
    terminal.environment["CHOROK_TOKEN"] = "chk_1_abc";
    return run_with(terminal, std::move(args));
  }
  FakeManager manager;
  FakeTerminal terminal;
};

TEST_F(Usage, TopShowsTheBusiestFirst) {
  Ran ran = run({"top"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.out.find("host1"), std::string::npos);
  EXPECT_NE(ran.out.find("50 %"), std::string::npos);
  EXPECT_LT(ran.out.find("busy"), ran.out.find("calm"));
  EXPECT_NE(ran.out.find("2 MiB/s"), std::string::npos) << ran.out;
  EXPECT_THAT(ran.out, ::testing::ContainsRegex("calm .* 3 MiB/s\n")) << "it was measured";
  EXPECT_THAT(ran.out, ::testing::ContainsRegex("busy .* -\n"));
  ran = run({"top", "--sort", "memory"});
  EXPECT_GT(ran.out.find("busy"), ran.out.find("calm"));
  EXPECT_NE(run({"top", "--sort", "colour"}).code, 0);
}

TEST_F(Usage, TopOnATerminalLooksAgainUntilQ) {
  terminal.is_terminal = true;
  terminal.columns = 120;
  terminal.keys = "xy";  // mean nothing
  Ran ran = run({"top"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(manager.requests().size(), 3u);
  EXPECT_NE(ran.out.find("\r\n"), std::string::npos);
}

TEST_F(Usage, TopForProgramsIsTheApisAnswer) {
  Ran ran = run({"top", "-o", "json"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(parse_json(ran.out)->get("vms/1/name").text(), "busy");
  ran = run({"top", "-o", "csv"});
  EXPECT_TRUE(ran.out.starts_with("vm,name,uuid,host")) << ran.out;
}

TEST_F(Usage, StatsOfAVm) {
  Ran ran =
      run({"vm", "stats", "web1", "--from", "2h", "--to", "2026-11-21T12:00:00Z", "--step", "1m"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(manager.requests().back(),
            "GET /api/v1/vms/web1/stats?from=-7200&to=2026-11-21T12%3A00%3A00Z&step=60");
  EXPECT_NE(ran.out.find("2026-11-21T11:00:00Z"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("1.5 GHz"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("50 %"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("25.0 MHz hours"), std::string::npos) << ran.out;
  ran = run({"host", "stats", "host1", "-o", "csv"});
  EXPECT_TRUE(ran.out.starts_with("at,measured,cpu_mhz")) << ran.out;
  EXPECT_EQ(run({"vm", "stats", "web1", "--from", "yesterday"}).code, 1);
  EXPECT_EQ(run({"vm", "stats"}).code, 2);
}

TEST_F(Usage, ADirtyRateOnDemand) {
  Ran ran = run({"vm", "dirty-rate", "web1", "--window", "5s"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(manager.requests().back(), "GET /api/v1/vms/web1/dirty-rate?window=5");
  EXPECT_EQ(ran.out, "web1 on host2 writes 23.4 MiB/s of its memory (seen for 5.0 s)\n");
  ran = run({"vm", "dirty-rate", "web1", "-o", "json"});
  EXPECT_EQ(parse_json(ran.out)->get("mib_s").number(), 23.4);
  EXPECT_EQ(run({"vm", "dirty-rate"}).code, 2);
  EXPECT_EQ(run({"vm", "dirty-rate", "web1", "--window", "long"}).code, 1);
}

}  // namespace
}  // namespace chorok::cli
