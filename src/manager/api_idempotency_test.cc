#include "manager/api_idempotency.h"

#include <gtest/gtest.h>

namespace chorok::manager {
namespace {

using std::chrono::hours;
constexpr Time kNow = Time(hours(500'000));

TEST(Idempotency, RemembersForADay) {
  Idempotency keys(hours(24), 10, 1 << 20);
  EXPECT_EQ(keys.begin("a", "x", kNow).value(), nullptr);
  EXPECT_EQ(keys.begin("a", "x", kNow).error().code, Code::kConflict) << "still at work";
  keys.finish("a", {201, "/somewhere", "", "application/json", "{}"});
  EXPECT_EQ(keys.begin("a", "x", kNow + hours(23)).value()->status, 201);
  EXPECT_EQ(keys.begin("a", "y", kNow).error().code, Code::kInvalid) << "another request";
  EXPECT_EQ(keys.begin("a", "x", kNow + hours(25)).value(), nullptr) << "meant anew";
}

TEST(Idempotency, ForgetsWhatFailed) {
  Idempotency keys(hours(24), 10, 1 << 20);
  EXPECT_EQ(keys.begin("a", "x", kNow).value(), nullptr);
  keys.forget("a");
  EXPECT_EQ(keys.begin("a", "y", kNow).value(), nullptr);
  keys.finish("a", {.status = 200});
  keys.forget("a");
  EXPECT_NE(keys.begin("a", "y", kNow).value(), nullptr) << "what succeeded stays";
}

TEST(Idempotency, IsBounded) {
  Idempotency keys(hours(24), 10, 1000);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(keys.begin(std::to_string(i), "x", kNow).value(), nullptr);
    keys.finish(std::to_string(i), {.status = 200, .body = std::string(300, 'b')});
    EXPECT_LE(keys.size(), 11U);
  }
  EXPECT_LE(keys.size(), 5U) << "by bytes too";
  EXPECT_NE(keys.begin("99", "x", kNow).value(), nullptr) << "the newest stay";
}

}  // namespace
}  // namespace chorok::manager
