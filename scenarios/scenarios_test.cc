// Plays every folder here and compares its log with what it is expected to be.
// CHOROK_SCENARIO_WRITE=1 writes what came out instead: read the diff before you commit it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "scenarios/scenario.h"

namespace chorok::scenarios {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::vector<std::string> folders() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(CHOROK_SCENARIOS))
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

class Scenario : public testing::TestWithParam<std::string> {};

TEST_P(Scenario, LogIsAsExpected) {
  const fs::path folder = fs::path(CHOROK_SCENARIOS) / GetParam();
  ASSERT_TRUE(fs::exists(folder / "cluster.yaml")) << "a scenario has a cluster.yaml";
  const std::string cluster = text_of(folder / "cluster.yaml");
  const std::string events = text_of(folder / "events.yaml");
  ASSERT_TRUE(cluster.starts_with("# ")) << "cluster.yaml opens with what the scenario shows";
  auto log = play(cluster, events);
  ASSERT_TRUE(log) << log.error().field << ": " << log.error().message;
  EXPECT_EQ(play(cluster, events).value(), *log) << "the same twice";
  const char* write = std::getenv("CHOROK_SCENARIO_WRITE");
  if (write != nullptr && std::string_view(write) == "1") {
    std::ofstream(folder / "expected.log") << *log;
    return;
  }
  const std::string expected = text_of(folder / "expected.log");
  if (*log == expected) return;
  ADD_FAILURE() << "- expected, + came out; CHOROK_SCENARIO_WRITE=1 accepts it\n"
                << difference(expected, *log);
}

std::string identifier(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::ranges::replace_if(name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, Scenario, testing::ValuesIn(folders()), identifier);

TEST(Difference, ShowsWhatChangedAndALittleAround) {
  EXPECT_EQ(difference("a\nb\nc\n", "a\nb\nc\n"), "");
  EXPECT_EQ(difference("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\n5\n6\n7\n9\n10\n"),
            "  5\n  6\n  7\n- 8\n  9\n+ 10\n");
}

}  // namespace
}  // namespace chorok::scenarios
