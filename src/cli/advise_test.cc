// chorok advise: from files to tables, JSON and HTML, without a manager.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/session.h"
#include "cli/test_support.h"

namespace chorok::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class Advise : public ::testing::Test {
 protected:
  Advise() : folder_(fs::temp_directory_path() / ("chorok-advise-" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
    std::ofstream samples(folder_ / "samples.csv");
    samples << "time_s,vm,cpu_percent,size_mhz,size_mib\n";
    for (int k = 0; k < 13; ++k)
      for (const char* vm : {"a", "b"}) samples << k * 300 << "," << vm << ",10,3000,2048\n";
    std::ofstream servers(folder_ / "servers.csv");
    servers << "name,cores,mhz,memory_mib,cpu_percent\n";
    for (int k = 0; k < 10; ++k) servers << "s" << k << ",8,2500,65536,10\n";
  }
  ~Advise() override { fs::remove_all(folder_); }
  int run_with(std::vector<std::string> args) {
    terminal_.said.clear();
    terminal_.complained.clear();
    args.insert(args.begin(), "advise");
    return run(args, terminal_);
  }

  fs::path folder_;
  testing::FakeTerminal terminal_;
};

TEST_F(Advise, ReportsInThreeWays) {
  EXPECT_EQ(run_with({"--from", folder_ / "samples.csv", "--hosts", "spec-median-2023:2",
                      "--tariff", "0.2EUR", "--report", folder_ / "advice.html"}),
            0)
      << terminal_.complained;
  EXPECT_THAT(terminal_.said, HasSubstr("saved, EUR"));
  EXPECT_THAT(terminal_.said, HasSubstr("as stated"));
  EXPECT_THAT(terminal_.said, HasSubstr("published 2025-12"));
  std::ifstream file(folder_ / "advice.html");
  std::stringstream html;
  html << file.rdbuf();
  EXPECT_THAT(html.str(), HasSubstr("<!doctype html>"));
  EXPECT_THAT(html.str(), HasSubstr("</html>"));

  EXPECT_EQ(run_with({"--from", folder_ / "samples.csv", "-o", "json"}), 0);
  Value advice = parse_json(terminal_.said).value();
  EXPECT_EQ(advice.get("vms").integer(), 2);
  EXPECT_TRUE(advice.get("hosts_found").boolean());
  EXPECT_EQ(advice.get("hosts").integer(), 1);
  EXPECT_EQ(advice.get("currency").text(), "KRW");
}

TEST_F(Advise, PlansConsolidation) {
  EXPECT_EQ(run_with({"--p2v", folder_ / "servers.csv"}), 0) << terminal_.complained;
  EXPECT_THAT(terminal_.said, HasSubstr("rack units then"));
  EXPECT_THAT(terminal_.said, HasSubstr("10 machines have no watts"));
  EXPECT_EQ(run_with({"--p2v", folder_ / "servers.csv", "-o", "json"}), 0);
  EXPECT_EQ(parse_json(terminal_.said).value().get("machines").integer(), 10);
}

TEST_F(Advise, SaysWhatIsWrong) {
  EXPECT_EQ(run_with({}), 2);
  EXPECT_THAT(terminal_.complained, HasSubstr("--p2v"));
  EXPECT_EQ(run_with({"--from", "x", "--p2v", "y"}), 2);
  EXPECT_NE(run_with({"--from", folder_ / "none.csv"}), 0);
  EXPECT_THAT(terminal_.complained, HasSubstr("none.csv"));
  EXPECT_EQ(run_with({"--p2v", folder_ / "servers.csv", "--hosts", "x"}), 3);
  EXPECT_THAT(terminal_.complained, HasSubstr("spec-median-2025"));
  EXPECT_EQ(run_with({"--p2v", folder_ / "servers.csv", "--vcpu-percent", "0"}), 2);
  EXPECT_NE(run_with({"--p2v", folder_ / "servers.csv", "--report", folder_ / "no" / "file"}), 0);
  EXPECT_THAT(terminal_.complained, HasSubstr("cannot write"));
}

}  // namespace
}  // namespace chorok::cli
