// Puts what agents measure into the history: telemetry first, for it knows what is new, then the
// disk, then the answer. An agent forgets a sample when it is on this disk, so that a manager that
// is killed has lost none and, going on from the cursors it wrote with them, counts none twice.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "manager/telemetry.h"
#include "ports/history.h"

namespace chorok::manager {

struct RecorderSettings {
  // Intervals that the disk did not take and that wait in memory; then the oldest are lost.
  std::size_t unsaved_max = 20'000;
};

// Lives on the loop's thread; telemetry and history outlive it.
class Recorder {
 public:
  // `energy` may be null: then nobody meters.
  Recorder(const Engine& engine, Telemetry& telemetry, EnergyAccounts* energy,
           ports::History& history, RecorderSettings settings = {});
  ~Recorder() { *alive_ = false; }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // Before the first sample: where an earlier manager left off.
  void restore(Done<Result<>> done);
  void take(const std::string& host, const model::TelemetryBatch& batch, Done<Result<>> done);
  // Accounts of hosts that tell nothing.
  void take(const std::vector<EnergyAccount>& accounts);
  std::size_t unsaved() const { return unsaved_.size(); }

 private:
  void add(Consumption& consumption);
  void add_shares(const Consumption& consumption, ports::HistoryBatch& batch);
  const model::Vm* vm_of(const std::string& uuid);
  std::string cursor_of(const std::string& host) const;
  void save(Done<Result<>> done);

  const Engine& engine_;
  Telemetry& telemetry_;
  EnergyAccounts* energy_;
  ports::History& history_;
  RecorderSettings settings_;
  Log log_{"history"};
  std::deque<ports::HistoryBatch> unsaved_;
  std::unordered_map<std::string, std::string> ids_;  // of VMs, by UUID
  Time indexed_{};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chorok::manager
