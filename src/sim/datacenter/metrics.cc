#include "sim/datacenter/metrics.h"

namespace chorok::sim::datacenter {

namespace {

constexpr double kJoulesPerKwh = 3.6e6;

double share(double part, double whole) {
  return whole > 0 ? part / whole : 0;
}

}  // namespace

void add_up(const std::vector<VmMeter>& vms, std::vector<HostMeter>& hosts, double energy_j,
            Metrics& out) {
  double requested = 0;
  double unmet = 0;
  double unmet_migrating = 0;
  for (const VmMeter& vm : vms) {
    requested += vm.requested();
    unmet += vm.unmet();
    unmet_migrating += vm.unmet_migrating();
  }
  double active = 0;
  double short_of = 0;
  double overload = 0;
  double depth = 0;
  double unused = 0;
  for (HostMeter& host : hosts) {
    host.finish();
    active += host.active_s();
    short_of += host.short_s();
    overload += host.overload_s();
    depth += host.overload_depth_s();
    unused += host.unused_j();
    out.host_on_count += host.ons();
    out.host_off_count += host.offs();
  }
  out.energy_kwh = energy_j / kJoulesPerKwh;
  out.unused_kwh = unused / kJoulesPerKwh;
  out.host_hours = active / 3600;
  out.slatah = share(short_of, active);
  out.true_overload = share(overload, active);
  out.overload_depth = share(depth, overload);
  out.unmet_demand = share(unmet, requested);
  out.unmet_while_moved = share(unmet_migrating, requested);
  out.pdm = out.unmet_while_moved;
  out.slav = out.slatah * out.pdm;
  out.esv = out.energy_kwh * out.slav;
}

}  // namespace chorok::sim::datacenter
