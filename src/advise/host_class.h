// The hosts that advice is about: a class with a power curve that somebody measured, and what the
// curve does not say (clock, memory, boots) with a stated default.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sim/datacenter/honest.h"

namespace chorok::advise {

struct HostClass {
  std::string name;
  std::string source;  // of the curve
  sim::datacenter::HostType type;
  std::int32_t count = 0;               // 0: the fewest that carry what is there
  std::vector<std::string> names = {};  // of hosts that there are; beyond them: h0, h1, …
};

// What a cluster is made of: one class, or several with their counts.
struct Hosts {
  std::vector<HostClass> classes;
  std::int32_t count() const;                         // 0: not stated
  double mhz() const;                                 // of all, where the count is stated
  double core_mhz_most() const;                       // of the fastest
  bool carries(double mhz, double memory_mib) const;  // whether some host is as large
};

inline constexpr std::int32_t kHostsMost = 10'000;
inline constexpr std::size_t kClassesMost = 16;

// "spec-median-2023", "spec-median-2023:12", or several with counts: "spec-median-2017:8+
// spec-median-2023:4". Clock 3,000 MHz a core and 8 GiB of memory a core where the class does not
// know better; over those, `core_mhz` and `memory_mib` where above 0. Error: an unknown class (with
// what there is), a count that is none or is missing among several.
Result<Hosts> parse_hosts(std::string_view text, double core_mhz = 0, double memory_mib = 0);

// A data centre of them, of a single class `count` of it: boots of five minutes at idle and 15 % of
// the way to full, stops of a minute at idle, 10 Gbit/s. Sets are mixed evenly: `class_of` says of
// which class host i is, in turns.
struct Cluster {
  sim::datacenter::HonestSettings settings;
  std::vector<std::size_t> class_of;
};
Cluster cluster_of(const Hosts& hosts, std::int32_t count);

}  // namespace chorok::advise
