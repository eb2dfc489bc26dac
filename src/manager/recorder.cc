#include "manager/recorder.h"

#include <algorithm>

#include "base/json.h"

namespace chorok::manager {
namespace {

using ports::HistoryUse;
using ports::Measure;

HistoryUse use_of(const VmConsumption& vm) {
  HistoryUse use{.series = "vm/" + vm.uuid, .amounts = {}};
  use.amounts[Measure::kCpu] = vm.cpu_mhz_s;
  use.amounts[Measure::kReady] = vm.ready_mhz_s;
  use.amounts[Measure::kMemory] = vm.memory_mib_s;
  use.amounts[Measure::kActive] = vm.active_mib_s;
  use.amounts[Measure::kConsumed] = vm.consumed_mib_s;
  use.amounts[Measure::kDisk] = vm.disk_bytes;
  use.amounts[Measure::kNet] = vm.net_bytes;
  return use;
}

HistoryUse use_of(const HostUsage& host, const std::vector<VmConsumption>& vms) {
  const double elapsed = seconds(host.interval);
  HistoryUse use{.series = "host/" + host.host, .amounts = {}};
  use.amounts[Measure::kCpu] = host.cpu_mhz * elapsed;
  use.amounts[Measure::kReady] = host.ready_mhz * elapsed;
  use.amounts[Measure::kMemory] = (host.memory - host.available) * elapsed;
  for (const VmConsumption& vm : vms) {
    use.amounts[Measure::kActive] += vm.active_mib_s;
    use.amounts[Measure::kConsumed] += vm.consumed_mib_s;
    use.amounts[Measure::kDisk] += vm.disk_bytes;
    use.amounts[Measure::kNet] += vm.net_bytes;
  }
  return use;
}

}  // namespace

Recorder::Recorder(const Engine& engine, Telemetry& telemetry, ports::History& history,
                   RecorderSettings settings)
    : engine_(engine), telemetry_(telemetry), history_(history), settings_(settings) {
  telemetry_.on_consumed([this](const Consumption& consumption) { add(consumption); });
}

void Recorder::restore(Done<Result<>> done) {
  using Cursors = std::map<std::string, std::string>;
  history_.cursors([this, alive = alive_, done = std::move(done)](Result<Cursors> all) mutable {
    if (!*alive) return;
    if (!all) return done(Unexpected(all.error()));
    for (const auto& [host, text] : *all) {
      if (engine_.inventory().hosts().find(host) == nullptr) continue;
      auto cursor = json::decode<HostCursor>(text, {.max_bytes = 16 << 20, .stored = true});
      if (cursor)
        telemetry_.restore(host, std::move(*cursor));
      else
        log_.warn("what was counted of host {} is not known: {}", host, cursor.error().message);
    }
    done({});
  });
}

void Recorder::add(const Consumption& consumption) {
  ports::HistoryBatch batch;
  batch.source = consumption.host;
  batch.from = consumption.from;
  batch.to = consumption.to;
  for (const VmConsumption& vm : consumption.vms) batch.uses.push_back(use_of(vm));
  if (consumption.usage) batch.uses.push_back(use_of(*consumption.usage, consumption.vms));
  unsaved_.push_back(std::move(batch));
}

void Recorder::take(const std::string& host, const model::TelemetryBatch& batch,
                    Done<Result<>> done) {
  const std::size_t before = unsaved_.size();
  if (auto taken = telemetry_.take(host, batch); !taken) return done(Unexpected(taken.error()));
  // With the last, since all of them are written at once.
  if (unsaved_.size() > before)
    unsaved_.back().cursor = json::encode(telemetry_.cursor(host), {.defaults = false});
  if (unsaved_.empty()) return done({});
  save(std::move(done));
}

void Recorder::save(Done<Result<>> done) {
  std::vector<ports::HistoryBatch> batches(unsaved_.begin(), unsaved_.end());
  auto kept = std::make_shared<std::vector<ports::HistoryBatch>>(batches);
  unsaved_.clear();
  history_.append(std::move(batches),
                  [this, alive = alive_, kept, done = std::move(done)](Result<> saved) mutable {
                    if (*alive && !saved) {
                      unsaved_.insert(unsaved_.begin(), kept->begin(), kept->end());
                      while (unsaved_.size() > settings_.unsaved_max) unsaved_.pop_front();
                    }
                    done(std::move(saved));
                  });
}

}  // namespace chorok::manager
