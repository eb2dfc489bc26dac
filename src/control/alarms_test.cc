#include "control/alarms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace chorok::control {
namespace {

using model::AlarmSeverity;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

class AlarmConditions : public ::testing::Test {
 protected:
  AlarmConditions() {
    host.meta = {.id = "host-1", .name = "sol"};
    host.link = model::HostLink::kConnected;
    host.watch.phase = model::HostPhase::kUp;
    host.certificate_expires = now + std::chrono::days(60);
    store.meta = {.id = "ds-1", .name = "shared"};
    store.shared = true;
    host.datastores = {
        {.datastore = "ds-1", .reachable = true, .capacity = Mib{1000}, .free = Mib{500}}};
  }
  std::vector<Condition> look() {
    AlarmView view{.now = now, .hosts = {&host}, .datastores = {&store}, .ca_expires = ca};
    view.is_up = [&](std::string_view kind, const std::string&) { return up.contains(kind); };
    return conditions(view);
  }
  std::vector<std::string_view> kinds() {
    std::vector<std::string_view> out;
    for (const Condition& each : look()) out.push_back(each.kind);
    return out;
  }

  Time now = Time(100h * 24 * 365);
  Time ca = now + std::chrono::days(3650);
  model::Host host;
  model::Datastore store;
  std::set<std::string_view> up;
};

TEST_F(AlarmConditions, NothingIsWrong) {
  EXPECT_THAT(look(), IsEmpty());
}

TEST_F(AlarmConditions, AHostIsMissedOnlyWhereItIsToBe) {
  host.link = model::HostLink::kLost;
  EXPECT_THAT(kinds(), ElementsAre("host.lost"));
  host.power = model::HostPower::kOff;
  host.watch.phase = model::HostPhase::kDown;
  EXPECT_THAT(kinds(), IsEmpty());
  host.watch.phase = model::HostPhase::kFailed;
  EXPECT_THAT(kinds(), ElementsAre("host.failed"));
  host.watch.phase = model::HostPhase::kWaking;
  host.watch.tries = 1;
  EXPECT_THAT(kinds(), IsEmpty());
  host.watch.tries = 2;
  EXPECT_THAT(kinds(), ElementsAre("host.wake_late"));
  host.watch.phase = model::HostPhase::kStopping;
  EXPECT_THAT(kinds(), ElementsAre("host.stop_late"));
}

TEST_F(AlarmConditions, AFailedWakeTestIsTold) {
  host.watch.test.standing = model::WakeStanding::kFailed;
  host.watch.test.why = "it did not come back within 600 s";
  ASSERT_THAT(kinds(), ElementsAre("host.wake_test_failed"));
  EXPECT_THAT(look()[0].text, HasSubstr("did not come back within 600 s"));
  host.dpm = model::HostDpm::kExcluded;
  EXPECT_THAT(kinds(), IsEmpty()) << "a person knows";
  host.dpm = model::HostDpm::kAutomatic;
  host.watch.test.standing = model::WakeStanding::kPassed;
  EXPECT_THAT(kinds(), IsEmpty());
}

TEST_F(AlarmConditions, ADatastoreIsFullAndThenHasRoomAgain) {
  const auto used = [&](std::int64_t percent) {
    host.datastores[0].free = Mib{1000 - (10 * percent)};
    return look();
  };
  EXPECT_THAT(used(89), IsEmpty());
  ASSERT_EQ(used(91).size(), 1U);
  EXPECT_EQ(used(91)[0].severity, AlarmSeverity::kWarning);
  EXPECT_EQ(used(96)[0].severity, AlarmSeverity::kCritical);
  up = {"datastore.full"};
  EXPECT_EQ(used(89).size(), 1U);  // does not flutter
  EXPECT_THAT(used(87), IsEmpty());
}

TEST_F(AlarmConditions, ALocalDatastoreNeedNotBeEverywhere) {
  host.datastores[0].reachable = false;
  ASSERT_EQ(look().size(), 1U);
  EXPECT_THAT(look()[0].text, HasSubstr("sol"));
  store.shared = false;
  EXPECT_THAT(kinds(), ElementsAre("datastore.unreachable"));  // nobody reaches it
  host.datastores.clear();
  EXPECT_THAT(look(), IsEmpty());
}

TEST_F(AlarmConditions, CertificatesEnd) {
  host.certificate_expires = now + std::chrono::days(10);
  ASSERT_EQ(look().size(), 1U);
  EXPECT_EQ(look()[0].severity, AlarmSeverity::kWarning);
  host.certificate_expires = now - 1h;
  EXPECT_EQ(look()[0].severity, AlarmSeverity::kCritical);
  EXPECT_THAT(look()[0].text, HasSubstr("has ended"));
  host.certificate_expires = Time{};
  ca = now + std::chrono::days(20);
  EXPECT_THAT(kinds(), ElementsAre("manager.ca"));
}

TEST(AlarmKinds, EachCanBeginAndEnd) {
  std::set<std::string_view> names;
  for (const AlarmKind& kind : alarm_kinds()) {
    EXPECT_TRUE(names.insert(kind.kind).second) << kind.kind;
    EXPECT_FALSE(kind.cause.empty() || kind.action.empty()) << kind.kind;
    EXPECT_EQ(find_alarm_kind(kind.kind), &kind);
    if (kind.kind == "manager.alarms") continue;  // of the alarms themselves
    EXPECT_TRUE(kind.state || !kind.begins.empty()) << kind.kind;
    EXPECT_TRUE(kind.state || !kind.ends.empty() || kind.hold > Duration{}) << kind.kind;
  }
}

}  // namespace
}  // namespace chorok::control
