// What a person has applied of a round's recommendations, in virtual time: how it goes on, and what
// becomes of it when the world changes.
#include "manager/applied.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "manager/driven_cluster.h"
#include "manager/plan_view.h"
#include "manager/recommendations.h"

namespace chorok::manager {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

// DRS and DPM at manual, with BMCs: three quiet hosts that would be one.
class AppliedTest : public ::testing::Test, public DrivenCluster {
 protected:
  AppliedTest() {
    three_vms(200);
    settle([](model::PolicySettings& s) {
      automatic(s);
      s.power.automation = model::Automation::kManual;
      s.balance.automation = model::Automation::kManual;
    });
    drive();
    c.loop().advance_until([&] { return count("power_off", RecommendationState::kOpen) == 2; }, 3h);
  }
  std::vector<Recommendation> items() const { return driver->recommendations().list().items; }
  std::int64_t count(std::string_view kind, RecommendationState state) const {
    if (driver == nullptr) return 0;
    return std::ranges::count_if(items(), [&](const Recommendation& item) {
      return name_of(item.kind) == kind && item.state == state;
    });
  }
  std::string shown() const {
    std::string out;
    for (const Recommendation& each : items())
      out += fmt::format("{} {} {} {}\n", each.id, name_of(each.state), title_of(each),
                         each.waits_for);
    return out;
  }
  Result<std::vector<std::string>> apply_all() {
    return driver->recommendations().apply({.all = true}, "kim");
  }
};

TEST_F(AppliedTest, WhatIsAppliedOutlivesTheRoundsThatFollow) {
  ASSERT_EQ(count("power_off", RecommendationState::kOpen), 2) << shown();
  EXPECT_EQ(hosts_on(), 3);
  ASSERT_TRUE(apply_all());
  c.loop().run_for(1s);
  EXPECT_EQ(count("power_off", RecommendationState::kOpen), 0) << shown();
  ASSERT_GT(count("power_off", RecommendationState::kWaiting), 0) << shown();
  for (const Recommendation& each : items()) {
    EXPECT_EQ(each.applied_by, "kim") << shown();
    if (each.kind == policy::ActionKind::kPowerOff) {
      EXPECT_THAT(each.waits_for, HasSubstr("for rec-")) << shown();
    }
  }
  // A round while the moves are in flight wants none of it.
  driver->plan_soon();
  c.loop().run_for(20min);
  EXPECT_EQ(hosts_on(), 1) << shown() << events();
  EXPECT_THAT(events(), HasSubstr("(applied by kim)"));
  EXPECT_EQ(count("power_off", RecommendationState::kOpen), 0) << shown();
  for (const auto& [id, host] : c.inventory().hosts().all())
    EXPECT_NE(host->watch.off_by, model::HostOffBy::kDpm);
  c.loop().run_for(2h);
  EXPECT_EQ(hosts_on(), 1) << "a person wanted it so\n" << events();
  all_still_run();
}

TEST_F(AppliedTest, WhatCannotBeDoneAnyMoreIsGivenUpAndSaysWhy) {
  ASSERT_TRUE(apply_all());
  const std::vector<Recommendation> all = items();
  const auto off = std::ranges::find(all, policy::ActionKind::kPowerOff, &Recommendation::kind);
  ASSERT_NE(off, all.end());
  // Before it is empty somebody wants it kept on.
  model::Host host = *c.inventory().hosts().find_name(off->to);
  host.dpm = model::HostDpm::kExcluded;
  host.dpm_reason = "a dongle";
  Changes changes;
  changes.put(std::move(host));
  c.manager->engine.commit(std::move(changes), [](Result<>) {});
  c.loop().run_for(20min);
  EXPECT_EQ(hosts_on(), 2) << shown() << events();
  EXPECT_THAT(events(), HasSubstr(fmt::format("cluster.recommendation_dropped default {} (switch "
                                              "{} off), applied by kim, is given up: it is "
                                              "excluded from DPM: a dongle",
                                              off->id, off->to)));
  all_still_run();
}

TEST_F(AppliedTest, AVmThatStartsThereMeanwhileKeepsItsHostOn) {
  model::Vm vm;
  vm.meta.name = "late";
  vm.spec.vcpus = 1;
  vm.spec.memory = Mib{512};
  vm.spec.disks.push_back({.name = "root", .datastore = "shared", .size = Mib{2048}});
  const auto made = c.ask([&](Answered done) {
    c.manager->requests.create(c.admin(), "vm", json::encode(vm), false, {}, std::move(done));
  });
  ASSERT_TRUE(made) << made.error().message;
  c.wait(*made);
  c.loop().advance_until([&] { return count("power_off", RecommendationState::kOpen) == 2; }, 3h);
  ASSERT_TRUE(apply_all());
  const Recommendation first = items()[0];
  ASSERT_EQ(first.kind, policy::ActionKind::kMigrate) << shown();
  model::TaskArgs args;
  args.host = c.inventory().hosts().find_name(first.from)->meta.id;
  const auto started = c.verb("start", "late", args);
  ASSERT_TRUE(started) << started.error().message;
  c.wait(*started);
  c.loop().run_for(20min);
  EXPECT_THAT(events(), HasSubstr("late runs there by now")) << shown();
  EXPECT_TRUE(bmcs[args.host]->has_power());
  all_still_run();
}

// A recommendation is called one, and said once however often a round wants it again.
TEST_F(AppliedTest, ItsDecisionsAreCalledWhatTheyAreAndFolded) {
  std::string host;
  for (const Recommendation& each : items())
    if (each.kind == policy::ActionKind::kPowerOff) host = each.to;
  const auto raw = decisions_about(driver->plans(), host, 1000);
  ASSERT_FALSE(raw.empty()) << shown();
  for (const Decision& each : raw) EXPECT_TRUE(each.text.starts_with("recommended: ")) << each.text;

  const auto at = [](int minute) { return Time(1000h + std::chrono::minutes(minute)); };
  std::vector<Decision> many;
  for (int minute = 9; minute >= 1; --minute)
    for (const char* what : {"recommended: switch host1 off", "recommended: migrate vm1"})
      many.push_back({.round = minute,
                      .at = at(minute),
                      .text = fmt::format("{}: saves {} W", what, 80 + minute)});
  many.push_back({.round = 0, .at = at(0), .text = "switch host1 on: demand"});
  many.push_back({.round = -1, .at = at(-1), .text = "recommended: switch host1 off: old"});
  const auto few = folded(many, 20);
  ASSERT_EQ(few.size(), 4U);
  EXPECT_EQ(few[0].rounds, 9);
  EXPECT_EQ(few[0].at, at(9));
  EXPECT_EQ(few[0].since, at(1));
  EXPECT_EQ(few[1].rounds, 9);
  EXPECT_EQ(few[2].rounds, 1);
  EXPECT_EQ(few[3].rounds, 1) << "a round in between wanted something else";
  EXPECT_EQ(folded(many, 1).size(), 1U);
  EXPECT_EQ(folded(many, 1)[0].since, at(1));
}

}  // namespace
}  // namespace chorok::manager
