#include "advise/host_class.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "sim/datacenter/curves.h"

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

}  // namespace

Result<HostClass> parse_hosts(std::string_view text, double core_mhz, double memory_mib) {
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

dc::HonestSettings settings_of(const HostClass& hosts, std::int32_t count) {
  dc::HonestSettings settings;
  settings.host_types = {hosts.type};
  settings.hosts = count;
  settings.boot_j = settings.boot_s * hosts.type.curve.at(kBootLoad);
  settings.shutdown_j = settings.shutdown_s * hosts.type.curve.watts[0];
  settings.link_mib_s = 1120;
  return settings;
}

}  // namespace chorok::advise
