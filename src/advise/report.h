// Advice on one or several clusters as somebody reads it who decides about them: what a year saves
// first, then the risk, then what to do next; the figures of each cluster after that.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "advise/p2v.h"
#include "advise/replay.h"
#include "base/reflect.h"
#include "base/result.h"

namespace chorok::advise {

// One case over all clusters. What is worst is that of the worst cluster.
struct YearTotal {
  std::string name;
  std::string how;
  double year_kwh = 0;
  double year_money = 0;
  double year_co2_kg = 0;
  std::optional<double> year_facility_kwh;  // by PUE; absent where it is 1
  std::optional<double> year_facility_money;
  std::optional<double> year_facility_co2_kg;
  double saved_share = 0;
  double migrations_per_day = 0;
  double boots_per_day = 0;
  double least_spare_share = 1;
  double worst_shortfall_share = 0;
  double unmet_share = 0;
  static const Type& type();
};

struct AdviceReport {
  std::string summary;            // one sentence: what a year saves in mid, between low and high
  std::vector<std::string> risk;  // what it costs, by case
  std::vector<std::string> next;  // what to do, in this order
  std::string currency;
  std::vector<YearTotal> cases;  // low, mid, high
  std::vector<Advice> clusters;
  static const Type& type();
};

// "10 s", "5 min", "3.5 h", "7.0 days": an interval or a period.
std::string span_text(double minutes);

// Clusters have one currency, at least one of them is there.
AdviceReport report_of(std::vector<Advice> clusters);

struct P2vReport {
  std::string summary;
  std::vector<std::string> next;
  std::string currency;
  std::vector<P2vCase> cases;  // over all lists; shares of CPU and memory by hosts
  std::vector<P2vPlan> plans;
  static const Type& type();
};

// Error: a machine that stands in two of the lists: it would count twice.
Result<void> check_once(const std::vector<Fleet>& fleets);
P2vReport report_of(std::vector<P2vPlan> plans);

}  // namespace chorok::advise
