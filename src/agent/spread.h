// Where a host stands in a period, so that a thousand hosts whose power or whose manager came back
// in one moment do not all tell it everything in the same moment from then on.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/units.h"

namespace chorok::agent {

// From 0 up to the period, without it: the same for the same id (FNV-1a, and the finalizer of
// splitmix64: ids that differ in their last character are to be far apart).
inline Duration place_in(Duration period, std::string_view id) {
  constexpr std::uint64_t kParts = 1024;
  std::uint64_t hash = 14695981039346656037U;
  for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  hash = (hash ^ (hash >> 30U)) * 0xbf58476d1ce4e5b9U;
  hash = (hash ^ (hash >> 27U)) * 0x94d049bb133111ebU;
  return period / static_cast<std::int64_t>(kParts) *
         static_cast<std::int64_t>((hash >> 31U) % kParts);
}

}  // namespace chorok::agent
