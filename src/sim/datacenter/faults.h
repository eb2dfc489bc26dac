// What goes wrong in the honest data centre, and when.
#pragma once

#include <cstdint>
#include <vector>

#include "base/reflect.h"

namespace chorok::sim::datacenter {

enum class FaultKind : std::uint8_t {
  kHost,       // its power is lost with all that runs there; it can be switched on again afterwards
  kBmc,        // its BMC does not answer and does nothing
  kPartition,  // host and manager do not hear each other; its VMs run on
  kWake,       // switching it on has no effect
  kMigration,  // migrations from and to it fail at their end; the VM stays where it was
};
const Type& enum_type(const FaultKind*);

struct Fault {
  FaultKind kind = FaultKind::kHost;
  double at_s = 0;
  double for_s = 0;
  std::int32_t host = 0;
  static const Type& type();
};

// Faults by chance: of each kind so many a host and year (8,760 h), each as long as is said, at
// times and hosts drawn from the seed. In order of time. O(n log n).
struct FaultRates {
  double host = 0;
  double bmc = 0;
  double partition = 0;
  double wake = 0;
  double migration = 0;
  double for_s = 3600;
  static const Type& type();
};
std::vector<Fault> random_faults(const FaultRates& rates, std::uint32_t hosts, double duration_s,
                                 std::uint64_t seed);

}  // namespace chorok::sim::datacenter
