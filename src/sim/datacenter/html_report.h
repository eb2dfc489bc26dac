// One run as one page of HTML: charts drawn here as SVG, a heat map, the figures and the settings.
// It opens from a disk with no network: nothing in it refers to anything outside of it.
#pragma once

#include <string>

#include "sim/datacenter/experiment.h"
#include "sim/datacenter/recording.h"

namespace chorok::sim::datacenter {

// Some 100 to 200 KB. Whatever text it takes from the experiment is escaped.
std::string html_report(const Report& report, const Recording& recording);

}  // namespace chorok::sim::datacenter
