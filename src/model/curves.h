// Watts by load of hosts that somebody measured, each with where the figures come from.
#pragma once

#include <span>
#include <string_view>

#include "model/snapshot.h"

namespace chorok::model {

struct KnownCurve {
  PowerCurve curve;
  std::int32_t cores = 0;  // of the machine that was measured
  std::string_view source;
};

// All of them, by year. Made once.
std::span<const KnownCurve> known_curves();

// Null: there is none of that name.
const KnownCurve* find_curve(std::string_view name);
// By name; asserted to exist: names are written in this source, not typed by people.
const KnownCurve& known_curve(std::string_view name);

}  // namespace chorok::model
