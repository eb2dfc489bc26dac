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
  double mhz() const { return core_mhz * cores; }
};

struct VmType {
  double mhz = 0;
  double memory_mib = 0;
};

}  // namespace chorok::sim::datacenter
