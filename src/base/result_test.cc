#include <gtest/gtest.h>

#include "base/result.h"

namespace chorok {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return fail(Code::kInvalid, "odd", "/value");
  return value / 2;
}

Result<int> quarter(int value) {
  return half(TRY(half(value)));
}

TEST(Result, TryPassesTheErrorOn) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error().field, "/value");
}

TEST(Result, EveryCodeHasANameThatReadsBack) {
  for (int i = 0; i <= static_cast<int>(Code::kInternal); ++i) {
    auto code = static_cast<Code>(i);
    EXPECT_EQ(code_from_string(to_string(code)), code);
  }
}

}  // namespace
}  // namespace chorok
