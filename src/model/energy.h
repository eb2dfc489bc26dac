// Energy as the API shows it: now, over time, and what is billed. Every figure is by IT equipment,
// at the hosts' plugs; the facility's share on top of it stands apart.
#pragma once

#include <string>
#include <vector>

#include "model/power.h"

namespace chorok::model {

struct HostEnergyNow {
  std::string host;  // id
  std::string name;
  std::string cluster;
  Time at{};
  Duration interval{};
  double watts = 0;
  double vms_watts = 0;     // of them, its VMs
  double unused_watts = 0;  // and what no VM uses
  double idle_watts = 0;    // what it would draw without load
  double joules = 0;        // ever
  double error = 0;
  WattSource source = WattSource::kModelled;
  MeterMethod method = MeterMethod::kModel;
  bool estimated = false;
  bool off = false;
  std::string meter_problem;
  static const Type& type();
};

struct VmEnergyNow {
  std::string vm;  // id; empty for a guest that Chorok did not make
  std::string name;
  std::string uuid;
  std::string host;
  std::string host_name;
  Time at{};
  double watts = 0;
  double joules = 0;  // since the manager began
  double error = 0;   // its host's
  WattSource source = WattSource::kModelled;
  static const Type& type();
};

// GET /energy
struct EnergyNow {
  Time at{};
  double watts = 0;
  double unused_watts = 0;
  double measured_watts = 0;
  std::vector<HostEnergyNow> hosts;
  std::vector<VmEnergyNow> vms;
  static const Type& type();
};

struct EnergyPoint {
  Time at{};
  Duration measured{};  // that accounts are of; of a cluster, all its hosts' together
  Duration covered{};   // of the step, that there are accounts of at all
  double joules = 0;
  double watts = 0;  // over what is covered; of a cluster, the sum of its hosts' own means
  double unused_watts = 0;
  double error = 0;
  static const Type& type();
};

// Money and CO2 of some energy.
struct EnergyCost {
  double kwh = 0;
  double money = 0;
  double co2_kg = 0;
  static const Type& type();
};

// What one kind of source said of some energy.
struct EnergySource {
  WattSource source = WattSource::kModelled;
  MeterMethod method = MeterMethod::kModel;
  bool estimated = false;  // nothing was known: what it drew before
  double joules = 0;
  double share = 0;
  static const Type& type();
};

struct EnergyPart {
  std::string kind;  // host, pool, vm; other: all that is gone
  std::string id;
  std::string name;
  bool gone = false;  // it is in the inventory no more
  double joules = 0;
  double direct_joules = 0;   // of a pool: not by pools below it
  double pending_joules = 0;  // of a host
  double share = 0;           // of the whole
  double watts = 0;           // mean over the time that it was measured
  double unused_joules = 0;
  double saved_joules = 0;
  double measured = 0;  // share
  double error = 0;
  WattSource source = WattSource::kModelled;  // that most of it is by
  MeterMethod method = MeterMethod::kModel;
  static const Type& type();
};

// GET /clusters/{ref}/energy, /hosts/…, /vms/…, /pools/…
struct EnergySeries {
  std::string kind;
  std::string id;
  std::string name;
  Time from{};
  Time to{};
  Duration step{};
  Duration measured_for{};   // of that time, that there are accounts of
  double joules = 0;         // of all that time
  double direct_joules = 0;  // of a pool: not by pools below it
  double kwh = 0;
  double watts = 0;  // mean over measured_for
  double peak_watts = 0;
  double idle_joules = 0;
  double unused_joules = 0;
  double standby_joules = 0;
  double pending_joules = 0;
  double measured = 0;   // share of it
  double estimated = 0;  // share of it
  double error = 0;
  std::vector<EnergySource> sources;  // most first; of a VM and a pool, their cluster's
  EnergyCost it;                      // at the hosts' plugs
  EnergyCost facility;                // with what cools and feeds them
  double pue = 1;
  std::string currency;
  std::string price_source;
  std::string carbon_source;
  EnergyCost saved;
  double saved_joules = 0;
  std::string saved_method;
  std::vector<std::string> notes;  // what could not be worked out, and why
  std::vector<EnergyPart> parts;
  std::vector<EnergyPoint> points;
  static const Type& type();
};

// GET /metering
struct MeteringRow {
  std::string kind;  // vm, pool, vapp, user
  std::string id;
  std::string name;
  std::string cluster;
  double cpu_mhz_hours = 0;
  double memory_gib_hours = 0;
  double kwh = 0;
  double hours = 0;     // that it was measured
  double measured = 0;  // share of the kWh by an instrument; these four are its cluster's
  double error = 0;
  WattSource source = WattSource::kModelled;  // that most of it is by
  MeterMethod method = MeterMethod::kModel;
  bool gone = false;
  static const Type& type();
};
struct Metering {
  Time from{};
  Time to{};
  std::string by;
  std::vector<MeteringRow> rows;
  static const Type& type();
};

}  // namespace chorok::model
