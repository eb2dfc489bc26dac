// What advice prices energy by: calendars of money and CO2 (model/calendar.h), dated data that a
// flag replaces, and the PUE.
#pragma once

#include <optional>
#include <string>

#include "model/calendar.h"
#include "sim/datacenter/account.h"

namespace chorok::advise {

struct Prices {
  model::Calendar price = *model::find_calendar("korea-industrial", false);
  model::Calendar carbon = *model::find_calendar("korea-grid", true);
  std::optional<Time> start;  // of the samples; calendars by the hour need it
  double pue = 1;             // facility energy over IT energy; 1: not applied

  sim::datacenter::AccountSettings account() const {
    return {.price = price, .carbon = carbon, .start = start, .pue = pue};
  }
};

// "Korea's grid, value of 2023, as of 2025-12".
std::string source_of(const model::Calendar& calendar);

// "12,345" and "12,345.6" are sim::datacenter::grouped()'s; money below 100 keeps two digits.
std::string money_text(double amount);

}  // namespace chorok::advise
