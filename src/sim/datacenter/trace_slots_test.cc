#include "sim/datacenter/trace_slots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chorok::sim::datacenter {
namespace {

using ::testing::ElementsAre;

TraceSet set_of(std::size_t vms) {
  TraceSet set;
  set.source = "test";
  set.interval = std::chrono::seconds(10);
  set.vms.resize(vms);
  return set;
}

TEST(TraceSlots, MeansInAnyOrderAndNothingBeforeTheFirst) {
  TraceSet set = set_of(2);
  const std::vector<TraceSample> samples = {{.vm = 1, .time_s = 1025, .cpu = 0.4},
                                            {.vm = 0, .time_s = 1009, .cpu = 0.3},
                                            {.vm = 0, .time_s = 1001, .cpu = 0.1},
                                            {.vm = 0, .time_s = 1022, .cpu = 0.5, .memory = 100}};
  ASSERT_TRUE(into_slots(samples, true, {}, set).has_value());
  EXPECT_EQ(set.samples, 3);
  EXPECT_THAT(set.cpu, ElementsAre(0.2, -1, 0.2, -1, 0.5, 0.4));
  EXPECT_THAT(set.memory, ElementsAre(-1, -1, -1, -1, 100, -1));
}

TEST(TraceSlots, ALongSilenceIsNoDemand) {
  TraceSet set = set_of(1);
  const std::vector<TraceSample> samples = {{.vm = 0, .time_s = 0, .cpu = 0.5},
                                            {.vm = 0, .time_s = 50, .cpu = 0.5}};
  ASSERT_TRUE(into_slots(samples, false, {}, set, 20).has_value());
  EXPECT_THAT(set.cpu, ElementsAre(0.5, 0.5, 0.5, 0, 0, 0.5));
  ASSERT_TRUE(into_slots(samples, false, {}, set).has_value());
  EXPECT_THAT(set.cpu, ElementsAre(0.5, 0.5, 0.5, 0.5, 0.5, 0.5));
}

TEST(TraceSlots, RefusesWhatIsTooLittleOrTooMuch) {
  TraceSet set = set_of(1);
  EXPECT_FALSE(into_slots({}, false, {}, set).has_value());
  const std::vector<TraceSample> one = {{.vm = 0, .time_s = 3, .cpu = 0.5}};
  EXPECT_FALSE(into_slots(one, false, {}, set).has_value());
  const std::vector<TraceSample> far = {{.vm = 0, .time_s = 0, .cpu = 0.5},
                                        {.vm = 0, .time_s = 1e12, .cpu = 0.5}};
  EXPECT_FALSE(into_slots(far, false, {}, set).has_value());
}

}  // namespace
}  // namespace chorok::sim::datacenter
