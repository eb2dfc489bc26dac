// What every Store refuses before it looks at its data, in the same words: transactions that are
// too large, keys that cannot be keys, pages that cannot be pages.
#pragma once

#include <string>
#include <string_view>

#include "ports/store.h"

namespace chorok::ports {

// A page ends early when its values reach this: 1,000 records of 1 MiB would not fit in memory.
inline constexpr std::size_t kMaxPageBytes = 4 << 20;

// kInvalid: an empty, over-long or unprintable key, a key that comes twice, no write at all;
// kExhausted: above StoreLimits.
Result<> check(const Txn& txn);
Result<> check_page(std::size_t limit);
Error no_such_key(std::string_view key);
Error revision_conflict(const Write& write, Revision found);

// The least string greater than every string that starts with `prefix`; empty when there is none.
std::string prefix_end(std::string_view prefix);

}  // namespace chorok::ports
