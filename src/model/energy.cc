#include "model/energy.h"

namespace chorok::model {

namespace {

constexpr Limits kMany{.max_count = 1'000'000};

}  // namespace

const Type& HostEnergyNow::type() {
  static const Type kType =
      describe<HostEnergyNow>("HostEnergyNow", "What a host draws now.")
          .field("host", &HostEnergyNow::host, "Id.")
          .field("name", &HostEnergyNow::name, "")
          .field("cluster", &HostEnergyNow::cluster, "Its name.")
          .field("at", &HostEnergyNow::at, "End of the interval that the watts are a mean of.")
          .field("interval", &HostEnergyNow::interval, "")
          .field("watts", &HostEnergyNow::watts, "")
          .field("vms_watts", &HostEnergyNow::vms_watts, "Of them, its VMs'.")
          .field("unused_watts", &HostEnergyNow::unused_watts, "And those that no VM uses.")
          .field("idle_watts", &HostEnergyNow::idle_watts, "What it would draw without load.")
          .field("joules", &HostEnergyNow::joules, "Counted since it joined.")
          .field("error", &HostEnergyNow::error, "The truth lies within ± this fraction.")
          .field("source", &HostEnergyNow::source, "")
          .field("method", &HostEnergyNow::method, "")
          .field("estimated", &HostEnergyNow::estimated, "A gap between readings.")
          .field("off", &HostEnergyNow::off, "It stands by.")
          .field("meter_problem", &HostEnergyNow::meter_problem, "Why its BMC's meter is not read.",
                 {.max_length = 1024});
  return kType;
}

const Type& VmEnergyNow::type() {
  static const Type kType =
      describe<VmEnergyNow>("VmEnergyNow", "A VM's part of what its host draws now.")
          .field("vm", &VmEnergyNow::vm, "Id; empty for a guest that Chorok did not make.")
          .field("name", &VmEnergyNow::name, "")
          .field("uuid", &VmEnergyNow::uuid, "")
          .field("host", &VmEnergyNow::host, "Id.")
          .field("host_name", &VmEnergyNow::host_name, "")
          .field("at", &VmEnergyNow::at, "")
          .field("watts", &VmEnergyNow::watts, "")
          .field("joules", &VmEnergyNow::joules, "Counted since the manager began.")
          .field("error", &VmEnergyNow::error, "Of its host's watts.")
          .field("source", &VmEnergyNow::source, "Of its host's watts.");
  return kType;
}

const Type& EnergyNow::type() {
  static const Type kType =
      describe<EnergyNow>("EnergyNow", "What everything draws now.")
          .field("at", &EnergyNow::at, "")
          .field("watts", &EnergyNow::watts, "")
          .field("unused_watts", &EnergyNow::unused_watts, "By no VM.")
          .field("measured_watts", &EnergyNow::measured_watts, "Of them, by an instrument.")
          .field("hosts", &EnergyNow::hosts, "", kMany)
          .field("vms", &EnergyNow::vms, "", kMany);
  return kType;
}

const Type& EnergyPoint::type() {
  static const Type kType =
      describe<EnergyPoint>("EnergyPoint", "Energy of a step.")
          .field("at", &EnergyPoint::at, "Where the step begins.")
          .field("measured", &EnergyPoint::measured,
                 "That there are accounts of; of a cluster, all its hosts' together.")
          .field("joules", &EnergyPoint::joules, "")
          .field("watts", &EnergyPoint::watts, "Mean over what of the step is covered.")
          .field("unused_watts", &EnergyPoint::unused_watts, "By no VM.")
          .field("error", &EnergyPoint::error, "The truth lies within ± this fraction.")
          .field("covered", &EnergyPoint::covered, "Of the step, that there are accounts of.");
  return kType;
}

const Type& EnergyCost::type() {
  static const Type kType = describe<EnergyCost>("EnergyCost", "What some energy costs.")
                                .field("kwh", &EnergyCost::kwh, "")
                                .field("money", &EnergyCost::money, "By the price calendar.")
                                .field("co2_kg", &EnergyCost::co2_kg, "By the carbon calendar.");
  return kType;
}

const Type& EnergyPart::type() {
  static const Type kType =
      describe<EnergyPart>("EnergyPart", "Whose energy it is.")
          .field("kind", &EnergyPart::kind,
                 "host, pool, vapp, vm; other: all that is gone of what its name says.")
          .field("id", &EnergyPart::id, "")
          .field("name", &EnergyPart::name, "")
          .field("gone", &EnergyPart::gone, "It is in the inventory no more.")
          .field("joules", &EnergyPart::joules, "With pending ones.")
          .field("direct_joules", &EnergyPart::direct_joules,
                 "Of a pool: of them, not by pools below it.")
          .field("pending_joules", &EnergyPart::pending_joules,
                 "Of a host: of them, not yet accounted for.")
          .field("share", &EnergyPart::share, "Of the whole.")
          .field("watts", &EnergyPart::watts, "Mean over the time that it was measured.")
          .field("unused_joules", &EnergyPart::unused_joules, "By no VM.")
          .field("saved_joules", &EnergyPart::saved_joules, "Against idling.")
          .field("measured", &EnergyPart::measured, "Share by an instrument.")
          .field("error", &EnergyPart::error, "The truth lies within ± this fraction.")
          .field("source", &EnergyPart::source, "That most of it is by.")
          .field("method", &EnergyPart::method, "That most of it is by.");
  return kType;
}

const Type& EnergySource::type() {
  static const Type kType =
      describe<EnergySource>("EnergySource", "What one kind of source said of some energy.")
          .field("source", &EnergySource::source, "")
          .field("method", &EnergySource::method, "")
          .field("estimated", &EnergySource::estimated,
                 "Nothing was known: by what was drawn before.")
          .field("joules", &EnergySource::joules, "")
          .field("share", &EnergySource::share, "Of the whole.");
  return kType;
}

const Type& EnergySeries::type() {
  static const Type kType =
      describe<EnergySeries>("EnergySeries", "Energy over some time.")
          .field("kind", &EnergySeries::kind, "cluster, host, vm or pool.")
          .field("id", &EnergySeries::id, "")
          .field("name", &EnergySeries::name, "")
          .field("from", &EnergySeries::from, "")
          .field("to", &EnergySeries::to, "")
          .field("step", &EnergySeries::step, "")
          .field("measured_for", &EnergySeries::measured_for,
                 "Of that time, that there are accounts of.")
          .field("joules", &EnergySeries::joules, "In all that time, pending ones too.")
          .field("direct_joules", &EnergySeries::direct_joules,
                 "Of a pool: of them, not by pools below it.")
          .field("kwh", &EnergySeries::kwh, "")
          .field("watts", &EnergySeries::watts, "Mean over measured_for.")
          .field("peak_watts", &EnergySeries::peak_watts, "The highest step.")
          .field("idle_joules", &EnergySeries::idle_joules, "Of them, what hosts draw idle.")
          .field("unused_joules", &EnergySeries::unused_joules, "Of them, by no VM.")
          .field("standby_joules", &EnergySeries::standby_joules,
                 "Of them, by hosts that were off.")
          .field("pending_joules", &EnergySeries::pending_joules,
                 "Of them, drawn and not yet accounted for.")
          .field("measured", &EnergySeries::measured, "Share by an instrument.")
          .field("estimated", &EnergySeries::estimated, "Share across gaps.")
          .field("error", &EnergySeries::error, "The truth lies within ± this fraction.")
          .field("sources", &EnergySeries::sources,
                 "Who says so, most first; of a VM and a pool, in its cluster's proportions.")
          .field("it", &EnergySeries::it, "At the machines' plugs.")
          .field("facility", &EnergySeries::facility,
                 "Times PUE: cooling and losses too, which do not shrink as fast.")
          .field("pue", &EnergySeries::pue, "")
          .field("currency", &EnergySeries::currency, "")
          .field("price_source", &EnergySeries::price_source, "")
          .field("carbon_source", &EnergySeries::carbon_source, "")
          .field("saved", &EnergySeries::saved, "Not a part of the rest.")
          .field("saved_joules", &EnergySeries::saved_joules, "")
          .field("saved_method", &EnergySeries::saved_method, "Against what.", {.max_length = 512})
          .field("notes", &EnergySeries::notes, "What could not be worked out, and why.")
          .field("parts", &EnergySeries::parts, "Whose it is.", kMany)
          .field("points", &EnergySeries::points, "Where there are accounts.", kMany);
  return kType;
}

const Type& MeteringRow::type() {
  static const Type kType =
      describe<MeteringRow>("MeteringRow", "What one VM, pool, vApp or user used.")
          .field("kind", &MeteringRow::kind, "")
          .field("id", &MeteringRow::id, "Of a VM that is gone, its UUID.")
          .field("name", &MeteringRow::name, "")
          .field("cluster", &MeteringRow::cluster, "")
          .field("cpu_mhz_hours", &MeteringRow::cpu_mhz_hours, "CPU time x the host's clock.")
          .field("memory_gib_hours", &MeteringRow::memory_gib_hours, "That it had.")
          .field("kwh", &MeteringRow::kwh, "Its part of its hosts' energy.")
          .field("hours", &MeteringRow::hours, "That it was measured.")
          .field("measured", &MeteringRow::measured,
                 "Share of the kWh by an instrument: its cluster's, as all that follows; of a user "
                 "and of what is gone, all clusters'.")
          .field("error", &MeteringRow::error, "The truth lies within ± this fraction of the kWh.")
          .field("source", &MeteringRow::source, "Who says most of it.")
          .field("method", &MeteringRow::method, "")
          .field("gone", &MeteringRow::gone,
                 "It is in the inventory no more; name and cluster are its last.");
  return kType;
}

const Type& Metering::type() {
  static const Type kType = describe<Metering>("Metering", "What was used, for billing.")
                                .field("from", &Metering::from, "")
                                .field("to", &Metering::to, "")
                                .field("by", &Metering::by, "vm, pool or user.")
                                .field("rows", &Metering::rows, "", kMany);
  return kType;
}

}  // namespace chorok::model
