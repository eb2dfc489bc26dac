// The state of CloudSim's data centre between two update points, and the operations that change it.
// Flat arrays by VM and by host; a host's VMs stand in a list whose order is part of the result.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "sim/datacenter/compat.h"

namespace chorok::sim::datacenter {

using VmId = std::uint32_t;
using HostId = std::uint32_t;
inline constexpr HostId kNoHost = 0xffffffff;

// PowerModelSpecPower.getPower, operation by operation.
class SpecPower {
 public:
  explicit SpecPower(const model::PowerCurve& curve);
  double at(double load) const {
    if (load >= 1) return watts_[10];
    const double step = load * 10;
    const auto i = static_cast<std::size_t>(step);
    if (static_cast<double>(i) == step) return watts_[i];
    return watts_[i] + slope_[i] * (load - tenth_[i]) * 100;
  }

 private:
  std::array<double, 11> watts_{};
  std::array<double, 11> slope_{};
  std::array<double, 11> tenth_{};
};

struct Move {
  VmId vm = 0;
  HostId to = 0;
};

class CompatWorld {
 public:
  static constexpr std::size_t kHistory = 30;  // points CloudSim keeps a VM
  static constexpr std::size_t kRing = 32;

  CompatWorld(const TraceSet& traces, const CompatSettings& settings);

  // ---- What happens ----
  void place(VmId vm, HostId host);  // before the first tick
  // An update point: what every VM asks for at `time`, what it gets, the energy of the frame
  // before.
  void update(double time);
  // Appends what VMs ask for now to their histories.
  void remember();
  // Starts migrations now. The end of each is an update point that run_until reaches.
  void start(const std::vector<Move>& moves);
  // Lets every migration that is under way end, with its update points.
  void finish_migrations(const RowSink& row);
  void report(const RowSink& row) const;
  void destroy_idle();  // VMs that ask for nothing, for good
  Metrics finish();

  // ---- What can be asked; by host or VM, valid until the next change ----
  std::size_t hosts() const { return list.size(); }
  std::size_t vms() const { return host.size(); }
  std::size_t type_of(HostId h) const { return h % settings.host_types.size(); }
  std::int32_t active_hosts(std::size_t of_type) const;
  double requested_sum() const;
  bool is_incoming(HostId h, VmId v) const { return host[v] != h; }
  bool is_active(HostId h) const {
    return load_mhz[h] > 0 || (settings.keep_vms && !list[h].empty());
  }
  double load(HostId h) const;  // 0..1, of the last update
  double migration_seconds(VmId v) const { return memory[v] / migration_rate; }

  const TraceSet& traces;
  const CompatSettings settings;
  double now = 0;
  double energy_j = 0;
  std::int64_t migrations = 0;
  double migration_s = 0;
  double migration_rate = 0;  // MiB/s
  std::size_t newest = 0;     // slot of the newest point in the rings

  // By type of host.
  std::vector<SpecPower> power_of_type;
  std::vector<double> capacity;  // MHz
  std::vector<double> core;      // MHz

  // By VM.
  std::vector<double> size;          // MHz
  std::vector<double> memory;        // MiB
  std::vector<double> requested;     // MHz, at `now`
  std::vector<HostId> host;          // kNoHost: does not exist (yet, any more)
  std::vector<std::uint8_t> moves;   // 1: in migration
  std::vector<double> share;         // requested as a share of size
  std::vector<double> history;       // ring of shares: history[vm * kRing + slot]
  std::vector<std::uint32_t> asked;  // a bit a remembered point, newest lowest: it was not zero
  std::vector<VmMeter> vm_meter;

  // By host.
  std::vector<std::vector<VmId>> list;  // residents and incoming, in CloudSim's order
  std::vector<double> load_mhz;         // utilisation at the last update
  std::vector<double> watts;            // at that load
  std::vector<HostMeter> host_meter;

 private:
  struct Arrival {
    double time = 0;
    std::uint32_t order = 0;  // in which it started
    VmId vm = 0;
    HostId to = 0;
  };

  void ask(double time);
  void update_host(HostId h, bool frame);
  double allocate(HostId h, bool& over);
  void arrive(const Arrival& arrival);
  void touch(HostId h);
  void update_touched();
  void remove(HostId h, VmId v);

  std::vector<double> allocated_;  // of the list being updated
  std::vector<Arrival> arrivals_;  // by time, then by start
  std::vector<HostId> touched_;
  std::vector<std::uint8_t> is_touched_;
  double frame_s_ = 0;  // length of the frame that is being closed
  double frame_j_ = 0;
  bool first_update_ = true;
};

}  // namespace chorok::sim::datacenter
