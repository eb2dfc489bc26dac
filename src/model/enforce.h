// What a host does for its VMs so that they get what the tree of pools says (policy/enforce.h), as
// its agent is told.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/reflect.h"
#include "base/units.h"

namespace chorok::model {

// Of one VM while it runs; its definition stays as it is.
struct VmEnforcement {
  std::string uuid;
  std::int64_t shares = 0;  // as in CpuAllocation: 1000 a vCPU is normal; 0: normal
  Mhz limit{};              // 0: none
  Mib memory{};             // that the guest may have; 0: all of its own
  static const Type& type();
  friend bool operator==(const VmEnforcement&, const VmEnforcement&) = default;
};

// "enforce" (call) -> EnforceAnswer: everything for this host, whole. Of two the one of the higher
// term, then of the higher sequence, is in force; an older one is refused (kConflict), the same
// once more is carried out once more. The agent keeps it, for VMs that start or arrive later.
struct EnforceRequest {
  std::uint64_t term = 0;
  std::uint64_t sequence = 0;
  std::vector<VmEnforcement> vms;
  static const Type& type();
};

struct EnforceProblem {
  std::string uuid;
  std::string message;
  static const Type& type();
};
// Of VMs that run there now. One that is not there is no problem: it may be on its way.
struct EnforceAnswer {
  std::vector<EnforceProblem> problems;
  static const Type& type();
};

}  // namespace chorok::model
