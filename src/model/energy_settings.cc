#include "model/energy_settings.h"

#include <algorithm>

#include "model/curves.h"

namespace chorok::model {

const Type& PowerModel::type() {
  static const Type kType =
      describe<PowerModel>("PowerModel", "What a host draws, where no meter says it.")
          .field("curve", &PowerModel::curve,
                 "A measured machine like it: spec-median-2021, spec-median-2023, …; empty: by its "
                 "number of cores.",
                 {.max_length = 64})
          .field("watts", &PowerModel::watts,
                 "At 0, 10, … 100 % load: eleven numbers, instead of a name.",
                 {.min = 0, .max = 100'000, .max_count = 11})
          .field("standby", &PowerModel::standby, "Watts while it is off; 0: as the curve says.",
                 {.min = 0, .max = 100'000});
  return kType;
}

const Type& EnergySettings::type() {
  static const Type kType =
      describe<EnergySettings>("EnergySettings", "What a cluster's energy costs.")
          .field("price", &EnergySettings::price,
                 "Of a kWh: a calendar that is built in, or file:NAME for DIR/calendars/NAME.csv "
                 "on the manager.",
                 {.max_length = 80})
          .field("carbon", &EnergySettings::carbon, "kg of CO2 of a kWh: likewise.",
                 {.max_length = 80})
          .field("own_price", &EnergySettings::own_price, "Instead of a name.")
          .field("own_carbon", &EnergySettings::own_carbon, "Instead of a name.")
          .field("pue", &EnergySettings::pue,
                 "What the facility draws for each watt of its machines.", {.min = 1, .max = 5});
  return kType;
}

Result<> check(const PowerModel& model, const std::string& at) {
  if (!model.watts.empty() && model.watts.size() != 11)
    return fail(Code::kInvalid, "eleven numbers: watts at 0, 10, … 100 % load", at + "/watts");
  if (!std::ranges::is_sorted(model.watts))
    return fail(Code::kInvalid, "a host draws no less with more load", at + "/watts");
  if (model.curve.empty() || find_curve(model.curve) != nullptr) return {};
  std::string names;
  for (const KnownCurve& known : known_curves())
    names += (names.empty() ? "" : ", ") + known.curve.name;
  return fail(Code::kInvalid, "there is no curve '" + model.curve + "'; there are " + names,
              at + "/curve");
}

}  // namespace chorok::model
