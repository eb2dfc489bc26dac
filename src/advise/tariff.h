// What a kWh costs and emits, with where the figures come from: they are dated data that a flag
// replaces, never constants of nature.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace chorok::advise {

struct Tariff {
  double per_kwh = 178;  // Korea, industrial, 173 to 183 since 2024-10: the middle
  std::string currency = "KRW";
  std::string source = "Korea, industrial, mean over the hours of day, as of 2024-10";
};

struct Carbon {
  double kg_per_kwh = 0.4173;
  std::string source = "Korea's grid, value of 2023, published 2025-12";
};

// "178", "178 KRW", "0.21EUR": an amount and, if another than KRW, three letters. Error: what was
// expected.
Result<Tariff> parse_tariff(std::string_view text);
// Kilograms of CO2 a kWh, 0 to 10.
Result<Carbon> parse_carbon(std::string_view text);

// kWh in money and kilograms of CO2.
struct Worth {
  double kwh = 0;
  double money = 0;
  double co2_kg = 0;
};
inline Worth worth_of(double kwh, const Tariff& tariff, const Carbon& carbon) {
  return {.kwh = kwh, .money = kwh * tariff.per_kwh, .co2_kg = kwh * carbon.kg_per_kwh};
}

}  // namespace chorok::advise
