#include "manager/metrics.h"

#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "manager/driven_cluster.h"
#include "manager/promtool.h"
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
  EXPECT_NE(all.find("chorok_host_power{host=\"host1\",id=\""), std::string::npos);
  EXPECT_NE(all.find(",state=\"on\"} 1\n"), std::string::npos);
  EXPECT_NE(all.find("chorok_vm_memory_balloon_bytes{vm=\"web\""), std::string::npos);
  // It is not measured often: what is not known is left out, not 0.
  const bool known =
      c.manager->telemetry.vm(c.manager->engine.inventory().vms().resolve("web")->meta.id)
          ->dirty_known;
  EXPECT_EQ(all.find("chorok_vm_dirty_bytes_per_second{") != std::string::npos, known);
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

TEST(MetricsOfRounds, SayThatClustersArePlanned) {
  DrivenCluster cluster;
  cluster.drive();
  cluster.c.loop().run_for(std::chrono::minutes(5));
  ManagerLife& manager = *cluster.c.manager;
  const std::int64_t number = cluster.driver->plans().back().number;
  ASSERT_GT(number, 0);
  const std::string all = metrics_text(manager.engine, manager.telemetry, nullptr, "1.2.3",
                                       cluster.c.loop().now(), [&](const std::string& id) {
                                         EXPECT_EQ(id, manager.engine.cluster().meta.id);
                                         return cluster.driver.get();
                                       });
  const std::string rounds = "chorok_cluster_rounds_total{cluster=\"default\"} ";
  EXPECT_NE(all.find(rounds + std::to_string(number) + "\n"), std::string::npos) << all;
  EXPECT_NE(all.find("chorok_cluster_round_seconds{cluster=\"default\"} "), std::string::npos);
  if (has_promtool()) EXPECT_EQ(promtool_says(all), 0);
}

// Every panel shows something that there is.
TEST(Dashboard, AsksForMetricsThatExist) {
  const auto read = [](const char* path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  };
  const std::string source = read(CHOROK_SOURCE "/src/manager/metrics.cc");
  const std::string dashboard = read(CHOROK_SOURCE "/packaging/grafana/chorok.json");
  const std::regex metric("chorok_[a-z_]+");
  std::set<std::string> asked;
  for (std::sregex_iterator it(dashboard.begin(), dashboard.end(), metric), end; it != end; ++it)
    asked.insert(it->str());
  EXPECT_GT(asked.size(), 20u);
  for (const std::string& each : asked)
    EXPECT_NE(source.find('"' + each + '"'), std::string::npos) << each;
}

TEST_F(MetricsOfACluster, PassPrometheusOwnCheck) {
  if (!has_promtool())
    GTEST_SKIP() << "promtool is not installed (Debian: prometheus): the metrics are not checked";
  EXPECT_EQ(promtool_says(text()), 0);
}

}  // namespace
}  // namespace chorok::manager
