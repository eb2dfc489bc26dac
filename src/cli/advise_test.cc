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
  EXPECT_THAT(terminal_.said, HasSubstr("saved a year, EUR"));
  EXPECT_THAT(terminal_.said, HasSubstr("as stated"));
  EXPECT_THAT(terminal_.said, HasSubstr("as of 2025-12"));
  std::ifstream file(folder_ / "advice.html");
  std::stringstream html;
  html << file.rdbuf();
  EXPECT_THAT(html.str(), HasSubstr("<!doctype html>"));
  EXPECT_THAT(html.str(), HasSubstr("</html>"));

  EXPECT_EQ(run_with({"--from", folder_ / "samples.csv", "-o", "json"}), 0);
  Value advice = parse_json(terminal_.said).value();
  const Value& cluster = advice.get("clusters").items().at(0);
  EXPECT_EQ(cluster.get("vms").integer(), 2);
  EXPECT_TRUE(cluster.get("hosts_found").boolean());
  EXPECT_EQ(cluster.get("hosts").integer(), 1);
  EXPECT_EQ(advice.get("currency").text(), "KRW");
  EXPECT_FALSE(advice.get("summary").text().empty());
}

TEST_F(Advise, PlansConsolidation) {
  EXPECT_EQ(run_with({"--p2v", folder_ / "servers.csv"}), 0) << terminal_.complained;
  EXPECT_THAT(terminal_.said, HasSubstr("rack units then"));
  EXPECT_THAT(terminal_.said, HasSubstr("10 machines have no watts"));
  EXPECT_EQ(run_with({"--p2v", folder_ / "servers.csv", "-o", "json"}), 0);
  const Value report = parse_json(terminal_.said).value();
  EXPECT_EQ(report.get("plans").items().at(0).get("machines").integer(), 10);
}

TEST_F(Advise, TakesSeveralPathsWithHostsOfTheirOwn) {
  fs::copy_file(folder_ / "samples.csv", folder_ / "more.csv");
  const std::vector<std::string> two = {"--from", folder_ / "samples.csv", "--from",
                                        folder_ / "more.csv"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), two.begin(), two.end());
    return run_with(more);
  };
  EXPECT_EQ(with({"--hosts", "spec-median-2017:1+spec-median-2023:1", "--hosts",
                  "spec-median-2021:3", "-o", "json"}),
            0)
      << terminal_.complained;
  const Value report = parse_json(terminal_.said).value();
  ASSERT_EQ(report.get("clusters").items().size(), 2U);
  EXPECT_EQ(report.get("clusters").items()[0].get("hosts").integer(), 2);
  EXPECT_EQ(report.get("clusters").items()[0].get("classes").items().size(), 2U);
  EXPECT_EQ(report.get("clusters").items()[1].get("hosts").integer(), 3);
  EXPECT_EQ(with({"--hosts", "spec-median-2021:3"}), 0);
  EXPECT_THAT(terminal_.said, HasSubstr("All clusters"));
  EXPECT_EQ(with({"--hosts", "spec-median-2021:3", "--hosts", "spec-median-2021:3", "--hosts",
                  "spec-median-2021:3"}),
            2);
  EXPECT_THAT(terminal_.complained, HasSubstr("3 for 2 paths"));
}

TEST_F(Advise, PricesByTheHourNeedATime) {
  const std::vector<std::string> args = {"--from", folder_ / "samples.csv", "--tariff",
                                         "korea-industrial-tou"};
  EXPECT_EQ(run_with(args), 2);
  EXPECT_THAT(terminal_.complained, HasSubstr("--start 2026"));
  std::vector<std::string> more = args;
  more.insert(more.end(), {"--start", "2026-03-02", "--pue", "1.54", "-o", "json"});
  EXPECT_EQ(run_with(more), 0) << terminal_.complained;
  const Value report = parse_json(terminal_.said).value();
  EXPECT_NEAR(report.get("clusters").items()[0].get("tariff_per_kwh").number(), 95.7, 1e-6);
  std::ofstream(folder_ / "prices.csv") << "time,value\n2026-03-02,0.2\n2026-03-03,0.3\n";
  more[3] = (folder_ / "prices.csv").string() + ":EUR";
  EXPECT_EQ(run_with(more), 0) << terminal_.complained;
  EXPECT_EQ(parse_json(terminal_.said).value().get("currency").text(), "EUR");
  more[5] = "2026-04-02";
  EXPECT_NE(run_with(more), 0);
  EXPECT_THAT(terminal_.complained, HasSubstr("no figures for all"));
}

TEST_F(Advise, KnowsAnInventoryFromSamples) {
  std::ofstream(folder_ / "vinfo.csv") << "VM,Powerstate,CPUs,Memory,Host\na,poweredOn,1,1,h\n";
  EXPECT_EQ(run_with({"--from", folder_ / "vinfo.csv"}), 2);
  EXPECT_THAT(terminal_.complained, HasSubstr("give it with --p2v"));
}

TEST_F(Advise, WhatIsNeededStandsFirst) {
  EXPECT_EQ(run_with({"--from", folder_ / "samples.csv", "--hosts", "spec-median-2023:2"}), 0);
  const std::string& said = terminal_.said;
  EXPECT_TRUE(said.starts_with("From ")) << "of how little it is";
  EXPECT_LT(said.find("Hosts that switch off"), 60U);
  EXPECT_LT(said.find("Risk"), said.find("Next"));
  EXPECT_LT(said.find("Next"), said.find("saved a year, kWh"));
  std::istringstream lines(said);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 110U) << line;
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
