#include "manager/link_speed.h"

#include <gtest/gtest.h>

namespace chorok::manager {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""s;

constexpr Time kNow{std::chrono::days(1000)};

model::MigrationStats migration(Duration total, std::int64_t mib = 1000) {
  model::MigrationStats out;
  out.from = "a";
  out.to = "b";
  out.kind = "live";
  out.total = total;
  out.transferred = Bytes(mib << 20);
  out.finished = kNow - 1h;
  return out;
}

TEST(LinkSpeed, IsTheMedianOfWhatBothHostsHaveSeen) {
  LinkSpeed links;
  EXPECT_EQ(links.of("a"), 0);
  for (const Duration total : {Duration(10s), Duration(20s), Duration(1000s)})
    links.see(migration(total), kNow);
  EXPECT_EQ(links.of("a"), 50);
  EXPECT_EQ(links.of("b"), 50);
  EXPECT_EQ(links.of("c"), 0);
}

TEST(LinkSpeed, LeavesOutWhatSaysNothingOfTheLink) {
  LinkSpeed links;
  const auto see = [&](auto change) {
    model::MigrationStats it = migration(10s);
    change(it);
    links.see(it, kNow);
    return links.of("a");
  };
  EXPECT_EQ(see([](auto& it) { it.kind = "live-storage"; }), 0);
  EXPECT_EQ(see([](auto& it) { it.kind = "cold"; }), 0);
  EXPECT_EQ(see([](auto& it) { it.total = {}; }), 0);
  EXPECT_EQ(see([](auto& it) { it.transferred = Bytes(100 << 20); }), 0);
  EXPECT_EQ(see([](auto& it) { it.finished = kNow - 24h * 31; }), 0);
  EXPECT_EQ(see([](auto& it) { it.limit_mib_s = 100; }), 0) << "it was the limit";
  EXPECT_EQ(see([](auto& it) { it.limit_mib_s = 200; }), 100) << "the limit was not reached";
}

}  // namespace
}  // namespace chorok::manager
