// The experiments that are built in, as anybody could write them.
#include <fmt/format.h>

#include <algorithm>

#include "sim/datacenter/experiment_file.h"

namespace chorok::sim::datacenter {

namespace {

constexpr std::string_view kPlanetlabCompat =
    R"(# CloudSim 3.0.3's PlanetLab experiment, with its released semantics: to compare, not to believe.
# Switching hosts costs nothing, memory is not enforced, VMs that idle are gone for good.
name = "planetlab-compat"
doc = "A PlanetLab day on 800 small hosts with CloudSim 3.0.3's released semantics, to compare."
mode = "compat"
policy = "chorok"       # or npa, dvfs, thr-mmt-0.8, iqr-mmt-1.5, mad-mmt-2.5, lr-mmt-1.2
duration_s = 86400
# traces = "20110303"   # a PlanetLab day: a folder or archive with one file a VM

# The two hosts of the published experiment, in turns.
[[hosts]]
count = 400
curve = "hp-ml110-g4"
cores = 2
core_mhz = 1860
memory_mib = 4096

[[hosts]]
count = 400
curve = "hp-ml110-g5"
cores = 2
core_mhz = 2660
memory_mib = 4096

# A quarter of the VMs each; the traces say CPU in percent alone.
[[vms]]
mhz = 2500
memory_mib = 870

[[vms]]
mhz = 2000
memory_mib = 1740

[[vms]]
mhz = 1000
memory_mib = 1740

[[vms]]
mhz = 500
memory_mib = 613
)";

constexpr std::string_view kPlanetlabHonest =
    R"(# The same day, hosts and VMs as planetlab-compat, as a data centre is: VMs live on when they idle,
# memory is there or not, boots and idling cost, migrations share links.
name = "planetlab-honest"
doc = "The same day and hosts where VMs live on, memory is enforced and boots and idling cost."
mode = "honest"
policy = "chorok"       # or always-on, dvfs
# traces = "20110303"   # a PlanetLab day: a folder or archive with one file a VM

[[hosts]]
count = 400
curve = "hp-ml110-g4"
cores = 2
core_mhz = 1860
memory_mib = 4096
boot_s = 300            # firmware, kernel, services
boot_j = 40500          # at 135 W
shutdown_s = 60
shutdown_j = 5400

[[hosts]]
count = 400
curve = "hp-ml110-g5"
cores = 2
core_mhz = 2660
memory_mib = 4096
boot_s = 300
boot_j = 40500
shutdown_s = 60
shutdown_j = 5400

[[vms]]
mhz = 2500
memory_mib = 870

[[vms]]
mhz = 2000
memory_mib = 1740

[[vms]]
mhz = 1000
memory_mib = 1740

[[vms]]
mhz = 500
memory_mib = 613

[migration]
link_mib_s = 112        # a gigabit less protocol
parallel = 2
)";

constexpr std::string_view kBitbrains =
    R"(# Traces that say how large VMs are (Bitbrains, CSV) on two-socket servers of 2023, as many as what
# was sold needs and a fifth more. Memory counts as VMs use it, and may be sold four times.
name = "bitbrains"
doc = "Traces with sizes (Bitbrains, CSV) on two-socket hosts of 2023; memory counts as used."
mode = "honest"
policy = "chorok"       # or chorok-provisioned, always-on, dvfs
# traces = "bitbrains"  # a folder with vms.csv, cpu_mhz.txt.xz and mem_used_mb.txt.xz, or a CSV
memory = "used"

[[hosts]]
count = 0               # what the VMs' sizes need and a fifth more
curve = "spec-median-2023"
core_mhz = 3000
memory_mib = 1048576
boot_s = 300
boot_j = 72000          # at 240 W
shutdown_s = 60

[migration]
link_mib_s = 1120       # ten gigabit less protocol

[settings.power]
memory_overcommit = 4
)";

}  // namespace

const std::vector<KnownExperiment>& known_experiments() {
  static const std::vector<KnownExperiment> kKnown = {
      {"planetlab-compat",
       "A PlanetLab day on 800 small hosts with CloudSim 3.0.3's released semantics, to compare.",
       {"chorok", "npa", "dvfs", "thr-mmt-0.8", "iqr-mmt-1.5", "mad-mmt-2.5", "lr-mmt-1.2"},
       kPlanetlabCompat},
      {"planetlab-honest",
       "The same day and hosts where VMs live on, memory is enforced and boots and idling cost.",
       {"chorok", "always-on", "dvfs"},
       kPlanetlabHonest},
      {"bitbrains",
       "Traces with sizes (Bitbrains, CSV) on two-socket hosts of 2023; memory counts as used.",
       {"chorok", "chorok-provisioned", "always-on", "dvfs"},
       kBitbrains},
  };
  return kKnown;
}

Result<const KnownExperiment*> find_experiment(std::string_view name) {
  std::string names;
  for (const KnownExperiment& known : known_experiments()) {
    if (known.name == name) return &known;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", known.name);
  }
  return fail(Code::kNotFound, fmt::format("there is no experiment '{}'; there are {}, and files "
                                           "that end in .toml",
                                           name.substr(0, 60), names));
}

}  // namespace chorok::sim::datacenter
