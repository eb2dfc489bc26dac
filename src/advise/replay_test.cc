// Advice on data centres small enough to compute by hand.
#include "advise/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "advise/html.h"
#include "base/json.h"
#include "sim/datacenter/test_support.h"

namespace chorok::advise {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Hosts of 2 x 1000 MHz and 1000 MiB, 100 W idle, 200 W full.
Hosts small_hosts(std::int32_t count) {
  HostClass hosts{.name = "small", .source = "made by hand", .type = {}, .count = count};
  hosts.type = {.core_mhz = 1000, .cores = 2, .memory_mib = 1000};
  for (std::size_t i = 0; i <= 10; ++i)
    hosts.type.curve.watts[i] = 100 + 10 * static_cast<double>(i);
  return {.classes = {hosts}};
}

// `vms` of 1000 MHz that ask for `share` of it in each of 13 samples: an hour is judged.
AdviceRequest steady(std::size_t vms, double share, double memory_mib, std::int32_t hosts) {
  AdviceRequest request{.traces = sim::datacenter::traces_of(
                            std::vector<std::vector<double>>(vms, std::vector<double>(13, share))),
                        .hosts = small_hosts(hosts),
                        .prices = {.price = {.value = 100, .unit = "EUR", .source = "as given"},
                                   .carbon = {.value = 0.5, .unit = "kg", .source = "as given"}}};
  for (auto& vm : request.traces.vms) {
    vm.cpu_mhz = 1000;
    vm.memory_mib = memory_mib;
  }
  return request;
}

TEST(Advise, TwoIdleVmsNeedOneHost) {
  // Apart they draw 105 W each, together 110 W.
  const auto advice = advise(steady(2, 0.1, 400, 2));
  ASSERT_TRUE(advice) << advice.error().message;
  EXPECT_EQ(advice->hosts, 2);
  EXPECT_FALSE(advice->hosts_found);
  EXPECT_NEAR(advice->days, 1.0 / 24, 1e-12);
  EXPECT_NEAR(advice->always_on.energy_kwh, 0.210, 1e-9);
  EXPECT_NEAR(advice->always_on.least_spare_share, 0.95, 1e-9);
  ASSERT_EQ(advice->cases.size(), 3U);
  const Case& mid = advice->cases[1];
  EXPECT_EQ(mid.name, "mid");
  EXPECT_NEAR(mid.energy_kwh, 0.110, 1e-9);
  EXPECT_NEAR(mid.saved_kwh, 0.100, 1e-9);
  EXPECT_NEAR(mid.saved_share, 10.0 / 21, 1e-9);
  EXPECT_NEAR(mid.saved_money, 10, 1e-6);
  EXPECT_NEAR(mid.saved_co2_kg, 0.05, 1e-9);
  EXPECT_NEAR(mid.year_kwh, 876, 1e-6);
  EXPECT_NEAR(mid.off_hours_per_host, 0.5, 1e-9);
  EXPECT_NEAR(mid.least_spare_share, 0.9, 1e-9);
  EXPECT_NEAR(mid.least_spare_mhz, 1800, 1e-6);
  EXPECT_EQ(mid.migrations, 0);
  EXPECT_EQ(mid.worst_shortfall_share, 0);
  ASSERT_EQ(mid.hosts.size(), 2U);
  // The one that is on carries what nobody else could.
  EXPECT_NEAR(mid.hosts[0].off_hours + mid.hosts[1].off_hours, 1, 1e-9);
  const HostAdvice& on = mid.hosts[mid.hosts[0].held.empty() ? 1 : 0];
  ASSERT_EQ(on.held.size(), 1U);
  EXPECT_EQ(on.held[0].why, Hold::kDemand);
  EXPECT_NEAR(on.held[0].hours, 1, 1e-9);
  EXPECT_THAT(held_text(on), HasSubstr("demand 1.0 h"));
}

TEST(Advise, MemoryHoldsHostsAndItsUseDoesNot) {
  // Two VMs of 600 MiB do not fit one host of 1000, but they use 100 each.
  AdviceRequest request = steady(2, 0.1, 600, 2);
  request.traces.memory.assign(request.traces.cpu.size(), 100);
  const auto advice = advise(std::move(request));
  ASSERT_TRUE(advice) << advice.error().message;
  const Case& mid = advice->cases[1];
  EXPECT_NEAR(mid.saved_kwh, 0, 1e-9);
  ASSERT_EQ(mid.hosts[0].held.size(), 1U);
  EXPECT_EQ(mid.hosts[0].held[0].why, Hold::kMemory);
  EXPECT_NEAR(advice->cases[2].saved_kwh, 0.100, 1e-9);
  EXPECT_THAT(report_of({*advice}).next, ::testing::Contains(HasSubstr("sell it more than once")));
  // Where nobody knows what is used, high is mid: knowing is what helps.
  const AdviceReport blind = report_of({advise(steady(2, 0.1, 600, 2)).value()});
  EXPECT_THAT(blind.next, ::testing::Contains(HasSubstr("Record what they use")));
}

// Rounds between samples, when a host has woken, count for the time since the round before them.
TEST(Advise, HoursOfAHostAreNoMoreThanThereWere) {
  AdviceRequest request = steady(4, 0.1, 200, 4);
  const std::size_t samples = 288;
  std::vector<std::vector<double>> shares(4, std::vector<double>(samples, 0.1));
  for (auto& share : shares)
    for (std::size_t k = 0; k < samples; ++k) share[k] = k / 48 % 2 == 1 ? 0.9 : 0.1;
  request.traces = sim::datacenter::traces_of(shares);
  for (auto& vm : request.traces.vms) {
    vm.cpu_mhz = 1000;
    vm.memory_mib = 200;
  }
  const auto advice = advise(std::move(request));
  ASSERT_TRUE(advice) << advice.error().message;
  double boots = 0;
  for (const Case& one : advice->cases) {
    boots += static_cast<double>(one.boots);
    for (const HostAdvice& host : one.hosts) {
      double hours = host.off_hours;
      for (const Held& held : host.held) hours += held.hours;
      EXPECT_LE(hours, 24.01) << one.name << ' ' << host.name;
    }
  }
  EXPECT_GT(boots, 0) << "else there were no rounds between samples";
}

TEST(Advise, ShortfallsAreSeen) {
  // 3000 MHz asked of 2000, all the time, with every host on too.
  const auto advice = advise(steady(3, 1, 300, 1));
  ASSERT_TRUE(advice) << advice.error().message;
  EXPECT_NEAR(advice->cases[1].worst_shortfall_share, 1.0 / 3, 1e-9);
  EXPECT_NEAR(advice->cases[1].unmet_share, 1.0 / 3, 1e-9);
  EXPECT_EQ(advice->cases[1].least_spare_share, 0);
  EXPECT_NEAR(advice->always_on.worst_shortfall_share, 1.0 / 3, 1e-9);
  EXPECT_THAT(advice->notes, ::testing::Contains(HasSubstr("33.333 %")));
}

TEST(Advise, FindsTheFewestHosts) {
  // 4000 MHz and 1600 MiB: two hosts. VMs of 600 MiB take one each, whatever the sum.
  const auto by_sum = advise(steady(4, 0.1, 400, 0));
  ASSERT_TRUE(by_sum) << by_sum.error().message;
  EXPECT_TRUE(by_sum->hosts_found);
  EXPECT_EQ(by_sum->hosts, 2);
  const auto one_each = advise(steady(3, 0.1, 600, 0));
  ASSERT_TRUE(one_each) << one_each.error().message;
  EXPECT_EQ(one_each->hosts, 3);  // two by the sum
}

TEST(Advise, SaysWhatIsWrong) {
  AdviceRequest request = steady(2, 0.1, 400, 2);
  request.traces.vms[1].memory_mib = 0;
  EXPECT_THAT(advise(request).error().message, HasSubstr("--vm-memory"));
  request.vm_memory_mib = 2000;
  EXPECT_THAT(advise(request).error().message, HasSubstr("larger than a host"));
  request.vm_memory_mib = 500;
  const auto advice = advise(request);
  ASSERT_TRUE(advice) << advice.error().message;
  EXPECT_THAT(advice->notes, ::testing::Contains(HasSubstr("1 VMs have the size")));
  request.traces.samples = 2;
  EXPECT_THAT(advise(request).error().message, HasSubstr("three samples"));
}

TEST(Advise, HostsTariffsAndFactorsAreParsed) {
  const auto hosts = parse_hosts("spec-median-2023:12");
  ASSERT_TRUE(hosts);
  ASSERT_EQ(hosts->classes.size(), 1U);
  EXPECT_EQ(hosts->count(), 12);
  EXPECT_EQ(hosts->classes[0].type.cores, 120);
  EXPECT_EQ(hosts->classes[0].type.memory_mib, 120 * 8192);
  EXPECT_EQ(parse_hosts("hp-ml110-g5", 0, 8192)->classes[0].type.core_mhz, 2660);
  EXPECT_THAT(parse_hosts("none").error().message, HasSubstr("spec-median-2023"));
  for (const char* text : {"hp-ml110-g5:", "hp-ml110-g5:0", "hp-ml110-g5:x", "hp-ml110-g5:99999"})
    EXPECT_THAT(parse_hosts(text).error().message, HasSubstr("1 to 10000")) << text;
  const auto mix = parse_hosts("hp-ml110-g4:2+hp-ml110-g5:4");
  ASSERT_TRUE(mix);
  EXPECT_EQ(mix->count(), 6);
  EXPECT_EQ(mix->mhz(), 2 * 3720 + 4 * 5320);
  const Cluster cluster = cluster_of(*mix, 0);
  EXPECT_EQ(cluster.settings.hosts, 6);
  EXPECT_THAT(cluster.class_of, ::testing::UnorderedElementsAre(0, 1, 1));
  EXPECT_THAT(parse_hosts("hp-ml110-g4:2+hp-ml110-g5").error().message,
              HasSubstr("how many of hp-ml110-g5"));
  EXPECT_FALSE(parse_hosts("hp-ml110-g4:2+"));
  EXPECT_THAT(parse_hosts("hp-ml110-g4:9000+hp-ml110-g5:9000").error().message,
              HasSubstr("more than 10000"));
}

TEST(Advise, PricesByTheHourCountByTheHour) {
  // An hour is judged, from five past ten: until half past 100, then 300; 100 Wh saved evenly.
  AdviceRequest request = steady(2, 0.1, 400, 2);
  request.prices.price.bands = {{.value = 300, .from_hour = 10.5, .to_hour = 12}};
  EXPECT_THAT(advise(request).error().message, HasSubstr("say when the trace begins"));
  request.prices.start = *model::parse_when("2026-03-01T10:00", 0);
  request.prices.pue = 1.5;
  const auto advice = advise(request);
  ASSERT_TRUE(advice) << advice.error().message;
  const Case& mid = advice->cases[1];
  const double mean = (25 * 100 + 35 * 300) / 60.0;
  EXPECT_NEAR(advice->always_on.money, 0.210 * mean, 1e-6);
  EXPECT_NEAR(advice->tariff_per_kwh, mean, 1e-6);
  EXPECT_NEAR(mid.saved_money, 0.100 * mean, 1e-6);
  EXPECT_NEAR(mid.year_money, 876 * mean, 1e-3);
  EXPECT_NEAR(*mid.year_facility_kwh, 876 * 1.5, 1e-6);
  EXPECT_NEAR(*mid.year_facility_money, 876 * 1.5 * mean, 1e-3);
  EXPECT_THAT(advice->notes, ::testing::Contains(HasSubstr("go by the hour")));
  EXPECT_THAT(advice->notes, ::testing::Contains(HasSubstr("PUE overstates")));
}

TEST(Advise, HostsOfTwoClasses) {
  // A small host of 100 W idle and one that is twice as large and draws 50 more: one of them does.
  AdviceRequest request = steady(2, 0.1, 400, 1);
  HostClass large = request.hosts.classes[0];
  large.name = "large";
  large.type.cores = 4;
  large.type.memory_mib = 2000;
  for (double& watts : large.type.curve.watts) watts += 50;
  request.hosts.classes.push_back(large);
  const auto advice = advise(std::move(request));
  ASSERT_TRUE(advice) << advice.error().message;
  EXPECT_EQ(advice->hosts, 2);
  ASSERT_EQ(advice->classes.size(), 2U);
  EXPECT_EQ(advice->classes[1].cores, 4);
  const Case& mid = advice->cases[1];
  // Spread evenly by what they were sold: a VM on each.
  EXPECT_NEAR(advice->always_on.energy_kwh, 0.105 + 0.1525, 0.003);
  EXPECT_LT(mid.energy_kwh, 0.155 + 1e-9);
  EXPECT_NEAR(mid.hosts[0].off_hours + mid.hosts[1].off_hours, 1, 1e-9);
  EXPECT_EQ(mid.hosts[0].host_class, "small");
  EXPECT_EQ(mid.hosts[1].host_class, "large");
}

TEST(Advise, SeveralClustersAddUpToAYear) {
  std::vector<Advice> clusters;
  for (std::size_t vms : {2U, 2U}) clusters.push_back(advise(steady(vms, 0.1, 400, 2)).value());
  clusters[1].from = "other";
  const AdviceReport report = report_of(clusters);
  ASSERT_EQ(report.cases.size(), 3U);
  EXPECT_NEAR(report.cases[1].year_kwh, 2 * 876, 1e-6);
  EXPECT_NEAR(report.cases[1].year_money, 2 * 87600, 1e-3);
  EXPECT_NEAR(report.cases[1].saved_share, 10.0 / 21, 1e-9);
  EXPECT_NEAR(report.cases[1].least_spare_share, 0.9, 1e-9);
  EXPECT_FALSE(report.cases[1].year_facility_kwh);
  EXPECT_THAT(report.summary, HasSubstr("1,752 kWh, 175,200 EUR and 876 kg of CO2 a year"));
  EXPECT_THAT(report.risk[1], HasSubstr("every VM gets the CPU"));
  EXPECT_THAT(report.next, ::testing::Contains(HasSubstr("other: 1 of 2 hosts were never needed")));
  EXPECT_THAT(report.next, ::testing::Contains(HasSubstr("they were on for demand")));
  EXPECT_THAT(report.next, ::testing::Contains(HasSubstr("Record a week")));
  EXPECT_THAT(html_of(report), HasSubstr("All clusters"));
}

TEST(Advise, SaysWhenNothingIsSavedAndWhatHurts) {
  const AdviceReport none = report_of({advise(steady(3, 1, 300, 1)).value()});
  EXPECT_THAT(none.summary, HasSubstr("Nothing would be saved"));
  EXPECT_THAT(none.risk[1], HasSubstr("33.33 % of the CPU asked for is not there"));
}

TEST(Advise, HtmlStandsAloneAndEscapes) {
  AdviceRequest request = steady(2, 0.1, 400, 2);
  request.traces.source = "<script>alert(1)</script>";
  const auto advice = advise(std::move(request));
  ASSERT_TRUE(advice) << advice.error().message;
  const std::string html = html_of(report_of({*advice}));
  EXPECT_THAT(html, HasSubstr("A year like this, EUR"));
  EXPECT_THAT(html, HasSubstr("<svg"));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("src=")));
  EXPECT_THAT(html, Not(HasSubstr("href=")));
  EXPECT_THAT(json::encode(*advice), HasSubstr("\"off_hours_per_host\""));
  EXPECT_EQ(money_text(1234567.2), "1,234,567");
  EXPECT_EQ(money_text(-12.345), "-12.35");
}

}  // namespace
}  // namespace chorok::advise
