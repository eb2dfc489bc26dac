#include "adapters/libvirt/lookups.h"

#include <gtest/gtest.h>

namespace chorok::adapters::libvirt {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// An address that the guest gets at any moment is known soon after, and one that never comes is not
// asked for for ever.
TEST(AddressQuestions, ComeSoonAfterTheStartAndEnd) {
  nanoseconds at{};
  int asked = 0;
  while (auto pause = next_address_question(at)) {
    EXPECT_GE(*pause, seconds(1));
    EXPECT_LE(*pause, std::max<nanoseconds>(seconds(1), at / 4)) << at / milliseconds(1) << " ms";
    at += *pause;
    ++asked;
  }
  EXPECT_GE(at, minutes(3));
  EXPECT_LE(asked, 35);
}

}  // namespace
}  // namespace chorok::adapters::libvirt
