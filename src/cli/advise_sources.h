// Where advice gets samples from besides files: a cluster of Chorok's, a Prometheus, hosts with
// libvirt. All of them are only read.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "advise/host_class.h"
#include "cli/session.h"
#include "sim/datacenter/trace_slots.h"

namespace chorok::cli {

struct Recorded {
  sim::datacenter::TraceSet traces;
  advise::Hosts hosts;        // those that there are; empty: not known
  std::optional<Time> start;  // of the first sample; absent: not known
};

struct Period {
  Time from{};
  Time to{};
  Duration step = std::chrono::minutes(5);
};

// Share done, 0 to 1, and what is read now.
using ReadProgress = std::function<void(double, const std::string&)>;

// Samples as they come in, by VM.
class SampleBook {
 public:
  explicit SampleBook(std::string source) { set_.source = std::move(source); }
  // The VM's place. A size that grows is taken; sizes of 0 are not known.
  std::size_t vm(const std::string& name, const sim::datacenter::TraceVm& size);
  void add(sim::datacenter::TraceSample sample) { samples_.push_back(sample); }
  bool is_empty() const { return samples_.empty(); }
  std::size_t size() const { return samples_.size(); }
  // A gap of up to an hour is a gap; a VM that is silent for longer was off.
  Result<Recorded> close(const Period& period) &&;

 private:
  sim::datacenter::TraceSet set_;
  std::vector<sim::datacenter::TraceSample> samples_;
  std::map<std::string, std::size_t> place_;
};

// Hosts and sizes from the cluster's snapshot, use from the manager's history.
Result<Recorded> read_cluster(Session& session, const std::string& cluster, const Period& period,
                              const ReadProgress& progress);

// What libvirt's exporter has written into a Prometheus; hosts from the node exporters beside it.
Result<Recorded> read_prometheus(const Connection& prometheus, const Period& period,
                                 const ReadProgress& progress);

// Looks at these hosts for a time, once each `pause`, by virsh with a read-only connection.
struct Watching {
  Duration time = std::chrono::minutes(10);
  Duration pause = std::chrono::seconds(10);
};
Result<Recorded> watch_libvirt(const std::vector<std::string>& uris, const Watching& watching,
                               const ReadProgress& progress);

// What a recorder may write of a host. Alike hosts become one class with a count; its power curve
// is that of a published class, by the core.
struct FoundHost {
  std::string name;
  std::int32_t cores = 0;
  double core_mhz = 0;
  double memory_mib = 0;
};
Result<advise::Hosts> classes_of(const std::vector<FoundHost>& found);

}  // namespace chorok::cli
