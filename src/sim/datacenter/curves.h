// The curves of model/curves.h by their short names.
#pragma once

#include "model/curves.h"

namespace chorok::sim::datacenter {

using model::known_curve;
using model::known_curves;
using model::KnownCurve;

}  // namespace chorok::sim::datacenter
