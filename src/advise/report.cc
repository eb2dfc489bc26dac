#include "advise/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "base/text.h"
#include "sim/datacenter/html_page.h"

namespace chorok::advise {

using sim::datacenter::grouped;

namespace {

constexpr std::size_t kLow = 0;
constexpr std::size_t kMid = 1;
constexpr std::size_t kHigh = 2;
constexpr double kMuchMore = 1.1;       // of the savings: worth a sentence
constexpr double kWeekDays = 6.9;       // the first interval of seven days is not judged
constexpr double kShortfallBad = 0.01;  // of the CPU asked for in one interval

void add(std::optional<double>& sum, const std::optional<double>& more) {
  if (more) sum = sum.value_or(0) + *more;
}

std::string percent(double share, int digits = 1) {
  return fmt::format("{:.{}f} %", 100 * share, digits);
}

std::string worth(double kwh, double money, std::string_view currency, double co2_kg) {
  return fmt::format("{} kWh, {} {} and {} kg of CO2", grouped(kwh), money_text(money), currency,
                     grouped(co2_kg));
}

// ---- Over all clusters ----

YearTotal total_of(const std::vector<Advice>& clusters, std::size_t which) {
  YearTotal total{.name = clusters[0].cases[which].name, .how = clusters[0].cases[which].how};
  double always_year = 0;
  for (const Advice& cluster : clusters) {
    const Case& one = cluster.cases[which];
    total.year_kwh += one.year_kwh;
    total.year_money += one.year_money;
    total.year_co2_kg += one.year_co2_kg;
    add(total.year_facility_kwh, one.year_facility_kwh);
    add(total.year_facility_money, one.year_facility_money);
    add(total.year_facility_co2_kg, one.year_facility_co2_kg);
    total.migrations_per_day += one.migrations_per_day;
    total.boots_per_day += static_cast<double>(one.boots) / cluster.days;
    total.least_spare_share = std::min(total.least_spare_share, one.least_spare_share);
    total.worst_shortfall_share = std::max(total.worst_shortfall_share, one.worst_shortfall_share);
    total.unmet_share = std::max(total.unmet_share, one.unmet_share);
    always_year += cluster.always_on.energy_kwh * 365 / cluster.days;
  }
  total.saved_share = always_year > 0 ? total.year_kwh / always_year : 0;
  return total;
}

std::string summary_of(const AdviceReport& report) {
  const YearTotal& mid = report.cases[kMid];
  if (mid.year_kwh <= 0 && report.cases[kHigh].year_kwh <= 0)
    return "Nothing would be saved: these hosts are all needed.";
  // A year of a morning is no year: said before the figure, not after it.
  const double days = std::ranges::min(report.clusters, {}, &Advice::days).days;
  std::string out = days < kWeekDays ? fmt::format("From {} of samples alone, so with care: ",
                                                   span_text(days * 1440))
                                     : std::string();
  out += fmt::format(
      "Hosts that switch off when nobody needs them would save {} a year: {} of what they draw. "
      "From {} kWh (low) to {} kWh (high), by how careful one is.",
      worth(mid.year_kwh, mid.year_money, report.currency, mid.year_co2_kg),
      percent(mid.saved_share), grouped(report.cases[kLow].year_kwh),
      grouped(report.cases[kHigh].year_kwh));
  if (mid.year_facility_kwh)
    out += fmt::format(" With cooling and losses (PUE {:g}): {}.", report.clusters[0].pue,
                       worth(*mid.year_facility_kwh, *mid.year_facility_money, report.currency,
                             *mid.year_facility_co2_kg));
  return out;
}

std::string risk_of(const YearTotal& total) {
  const std::string cpu =
      total.worst_shortfall_share > 0
          ? fmt::format("in the worst interval {} of the CPU asked for is not there ({} over all)",
                        percent(total.worst_shortfall_share, 2), percent(total.unmet_share, 3))
          : fmt::format(
                "every VM gets the CPU that it asks for; {} of what is on is free at the "
                "tightest moment",
                percent(total.least_spare_share));
  return fmt::format("{}: {}. {:.1f} migrations and {:.1f} boots a day.", total.name, cpu,
                     total.migrations_per_day, total.boots_per_day);
}

// ---- What to do ----

// Host-hours on by what held them, in one case of all clusters.
std::array<double, 8> held_hours(const std::vector<Advice>& clusters, std::size_t which) {
  std::array<double, 8> hours{};
  for (const Advice& cluster : clusters)
    for (const HostAdvice& host : cluster.cases[which].hosts)
      for (const Held& held : host.held) hours[static_cast<std::size_t>(held.why)] += held.hours;
  return hours;
}

std::string_view about(Hold why, bool memory_is_known) {
  switch (why) {
    case Hold::kDemand:
      return "demand: that is work. Only hosts that do more for a watt would draw less";
    case Hold::kMemory:
      return memory_is_known
                 ? "memory that VMs were given, whether they use it or not. Make VMs smaller, put "
                   "more memory into fewer hosts, or sell it more than once (high)"
                 : "memory that VMs were given, whether they use it or not. Record what they use, "
                   "to learn whether VMs may be smaller; or put more memory into fewer hosts";
    case Hold::kReserve:
      return "the reserve for a host that may fail. That is its price; larger clusters pay less "
             "for it";
    case Hold::kCost:
      return "what switching costs. Hosts that boot faster, or suspend, would be off for longer";
    case Hold::kPacking:
      return "VMs that have no place on the others all at once. Smaller VMs, or rules that bind "
             "less, pack better";
    case Hold::kUptime:
      return "the time that a host stays on once it was woken. A shorter one switches more often";
    case Hold::kLeaving:
    case Hold::kInFlight:
      return "moves under way. A faster network for migration helps";
  }
  return "";
}

void say_what_holds(const AdviceReport& report, std::vector<std::string>& next) {
  const auto hours = held_hours(report.clusters, kMid);
  double sum = 0;
  for (double one : hours) sum += one;
  if (sum <= 0) return;
  const auto most = static_cast<std::size_t>(std::ranges::max_element(hours) - hours.begin());
  const bool is_known = std::ranges::all_of(report.clusters, &Advice::memory_is_known);
  next.push_back(fmt::format("{} of the time that hosts were on in mid, they were on for {}.",
                             percent(hours[most] / sum, 0),
                             about(static_cast<Hold>(most), is_known)));
}

void say_what_is_never_needed(const AdviceReport& report, std::vector<std::string>& next) {
  for (const Advice& cluster : report.clusters) {
    const auto& hosts = cluster.cases[kMid].hosts;
    const auto never = std::ranges::count_if(hosts, [](const auto& h) { return h.held.empty(); });
    if (never == 0) continue;
    next.push_back(fmt::format(
        "{}{} of {} hosts were never needed in mid. Leave them off, or use them elsewhere.",
        report.clusters.size() > 1 ? cluster.from + ": " : "", never, hosts.size()));
  }
}

void say_what_to_measure(const AdviceReport& report, std::vector<std::string>& next) {
  if (std::ranges::any_of(report.clusters, &Advice::hosts_found))
    next.emplace_back(
        "Say which hosts you have (--hosts CLASS:COUNT). These figures are for the fewest that "
        "carry what the VMs are configured for; more hosts have more to save.");
  if (std::ranges::any_of(report.clusters, [](const Advice& a) { return a.days < kWeekDays; }))
    next.emplace_back("Record a week or more, a month's end in it, and ask again.");
}

std::vector<std::string> next_of(const AdviceReport& report) {
  std::vector<std::string> next;
  const YearTotal& low = report.cases[kLow];
  const YearTotal& mid = report.cases[kMid];
  const YearTotal& high = report.cases[kHigh];
  if (low.year_kwh > 0)
    next.push_back(
        fmt::format("Begin with the settings of low ({}): {} kWh a year at the least "
                    "risk. Go on to mid when a few weeks went well.",
                    low.how, grouped(low.year_kwh)));
  say_what_is_never_needed(report, next);
  say_what_holds(report, next);
  if (high.year_kwh > mid.year_kwh * kMuchMore)
    next.push_back(
        high.worst_shortfall_share > std::max(mid.worst_shortfall_share, kShortfallBad)
            ? fmt::format("high has {} kWh a year more, and VMs feel it: try it first where a "
                          "shortfall of minutes hurts nobody.",
                          grouped(high.year_kwh - mid.year_kwh))
            : fmt::format("high has {} kWh a year more, in memory that VMs were given and do not "
                          "use.",
                          grouped(high.year_kwh - mid.year_kwh)));
  say_what_to_measure(report, next);
  if (mid.year_kwh > 0 || high.year_kwh > 0)
    next.emplace_back(
        "Before a host may be switched off, prove once that it comes back: one that does not is "
        "the worst that can happen.");
  return next;
}

}  // namespace

std::string span_text(double minutes) {
  if (minutes < 1) return fmt::format("{:g} s", std::round(minutes * 60));
  if (minutes < 120) return fmt::format("{:.3g} min", minutes);
  if (minutes < 2 * 1440) return fmt::format("{:.1f} h", minutes / 60);
  return fmt::format("{:.1f} days", minutes / 1440);
}

AdviceReport report_of(std::vector<Advice> clusters) {
  AdviceReport report{.currency = clusters.at(0).currency, .clusters = std::move(clusters)};
  for (std::size_t which : {kLow, kMid, kHigh})
    report.cases.push_back(total_of(report.clusters, which));
  report.summary = summary_of(report);
  for (const YearTotal& total : report.cases) report.risk.push_back(risk_of(total));
  report.next = next_of(report);
  return report;
}

// ---- Lists of machines ----

Result<void> check_once(const std::vector<Fleet>& fleets) {
  std::map<std::string_view, const Fleet*> seen;
  for (const Fleet& fleet : fleets)
    for (const Machine& machine : fleet.machines) {
      const auto [there, fresh] = seen.emplace(machine.name, &fleet);
      if (!fresh && there->second != &fleet)
        return fail(Code::kInvalid,
                    fmt::format("{} stands in {} and in {} and would count twice; give one of "
                                "them (vHost has the use of CPU, vInfo the sizes of VMs)",
                                machine.name, there->second->source, fleet.source));
    }
  return {};
}

P2vReport report_of(std::vector<P2vPlan> plans) {
  P2vReport report{.currency = plans.at(0).currency, .plans = std::move(plans)};
  std::int64_t machines = 0;
  std::size_t stays = 0;
  for (const P2vPlan& plan : report.plans) {
    machines += plan.machines;
    stays += plan.cases[kMid].stays.size();
  }
  for (std::size_t which : {kLow, kMid, kHigh}) {
    P2vCase sum{.name = report.plans[0].cases[which].name, .how = report.plans[0].cases[which].how};
    for (const P2vPlan& plan : report.plans) {
      const P2vCase& one = plan.cases[which];
      sum.hosts += one.hosts;
      sum.spare += one.spare;
      sum.watts_now += one.watts_now;
      sum.watts_then += one.watts_then;
      sum.year_kwh += one.year_kwh;
      sum.year_money += one.year_money;
      sum.year_co2_kg += one.year_co2_kg;
      add(sum.year_facility_kwh, one.year_facility_kwh);
      add(sum.year_facility_money, one.year_facility_money);
      add(sum.year_facility_co2_kg, one.year_facility_co2_kg);
      sum.rack_units_now += one.rack_units_now;
      sum.rack_units_then += one.rack_units_then;
      const int used = one.hosts - one.spare;
      sum.cpu_share += one.cpu_share * used;
      sum.memory_share += one.memory_share * used;
      sum.stays.insert(sum.stays.end(), one.stays.begin(), one.stays.end());
    }
    if (const int used = sum.hosts - sum.spare; used > 0) {
      sum.cpu_share /= used;
      sum.memory_share /= used;
    }
    report.cases.push_back(std::move(sum));
  }
  const P2vCase& mid = report.cases[kMid];
  const double units = mid.rack_units_now - mid.rack_units_then;
  report.summary = fmt::format(
      "{} would do the work of {} and save {} a year{}. From {} (low) to {} (high).",
      counted(mid.hosts, "host"), counted(machines - static_cast<std::int64_t>(stays), "machine"),
      worth(mid.year_kwh, mid.year_money, report.currency, mid.year_co2_kg),
      units > 0
          ? fmt::format(", and {} of {} rack units", grouped(units), grouped(mid.rack_units_now))
      : units < 0 ? fmt::format(", in {} rack units where there are {} now",
                                grouped(mid.rack_units_then), grouped(mid.rack_units_now))
                  : std::string(),
      counted(report.cases[kLow].hosts, "host"), report.cases[kHigh].hosts);
  if (mid.year_kwh <= 0)
    report.summary = fmt::format(
        "{} would do the work, and draw no less than the {} now.", counted(mid.hosts, "host"),
        machines == 1 ? std::string("machine does") : fmt::format("{} machines do", machines));
  if (stays > 0)
    report.next.push_back(
        fmt::format("{} too large for a host and {}: name a larger class (--hosts), or leave {}.",
                    stays == 1 ? "1 machine is" : fmt::format("{} machines are", stays),
                    stays == 1 ? "stays" : "stay", stays == 1 ? "it" : "them"));
  // One note says what watts are; others say what was assumed.
  const bool assumed =
      std::ranges::any_of(report.plans, [](const P2vPlan& plan) { return plan.notes.size() > 1; });
  report.next.emplace_back(
      assumed ? "Measure the busiest hour of each machine, and its watts where a meter has them: "
                "what the file does not have was assumed (see the notes)."
              : "See that the CPU figures are those of the busiest hour: there is no time in a "
                "list.");
  report.next.emplace_back(
      "Record samples on the new hosts for a week and ask chorok advise --from: hosts that "
      "switch off at night come on top.");
  return report;
}

// ---- Tables ----

const Type& YearTotal::type() {
  static const Type kType =
      describe<YearTotal>("YearTotal", "One case over all clusters; shares are of one.")
          .field("name", &YearTotal::name, "low, mid or high.")
          .field("how", &YearTotal::how, "The settings.")
          .field("year_kwh", &YearTotal::year_kwh, "Saved in a year like the periods.")
          .field("year_money", &YearTotal::year_money, "Of that.")
          .field("year_co2_kg", &YearTotal::year_co2_kg, "Of that.")
          .field("year_facility_kwh", &YearTotal::year_facility_kwh,
                 "year_kwh times PUE, where given.")
          .field("year_facility_money", &YearTotal::year_facility_money, "year_money times PUE.")
          .field("year_facility_co2_kg", &YearTotal::year_facility_co2_kg, "year_co2_kg times PUE.")
          .field("saved_share", &YearTotal::saved_share, "Of the same hosts always on.")
          .field("migrations_per_day", &YearTotal::migrations_per_day, "Of all clusters.")
          .field("boots_per_day", &YearTotal::boots_per_day, "Of all clusters.")
          .field("least_spare_share", &YearTotal::least_spare_share,
                 "CPU that was on and not asked for at the tightest moment of any cluster.")
          .field("worst_shortfall_share", &YearTotal::worst_shortfall_share,
                 "CPU asked for and not given in the worst interval of any cluster.")
          .field("unmet_share", &YearTotal::unmet_share,
                 "CPU asked for and not given over all, in the cluster where that is most.");
  return kType;
}

const Type& AdviceReport::type() {
  static const Type kType =
      describe<AdviceReport>("AdviceReport", "What power management would save, and what to do.")
          .field("summary", &AdviceReport::summary, "In a sentence or two.", {.max_length = 1024})
          .field("risk", &AdviceReport::risk, "What it costs, by case.", {.max_length = 1024})
          .field("next", &AdviceReport::next, "What to do, in this order.", {.max_length = 1024})
          .field("currency", &AdviceReport::currency, "Of the money.")
          .field("cases", &AdviceReport::cases, "low, mid, high; a year of all clusters.")
          .field("clusters", &AdviceReport::clusters, "Each by itself.");
  return kType;
}

const Type& P2vReport::type() {
  static const Type kType =
      describe<P2vReport>("P2vReport", "How many hosts would carry these machines.")
          .field("summary", &P2vReport::summary, "In a sentence or two.", {.max_length = 1024})
          .field("next", &P2vReport::next, "What to do, in this order.", {.max_length = 1024})
          .field("currency", &P2vReport::currency, "Of the money.")
          .field("cases", &P2vReport::cases, "low, mid, high; of all lists.")
          .field("plans", &P2vReport::plans, "Each list by itself.");
  return kType;
}

}  // namespace chorok::advise
