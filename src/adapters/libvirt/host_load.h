// What the host as a whole uses, from the kernel's files.
#pragma once

#include <cstdint>
#include <string>

#include "model/telemetry.h"

namespace chorok::adapters::libvirt {

enum class HostSlice : std::uint8_t {
  kMachine,  // /proc
  kCgroup,   // the lab: the cgroup that is the root of this process's namespace
};

// Never fails: what cannot be read is left unknown. `root` stands before every path, for tests.
model::HostSample read_host_load(HostSlice slice, const std::string& root = "");
// The host has no more than this.
void limit_memory(model::HostSample& sample, Mib total);

}  // namespace chorok::adapters::libvirt
