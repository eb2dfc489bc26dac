#include "manager/metrics.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>

#include "manager/seeds_cluster.h"

namespace chorok::manager {
namespace {

TEST(Metrics, EscapesWhatPeopleCallThings) {
  MetricsText text;
  text.family("a_b", "gauge", "Something.");
  text.sample({{"name", "quo\"te\\and\nline"}}, 1.5);
  text.sample({}, 2);
  EXPECT_EQ(text.take(),
            "# HELP a_b Something.\n# TYPE a_b gauge\n"
            "a_b{name=\"quo\\\"te\\\\and\\nline\"} 1.5\na_b 2\n");
}

class MetricsOfACluster : public testing::Test {
 protected:
  MetricsOfACluster() : c(1, 2, {}) {
    c.loop().advance_until([&] { return c.all_connected(); }, std::chrono::seconds(30));
    auto asked = c.create("web", true);
    EXPECT_TRUE(asked);
    c.wait(*asked);
    c.loop().run_for(std::chrono::minutes(1));
  }
  std::string text() {
    return metrics_text(c.manager->engine, c.manager->telemetry, nullptr, "1.2.3", c.loop().now());
  }
  SeedsCluster c;
};

TEST_F(MetricsOfACluster, SayWhatIsUsed) {
  const std::string all = text();
  EXPECT_NE(all.find("chorok_vm_cpu_mhz{vm=\"web\""), std::string::npos);
  EXPECT_NE(all.find("chorok_manager_info{version=\"1.2.3\"} 1\n"), std::string::npos);
  EXPECT_NE(all.find("chorok_vms{state=\"on\"} 1\n"), std::string::npos);
  EXPECT_NE(all.find("chorok_host_connected{host=\"host1\""), std::string::npos);
  EXPECT_NE(all.find("chorok_host_memory_available_bytes{"), std::string::npos);
  // What is not heard of any more is not shown as if it were.
  for (auto& node : c.nodes) c.kill_agent(*node);
  c.loop().run_for(std::chrono::minutes(5));
  EXPECT_EQ(text().find("chorok_vm_cpu_mhz"), std::string::npos);
}

// Each family once, with its help and type before its samples, and no sample twice.
TEST_F(MetricsOfACluster, AreWellFormed) {
  std::istringstream lines(text());
  std::set<std::string> families, samples;
  std::string family;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# HELP ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_TRUE(families.insert(family).second) << family << " twice";
    } else if (!line.starts_with("# TYPE ")) {
      const std::string name = line.substr(0, line.find_first_of("{ "));
      EXPECT_EQ(name, family);
      EXPECT_TRUE(samples.insert(line.substr(0, line.rfind(' '))).second) << line;
    }
  }
  EXPECT_GT(families.size(), 20u);
}

TEST_F(MetricsOfACluster, PassPrometheusOwnCheck) {
  if (std::system("command -v promtool >/dev/null 2>&1") != 0)
    GTEST_SKIP() << "promtool is not installed (Debian: prometheus): the metrics are not checked";
  const std::string path = testing::TempDir() + "metrics-" + std::to_string(::getpid());
  std::ofstream(path) << text();
  const int status = std::system(("promtool check metrics <" + path).c_str());
  std::remove(path.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace chorok::manager
