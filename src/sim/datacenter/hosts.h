// Kinds of host and VM that an experiment is made of.
#pragma once

#include <cstdint>

#include "model/snapshot.h"

namespace chorok::sim::datacenter {

struct HostType {
  double core_mhz = 0;
  std::int32_t cores = 0;
  double memory_mib = 0;
  model::PowerCurve curve;
  // Honest mode; 0: what the whole data centre's settings say.
  double boot_s = 0;
  double boot_j = 0;
  double shutdown_s = 0;
  double shutdown_j = 0;
  double mhz() const { return core_mhz * cores; }
};

struct VmType {
  double mhz = 0;
  double memory_mib = 0;
  std::int32_t cores = 0;  // honest mode; 0: as the trace says
};

}  // namespace chorok::sim::datacenter
