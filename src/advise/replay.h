// What power management would have saved over a recorded period: the samples replayed through the
// honest data centre with Chorok's own planner, against the same hosts never switched off. Nothing
// is assumed of the policy: it is the one that production runs, and it sees a sample when the
// sample is over.
//
// Three cases, because nobody knows how careful an operator wants to be:
//   low   a host may fail at any time, hosts are filled to 81 % (the upper edge of VMware DPM's
//         range), configured memory is never sold twice
//   mid   production's defaults, configured memory
//   high  the same with memory as it was used, sold up to four times
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "advise/host_class.h"
#include "advise/prices.h"
#include "base/reflect.h"
#include "base/result.h"
#include "sim/datacenter/trace.h"

namespace chorok::advise {

// Why a host stayed on, as far as one reason held it at a tick. In the order in which they are
// asked.
enum class Hold : std::uint8_t {
  kLeaving,   // it is being emptied or stops
  kUptime,    // it was woken not long ago
  kDemand,    // the others could not carry the demand to expect
  kMemory,    // the others have not the memory
  kReserve,   // what is kept for a failed host
  kCost,      // switching would have cost more than it won
  kInFlight,  // something moved there
  kPacking,   // no set of places was found for all of its VMs at once
};
const Type& enum_type(const Hold*);

struct Held {
  Hold why = Hold::kPacking;
  double hours = 0;
  static const Type& type();
};

struct HostAdvice {
  std::string name;
  std::string host_class;
  double off_hours = 0;    // boots and stops not among them
  std::vector<Held> held;  // the hours it was on, by why; most first
  static const Type& type();
};

struct OnHosts {
  double hour = 0;  // since the beginning
  std::int32_t hosts = 0;
  static const Type& type();
};

struct Case {
  std::string name;
  std::string how;  // the settings, in words
  double energy_kwh = 0;
  double money = 0;  // of energy_kwh, at the price of each interval
  double co2_kg = 0;
  double saved_kwh = 0;
  double saved_share = 0;
  double saved_money = 0;
  double saved_co2_kg = 0;
  double year_kwh = 0;  // saved, were all the year like the period
  double year_money = 0;
  double year_co2_kg = 0;
  std::optional<double> year_facility_kwh;  // these three by PUE; absent where it is 1
  std::optional<double> year_facility_money;
  std::optional<double> year_facility_co2_kg;
  double off_hours_per_host = 0;
  std::int64_t migrations = 0;
  double migrations_per_day = 0;
  std::int64_t boots = 0;
  double least_spare_share = 0;  // of the CPU that was on, at the tightest end of an interval
  double least_spare_mhz = 0;
  double worst_shortfall_share = 0;  // of the CPU asked for in one interval, not given
  double worst_shortfall_hour = 0;   // when, since the beginning
  double unmet_share = 0;            // the same over the whole period
  double memory_short_share = 0;     // of host time on, with more memory used than there is
  std::vector<HostAdvice> hosts;
  std::vector<OnHosts> on;  // at most kOnRows, evenly taken
  static const Type& type();
};

inline constexpr std::size_t kOnRows = 672;  // a week by quarters of an hour

struct ClassUsed {
  std::string name;
  std::string source;  // of the curve
  std::int32_t count = 0;
  std::int32_t cores = 0;
  double core_mhz = 0;
  double memory_mib = 0;
  static const Type& type();
};

struct Advice {
  std::string from;
  std::int64_t vms = 0;
  double days = 0;
  double interval_minutes = 0;
  std::vector<ClassUsed> classes;
  std::int32_t hosts = 0;
  bool memory_is_known = false;  // in use; else high is mid
  bool hosts_found = false;      // the fewest that carry the sizes; else as stated
  double tariff_per_kwh = 0;     // what always_on paid in the mean
  std::string currency;
  std::string tariff_source;
  double co2_kg_per_kwh = 0;
  std::string co2_source;
  double pue = 1;  // 1: not applied
  Case always_on;
  std::vector<Case> cases;  // low, mid, high
  std::vector<std::string> notes;
  static const Type& type();
};

struct AdviceRequest {
  sim::datacenter::TraceSet traces;
  Hosts hosts;
  Prices prices;
  // Of VMs whose trace does not say; 0: that is an error.
  double vm_mhz = 0;
  double vm_memory_mib = 0;
  std::function<void(std::string_view)> progress;  // "low", before it runs; may be empty
};

// Errors: VMs without a size or larger than a host, too few hosts. Runs for as long as four replays
// take: some seconds for 250 VMs over a week.
Result<Advice> advise(AdviceRequest request);

}  // namespace chorok::advise
