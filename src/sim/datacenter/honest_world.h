// Hosts, VMs and links of the honest data centre at one moment, and what can be done to them.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "sim/datacenter/honest.h"

namespace chorok::sim::datacenter {

class HonestWorld {
 public:
  using Id = std::uint32_t;
  static constexpr Id kNowhere = 0xffffffff;

  enum class Power : std::uint8_t { kOff, kBooting, kOn, kStopping };

  struct Migration {
    Id vm = 0;
    Id from = 0;
    Id to = 0;
    double since = 0;
    double left_mib = 0;  // to copy, what will be written meanwhile not counted
    double rate = 0;      // MiB/s it gains on the VM
  };

  HonestWorld(const TraceSet& traces, const HonestSettings& settings);

  // ---- Time ----
  // From now on, VMs ask for what the sample says. Those that appear in it wait for a host.
  void ask(std::size_t sample);
  // The next end of a migration, boot or stop, or beginning or end of a fault; infinity when
  // nothing is under way.
  double next_event() const;
  // To `time`, at most next_event(); then ends what ends there.
  void advance(double time);
  // Everything before this moment is forgotten: energy and meters start here.
  void start_meters();

  // ---- Actions; each says whether it could start now ----
  bool can_take(Id host, Id vm) const;  // on, not stopping, memory there
  bool start_vm(Id vm, Id host);
  bool migrate(Id vm, Id host);
  bool power_on(Id host);
  bool power_off(Id host);  // on, no VM on it or on the way
  void cut_power(Id host);  // at once, with all that runs there; a BMC that is stuck does nothing

  Metrics finish();

  // ---- What can be asked ----
  std::size_t hosts() const { return power.size(); }
  std::size_t vms() const { return host.size(); }
  const HostType& type_of(Id h) const {
    return settings.host_types[h % settings.host_types.size()];
  }
  // The host's own, or everybody's.
  double boot_s(Id h) const { return own(type_of(h).boot_s, settings.boot_s); }
  double boot_j(Id h) const { return own(type_of(h).boot_j, settings.boot_j); }
  double shutdown_s(Id h) const { return own(type_of(h).shutdown_s, settings.shutdown_s); }
  double shutdown_j(Id h) const { return own(type_of(h).shutdown_j, settings.shutdown_j); }
  double free_memory(Id h) const {
    // Plus a rounding of sums that are added to and taken from all day.
    return type_of(h).memory_mib * (1 + 1e-9) - reserved[h];
  }
  double needed_memory(Id v) const {
    return settings.memory == MemoryRule::kProvisioned ? memory[v] : used_memory[v];
  }
  bool exists(Id v) const { return asked[v] >= 0; }
  bool connected(Id h) const {
    return power[h] == Power::kOn && !suffers(h, FaultKind::kPartition);
  }
  bool suffers(Id h, FaultKind kind) const {
    return suffers_[h][static_cast<std::size_t>(kind)] > 0;
  }
  double energy_j() const;
  TickRow row();

  const TraceSet& traces;
  const HonestSettings settings;
  double now = 0;
  bool stops_without_lease = false;  // agents stop their VMs when their lease has ended

  // By VM.
  std::vector<double> size;    // MHz
  std::vector<double> memory;  // MiB configured
  std::vector<std::int32_t> cores;
  std::vector<double> used_memory;  // MiB, at this sample
  std::vector<double> asked;        // MHz; negative: does not exist yet
  std::vector<Id> host;             // kNowhere: waits
  std::vector<std::uint8_t> moving;

  // By host.
  std::vector<Power> power;
  std::vector<double> power_since;    // of the last change of `power`
  std::vector<double> power_until;    // of a boot or stop under way
  std::vector<std::vector<Id>> list;  // VMs that run there
  std::vector<double> reserved;       // MiB, of incoming VMs too
  std::vector<std::int32_t> links;    // migrations in and out
  std::vector<std::int32_t> incoming;
  std::vector<double> heard;  // when its agent was heard last
  std::vector<double> off_s;  // seconds it was off, as of its last change

  std::vector<Migration> migrations;
  std::int64_t migrations_started = 0;
  std::int64_t vms_lost = 0;
  std::int64_t doubles = 0;
  double vm_down_s = 0;  // of VMs that have run before
  double migration_s = 0;
  double memory_short_s = 0;   // host seconds
  double unmet_mhz_s() const;  // asked for and not given, of VMs that wait for a host too

 private:
  static double own(double its, double everybodys) { return its > 0 ? its : everybodys; }
  void refresh(Id h);  // meters up to now, then the host as it is
  void share_links();
  void set_power(Id h, Power p, double until);
  // Ends a migration: at its target, or where it was.
  void end(const Migration& migration, bool arrived);
  void strike();     // faults that begin or end now
  void lose(Id h);   // its VMs and its migrations
  void leave(Id v);  // for good
  void stop_vm(Id v);
  void take_away(Id v);
  void find_last_samples();
  void line_up_faults();

  std::vector<float> load_;        // demand over capacity
  std::vector<float> shown_load_;  // the same, negative where off
  std::vector<double> watts_;
  std::vector<double> metered_until_;
  std::vector<double> energy_;
  std::vector<std::uint8_t> memory_is_short_;
  std::vector<std::uint8_t> is_off_;
  std::vector<double> missing_mhz_;  // what its VMs ask for and do not get
  double waiting_mhz_ = 0;           // of VMs without a host
  double unmet_mhz_s_ = 0;
  std::int64_t down_ = 0;  // VMs that ran once and wait
  struct FaultEvent {
    enum class What : std::uint8_t { kBegins, kEnds, kLeaseEnds } what;
    double at_s;
    FaultKind kind;
    Id host;
  };
  std::vector<FaultEvent> fault_events_;  // in order of time
  std::size_t next_fault_ = 0;
  std::vector<std::array<std::uint8_t, 5>> suffers_;  // by host and kind: how many faults
  std::vector<double> cut_since_;
  std::vector<std::uint8_t> ran_;         // by VM
  std::vector<std::size_t> last_sample_;  // by VM
  std::vector<VmMeter> vm_meter_;
  std::vector<HostMeter> host_meter_;
  std::vector<std::int32_t> rate_in_;
  std::vector<std::int32_t> rate_out_;
};

}  // namespace chorok::sim::datacenter
