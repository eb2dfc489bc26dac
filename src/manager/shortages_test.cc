// What a cluster's rounds could not mend becomes an alarm, what is about to be mended does not.
#include "manager/shortages.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace chorok::manager {
namespace {

class UnmetTest : public ::testing::Test {
 protected:
  UnmetTest() {
    snapshot.hosts.resize(2);
    snapshot.hosts[0].name = "host1";
    snapshot.hosts[1].name = "host2";
    snapshot.vms.resize(2);
    snapshot.vms[0].name = "web";
    snapshot.vms[1].name = "db";
  }
  void round(std::vector<policy::Violation> violations, bool at_work) {
    auto shown = std::make_shared<model::Snapshot>(snapshot);
    if (at_work) shown->operations.push_back({.vm = 0, .from = 0, .to = 1});
    auto plan = std::make_shared<policy::Plan>();
    plan->violations = std::move(violations);
    rounds.push_back({.snapshot = std::move(shown), .plan = std::move(plan)});
  }
  static policy::Violation stuck(model::Index vm, std::string text) {
    return {policy::Why::kRule, vm, 0, std::move(text)};
  }

  model::Snapshot snapshot;
  std::deque<PlanRecord> rounds;
};

TEST_F(UnmetTest, WhatIsWrongInARoundWithoutWorkIsToldAtOnce) {
  EXPECT_EQ(unmet(rounds), "");
  round({}, false);
  EXPECT_EQ(unmet(rounds), "");
  round({stuck(0, "web can go nowhere")}, false);
  EXPECT_EQ(unmet(rounds), "web can go nowhere");
}

TEST_F(UnmetTest, WhileWorkIsUnderWayOneRoundSaysNothing) {
  round({stuck(0, "web can go nowhere")}, true);
  EXPECT_EQ(unmet(rounds), "");
  round({}, true);
  EXPECT_EQ(unmet(rounds), "");
  round({stuck(0, "web can go nowhere")}, true);
  EXPECT_EQ(unmet(rounds), "");
  round({stuck(0, "web can still go nowhere"), stuck(1, "nor can db")}, true);
  EXPECT_EQ(unmet(rounds), "web can still go nowhere");
}

TEST_F(UnmetTest, TwoRoundsAreComparedByNames) {
  round({stuck(0, "web can go nowhere")}, true);
  std::swap(snapshot.vms[0], snapshot.vms[1]);
  round({stuck(0, "db can go nowhere")}, true);
  EXPECT_EQ(unmet(rounds), "");
  round({stuck(1, "web can go nowhere"), stuck(0, "nor can db")}, true);
  EXPECT_EQ(unmet(rounds), "nor can db");
}

TEST_F(UnmetTest, AFewAreTold) {
  std::vector<policy::Violation> many;
  for (int i = 0; i < 5; ++i) many.push_back(stuck(0, fmt::format("wrong {}", i)));
  round(std::move(many), false);
  EXPECT_EQ(unmet(rounds), "wrong 0; wrong 1; wrong 2; and 2 more");
}

}  // namespace
}  // namespace chorok::manager
