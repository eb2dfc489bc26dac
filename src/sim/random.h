// The only source of chance in the simulator: the same seed gives the same numbers on every machine
// (the standard library's distributions do not promise that). splitmix64: Steele, Lea, Flood, "Fast
// splittable pseudorandom number generators", OOPSLA 2014.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/units.h"

namespace chorok::sim {

class Random {
 public:
  explicit Random(std::uint64_t seed) : seed_(seed), state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  // 0 <= x < 1
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  bool chance(double probability) { return probability > 0 && unit() < probability; }
  // 0 <= x < bound; 0 for a bound of 0. The bias of the remainder is below bound / 2^64.
  std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }
  double between(double low, double high) { return low + (high - low) * unit(); }
  Duration between(Duration low, Duration high) {
    return low + Duration(static_cast<std::int64_t>(
                     below(static_cast<std::uint64_t>((high - low).count()) + 1)));
  }
  // A stream of its own for one part of the world: what that part draws moves nobody else's luck,
  // so a change in one place leaves the rest of a seed's history alone.
  Random fork(std::string_view name) const {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    Random mixed(seed_ ^ hash);
    return Random(mixed.next());
  }

 private:
  std::uint64_t seed_;
  std::uint64_t state_;
};

}  // namespace chorok::sim
