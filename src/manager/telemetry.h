// What hosts and VMs use, in memory: the newest rates of each, and each VM's recent past as
// policy/forecast keeps it. Made from the counters that agents send; nothing of it enters the
// store. Robust to counters that begin anew, gaps, clocks that step, samples that come twice, and
// VMs that move: a VM's consumption is the sum over the hosts that ran it, its rate that of the one
// that runs it now.
//
// Lives on the loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/log.h"
#include "manager/cluster_snapshot.h"
#include "manager/energy.h"
#include "manager/engine.h"
#include "model/telemetry.h"
#include "model/usage.h"
#include "policy/forecast.h"

namespace chorok::manager {

using model::HostUsage;
using model::VmUsage;

// What was consumed since the sample before; each consumption is in exactly one of these.
struct VmConsumption {
  std::string uuid;
  double cpu_mhz_s = 0;
  double cpu_s = 0;
  double ready_s = 0;
  double ready_mhz_s = 0;
  double memory_mib_s = 0;    // what the guest had
  double consumed_mib_s = 0;  // what it held of the host
  double active_mib_s = 0;
  double disk_bytes = 0;
  double net_bytes = 0;
  double claim_mhz = 0;  // its size
  double claim_mib = 0;
  double energy_j = 0;  // EnergyAccounts
  bool ended = false;
  bool whole = false;  // it ran on this host through the interval: its rates mean something
  std::optional<VmUsage> usage;
};
struct Consumption {
  std::string host;
  std::string boot_id;
  std::uint64_t sequence = 0;
  Time from{};  // equal to `to` when nothing is known of before
  Time to{};
  std::optional<HostUsage> usage;
  std::vector<VmConsumption> vms;
  std::vector<model::PowerReading> power;  // the host's own meters at `to`
};

// The counters that a host's next sample is compared with, and which samples were counted.
struct HostCursor {
  struct Boot {
    std::string id;
    std::uint64_t sequence = 0;
    static const Type& type();
  };
  std::vector<Boot> boots;  // newest last
  Duration uptime{};        // of the newest sample of the newest boot
  Time at{};                // of that sample, as the manager counts time
  Duration cpu_busy{};
  bool cpu_known = false;
  std::vector<model::VmSample> vms;
  EnergyCursor energy;
  static const Type& type();
};

struct TelemetrySettings {
  policy::ForecastSettings forecast;
  std::size_t boots_kept = 4;                // a host
  std::size_t vms_max = 200'000;             // whose past is kept
  Duration stale = std::chrono::minutes(2);  // an older rate is not shown as the present
  Duration forget = std::chrono::hours(24);  // of a VM that is not in the inventory
  Duration sweep = std::chrono::minutes(10);
};

class Telemetry : public VmLoads {
 public:
  explicit Telemetry(const Engine& engine, TelemetrySettings settings = {});

  // What an agent tells. Samples that were counted before are passed over. kInvalid names what is
  // wrong with one.
  Result<> take(const std::string& host, const model::TelemetryBatch& batch);
  // Called with every interval, once.
  void on_consumed(std::function<void(Consumption&)> fn) { consumed_ = std::move(fn); }
  // From where an earlier process left off.
  void restore(const std::string& host, HostCursor cursor);
  HostCursor cursor(const std::string& host) const;
  void remember(const std::string& uuid, Time at, double cpu_mhz, double active);
  void forget_host(const std::string& host) { hosts_.erase(host); }

  // Null: nothing is known. Whether it is of now, `at` says.
  const VmUsage* vm(const std::string& vm_id) const;
  const VmUsage* vm_by_uuid(const std::string& uuid) const;
  const HostUsage* host(const std::string& id) const;
  // What the policies read; valid until the next call of anything here.
  const VmLoad* find(const model::Vm& vm, const model::PolicySettings& settings) const override;
  std::unique_ptr<const VmLoads> frozen() const override;
  bool is_stale(Time at) const { return engine_.now() - at > settings_.stale; }

 private:
  using Counters = std::unordered_map<std::string, model::VmSample>;  // by UUID
  struct HostState {
    std::vector<HostCursor::Boot> boots;
    Duration uptime{};
    Time at{};
    Duration cpu_busy{};
    bool cpu_known = false;
    bool known = false;  // there is a sample to compare with
    Counters last;
    // Of a sample that comes in parts.
    Counters next;
    Consumption consumption;
    bool in_parts = false;
    std::optional<HostUsage> usage;
  };
  struct VmState {
    std::string uuid;
    std::optional<VmUsage> usage;
    policy::DemandHistory cpu;
    policy::DemandHistory memory;
    double cpu_when_moved = 0;
    Time seen{};
  };
  class Frozen;

  bool is_new(HostState& state, const model::HostSample& sample) const;
  static void begin_anew(HostState& state);
  void count(const std::string& host, HostState& state, const model::HostSample& sample, Time at);
  void begin(HostState& state, const std::string& host, const model::HostSample& sample, Time at);
  void finish(HostState& state, const model::HostSample& sample, Time at);
  VmConsumption consume(const HostState& state, model::VmSample& vm, Duration interval,
                        double core_mhz) const;
  static VmLoad load_of(const VmState& vm, const model::Vm& record, const model::Host* host,
                        Time now, const policy::ForecastSettings& forecast);
  static policy::ForecastSettings ahead(policy::ForecastSettings forecast,
                                        const model::PolicySettings& policy);
  VmState& state_of(const std::string& uuid);
  void note(const VmUsage& usage);
  void sweep();
  double core_mhz(const std::string& host) const;

  const Engine& engine_;
  TelemetrySettings settings_;
  Log log_{"telemetry"};
  std::function<void(Consumption&)> consumed_;
  std::map<std::string, HostState, std::less<>> hosts_;
  // By UUID. Who holds one besides has frozen it: it is changed no more, a copy of it is.
  std::unordered_map<std::string, std::shared_ptr<VmState>> vms_;
  Time swept_{};
  mutable VmLoad found_;
};

}  // namespace chorok::manager
