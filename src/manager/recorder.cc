#include "manager/recorder.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "base/json.h"
#include "manager/series.h"

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
  use.amounts[Measure::kEnergy] = vm.energy_j;
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

HistoryUse& add_to(std::map<std::string, HistoryUse>& shares, const std::string& name,
                   const HistoryUse& use) {
  HistoryUse& sum = shares[name];
  sum.series = name;
  for (std::size_t i = 0; i < ports::kMeasures; ++i) sum.amounts.values[i] += use.amounts.values[i];
  return sum;
}

}  // namespace

Recorder::Recorder(const Engine& engine, Telemetry& telemetry, EnergyAccounts* energy,
                   ports::History& history, RecorderSettings settings)
    : engine_(engine),
      telemetry_(telemetry),
      energy_(energy),
      history_(history),
      settings_(settings) {
  telemetry_.on_consumed([this](Consumption& consumption) { add(consumption); });
}

void Recorder::restore(Done<Result<>> done) {
  using Cursors = std::map<std::string, std::string>;
  history_.cursors([this, alive = alive_, done = std::move(done)](Result<Cursors> all) mutable {
    if (!*alive) return;
    if (!all) return done(Unexpected(all.error()));
    for (const auto& [host, text] : *all) {
      if (engine_.inventory().hosts().find(host) == nullptr) continue;
      auto cursor = json::decode<HostCursor>(text, {.max_bytes = 16 << 20, .stored = true});
      if (cursor) {
        if (energy_ != nullptr) energy_->restore(host, cursor->energy);
        telemetry_.restore(host, std::move(*cursor));
      } else {
        log_.warn("what was counted of host {} is not known: {}", host, cursor.error().message);
      }
    }
    done({});
  });
}

void Recorder::add(Consumption& consumption) {
  std::vector<EnergyAccount> accounts;
  if (energy_ != nullptr) accounts = energy_->account(consumption);
  ports::HistoryBatch batch;
  batch.source = consumption.host;
  batch.from = consumption.from;
  batch.to = consumption.to;
  for (const VmConsumption& each : consumption.vms) {
    batch.uses.push_back(use_of(each));
    if (const model::Vm* vm = vm_of(each.uuid))
      batch.uses.back().label =
          series_label(engine_.inventory().cluster_of(*vm).meta.id, vm->meta.name);
  }
  if (consumption.usage) batch.uses.push_back(use_of(*consumption.usage, consumption.vms));
  add_shares(consumption, batch);
  for (const EnergyAccount& each : accounts) {
    std::vector<HistoryUse> uses = energy_->uses(each);
    if (each.from == batch.from && each.to == batch.to)
      std::ranges::move(uses, std::back_inserter(batch.uses));
    else
      unsaved_.push_back({.source = each.host, .from = each.from, .to = each.to, .uses = uses});
  }
  unsaved_.push_back(std::move(batch));
}

// What pools, owners and vApps used, in the same interval: whose a VM was then.
void Recorder::add_shares(const Consumption& consumption, ports::HistoryBatch& batch) {
  std::map<std::string, HistoryUse> shares;
  for (const VmConsumption& each : consumption.vms) {
    const model::Vm* vm = vm_of(each.uuid);
    if (vm == nullptr) continue;
    const HistoryUse use = use_of(each);
    // A cluster's own stands for those directly below it.
    const auto pool = engine_.inventory().pool_of(*vm);
    const std::string name =
        "pool/" + (pool == nullptr ? engine_.inventory().cluster_of(*vm).meta.id : pool->meta.id);
    HistoryUse& sum = add_to(shares, name, use);
    if (pool != nullptr) sum.label = series_label(pool->cluster, pool->meta.name);
    // The label says whose it is; without one it is nobody's.
    auto owner = vm->meta.labels.find("owner");
    add_to(shares, "user/" + (owner == vm->meta.labels.end() ? std::string() : owner->second), use);
    if (auto vapp = vm->meta.labels.find("vapp"); vapp != vm->meta.labels.end())
      add_to(shares, vapp_series(engine_.inventory().cluster_of(*vm).meta.id) + vapp->second, use);
  }
  for (auto& [name, use] : shares) batch.uses.push_back(std::move(use));
}

const model::Vm* Recorder::vm_of(const std::string& uuid) {
  constexpr Duration kIndexEvery = std::chrono::seconds(1);
  const auto& vms = engine_.inventory().vms();
  auto known = [&]() -> const model::Vm* {
    auto id = ids_.find(uuid);
    if (id == ids_.end()) return nullptr;
    auto vm = vms.find(id->second);
    return vm != nullptr && vm->uuid == uuid ? vm.get() : nullptr;
  };
  if (const model::Vm* vm = known()) return vm;
  if (indexed_ != Time{} && engine_.now() - indexed_ < kIndexEvery) return nullptr;
  indexed_ = engine_.now();
  ids_.clear();
  for (const auto& [id, vm] : vms.all()) ids_[vm->uuid] = id;
  return known();
}

std::string Recorder::cursor_of(const std::string& host) const {
  HostCursor cursor = telemetry_.cursor(host);
  if (energy_ != nullptr) cursor.energy = energy_->cursor(host);
  return json::encode(cursor, {.defaults = false});
}

void Recorder::take(const std::vector<EnergyAccount>& accounts) {
  for (const EnergyAccount& each : accounts)
    unsaved_.push_back({.source = each.host,
                        .from = each.from,
                        .to = each.to,
                        .uses = energy_->uses(each),
                        .cursor = cursor_of(each.host)});
  if (!unsaved_.empty()) save([](const Result<>&) {});
}

void Recorder::take(const std::string& host, const model::TelemetryBatch& batch,
                    Done<Result<>> done) {
  const std::size_t before = unsaved_.size();
  if (auto taken = telemetry_.take(host, batch); !taken) return done(Unexpected(taken.error()));
  // With the last, since all of them are written at once.
  if (unsaved_.size() > before) unsaved_.back().cursor = cursor_of(host);
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
