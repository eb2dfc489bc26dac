// What a run's energy costs and emits: its meter, read at every tick, by the calendars of price and
// CO2. What was drawn between two readings is taken to have been drawn evenly.
#pragma once

#include <optional>

#include "base/result.h"
#include "model/calendar.h"

namespace chorok::sim::datacenter {

struct AccountSettings {
  std::optional<model::Calendar> price;
  std::optional<model::Calendar> carbon;
  std::optional<Time> start;  // of the trace; what is constant can do without
  double pue = 1;             // facility energy over IT energy; 1: not applied
};

// Errors, below "/start": a calendar that needs to know when, or has no figures for some of the
// time.
Result<> check(const AccountSettings& settings, double seconds_long);

class EnergyAccount {
 public:
  // The settings outlive it.
  explicit EnergyAccount(const AccountSettings& settings) : settings_(settings) {}
  // The meter: `energy_kwh` so far at `time_s` since the start of the trace.
  void take(double time_s, double energy_kwh);
  double cost() const { return cost_; }      // of IT energy, in the price's unit
  double co2_kg() const { return co2_kg_; }  // the same

 private:
  const AccountSettings& settings_;
  double last_s_ = 0;
  double last_kwh_ = 0;
  double cost_ = 0;
  double co2_kg_ = 0;
};

}  // namespace chorok::sim::datacenter
