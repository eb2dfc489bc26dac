// Clusters and pools as people ask for them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "manager/cluster_snapshot.h"
#include "manager/requests_cluster_fixture.h"
#include "policy/planner.h"

namespace chorok::manager {
namespace {

using model::VmState;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(ClusterRequests, AHostMovesToAnotherClusterWhenNothingRunsOnIt) {
  make("cluster", R"({"meta":{"name":"lab"},"settings":{"power":{"automation":"full"}}})");
  const auto lab = inventory().clusters().find_name("lab");
  ASSERT_NE(lab, nullptr);
  EXPECT_EQ(inventory().default_cluster().meta.name, "default");
  EXPECT_EQ(lab->settings.power.automation, model::Automation::kFull);
  done(c.create("web", true));
  const std::string busy = host_of("web");
  EXPECT_THAT(refusal(patch("host", busy, R"({"cluster":"lab"})")),
              HasSubstr("/cluster: 1 VMs run on it"));
  EXPECT_THAT(refusal(patch("host", busy, R"({"cluster":"lub"})")),
              HasSubstr("there is no cluster 'lub'; did you mean 'lab'?"));
  const std::string idle = busy == "host1" ? "host2" : "host1";
  change("host", idle, R"({"cluster":"lab"})");
  EXPECT_EQ(inventory().hosts().find_name(idle)->cluster, lab->meta.id);
  // Nobody chooses a host of another cluster for a VM.
  change("host", busy == "host3" ? "host2" : "host3", R"({"cluster":"lab"})");
  EXPECT_THAT(refusal(c.verb("migrate", "web")), HasSubstr("another cluster"));
  EXPECT_THAT(refusal(remove("cluster", "lab")), HasSubstr("it has 2 hosts"));
  const ClusterSnapshot made = make_snapshot(inventory(), lab->meta.id, c.loop().now());
  EXPECT_EQ(made.hosts.size(), 2U);
}

TEST_F(ClusterRequests, ABmcsPasswordIsKeptSealedAndNeverShown) {
  const auto host = [&] { return inventory().hosts().find_name("host1"); };
  EXPECT_THAT(refusal(patch("host", "host1", R"({"bmc":{"driver":"telnet","address":"b"}})")),
              HasSubstr("/bmc/driver: 'telnet' is no driver"));
  EXPECT_THAT(refusal(patch("host", "host1", R"({"bmc":{"driver":"ipmi"}})")),
              HasSubstr("/bmc/address"));
  change("host", "host1",
         R"({"bmc":{"driver":"ipmi","address":"10.0.0.9","user":"admin","password":"hunter2"}})");
  EXPECT_EQ(host()->bmc.password, "");
  EXPECT_EQ(host()->bmc.sealed, "sealed for host/host-0000000001/bmc: 7 bytes");
  EXPECT_THAT(json::encode(*host()), ::testing::Not(HasSubstr("sealed")));
  // Another address keeps the password; no driver forgets it. What was proved before holds no more.
  const Time changed = host()->bmc_changed;
  EXPECT_NE(changed, Time{});
  c.loop().run_for(std::chrono::seconds(1));
  change("host", "host1", R"({"dpm":"excluded","dpm_reason":"a dongle"})");
  EXPECT_EQ(host()->bmc_changed, changed);
  EXPECT_EQ(host()->dpm, model::HostDpm::kExcluded);
  change("host", "host1", R"({"bmc":{"address":"10.0.0.10"}})");
  EXPECT_THAT(host()->bmc.sealed, HasSubstr("7 bytes"));
  change("host", "host1", R"({"bmc":{"driver":""}})");
  EXPECT_EQ(host()->bmc, model::BmcSpec{});
  EXPECT_GT(host()->bmc_changed, changed);
}

TEST_F(ClusterRequests, WakeOnLanIsCheckedAndRefusalsNameTheField) {
  const auto host = [&] { return inventory().hosts().find_name("host1"); };
  const auto refused = [&](const char* bmc) {
    return refusal(patch("host", "host1", fmt::format(R"({{"bmc":{}}})", bmc)));
  };
  const std::string_view card = R"("mac":["52:54:00:12:34:56"])";
  EXPECT_THAT(refused(R"({"standby":"suspend"})"), HasSubstr("/bmc/driver"));
  EXPECT_THAT(refused(R"({"driver":"wol"})"), HasSubstr("/bmc/mac: which card"));
  EXPECT_THAT(refused(R"({"driver":"wol","mac":["52:54:00:12:34"]})"), HasSubstr("/bmc/mac/0"));
  EXPECT_THAT(refused(R"({"driver":"wol","mac":["ff:ff:ff:ff:ff:ff"]})"), HasSubstr("/bmc/mac/0"));
  EXPECT_THAT(refused(R"({"driver":"wol","mac":["52:54:00:12:34:56"],"address":"10.0.0.9"})"),
              HasSubstr("/bmc/address"));
  EXPECT_THAT(refused(R"({"driver":"wol","mac":["52:54:00:12:34:56"],"broadcast":"rack"})"),
              HasSubstr("/bmc/broadcast"));
  EXPECT_THAT(refused(R"({"driver":"wol","mac":["52:54:00:12:34:56"],"password":"hunter2"})"),
              HasSubstr("/bmc/password"));
  EXPECT_THAT(refused(R"({"driver":"ipmi","address":"b","mac":["52:54:00:12:34:56"]})"),
              HasSubstr("/bmc/mac"));
  EXPECT_THAT(refused(R"({"driver":"ipmi","address":"b","interface":"eth1"})"),
              HasSubstr("/bmc/interface"));
  EXPECT_EQ(host()->bmc, model::BmcSpec{});

  change("host", "host1",
         fmt::format(R"({{"bmc":{{"driver":"wol",{},"password":"01:02:03:04:05:06"}}}})", card));
  EXPECT_THAT(host()->bmc.sealed, HasSubstr("17 bytes"));
  change("host", "host1", R"({"bmc":{"standby":"suspend","wake_after_s":28800}})");
  EXPECT_EQ(host()->bmc.standby, model::Standby::kSuspend);
  EXPECT_THAT(refused(R"({"wake_after_s":5})"), HasSubstr("/bmc/wake_after_s"));
  // The card's password is not sent to a BMC.
  change("host", "host1", R"({"bmc":{"driver":"ipmi","address":"10.0.0.9"}})");
  EXPECT_EQ(host()->bmc.sealed, "");
  EXPECT_EQ(host()->bmc.standby, model::Standby::kSuspend);
}

TEST_F(ClusterRequests, AScheduleThatMakesNoSenseIsRefused) {
  EXPECT_THAT(refusal(patch("cluster", "default",
                            R"({"schedule":{"bands":[{"name":"a","from_hour":2,"to_hour":2}]}})")),
              HasSubstr("/schedule/bands/0/to_hour"));
  change("cluster", "default",
         R"({"schedule":{"utc_offset_h":9,"bands":[{"name":"night","from_hour":20,"to_hour":7,)"
         R"("dpm":"full"}]}})");
  EXPECT_EQ(c.manager->engine.cluster().schedule.bands.size(), 1U);
}

TEST_F(ClusterRequests, TheLastClusterStays) {
  EXPECT_THAT(refusal(remove("cluster", "default")), HasSubstr("the only cluster"));
  make("cluster", R"({"meta":{"name":"lab"}})");
  ASSERT_TRUE(remove("cluster", "lab"));
  EXPECT_EQ(inventory().clusters().size(), 1U);
}

}  // namespace
}  // namespace chorok::manager
