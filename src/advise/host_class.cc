#include "advise/host_class.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>

#include "sim/datacenter/curves.h"
#include "sim/datacenter/experiment_file.h"

namespace chorok::advise {

namespace dc = sim::datacenter;

namespace {

constexpr double kCoreMhz = 3000;
constexpr double kMemoryMibPerCore = 8192;
// Firmware and kernel work, but not on every core.
constexpr double kBootLoad = 0.15;

// What is known of a class besides its curve.
struct Size {
  std::string_view name;
  double core_mhz;
  double memory_mib;
};
constexpr Size kSizes[] = {{"hp-ml110-g4", 1860, 4096}, {"hp-ml110-g5", 2660, 4096}};

Result<std::int32_t> parse_count(std::string_view text) {
  std::int32_t count = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size() || count < 1 || count > kHostsMost)
    return fail(Code::kInvalid,
                fmt::format("'{}' is no number of hosts, 1 to {}", text.substr(0, 40), kHostsMost));
  return count;
}

Result<HostClass> parse_class(std::string_view text, double core_mhz, double memory_mib) {
  const std::size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  HostClass hosts{.name = std::string(name)};
  if (colon != std::string_view::npos) hosts.count = TRY(parse_count(text.substr(colon + 1)));
  const auto curves = dc::known_curves();
  const auto known = std::ranges::find_if(
      curves, [&](const dc::KnownCurve& curve) { return curve.curve.name == name; });
  if (known == curves.end()) {
    std::string names;
    for (const dc::KnownCurve& curve : curves)
      names += fmt::format("{}{}", names.empty() ? "" : ", ", curve.curve.name);
    return fail(Code::kNotFound, fmt::format("there is no class of hosts '{}'; there are {}",
                                             name.substr(0, 60), names));
  }
  hosts.source = known->source;
  hosts.type = {.core_mhz = kCoreMhz,
                .cores = known->cores,
                .memory_mib = kMemoryMibPerCore * known->cores,
                .curve = known->curve};
  for (const Size& size : kSizes) {
    if (size.name != name) continue;
    hosts.type.core_mhz = size.core_mhz;
    hosts.type.memory_mib = size.memory_mib;
  }
  if (core_mhz > 0) hosts.type.core_mhz = core_mhz;
  if (memory_mib > 0) hosts.type.memory_mib = memory_mib;
  return hosts;
}

}  // namespace

std::int32_t Hosts::count() const {
  std::int32_t sum = 0;
  for (const HostClass& one : classes) sum += one.count;
  return sum;
}

double Hosts::mhz() const {
  double sum = 0;
  for (const HostClass& one : classes) sum += one.count * one.type.mhz();
  return sum;
}

double Hosts::core_mhz_most() const {
  double most = 0;
  for (const HostClass& one : classes) most = std::max(most, one.type.core_mhz);
  return most;
}

bool Hosts::carries(double mhz, double memory_mib) const {
  return std::ranges::any_of(classes, [&](const HostClass& one) {
    return mhz <= one.type.mhz() && memory_mib <= one.type.memory_mib;
  });
}

Result<Hosts> parse_hosts(std::string_view text, double core_mhz, double memory_mib) {
  Hosts hosts;
  while (true) {
    const std::size_t plus = text.find('+');
    hosts.classes.push_back(TRY(parse_class(text.substr(0, plus), core_mhz, memory_mib)));
    if (hosts.classes.size() > kClassesMost)
      return fail(Code::kInvalid, fmt::format("more than {} classes of hosts", kClassesMost));
    if (plus == std::string_view::npos) break;
    text.remove_prefix(plus + 1);
  }
  if (hosts.classes.size() > 1)
    for (const HostClass& one : hosts.classes)
      if (one.count == 0)
        return fail(Code::kInvalid,
                    fmt::format("how many of {}? of several classes each needs a count, as in "
                                "{}:4",
                                one.name, one.name));
  if (hosts.count() > kHostsMost)
    return fail(Code::kInvalid, fmt::format("more than {} hosts", kHostsMost));
  return hosts;
}

Cluster cluster_of(const Hosts& hosts, std::int32_t count) {
  Cluster cluster;
  dc::HonestSettings& settings = cluster.settings;
  std::vector<std::int32_t> counts;
  for (const HostClass& one : hosts.classes) counts.push_back(one.count);
  if (hosts.classes.size() == 1) counts = {count};
  settings.hosts = std::reduce(counts.begin(), counts.end());
  cluster.class_of = dc::turns(counts);
  for (const std::size_t which : cluster.class_of) {
    dc::HostType type = hosts.classes[which].type;
    type.boot_s = settings.boot_s;
    type.boot_j = settings.boot_s * type.curve.at(kBootLoad);
    type.shutdown_s = settings.shutdown_s;
    type.shutdown_j = settings.shutdown_s * type.curve.watts[0];
    settings.host_types.push_back(std::move(type));
  }
  settings.link_mib_s = 1120;
  return cluster;
}

}  // namespace chorok::advise
