// What VMs used, as recorded: one table of CPU (and memory) by sample and VM, read from PlanetLab
// folders, Bitbrains' wide text or plain CSV. Readers trust nothing: every bound is a setting, and
// an error names the file, the line and what to do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "sim/datacenter/archive.h"

namespace chorok::sim::datacenter {

struct TraceLimits {
  ReadLimits read;
  std::size_t vms_max = 200'000;
  std::size_t samples_max = 110'000;      // of one VM: a year of five minutes
  std::size_t values_max = 400'000'000;   // VMs times samples: 3.2 GB of memory
  std::size_t line_bytes_max = 16 << 20;  // the widest line: samples_max numbers
};

struct TraceVm {
  std::string name;
  std::int32_t cores = 1;
  double cpu_mhz = 0;     // provisioned; 0: the trace does not say
  double memory_mib = 0;  // provisioned; 0: the trace does not say
};

// Value: the share of the VM's provisioned CPU that it used (over 1 where it was given more);
// negative: the VM does not exist yet.
struct TraceSet {
  std::string source;
  Duration interval = std::chrono::minutes(5);
  std::size_t samples = 0;
  std::vector<TraceVm> vms;
  std::vector<double> cpu;     // sample by sample: cpu[sample * vms.size() + vm]
  std::vector<double> memory;  // MiB in use, laid out like `cpu`; empty: not recorded

  const double* cpu_at(std::size_t sample) const { return cpu.data() + sample * vms.size(); }
};

// A folder or archive with one file a VM, a whole number of CPU percent a line. VMs stand in the
// byte order of their file names, which decides results: CloudSim's figures differ by 9 % between
// orders.
Result<TraceSet> read_planetlab(const std::filesystem::path& source,
                                const TraceLimits& limits = {});

// A folder with vms.csv (vm,cores,cpu_mhz,mem_mb,samples), cpu_mhz.txt[.xz] and
// mem_used_mb.txt[.xz]: a VM a line, its id and then a whole number a sample; -1 before the first.
Result<TraceSet> read_bitbrains(const std::filesystem::path& folder,
                                const TraceLimits& limits = {});

// CSV with a header, a sample a line, in any order: time_s, vm, and cpu_percent (of the VM's size)
// or cpu_mhz; optional memory_mib, size_mhz, size_mib, cores. Samples are averaged into slots of
// `interval`; a gap repeats the value before it. cpu_mhz needs size_mhz.
Result<TraceSet> read_csv(const std::filesystem::path& file, Duration interval,
                          const TraceLimits& limits = {});

// By what is there: a folder with vms.csv is Bitbrains, *.csv[.xz|.gz|.zst] is CSV, the rest
// PlanetLab. `interval` is for CSV.
Result<TraceSet> read_traces(const std::filesystem::path& source, const TraceLimits& limits = {},
                             Duration interval = std::chrono::minutes(5));

// Demand that nobody measured: each VM has a level, a time of day and noise of its own. The same
// for a seed, on every machine; no VM asks for nothing. For trying things without data, and tests.
struct SyntheticSettings {
  std::size_t vms = 100;
  double days = 1;
  double level = 0.12;  // mean share of its CPU that a VM asks for, about
  Duration interval = std::chrono::minutes(5);
  std::uint64_t seed = 1;
};
TraceSet synthetic_traces(const SyntheticSettings& settings);

}  // namespace chorok::sim::datacenter
