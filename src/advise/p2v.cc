#include "advise/p2v.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace chorok::advise {

namespace {

constexpr double kHoursAYear = 8760;
constexpr double kMemoryTarget = 0.95;  // as the planner's

struct P2vSettings {
  std::string_view name;
  std::string_view how;
  double cpu_target;
  double used_times;  // memory in use, times this; 0: as installed
  std::int32_t spare;
};
constexpr P2vSettings kCases[] = {
    {"low", "hosts filled to 50 %, memory as installed, one host to spare", 0.50, 0, 1},
    {"mid", "hosts filled to 63 %, memory in use and 25 %, one host to spare", 0.63, 1.25, 1},
    {"high", "hosts filled to 81 %, memory in use and 10 %, none to spare", 0.81, 1.1, 0}};

struct Need {
  double cpu = 0;
  double memory = 0;
};

Need need_of(const Load& load, const HostClass& hosts, const P2vSettings& settings) {
  return {.cpu = load.cpu_mhz + load.cores * hosts.type.core_mhz,
          .memory = settings.used_times > 0
                        ? std::min(load.memory_mib, load.used_mib * settings.used_times)
                        : load.memory_mib};
}

// Machines some load of which is too large for a host stay, with all that runs there.
std::vector<std::uint8_t> find_stays(const Fleet& fleet, const std::vector<Need>& needs,
                                     const Need& room, P2vCase& out) {
  std::vector<std::uint8_t> stays(fleet.machines.size(), 0);
  for (std::size_t i = 0; i < needs.size(); ++i) {
    const bool cpu = needs[i].cpu > room.cpu;
    if ((!cpu && needs[i].memory <= room.memory) || stays[fleet.loads[i].machine]) continue;
    stays[fleet.loads[i].machine] = 1;
    out.stays.push_back(
        {.name = fleet.machines[fleet.loads[i].machine].name,
         .why = cpu ? fmt::format("{} needs {:.0f} MHz of CPU, a host may carry {:.0f}",
                                  fleet.loads[i].name, needs[i].cpu, room.cpu)
                    : fmt::format("{} needs {:.0f} MiB of memory, a host may carry {:.0f}",
                                  fleet.loads[i].name, needs[i].memory, room.memory)});
  }
  return stays;
}

// First fit by decreasing need: what the hosts carry.
std::vector<Need> pack(const Fleet& fleet, const std::vector<Need>& needs,
                       const std::vector<std::uint8_t>& stays, const Need& room) {
  std::vector<std::size_t> order(needs.size());
  std::iota(order.begin(), order.end(), 0);
  std::erase_if(order, [&](std::size_t i) { return stays[fleet.loads[i].machine] != 0; });
  const auto share = [&](std::size_t i) {
    return std::max(needs[i].cpu / room.cpu, needs[i].memory / room.memory);
  };
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    const double share_a = share(a);
    const double share_b = share(b);
    return share_a != share_b ? share_a > share_b : a < b;
  });
  constexpr double kTiny = 1e-9;  // sums of what was split
  std::vector<Need> hosts;
  for (const std::size_t i : order) {
    auto fits = std::ranges::find_if(hosts, [&](const Need& host) {
      return host.cpu + needs[i].cpu <= room.cpu * (1 + kTiny) &&
             host.memory + needs[i].memory <= room.memory * (1 + kTiny);
    });
    if (fits == hosts.end()) fits = hosts.insert(hosts.end(), Need{});
    fits->cpu += needs[i].cpu;
    fits->memory += needs[i].memory;
  }
  return hosts;
}

P2vCase plan_case(const Fleet& fleet, const HostClass& hosts, double host_rack_units,
                  const P2vSettings& settings) {
  P2vCase out{.name = std::string(settings.name), .how = std::string(settings.how)};
  const sim::datacenter::HostType& type = hosts.type;
  const Need room{.cpu = type.mhz() * settings.cpu_target,
                  .memory = type.memory_mib * kMemoryTarget};
  std::vector<Need> needs;
  for (const Load& load : fleet.loads) needs.push_back(need_of(load, hosts, settings));
  const std::vector<std::uint8_t> stays = find_stays(fleet, needs, room, out);
  const std::vector<Need> full = pack(fleet, needs, stays, room);
  const auto used = static_cast<std::int32_t>(full.size());
  out.spare = used > 0 ? std::max(settings.spare, hosts.count - used) : 0;
  out.hosts = used + out.spare;
  for (std::size_t m = 0; m < fleet.machines.size(); ++m) {
    const Machine& machine = fleet.machines[m];
    out.watts_now += machine.watts;
    out.rack_units_now += machine.rack_units;
    if (!stays[m]) continue;
    out.watts_then += machine.watts;
    out.rack_units_then += machine.rack_units;
  }
  for (const Need& host : full) {
    out.watts_then += type.curve.at(host.cpu / type.mhz());
    out.cpu_share += host.cpu / type.mhz() / used;
    out.memory_share += host.memory / type.memory_mib / used;
  }
  out.watts_then += out.spare * type.curve.watts[0];
  out.rack_units_then += out.hosts * host_rack_units;
  return out;
}

}  // namespace

