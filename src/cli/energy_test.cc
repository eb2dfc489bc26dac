#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/test_support.h"

namespace chorok::cli {
namespace {

using ::testing::ContainsRegex;
using testing::FakeManager;
using testing::FakeTerminal;
using testing::Ran;

class Energy : public ::testing::Test {
 protected:
  Ran run(std::vector<std::string> args) {
    terminal.environment["CHOROK_URL"] = manager.url();
    terminal.environment["CHOROK_TOKEN"] = "chk_1_abc";
    return run_with(terminal, std::move(args));
  }
  static bool says(const Ran& ran, std::string_view words) {
    return ran.out.find(words) != std::string::npos;
  }
  FakeManager manager;
  FakeTerminal terminal;
};

TEST_F(Energy, TopSaysWhoSaysSo) {
  Ran ran = run({"energy", "top"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_TRUE(says(ran, "measured, redfish")) << ran.out;
  EXPECT_TRUE(says(ran, "±35 %")) << ran.out;
  EXPECT_TRUE(says(ran, "no answer"));
  EXPECT_TRUE(says(ran, "web1"));
  EXPECT_TRUE(says(ran, "300.0 W in all, 75.0 W by no VM, 50 % measured"));
  ran = run({"energy", "top", "-o", "json"});
  EXPECT_EQ(parse_json(ran.out)->get("hosts/0/name").text(), "host1");
}

TEST_F(Energy, OfAClusterWithItsCostAndSavings) {
  Ran ran = run({"energy", "cluster", "lab", "--from", "24h", "--step", "1h"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(manager.requests().back(), "GET /api/v1/clusters/lab/energy?from=-86400&step=3600");
  EXPECT_TRUE(says(ran, "2.00 kWh, mean 83.3 W")) << ran.out;
  EXPECT_TRUE(says(ran, "2.000 kWh, 356.00 KRW, 0.800 kg CO2"));
  EXPECT_TRUE(says(ran, "3.000 kWh, 534.00 KRW"));
  EXPECT_TRUE(says(ran, "1.000 kWh, 178.00 KRW"));
  EXPECT_TRUE(says(ran, "against idling"));
  EXPECT_TRUE(says(ran, "2026-11-20T12:00:00Z"));
  EXPECT_TRUE(says(ran, "measured for 2 h of 1 d"));
  EXPECT_TRUE(says(ran, "1.00 Wh of it not yet accounted for"));
  EXPECT_TRUE(says(ran, "90 % measured (redfish), 10 % by what was drawn before"));
  EXPECT_TRUE(says(ran, "no CO2: it is gone"));
  EXPECT_THAT(ran.out, ContainsRegex("12:00:00Z +83.3 W .*±5 % +20 min"))
      << "it was measured through a part of the hour";
  ran = run({"energy", "host", "by-file"});
  EXPECT_TRUE(says(ran, "2.000 kWh, 356.00 (no currency)")) << ran.out;
  ran = run({"energy", "host", "host1", "-o", "csv"});
  EXPECT_TRUE(ran.out.starts_with("at,measured,joules,watts")) << ran.out;
  EXPECT_EQ(run({"energy", "vm", "web1", "--from", "yesterday"}).code, 1);
  EXPECT_EQ(run({"energy", "vm"}).code, 2);
  manager.put("clusters", *parse_json(R"({"meta":{"id":"cluster-1","name":"lab"}})"));
  ran = run({"energy", "cluster"});  // where there is one alone
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(manager.requests().back(), "GET /api/v1/clusters/lab/energy");
}

TEST_F(Energy, ReportsAPageACluster) {
  Ran ran = run({"energy", "report", "lab", "--from", "7d"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(manager.requests().back(),
            "GET /api/v1/clusters/lab/energy?from=-604800&parts=pools%2Cvapps%2Cvms");
  EXPECT_TRUE(says(ran, "web1")) << ran.out;
  EXPECT_FALSE(says(ran, "2026-11-20T12:00:00Z")) << "no rows of time";
  EXPECT_THAT(ran.out, ContainsRegex("host1 .* 1.00 kWh .*±5 % +measured, redfish"));
  EXPECT_THAT(ran.out, ContainsRegex("POOL +ENERGY +DIRECTLY"));
  EXPECT_THAT(ran.out, ContainsRegex("gold +1.00 kWh +500.00 Wh .*±7 %"));
  EXPECT_THAT(ran.out, ContainsRegex("web1 .*±6 % +measured, redfish"));
  EXPECT_TRUE(says(ran, "u-2 (gone)"));
  EXPECT_TRUE(says(ran, "(gone, or not Chorok's)"));
  ran = run({"energy", "report", "lab", "-o", "csv"});
  EXPECT_TRUE(ran.out.starts_with("cluster,kind,id,name,gone,joules,direct_joules")) << ran.out;
  EXPECT_TRUE(says(ran, "\nlab,cluster,cluster-1,lab,,7200000,,3600,1")) << ran.out;
  EXPECT_TRUE(says(ran, "\nlab,host,,host1,,7200000")) << ran.out;
  EXPECT_TRUE(says(ran, "\nlab,pool,,gold,,3600000,1800000")) << ran.out;
  EXPECT_TRUE(says(ran, "\nlab,vm,u-2,u-2,true,1800000")) << ran.out;
}

TEST_F(Energy, MetersForBilling) {
  Ran ran = run({"energy", "metering", "--month", "2026-11", "--by", "vm", "-o", "csv"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(manager.requests().back(), "GET /api/v1/metering?month=2026-11&by=vm");
  EXPECT_TRUE(ran.out.starts_with("kind,id,name,cluster,cpu_mhz_hours,memory_gib_hours,kwh,hours"))
      << ran.out;
  EXPECT_TRUE(says(ran, "vm,vm-1,web1,lab,1500.5,12.25,0.75,12")) << ran.out;
  EXPECT_TRUE(says(ran, ",0.9,0.05,measured,redfish")) << ran.out;
  ran = run({"energy", "metering"});
  EXPECT_TRUE(says(ran, "1500.5")) << ran.out;
  EXPECT_THAT(ran.out, ContainsRegex("0.7500 +±5 % +measured, redfish +12.00"));
  EXPECT_NE(run({"energy", "metering", "--by", "colour"}).code, 0);
}

}  // namespace
}  // namespace chorok::cli
