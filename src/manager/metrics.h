// What the manager tells Prometheus: text format 0.0.4. Written by hand: a registry of 20,000 VMs
// times twenty series would have to be kept in step with what we have anyway.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "manager/engine.h"
#include "manager/telemetry.h"

namespace chorok::manager {

class ClusterDriver;

// Families in the order of their first sample; each with its help and type, once.
class MetricsText {
 public:
  using Labels = std::vector<std::pair<std::string_view, std::string_view>>;

  // The samples that follow are of this family. `type` is gauge or counter.
  void family(std::string_view name, std::string_view type, std::string_view help);
  void sample(const Labels& labels, double value);
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
  std::string name_;
};

// By a cluster's id; null: it has none.
using DriverOf = std::function<const ClusterDriver*(const std::string& cluster)>;
// `energy` may be null, `drivers` empty.
std::string metrics_text(const Engine& engine, const Telemetry& telemetry,
                         const EnergyAccounts* energy, std::string_view version, Time started,
                         const DriverOf& drivers = nullptr);

}  // namespace chorok::manager
