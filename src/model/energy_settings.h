// What is known of a host's power without a meter, and what a cluster's energy costs. In records.
#pragma once

#include <string>
#include <vector>

#include "base/reflect.h"
#include "model/calendar.h"

namespace chorok::model {

// Where there is no meter, and for what a host would draw if it idled.
struct PowerModel {
  std::string curve;          // name (model/curves.h); empty: by its number of cores
  std::vector<double> watts;  // at 0, 10, … 100 % load; instead of a name
  double standby = 0;         // W while it is off; 0: as the curve says
  static const Type& type();
  bool operator==(const PowerModel&) const = default;
};

struct EnergySettings {
  std::string price;   // of a kWh: a calendar's name
  std::string carbon;  // kg of CO2 of a kWh: likewise
  Calendar own_price;  // instead of a name
  Calendar own_carbon;
  double pue = 1;  // facility's energy by IT's
  static const Type& type();
};

// Errors name the field below `at`.
Result<> check(const PowerModel& model, const std::string& at);

}  // namespace chorok::model
