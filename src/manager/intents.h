// What people want of a cluster's VMs and hosts, and which VMs run, as the last round could see it:
// where that changes the next round does not wait for its minute. Records change all the time for
// other reasons (addresses, tasks, moves, links); none of those begins a round, or rounds would
// begin rounds.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include "base/units.h"
#include "model/host.h"
#include "model/vm.h"

namespace chorok::manager {

// Lives on the loop's thread. O(1) a record.
class Intents {
 public:
  // Remembers the record, and answers whether a round is to begin for it: it is known, and
  // something else is wanted of it than before, or it has come to run. Null: it is not of this
  // cluster (any more), and forgotten.
  bool has_changed(const std::string& id, const model::Vm* vm);
  bool has_changed(const std::string& id, const model::Host* host);

 private:
  struct VmIntent {
    std::int64_t cpu_shares = 0;
    Mhz cpu_reservation{};
    Mhz cpu_limit{};
    std::int64_t memory_shares = 0;
    Mib memory_reservation{};
    Mib memory_limit{};
    std::int32_t priority = 0;
    std::optional<model::Automation> automation;
    std::string pool;
    bool operator==(const VmIntent&) const = default;
  };
  struct KnownVm {
    VmIntent intent;
    bool runs = false;
  };
  struct HostIntent {
    bool enabled = true;  // draining and maintenance are one wish
    model::HostDpm dpm{};
    bool operator==(const HostIntent&) const = default;
  };
  static VmIntent intent_of(const model::Vm& vm);

  std::unordered_map<std::string, KnownVm> vms_;
  std::unordered_map<std::string, HostIntent> hosts_;
};

}  // namespace chorok::manager
