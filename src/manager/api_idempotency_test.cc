#include "manager/api_idempotency.h"

#include <gtest/gtest.h>

namespace chorok::manager {
namespace {

using std::chrono::hours;
constexpr Time kNow = Time(hours(500'000));

Idempotency::Kept answer(const Idempotency& keys, std::string id, std::string body = "{}") {
  KeptAnswer kept;
  kept.id = std::move(id);
  kept.status = 201;
  kept.body = std::move(body);
  return std::make_shared<const KeptAnswer>(keys.complete(std::move(kept)));
}

TEST(Idempotency, RemembersForADay) {
  Idempotency keys(hours(24), 10, 1 << 20);
  EXPECT_EQ(keys.begin("a", "x", kNow).value(), nullptr);
  EXPECT_EQ(keys.begin("a", "x", kNow).error().code, Code::kConflict) << "still at work";
  keys.finish(answer(keys, "a"));
  EXPECT_EQ(keys.begin("a", "x", kNow + hours(23)).value()->status, 201);
  EXPECT_EQ(keys.begin("a", "y", kNow).error().code, Code::kInvalid) << "another request";
  EXPECT_EQ(keys.begin("a", "x", kNow + hours(25)).value(), nullptr) << "meant anew";
  EXPECT_EQ(keys.take_dropped(100), std::vector<std::string>{"a"});
}

TEST(Idempotency, ForgetsWhatFailed) {
  Idempotency keys(hours(24), 10, 1 << 20);
  EXPECT_EQ(keys.begin("a", "x", kNow).value(), nullptr);
  keys.forget("a");
  EXPECT_EQ(keys.begin("a", "y", kNow).value(), nullptr);
  keys.finish(answer(keys, "a"));
  keys.forget("a");
  EXPECT_NE(keys.begin("a", "y", kNow).value(), nullptr) << "what succeeded stays";
}

TEST(Idempotency, IsBounded) {
  Idempotency keys(hours(24), 10, 1000);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(keys.begin(std::to_string(i), "x", kNow).value(), nullptr);
    keys.finish(answer(keys, std::to_string(i), std::string(300, 'b')));
    EXPECT_LE(keys.size(), 11U);
  }
  EXPECT_LE(keys.size(), 5U) << "by bytes too";
  EXPECT_NE(keys.begin("99", "x", kNow).value(), nullptr) << "the newest stay";
  EXPECT_EQ(keys.take_dropped(100).size() + keys.size(), 100U);
}

TEST(Idempotency, TakesUpWhatTheStoreHas) {
  Table<KeptAnswer> stored;
  for (int i = 0; i < 3; ++i) {
    auto kept = std::make_shared<KeptAnswer>();
    kept->id = std::to_string(2 - i);  // not in the order of their age
    kept->fingerprint = "x";
    kept->at = kNow + hours(i);
    kept->status = 200 + i;
    stored.exchange(kept->id, kept);
  }
  Idempotency keys(hours(24), 10, 1 << 20);
  keys.load(stored);
  EXPECT_EQ(keys.begin("1", "x", kNow + hours(3)).value()->status, 201);
  EXPECT_EQ(keys.begin("1", "other", kNow).error().code, Code::kInvalid);
  EXPECT_EQ(keys.begin("0", "x", kNow + hours(25)).value()->status, 202) << "two hours younger";
  EXPECT_EQ(keys.take_dropped(100), std::vector<std::string>{"2"});
}

}  // namespace
}  // namespace chorok::manager
