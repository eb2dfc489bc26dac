// chorok sim: from the command line to a report, without a manager.
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
using ::testing::StartsWith;

class Sim : public ::testing::Test {
 protected:
  Sim() : folder_(fs::temp_directory_path() / ("chorok-sim-" + std::to_string(getpid()))) {
    fs::create_directories(folder_ / "day");
    for (int vm = 0; vm < 4; ++vm) {
      std::ofstream file(folder_ / "day" / ("vm" + std::to_string(vm)));
      for (int k = 0; k < 288; ++k) file << (vm * 7 + k) % 40 + 1 << "\n";
    }
  }
  ~Sim() override { fs::remove_all(folder_); }
  int run_with(std::vector<std::string> args) {
    args.insert(args.begin(), {"sim", "run"});
    return run(args, terminal_);
  }

  fs::path folder_;
  testing::FakeTerminal terminal_;
};

TEST_F(Sim, ReportsAsJson) {
  EXPECT_EQ(run_with({"planetlab-compat", "--traces", folder_ / "day", "--policy", "lr-mmt-1.2",
                      "-o", "json", "--ticks", folder_ / "ticks.csv"}),
            0)
      << terminal_.complained;
  Value report = parse_json(terminal_.said).value();
  EXPECT_EQ(report.get("policy").text(), "lr-mmt-1.2");
  EXPECT_EQ(report.get("vms").integer(), 4);
  EXPECT_GT(report.get("energy_kwh").number(), 0);
  EXPECT_GE(report.get("energy_kwh").number(), report.get("lb0_kwh").number());
  EXPECT_TRUE(report.get("peak_rss_mib").is_number());
  std::ifstream ticks(folder_ / "ticks.csv");
  std::string line;
  std::getline(ticks, line);
  EXPECT_THAT(line, StartsWith("time_s,active_hosts"));
  std::getline(ticks, line);
  EXPECT_THAT(line, StartsWith("300.100,"));
}

TEST_F(Sim, ShowsABarOnATerminalAlone) {
  const std::vector<std::string> args = {"planetlab-compat", "--traces", folder_ / "day",
                                         "--policy", "dvfs"};
  EXPECT_EQ(run_with(args), 0);
  EXPECT_EQ(terminal_.complained, "");
  EXPECT_EQ(terminal_.interrupt_note, "stopped; nothing was written\n");
  terminal_.is_terminal = true;
  EXPECT_EQ(run_with(args), 0);
  EXPECT_THAT(terminal_.complained, HasSubstr("50 % of planetlab-compat"));
  EXPECT_TRUE(terminal_.complained.ends_with("\r\x1b[K"));
}

