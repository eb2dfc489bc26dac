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
  double joules = 0;
  double watts = 0;  // over the step, or what of it has been
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

struct EnergyPart {
  std::string kind;  // host, pool, vm, other
  std::string id;
  std::string name;
  double joules = 0;
  double share = 0;  // of the whole
  double watts = 0;  // mean
  double unused_joules = 0;
  double saved_joules = 0;
  double measured = 0;  // share
  double error = 0;
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
  double joules = 0;  // of all that time
  double kwh = 0;
  double watts = 0;  // mean
  double peak_watts = 0;
  double idle_joules = 0;
  double unused_joules = 0;
  double standby_joules = 0;
  double pending_joules = 0;
  double measured = 0;   // share of it
  double estimated = 0;  // share of it
  double error = 0;
  EnergyCost it;        // at the hosts' plugs
  EnergyCost facility;  // with what cools and feeds them
  double pue = 1;
  std::string currency;
  std::string price_source;
  std::string carbon_source;
  EnergyCost saved;
  double saved_joules = 0;
  std::string saved_method;
  std::vector<EnergyPart> parts;
  std::vector<EnergyPoint> points;
  static const Type& type();
};

// GET /metering
struct MeteringRow {
  std::string kind;  // vm, pool, user
  std::string id;
  std::string name;
  std::string cluster;
  double cpu_mhz_hours = 0;
  double memory_gib_hours = 0;
  double kwh = 0;
  double hours = 0;  // that it was measured
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
