// How a run is judged: meters that are fed at every update point, and the figures they add up to,
// as Beloglazov and Buyya defined them (CCPE 24(13), 2012) and as CloudSim 3.0.3's Helper computes
// them; where the two differ, the Helper's. Shares are fractions of one, not percent.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace chorok::sim::datacenter {

// Lower bounds on the energy of serving this demand (bounds.h).
struct Bounds {
  double lb0_kwh = 0;
  double lb1_kwh = 0;
  double lb2_kwh = 0;
  double lb3_kwh = 0;
};

struct Metrics {
  double energy_kwh = 0;
  std::int64_t migrations = 0;  // started
  double migration_s = 0;       // VM-seconds in migration
  double true_overload = 0;     // share of active host time with demand above capacity
  double overload_depth = 0;    // demand above capacity over capacity, mean over that time
  double unmet_demand = 0;      // share of requested CPU time that was not given
  double unmet_while_moved =
      0;              // the part of it that fell into migrations' sources (PDM's numerator)
  double slatah = 0;  // share of active host time with something not given
  double pdm = 0;     // performance degradation by migration
  double slav = 0;    // slatah * pdm
  double esv = 0;     // energy_kwh * slav
  std::int64_t host_on_count = 0;
  std::int64_t host_off_count = 0;  // CloudSim: a host never used counts once
  double unused_kwh = 0;            // idle power that no VM's size accounts for
  double host_hours = 0;            // active
  std::int64_t vms = 0;
  std::int64_t vms_left = 0;
  Bounds bounds;
};

// The whole at one moment: energy is that of the time before it, migrations those started before
// it.
struct TickRow {
  double time_s = 0;
  std::int32_t active_hosts = 0;
  std::int32_t active_first_type = 0;  // those of them that are of the first type
  std::int32_t vms = 0;
  double requested_mhz = 0;
  double energy_kwh = 0;
  std::int64_t migrations = 0;
  double unmet_mhz_s = 0;   // asked for before it and not given; honest mode alone counts it
  double capacity_mhz = 0;  // of active hosts
  std::span<const float> host_load;  // demand over capacity by host, negative: off; for this call
};
using RowSink = std::function<void(const TickRow&)>;

// One VM over time: what it asked for and got, from one update point to the next. Entries at one
// time replace each other, as CloudSim's do.
class VmMeter {
 public:
  void enter(double time, double allocated, double requested, bool migrating) {
    if (time != time_ && time_ >= 0) close(time);
    time_ = time;
    allocated_ = allocated;
    requested_ = requested;
    migrating_ = migrating;
  }
  double requested() const { return requested_sum_; }  // MHz s
  double unmet() const { return unmet_sum_; }
  double unmet_migrating() const { return unmet_migrating_sum_; }

 private:
  void close(double time) {
    const double span = time - time_;
    requested_sum_ += requested_ * span;
    unmet_sum_ += (requested_ - allocated_) * span;
    if (migrating_ && allocated_ < requested_)
      unmet_migrating_sum_ += (requested_ - allocated_) * span;
  }

  double time_ = -1;
  double allocated_ = 0;
  double requested_ = 0;
  double requested_sum_ = 0;
  double unmet_sum_ = 0;
  double unmet_migrating_sum_ = 0;
  bool migrating_ = false;
};

// One host over time. CloudSim takes a host for active before it has seen it, and so does a meter
// that is not told.
class HostMeter {
 public:
  explicit HostMeter(bool was_active = true)
      : entry_{.active = was_active}, was_active_(was_active) {}
  struct Entry {
    double allocated = 0;
    double requested = 0;
    double excess = 0;  // demand above capacity, as a share of capacity
    double unused = 0;  // watts of idle power that no VM accounts for
    bool active = false;
  };
  void enter(double time, const Entry& entry) {
    if (time != time_) {
      if (time_ >= 0) close(time);
      time_ = time;
      was_active_ = entry_.active;
    }
    entry_ = entry;
  }
  // The last entry opens no further span, but its transition counts.
  void finish() { count(); }

  double active_s() const { return active_s_; }
  double short_s() const { return short_s_; }
  double overload_s() const { return overload_s_; }
  double overload_depth_s() const { return overload_depth_s_; }
  double unused_j() const { return unused_j_; }
  std::int64_t ons() const { return ons_; }
  std::int64_t offs() const { return offs_; }

 private:
  void count() {
    if (time_ < 0) return;
    ons_ += !was_active_ && entry_.active;
    offs_ += was_active_ && !entry_.active;
  }
  void close(double time) {
    count();
    if (!entry_.active) return;
    const double span = time - time_;
    active_s_ += span;
    if (entry_.allocated < entry_.requested) short_s_ += span;
    if (entry_.excess > 0) {
      overload_s_ += span;
      overload_depth_s_ += entry_.excess * span;
    }
    unused_j_ += entry_.unused * span;
  }

  double time_ = -1;
  Entry entry_;
  bool was_active_;
  double active_s_ = 0;
  double short_s_ = 0;
  double overload_s_ = 0;
  double overload_depth_s_ = 0;
  double unused_j_ = 0;
  std::int64_t ons_ = 0;
  std::int64_t offs_ = 0;
};

// Adds the meters up. `energy_j`, `migrations`, `migration_s` and `vms*` are the run's own.
void add_up(const std::vector<VmMeter>& vms, std::vector<HostMeter>& hosts, double energy_j,
            Metrics& out);

}  // namespace chorok::sim::datacenter
