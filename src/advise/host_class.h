// The hosts that advice is about: a class with a power curve that somebody measured, and what the
// curve does not say (clock, memory, boots) with a stated default.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sim/datacenter/honest.h"

namespace chorok::advise {

struct HostClass {
  std::string name;
  std::string source;  // of the curve
  sim::datacenter::HostType type;
  std::int32_t count = 0;  // 0: the fewest that carry what is there
};

inline constexpr std::int32_t kHostsMost = 10'000;

// "spec-median-2023" or "spec-median-2023:12". Clock 3,000 MHz a core and 8 GiB of memory a core
// where the class does not know better; over those, `core_mhz` and `memory_mib` where above 0.
// Error: an unknown class (with what there is), a count that is none.
Result<HostClass> parse_hosts(std::string_view text, double core_mhz = 0, double memory_mib = 0);

// A data centre of `count` of them: boots of five minutes at idle and 15 % of the way to full,
// stops of a minute at idle, 10 Gbit/s.
sim::datacenter::HonestSettings settings_of(const HostClass& hosts, std::int32_t count);

}  // namespace chorok::advise
