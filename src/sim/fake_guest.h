// The guest inside a VM, as far as tests need it: it works, and its work can be counted. The
// counter grows by a nanosecond each nanosecond that it runs, is kept through suspend, save and
// migration, and starts again only with a boot, so a guest that was lost, doubled or set back
// shows.
//
// Nothing ticks: the counter is computed when somebody looks.
#pragma once

#include <cstdint>

#include "base/units.h"

namespace chorok::sim {

// A guest's own programs, and with them its address, come this long after it begins to run.
inline constexpr Duration kAddressAfter = std::chrono::seconds(2);

// What a guest does to its host.
struct GuestLoad {
  double cpu = 0.1;           // of each vCPU
  double dirty_mib_s = 20;    // memory written
  double working_set = 0.25;  // of its memory, that it writes to
  bool ignores_acpi = false;  // does not answer a shutdown
};

struct Guest {
  std::uint64_t life = 0;   // one boot of one VM; unique in the world; 0: no guest
  std::uint64_t boots = 0;  // counted on its first writable disk
  Duration worked{};        // until `resumed`
  Time resumed{};
  bool runs = false;
  std::int32_t cpu_level = 0;  // that it saw when it booted
  std::uint64_t firmware = 0;  // what its UEFI remembers; 0: nothing yet
  GuestLoad load;

  // The balloon driver comes up with the guest's programs.
  bool has_balloon(Time now) const { return counter(now) > kAddressAfter; }
  Duration counter(Time now) const { return runs ? worked + (now - resumed) : worked; }
  void run(Time now) {
    if (runs) return;
    runs = true;
    resumed = now;
  }
  void halt(Time now) {
    worked = counter(now);
    runs = false;
  }
};

}  // namespace chorok::sim
