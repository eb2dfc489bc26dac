// Who used a host's energy: what its meter counted between two samples, divided among its VMs and
// what no VM uses. Pure; here because the manager's metering, the simulator and advise must divide
// alike, and policy is the lowest floor with formulas over the model that all three stand on.
//
//   idle energy   E_idle = P_idle * t, at most what was measured. A VM has of it
//                 1/2 its claim on the CPU + 1/2 its claim on the memory, each as a share of the
//                 host (of all claims, where they exceed the host), for as long as it was here.
//   active energy the rest, by CPU time: a VM's over all CPU time of the host.
//   unused        idle energy that nobody claims: what power management can win; and the active
//                 energy of the host's own work.
//
// Claims rather than use divide the idle part: a host that is on for a VM is on for all of it. The
// idle watts come from outside (the host's curve, or its least over a long time): learning them
// from the load makes them zero under full load or stick at the maximum (Kepler #2465, #1811).
//
// Invariant: VMs + unused = host, for every pair of samples, whatever happened between them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "model/power.h"

namespace chorok::policy {

struct VmEnergySample {
  std::string vm;
  Duration cpu_time{};  // counts up while it runs here, from 0 in each QEMU
  double cpu = 0;       // MHz it claims: reserved, or configured
  double memory = 0;    // MiB it claims
  Time since{};         // when it came to run here
  Time until{};         // when it left; epoch: it is here. Its last sample then stands for it
};

struct HostEnergySample {
  Time at{};
  std::string boot;     // a boot's counters are its own
  Duration cpu_time{};  // of everything on the host, since its boot
  double cpu = 0;       // MHz for VMs
  double memory = 0;    // MiB for VMs
  Watts idle{};         // without any load
  model::PowerReading reading;
  std::vector<VmEnergySample> vms;  // each name once
};

struct EnergyPart {
  Joules idle{};
  Joules active{};
  Joules total() const { return idle + active; }
};

struct VmEnergy {
  std::string vm;
  EnergyPart energy;
};

struct HostEnergy {
  Time from{};
  Time to{};
  Joules total{};
  std::vector<VmEnergy> vms;  // in the order of the later sample
  EnergyPart unused;
  model::WattSource source = model::WattSource::kModelled;
  double error = 0;
};

// What happened from `before` to `after`, two samples of one host. kInvalid: `after` is not later,
// or holds what cannot be (negative, not a number, a name twice). Where the meter's counter does
// not reach over the whole time (another boot, another counter), watts stand for what is missing; a
// reading with neither is kUnavailable. O(VMs log VMs).
Result<HostEnergy> share_energy(const HostEnergySample& before, const HostEnergySample& after);

}  // namespace chorok::policy
