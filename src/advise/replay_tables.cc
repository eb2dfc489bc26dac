// The reflection tables of advice: what -o json prints.
#include "advise/replay.h"

namespace chorok::advise {

const Type& enum_type(const Hold*) {
  static const Type kType =
      describe_enum<Hold>("Hold", "Why a host stayed on.",
                          {{0, "leaving", "it was being emptied or stopped"},
                           {1, "uptime", "it had been woken not long ago"},
                           {2, "demand", "the others could not have carried the demand to expect"},
                           {3, "memory", "the others have not the memory"},
                           {4, "reserve", "it was kept for a host that may fail"},
                           {5, "cost", "switching would have cost more than it won"},
                           {6, "in_flight", "VMs were moving there"},
                           {7, "packing", "its VMs had no place on the others all at once"}});
  return kType;
}

const Type& Held::type() {
  static const Type kType = describe<Held>("Held", "How long one reason kept a host on.")
                                .field("why", &Held::why, "The reason, judged at every interval.")
                                .field("hours", &Held::hours, "Added up.");
  return kType;
}

const Type& HostAdvice::type() {
  static const Type kType =
      describe<HostAdvice>("HostAdvice", "One host over the period.")
          .field("name", &HostAdvice::name, "h0, h1, …")
          .field("host_class", &HostAdvice::host_class, "Hosts of a class are alike.")
          .field("off_hours", &HostAdvice::off_hours, "Hours off, boots and stops not counted.")
          .field("held", &HostAdvice::held, "Why it was not off for longer, most hours first.");
  return kType;
}

const Type& OnHosts::type() {
  static const Type kType = describe<OnHosts>("OnHosts", "Hosts on at one moment.")
                                .field("hour", &OnHosts::hour, "Since the beginning.")
                                .field("hosts", &OnHosts::hosts, "How many.");
  return kType;
}

const Type& Case::type() {
  static const Type kType =
      describe<Case>("AdviceCase", "The period under one set of settings; shares are of one.")
          .field("name", &Case::name, "always on, low, mid or high.")
          .field("how", &Case::how, "The settings.")
          .field("energy_kwh", &Case::energy_kwh, "Energy of all hosts.")
          .field("money", &Case::money, "Of that energy, at the price of each interval.")
          .field("co2_kg", &Case::co2_kg, "Of that energy.")
          .field("saved_kwh", &Case::saved_kwh, "Less than always on.")
          .field("saved_share", &Case::saved_share, "Of always on.")
          .field("saved_money", &Case::saved_money, "In the tariff's currency.")
          .field("saved_co2_kg", &Case::saved_co2_kg, "Kilograms.")
          .field("year_kwh", &Case::year_kwh, "Saved in a year like the period.")
          .field("year_money", &Case::year_money, "Of that.")
          .field("year_co2_kg", &Case::year_co2_kg, "Of that.")
          .field("year_facility_kwh", &Case::year_facility_kwh, "year_kwh times PUE, where given.")
          .field("year_facility_money", &Case::year_facility_money, "year_money times PUE.")
          .field("year_facility_co2_kg", &Case::year_facility_co2_kg, "year_co2_kg times PUE.")
          .field("off_hours_per_host", &Case::off_hours_per_host, "Mean over the hosts.")
          .field("migrations", &Case::migrations, "Started.")
          .field("migrations_per_day", &Case::migrations_per_day, "Of the whole cluster.")
          .field("boots", &Case::boots, "How often a host came on.")
          .field("least_spare_share", &Case::least_spare_share,
                 "CPU that was on and not asked for, at the tightest moment.")
          .field("least_spare_mhz", &Case::least_spare_mhz, "The same in MHz.")
          .field("worst_shortfall_share", &Case::worst_shortfall_share,
                 "CPU asked for and not given in the worst interval.")
          .field("worst_shortfall_hour", &Case::worst_shortfall_hour, "When that began.")
          .field("unmet_share", &Case::unmet_share, "CPU asked for and not given, over all.")
          .field("memory_short_share", &Case::memory_short_share,
                 "Host time on with more memory in use than there is.")
          .field("hosts", &Case::hosts, "Host by host.", {.max_count = 10'000})
          .field("on", &Case::on, "How many hosts were on.", {.max_count = kOnRows + 1});
  return kType;
}

const Type& ClassUsed::type() {
  static const Type kType = describe<ClassUsed>("ClassUsed", "Hosts of one class.")
                                .field("name", &ClassUsed::name, "Of the curve library.")
                                .field("source", &ClassUsed::source, "Where its curve is from.")
                                .field("count", &ClassUsed::count, "How many.")
                                .field("cores", &ClassUsed::cores, "Of each.")
                                .field("core_mhz", &ClassUsed::core_mhz, "Of each core.")
                                .field("memory_mib", &ClassUsed::memory_mib, "Of each.");
  return kType;
}

const Type& Advice::type() {
  static const Type kType =
      describe<Advice>("Advice", "What power management would have saved.")
          .field("from", &Advice::from, "What was replayed.")
          .field("vms", &Advice::vms, "In it.")
          .field("days", &Advice::days, "That were judged; the first interval places VMs.")
          .field("interval_minutes", &Advice::interval_minutes, "Between samples.")
          .field("classes", &Advice::classes, "Which hosts.")
          .field("hosts", &Advice::hosts, "How many.")
          .field("hosts_found", &Advice::hosts_found,
                 "Whether that is the fewest that carry the VMs' sizes, or was stated.")
          .field("tariff_per_kwh", &Advice::tariff_per_kwh,
                 "Money a kWh, in the mean over what always_on drew.")
          .field("currency", &Advice::currency, "Of the money.")
          .field("tariff_source", &Advice::tariff_source, "Of the tariff, dated.")
          .field("co2_kg_per_kwh", &Advice::co2_kg_per_kwh, "The same of CO2.")
          .field("co2_source", &Advice::co2_source, "Of the factor, dated.")
          .field("pue", &Advice::pue, "Facility energy over IT energy; 1: not applied.")
          .field("always_on", &Advice::always_on, "What is compared with.")
          .field("cases", &Advice::cases, "low, mid, high.")
          .field("notes", &Advice::notes, "What to know about these figures.",
                 {.max_length = 1024});
  return kType;
}

}  // namespace chorok::advise
