#include "sim/datacenter/faults.h"

#include <algorithm>
#include <tuple>

#include "sim/random.h"

namespace chorok::sim::datacenter {

const Type& enum_type(const FaultKind*) {
  constexpr auto kValue = [](FaultKind kind) { return static_cast<std::int64_t>(kind); };
  static const Type kType = describe_enum<FaultKind>(
      "FaultKind", "What goes wrong with a host.",
      {{kValue(FaultKind::kHost), "host", "its power is lost, with all that runs there"},
       {kValue(FaultKind::kBmc), "bmc", "its BMC does not answer and does nothing"},
       {kValue(FaultKind::kPartition), "partition",
        "host and manager do not hear each other; its VMs run on"},
       {kValue(FaultKind::kWake), "wake", "switching it on has no effect"},
       {kValue(FaultKind::kMigration), "migration",
        "migrations from and to it fail at their end"}});
  return kType;
}

const Type& Fault::type() {
  static const Type kType =
      describe<Fault>("Fault", "Something that goes wrong with a host.")
          .field("kind", &Fault::kind, "What.", {.required = true})
          .field("at_s", &Fault::at_s, "When, from the start of the traces.",
                 {.min = 0, .max = 1e9, .required = true})
          .field("for_s", &Fault::for_s, "How long.", {.min = 0, .max = 1e9})
          .field("host", &Fault::host, "Which, counted from 0.", {.min = 0, .max = 1e6});
  return kType;
}

const Type& FaultRates::type() {
  constexpr Limits kRate = {.min = 0, .max = 1e5};
  static const Type kType =
      describe<FaultRates>("FaultRates", "Faults by chance, a host and year.")
          .field("host", &FaultRates::host, "Hosts that lose their power.", kRate)
          .field("bmc", &FaultRates::bmc, "BMCs that hang.", kRate)
          .field("partition", &FaultRates::partition, "Hosts that are cut off.", kRate)
          .field("wake", &FaultRates::wake, "Times in which a host does not wake.", kRate)
          .field("migration", &FaultRates::migration, "Times in which migrations fail.", kRate)
          .field("for_s", &FaultRates::for_s, "How long each lasts.", {.min = 0, .max = 1e9});
  return kType;
}

std::vector<Fault> random_faults(const FaultRates& rates, std::uint32_t hosts, double duration_s,
                                 std::uint64_t seed) {
  constexpr double kYear = 8760 * 3600;
  std::vector<Fault> faults;
  const Random source(seed);
  const auto add = [&](FaultKind kind, std::string_view name, double rate) {
    Random random = source.fork(name);
    const double expected = rate * hosts * duration_s / kYear;
    // A whole number near what is expected, so that a short run has its faults too.
    const auto count = static_cast<std::int64_t>(expected + random.unit());
    for (std::int64_t i = 0; i < count; ++i)
      faults.push_back({.kind = kind,
                        .at_s = random.between(0.0, duration_s),
                        .for_s = rates.for_s,
                        .host = static_cast<std::int32_t>(random.below(hosts))});
  };
  add(FaultKind::kHost, "host", rates.host);
  add(FaultKind::kBmc, "bmc", rates.bmc);
  add(FaultKind::kPartition, "partition", rates.partition);
  add(FaultKind::kWake, "wake", rates.wake);
  add(FaultKind::kMigration, "migration", rates.migration);
  std::ranges::sort(faults, {}, [](const Fault& f) {
    return std::tuple(f.at_s, f.host, static_cast<int>(f.kind));
  });
  return faults;
}

}  // namespace chorok::sim::datacenter