P2vPlan plan_p2v(const Fleet& fleet, const HostClass& hosts, double host_rack_units,
                 const Prices& prices) {
  P2vPlan plan{.from = fleet.source,
               .format = fleet.format,
               .machines = static_cast<std::int64_t>(fleet.machines.size()),
               .loads = static_cast<std::int64_t>(fleet.loads.size()),
               .host_class = hosts.name,
               .host_source = hosts.source,
               .host_cores = hosts.type.cores,
               .host_core_mhz = hosts.type.core_mhz,
               .host_memory_mib = hosts.type.memory_mib,
               .host_rack_units = host_rack_units,
               .tariff_per_kwh = prices.price.mean(),
               .currency = prices.price.unit,
               .tariff_source = source_of(prices.price),
               .co2_kg_per_kwh = prices.carbon.mean(),
               .co2_source = source_of(prices.carbon),
               .pue = prices.pue,
               .notes = fleet.notes};
  for (const P2vSettings& settings : kCases) {
    P2vCase result = plan_case(fleet, hosts, host_rack_units, settings);
    result.year_kwh = (result.watts_now - result.watts_then) * kHoursAYear / 1000;
    result.year_money = result.year_kwh * plan.tariff_per_kwh;
    result.year_co2_kg = result.year_kwh * plan.co2_kg_per_kwh;
    if (prices.pue != 1) {
      result.year_facility_kwh = result.year_kwh * prices.pue;
      result.year_facility_money = result.year_money * prices.pue;
      result.year_facility_co2_kg = result.year_co2_kg * prices.pue;
    }
    if (hosts.count > 0 && result.hosts > hosts.count)
      plan.notes.push_back(fmt::format("{} needs {} hosts, more than the {} stated.", result.name,
                                       result.hosts, hosts.count));
    plan.cases.push_back(std::move(result));
  }
  plan.notes.push_back(
      "Watts are those of machines and hosts at this load all year; cooling is not "
      "in it, nor what hosts switched off at night would save besides.");
  return plan;
}

const Type& P2vStays::type() {
  static const Type kType =
      describe<P2vStays>("P2vStays", "A machine that no host can take the place of.")
          .field("name", &P2vStays::name, "Its name.")
          .field("why", &P2vStays::why, "What is too large.");
  return kType;
}

const Type& P2vCase::type() {
  static const Type kType =
      describe<P2vCase>("P2vCase", "The hosts that one set of settings needs; shares are of one.")
          .field("name", &P2vCase::name, "low, mid or high.")
          .field("how", &P2vCase::how, "The settings.")
          .field("hosts", &P2vCase::hosts, "How many, those to spare among them.")
          .field("spare", &P2vCase::spare, "Hosts that carry nothing until one fails.")
          .field("watts_now", &P2vCase::watts_now, "Of the machines.")
          .field("watts_then", &P2vCase::watts_then, "Of the hosts and of the machines that stay.")
          .field("year_kwh", &P2vCase::year_kwh, "Saved in a year.")
          .field("year_money", &P2vCase::year_money, "Of that.")
          .field("year_co2_kg", &P2vCase::year_co2_kg, "Of that.")
          .field("year_facility_kwh", &P2vCase::year_facility_kwh,
                 "year_kwh times PUE, where given.")
          .field("year_facility_money", &P2vCase::year_facility_money, "year_money times PUE.")
          .field("year_facility_co2_kg", &P2vCase::year_facility_co2_kg, "year_co2_kg times PUE.")
          .field("rack_units_now", &P2vCase::rack_units_now, "Of the machines.")
          .field("rack_units_then", &P2vCase::rack_units_then,
                 "Of the hosts and of the machines that stay.")
          .field("cpu_share", &P2vCase::cpu_share, "CPU in use of the hosts that carry something.")
          .field("memory_share", &P2vCase::memory_share, "The same of memory.")
          .field("stays", &P2vCase::stays, "Machines too large for a host.", {.max_count = 20'000});
  return kType;
}

const Type& P2vPlan::type() {
  static const Type kType =
      describe<P2vPlan>("P2vPlan", "How many hosts would carry these machines.")
          .field("from", &P2vPlan::from, "What was read.")
          .field("format", &P2vPlan::format, "plain, RVTools vHost or RVTools vInfo.")
          .field("machines", &P2vPlan::machines, "That stand there now.")
          .field("loads", &P2vPlan::loads, "That need a place: servers or VMs.")
          .field("host_class", &P2vPlan::host_class, "Of the curve library.")
          .field("host_source", &P2vPlan::host_source, "Where its curve is from.")
          .field("host_cores", &P2vPlan::host_cores, "Of each.")
          .field("host_core_mhz", &P2vPlan::host_core_mhz, "Of each core.")
          .field("host_memory_mib", &P2vPlan::host_memory_mib, "Of each.")
          .field("host_rack_units", &P2vPlan::host_rack_units, "Of each.")
          .field("tariff_per_kwh", &P2vPlan::tariff_per_kwh,
                 "Money a kWh; the mean over a year where it goes by the hour.")
          .field("currency", &P2vPlan::currency, "Of the money.")
          .field("tariff_source", &P2vPlan::tariff_source, "Of the tariff, dated.")
          .field("co2_kg_per_kwh", &P2vPlan::co2_kg_per_kwh, "Of the grid.")
          .field("co2_source", &P2vPlan::co2_source, "Of the factor, dated.")
          .field("pue", &P2vPlan::pue, "Facility energy over IT energy; 1: not applied.")
          .field("cases", &P2vPlan::cases, "low, mid, high.")
          .field("notes", &P2vPlan::notes, "What was assumed.", {.max_length = 1024});
  return kType;
}

}  // namespace chorok::advise
