// The recording that charts are drawn from, and the page.
#include "sim/datacenter/html_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/datacenter/html_chart.h"
#include "sim/datacenter/html_page.h"

namespace chorok::sim::datacenter {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Recording, AddsUpWhatLiesInOneStep) {
  Recording out;
  Recorder recorder(out, {0, 1, 0}, 2, 200);
  const std::vector<float> half = {0.5F, -1, 0.25F};
  const std::vector<float> full = {-1, 1.5F, -1};
  recorder.take({.time_s = 0, .energy_kwh = 1});
  recorder.take({.time_s = 50,
                 .active_hosts = 2,
                 .requested_mhz = 100,
                 .energy_kwh = 1 + 50 * 100 / 3.6e6,
                 .capacity_mhz = 400,
                 .host_load = half});
  recorder.take({.time_s = 100,
                 .active_hosts = 4,
                 .requested_mhz = 300,
                 .energy_kwh = 1 + 50 * 300 / 3.6e6,
                 .capacity_mhz = 800,
                 .host_load = half});
  recorder.take({.time_s = 200, .active_hosts = 1, .energy_kwh = 1, .host_load = full});
  recorder.take({.time_s = 200, .active_hosts = 9, .energy_kwh = 1, .host_load = full});
  recorder.finish({0, 100}, {60, 80});
  ASSERT_EQ(out.points.size(), 2U);
  EXPECT_DOUBLE_EQ(out.points[0].hosts_on, 3);
  EXPECT_NEAR(out.points[0].watts, 150, 1e-6);
  EXPECT_DOUBLE_EQ(out.points[0].demand_mhz, 200);
  EXPECT_DOUBLE_EQ(out.points[0].capacity_mhz, 600);
  EXPECT_DOUBLE_EQ(out.points[0].bound_watts, 60);
  EXPECT_DOUBLE_EQ(out.points[1].hosts_on, 1);
  EXPECT_DOUBLE_EQ(out.points[1].bound_watts, 80);
  // Both hosts of the first set, then that of the second.
  EXPECT_EQ(out.bands.size(), 2U);
  EXPECT_THAT(out.map, ElementsAre(0.5F, -1, 0.25F, -1, -1, 1.5F));
}

TEST(Recording, IsSmallHoweverLargeTheDataCentre) {
  Recording out;
  std::vector<std::size_t> sets(10'000, 0);
  for (std::size_t h = 0; h < 10; ++h) sets[h * 7] = 1;
  Recorder recorder(out, sets, 100'000, 3e7);
  EXPECT_LE(out.rows, Recording::kRowsMax);
  EXPECT_GE(out.bands[1].rows, 1U);
  EXPECT_EQ(out.columns, Recording::kColumnsMax);
  EXPECT_EQ(out.points.size(), Recording::kPointsMax);
  std::vector<float> load(10'000, 1);
  recorder.take({.time_s = 1, .host_load = load});
  recorder.take({.time_s = 4e7, .host_load = load});  // later than was said
  recorder.finish({}, {});
  EXPECT_EQ(out.points.size(), 1U);
}

TEST(HtmlPage, WritesTextAndNumbers) {
  EXPECT_EQ(grouped(1234567.25, 1), "1,234,567.2");
  EXPECT_EQ(grouped(-1234), "-1,234");
  EXPECT_EQ(grouped(-123), "-123");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(html_escaped("<a href=\"x\">&'\t\x01"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;  ");
}

TEST(HtmlChart, CountsHaveNoMarksBetween) {
  Chart chart{.title = "t", .unit = "hosts", .is_count = true, .end_s = 100};
  chart.time_s = {0, 50};
  chart.lines.push_back({.name = "on", .values = {1, 2}, .is_step = true});
  const std::string svg = html_chart(chart);
  EXPECT_THAT(svg, Not(HasSubstr("0.5")));
  EXPECT_THAT(svg, HasSubstr("M0.0 100.0L500.0 100.0L500.0 0.0L1000.0 0.0"));
  EXPECT_THAT(svg, Not(HasSubstr("legend")));  // of a single line
}

TEST(HtmlReport, NamesNothingOutsideOfItself) {
  auto file = parse_experiment(find_experiment("planetlab-honest").value()->toml).value();
  file.name = "<b>\"x\" & 'y'</b>";
  file.synthetic.emplace();
  file.hosts[0].count = 30;
  file.hosts[1].count = 20;
  for (Mode mode : {Mode::kHonest, Mode::kCompat}) {
    file.mode = mode;
    file.doc = "</script><script>";
    Recording recording;
    const auto report = run_experiment({.file = file, .recording = &recording});
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_GT(recording.points.size(), 250U);
    EXPECT_EQ(recording.rows, 50U);
    double kwh = 0;
    double bound = 0;
    const double step_h = recording.end_s / 288 / 3600;
    for (const Recording::Point& p : recording.points) {
      kwh += p.watts * step_h / 1000;
      bound += p.bound_watts * step_h / 1000;
      EXPECT_GT(p.capacity_mhz, 0);
    }
    EXPECT_NEAR(kwh, report->energy_kwh, 0.02 * kwh);
    EXPECT_NEAR(bound, report->bound_kwh(), 0.02 * bound);
    const std::string page = html_report(*report, recording);
    for (const char* outside : {"http://", "https://", "src=", "@import", "url("})
      EXPECT_THAT(page, Not(HasSubstr(outside))) << outside;
    EXPECT_THAT(page, Not(HasSubstr("<b>\"x\"")));
    EXPECT_THAT(page, Not(HasSubstr("</script><script>\"")));
    for (const char* part : {"Hosts on", "Power", "lower bound", "Load of hosts", "hp-ml110-g5",
                             "slatah", "judge_off_s", "prefers-color-scheme:dark"})
      EXPECT_THAT(page, HasSubstr(part));
    EXPECT_LT(page.size(), 400'000U);
  }
}

}  // namespace
}  // namespace chorok::sim::datacenter