TEST_F(Sim, WritesFilesWholeOrNotAtAll) {
  std::ofstream(folder_ / "page.html") << "old";
  // The run fails: what was there stays, and nothing lies beside it.
  EXPECT_NE(run_with({"planetlab-compat", "--traces", folder_ / "day", "--policy", "none",
                      "--report", folder_ / "page.html", "--ticks", folder_ / "ticks.csv"}),
            0);
  std::stringstream page;
  page << std::ifstream(folder_ / "page.html").rdbuf();
  EXPECT_EQ(page.str(), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 2);  // and the traces
  // Where nothing can be written, that is said before the work.
  EXPECT_NE(run_with({"planetlab-compat", "--traces", folder_ / "day", "--report",
                      folder_ / "none" / "page.html"}),
            0);
  EXPECT_THAT(terminal_.complained, HasSubstr("cannot write"));
  EXPECT_NE(run_with({"planetlab-compat", "--traces", folder_ / "day", "--ticks", folder_}), 0);
  EXPECT_THAT(terminal_.complained, HasSubstr("directory"));
  EXPECT_EQ(run_with({"planetlab-compat", "--traces", folder_ / "day", "--ticks", "/dev/null"}), 0);
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST_F(Sim, PricesARun) {
  EXPECT_EQ(run_with({"planetlab-honest", "--traces", folder_ / "day", "--set",
                      "price.use=korea-industrial", "--set", "pue=1.5"}),
            0)
      << terminal_.complained;
  EXPECT_THAT(terminal_.said, HasSubstr("cost"));
  EXPECT_THAT(terminal_.said, HasSubstr("facility_kwh"));
  EXPECT_THAT(terminal_.said, ::testing::Not(HasSubstr("co2_kg")));
  terminal_.said.clear();
  EXPECT_EQ(run_with({"planetlab-honest", "--traces", folder_ / "day"}), 0);
  EXPECT_THAT(terminal_.said, HasSubstr("1 (not applied)"));
  EXPECT_THAT(terminal_.said, ::testing::Not(HasSubstr("cost")));
}

TEST_F(Sim, SweepsShowMoneyWhereThereIsAPrice) {
  std::vector<std::string> args = {"sim",           "sweep",    "planetlab-honest", "--traces",
                                   folder_ / "day", "--policy", "dvfs,always-on"};
  EXPECT_EQ(run(args, terminal_), 0) << terminal_.complained;
  EXPECT_THAT(terminal_.said, ::testing::Not(HasSubstr("CO2")));
  args.insert(args.end(),
              {"--set", "carbon.use=korea-grid", "--set", "price.use=korea-industrial"});
  terminal_.said.clear();
  EXPECT_EQ(run(args, terminal_), 0) << terminal_.complained;
  EXPECT_THAT(terminal_.said, HasSubstr("KRW"));
  EXPECT_THAT(terminal_.said, HasSubstr("KG CO2"));
}

TEST_F(Sim, ReportsForPeople) {
  EXPECT_EQ(run_with({"planetlab-compat", "--traces", folder_ / "day", "--policy", "dvfs"}), 0);
  EXPECT_THAT(terminal_.said, HasSubstr("energy_kwh"));
}

TEST_F(Sim, SaysWhatIsWrong) {
  EXPECT_EQ(run_with({"planetlab-compat", "--policy", "dvfs"}), 2);
  EXPECT_THAT(terminal_.complained, HasSubstr("--traces"));
  EXPECT_EQ(run_with({"planetlab-compat", "--traces", folder_ / "day", "--policy", "foo"}), 1);
  EXPECT_THAT(terminal_.complained, HasSubstr("lr-mmt-1.2"));
  EXPECT_EQ(run_with({"nothing", "--traces", folder_ / "day"}), 3);
  EXPECT_THAT(terminal_.complained, HasSubstr("planetlab-compat"));
  EXPECT_NE(run_with({"planetlab-compat", "--traces", folder_ / "day", "--policy", "dvfs",
                      "--ticks", folder_ / "no" / "file"}),
            0);
}

TEST_F(Sim, RunsFilesAndWhatIsSet) {
  EXPECT_EQ(run({"sim", "show", "planetlab-honest"}, terminal_), 0);
  EXPECT_THAT(terminal_.said, HasSubstr("# The same day"));
  std::ofstream(folder_ / "mine.toml") << terminal_.said;
  terminal_.said.clear();
  const std::string mine = folder_ / "mine.toml";
  EXPECT_EQ(run_with({mine, "--traces", folder_ / "day", "--set", "hosts.0.count=4", "--set",
                      "hosts.1.count=4", "--set", "policy=always-on", "-o", "json"}),
            0)
      << terminal_.complained;
  const Value report = parse_json(terminal_.said).value();
  EXPECT_EQ(report.get("host_hours").number(), 8 * 287.0 / 12);
  EXPECT_EQ(run_with({mine, "--traces", folder_ / "day", "--set", "power.deviaton=4"}), 1);
  EXPECT_THAT(terminal_.complained, HasSubstr("deviations"));
  EXPECT_EQ(run_with({mine, "--traces", folder_ / "day", "--set", "power"}), 2);
  std::ofstream(folder_ / "mine.toml") << "[[hosts]]\ncurv = 1\n";
  EXPECT_EQ(run_with({mine}), 1);
  EXPECT_THAT(terminal_.complained, HasSubstr("/hosts/0"));
  EXPECT_EQ(run({"sim", "show", "nothing"}, terminal_), 3);
}

TEST_F(Sim, WritesAPage) {
  const fs::path page = folder_ / "page.html";
  EXPECT_EQ(run_with({"planetlab-honest", "--traces", folder_ / "day", "--report", page}), 0)
      << terminal_.complained;
  std::ifstream file(page);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(text, StartsWith("<!doctype html>"));
  EXPECT_THAT(text, HasSubstr("</html>"));
  EXPECT_THAT(terminal_.complained, HasSubstr("page.html"));
  EXPECT_NE(run_with({"planetlab-honest", "--traces", folder_ / "day", "--report",
                      folder_ / "no" / "page.html"}),
            0);
}

TEST_F(Sim, SweepsInOrder) {
  terminal_.is_terminal = true;
  EXPECT_EQ(run({"sim", "sweep", "planetlab-honest", "--traces", folder_ / "day", "--policy",
                 "always-on,dvfs", "--set", "hosts.0.count=4,8", "-o", "json"},
                terminal_),
            0)
      << terminal_.complained;
  const Value runs = parse_json(terminal_.said).value();
  ASSERT_EQ(runs.items().size(), 4U);
  EXPECT_EQ(runs.get("1/set/policy").text(), "always-on");
  EXPECT_EQ(runs.items()[1].get("set").find("hosts.0.count")->text(), "8");
  EXPECT_EQ(runs.get("2/set/policy").text(), "dvfs");
  EXPECT_GT(runs.get("3/report/energy_kwh").number(), 0);
  EXPECT_THAT(terminal_.complained, HasSubstr("4 of 4 runs"));

  terminal_ = {};
  EXPECT_EQ(run({"sim", "sweep", "planetlab-honest", "--traces", folder_ / "day", "--policy",
                 "dvfs,nobody", "-o", "csv"},
                terminal_),
            1);
  EXPECT_THAT(terminal_.said, StartsWith("traces,policy,experiment,"));
  EXPECT_EQ(std::ranges::count(terminal_.said, '\n'), 3);
  EXPECT_THAT(terminal_.complained, HasSubstr("run 2"));
  EXPECT_THAT(terminal_.complained, ::testing::Not(HasSubstr("runs")));
  EXPECT_EQ(run({"sim", "sweep", "planetlab-honest"}, terminal_), 2);
}

TEST_F(Sim, ListsExperiments) {
  EXPECT_EQ(run({"sim", "ls"}, terminal_), 0);
  EXPECT_THAT(terminal_.said, HasSubstr("planetlab-compat"));
}

}  // namespace
}  // namespace chorok::cli
