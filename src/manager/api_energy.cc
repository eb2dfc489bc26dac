// Energy over the API: now, over time, for billing. What it costs is worked out here, from
// calendars as they are now; the history keeps joules.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "manager/api_usage.h"
#include "manager/energy.h"
#include "manager/telemetry.h"

namespace chorok::manager {
namespace {

using ports::EnergyMeasure;
using ports::HistoryPoint;
using ports::Measure;
using Points = Result<std::vector<HistoryPoint>>;
using Totals = Result<std::map<std::string, HistoryPoint>>;

constexpr std::size_t kPartsMax = 1000;
constexpr Duration kPointMax = std::chrono::hours(1);  // calendars change by the hour
constexpr double kRest = 0.001;

Result<const EnergyAccounts*> energy_of(const Call& call) {
  if (call.core.settings.energy == nullptr)
    return fail(Code::kUnsupported, "this manager counts no energy");
  return call.core.settings.energy;
}

model::HostEnergyNow now_of(const Call& call, const model::Host& host,
                            const EnergyAccounts::HostNow& now) {
  const auto& problem = call.core.settings.meter_problem;
  return {.host = host.meta.id,
          .name = host.meta.name,
          .cluster = call.core.engine.inventory().cluster_of(host).meta.name,
          .at = now.at,
          .interval = now.interval,
          .watts = now.watts,
          .vms_watts = now.vms,
          .unused_watts = now.unused,
          .idle_watts = now.idle,
          .joules = now.joules,
          .error = now.error,
          .source = now.source,
          .method = now.method,
          .estimated = now.estimated,
          .off = now.off,
          .meter_problem = problem ? problem(host.meta.id) : std::string()};
}

void add_vms_now(const Call& call, const EnergyAccounts& energy, model::EnergyNow& out) {
  const Engine& engine = call.core.engine;
  auto sees = visible_to(call.core, call.caller, "vm");
  for (const auto& [id, vm] : engine.inventory().vms().all()) {
    const EnergyAccounts::VmNow* now = energy.vm(vm->uuid);
    if (now == nullptr || (sees && !sees(vm.get()))) continue;
    // It runs no more, or its host's accounts have gone on without it.
    const EnergyAccounts::HostNow* host = energy.host(now->host);
    if (host == nullptr || now->at < host->at) continue;
    auto record = engine.inventory().hosts().find(now->host);
    out.vms.push_back({.vm = id,
                       .name = vm->meta.name,
                       .uuid = vm->uuid,
                       .host = now->host,
                       .host_name = record == nullptr ? "" : record->meta.name,
                       .at = now->at,
                       .watts = now->watts,
                       .joules = now->joules,
                       .error = host->error,
                       .source = host->source});
  }
}

net::Async<std::vector<HistoryPoint>> points_of(ports::History& history,
                                                ports::HistoryQuery query) {
  co_return co_await until_done<Points>(
      [&](Done<Points> done) { history.range(std::move(query), std::move(done)); });
}

net::Async<std::map<std::string, HistoryPoint>> totals_of(ports::History& history,
                                                          std::string prefix, Time from, Time to) {
  co_return co_await until_done<Totals>(
      [&](Done<Totals> done) { history.totals(prefix, from, to, std::move(done)); });
}

// The series of one thing, and what its cluster pays.
net::Async<model::EnergySeries> series_of(Call& call, std::string series,
                                          const model::Cluster& cluster, bool is_share) {
  ports::History* history = CO_TRY(history_of(call));
  ports::HistoryQuery query = CO_TRY(query_of(call));
  const Tariff tariff = CO_TRY(call.core.calendars.tariff(cluster.energy));
  SeriesInput input{.from = query.from, .to = query.to, .step = query.step, .points = {}};
  query.series = std::move(series);
  query.step = input.points_step = std::min(query.step, kPointMax);
  input.is_share = is_share;
  input.points = CO_TRY(co_await points_of(*history, std::move(query)));
  model::EnergySeries out;
  summarize(input, tariff, out);
  co_return out;
}

// A VM's and a pool's figures are no better than those of the hosts that ran it.
net::Async<> add_error_of_cluster(Call& call, const model::Cluster& cluster,
                                  model::EnergySeries& out) {
  ports::History* history = CO_TRY(history_of(call));
  auto totals =
      CO_TRY(co_await totals_of(*history, "energy/cluster/" + cluster.meta.id, out.from, out.to));
  for (const auto& [name, each] : totals) {
    const double all = each.amounts[EnergyMeasure::kTotal];
    if (all <= 0) continue;
    out.measured = each.amounts[EnergyMeasure::kMeasured] / all;
    out.estimated = each.amounts[EnergyMeasure::kEstimated] / all;
    out.error = each.amounts[EnergyMeasure::kError] / all;
  }
  co_return Result<>{};
}

void add_pending_of(const Call& call, const std::string& host, const Tariff& tariff,
                    model::EnergySeries& out) {
  const Drawn sum = call.core.settings.energy->pending(host, out.from, out.to);
  add_pending(sum.joules, sum.measured, sum.estimated, sum.error, tariff, out);
}

model::EnergyPart part_of(std::string kind, std::string id, std::string name,
                          const HistoryPoint& total, const model::EnergySeries& whole) {
  model::EnergyPart out{.kind = std::move(kind), .id = std::move(id), .name = std::move(name)};
  const bool is_host = out.kind == "host";
  out.joules = is_host ? total.amounts[EnergyMeasure::kTotal] : total.amounts[Measure::kEnergy];
  out.share = whole.joules > 0 ? out.joules / whole.joules : 0;
  out.watts = out.joules / seconds(whole.to - whole.from);
  if (!is_host || out.joules <= 0) return out;
  out.unused_joules = total.amounts[EnergyMeasure::kUnused];
  out.saved_joules = total.amounts[EnergyMeasure::kSaved];
  out.measured = total.amounts[EnergyMeasure::kMeasured] / out.joules;
  out.error = total.amounts[EnergyMeasure::kError] / out.joules;
  return out;
}

// A cluster's hosts; what is left is of hosts that were in it.
net::Async<> add_hosts(Call& call, const model::Cluster& cluster, model::EnergySeries& out) {
  ports::History* history = CO_TRY(history_of(call));
  const Inventory& inventory = call.core.engine.inventory();
  auto sees = visible_to(call.core, call.caller, "host");
  const auto totals = CO_TRY(co_await totals_of(*history, "energy/host/", out.from, out.to));
  double rest = out.joules - out.pending_joules;
  for (const auto& [id, host] : inventory.hosts().all()) {
    auto it = totals.find("energy/host/" + id);
    if (it == totals.end() || inventory.cluster_of(*host).meta.id != cluster.meta.id) continue;
    rest -= it->second.amounts[EnergyMeasure::kTotal];
    if (sees && !sees(host.get())) continue;
    out.parts.push_back(part_of("host", id, host->meta.name, it->second, out));
  }
  if (rest > kRest * out.joules)
    out.parts.push_back({.kind = "other",
                         .joules = rest,
                         .share = rest / out.joules,
                         .watts = rest / seconds(out.to - out.from)});
  co_return Result<>{};
}

net::Async<> add_shares(Call& call, const model::Cluster& cluster, bool pools,
                        model::EnergySeries& out) {
  ports::History* history = CO_TRY(history_of(call));
  const Inventory& inventory = call.core.engine.inventory();
  const auto totals =
      CO_TRY(co_await totals_of(*history, pools ? "pool/" : "vm/", out.from, out.to));
  std::vector<model::EnergyPart> found;
  if (pools) {
    for (const auto& [id, pool] : inventory.pools().all()) {
      auto it = totals.find("pool/" + id);
      if (it != totals.end() && pool->cluster == cluster.meta.id)
        found.push_back(part_of("pool", id, pool->meta.name, it->second, out));
    }
    auto own = totals.find("pool/" + cluster.meta.id);
    if (own != totals.end()) found.push_back(part_of("pool", "", "(no pool)", own->second, out));
  } else {
    auto sees = visible_to(call.core, call.caller, "vm");
    for (const auto& [id, vm] : inventory.vms().all()) {
      auto it = totals.find("vm/" + vm->uuid);
      if (it == totals.end() || inventory.cluster_of(*vm).meta.id != cluster.meta.id) continue;
      if (sees && !sees(vm.get())) continue;
      found.push_back(part_of("vm", id, vm->meta.name, it->second, out));
    }
  }
  std::ranges::sort(found, std::ranges::greater{}, &model::EnergyPart::joules);
  if (found.size() > kPartsMax) found.resize(kPartsMax);
  std::ranges::move(found, std::back_inserter(out.parts));
  co_return Result<>{};
}

}  // namespace

net::Async<net::Response> get_energy(Call& call) {
  const EnergyAccounts& energy = *CO_TRY(energy_of(call));
  model::EnergyNow out;
  out.at = call.core.engine.now();
  auto sees = visible_to(call.core, call.caller, "host");
  for (const auto& [id, host] : call.core.engine.inventory().hosts().all()) {
    const EnergyAccounts::HostNow* now = energy.host(id);
    if (now == nullptr || (sees && !sees(host.get()))) continue;
    out.hosts.push_back(now_of(call, *host, *now));
    out.watts += now->watts;
    out.unused_watts += now->unused;
    if (now->source == model::WattSource::kMeasured) out.measured_watts += now->watts;
  }
  add_vms_now(call, energy, out);
  co_return object_response(model::EnergyNow::type(), &out);
}

net::Async<net::Response> cluster_energy(Call& call) {
  auto object = CO_TRY(find_object(call, *model::find_resource_kind("cluster"), call.ref()));
  const auto& cluster = *static_cast<const model::Cluster*>(object.get());
  CO_TRY(energy_of(call));
  auto out = CO_TRY(co_await series_of(call, "energy/cluster/" + cluster.meta.id, cluster, false));
  out.kind = "cluster";
  out.id = cluster.meta.id;
  out.name = cluster.meta.name;
  const Tariff tariff = CO_TRY(call.core.calendars.tariff(cluster.energy));
  const Inventory& inventory = call.core.engine.inventory();
  for (const auto& [id, host] : inventory.hosts().all())
    if (inventory.cluster_of(*host).meta.id == cluster.meta.id)
      add_pending_of(call, id, tariff, out);
  CO_TRY(co_await add_hosts(call, cluster, out));
  const std::string parts = call.value("parts");
  if (parts.find("pools") != std::string::npos)
    CO_TRY(co_await add_shares(call, cluster, true, out));
  if (parts.find("vms") != std::string::npos)
    CO_TRY(co_await add_shares(call, cluster, false, out));
  co_return object_response(model::EnergySeries::type(), &out);
}

net::Async<net::Response> host_energy(Call& call) {
  auto object = CO_TRY(find_object(call, *model::find_resource_kind("host"), call.ref()));
  const auto& host = *static_cast<const model::Host*>(object.get());
  const model::Cluster& cluster = call.core.engine.inventory().cluster_of(host);
  CO_TRY(energy_of(call));
  auto out = CO_TRY(co_await series_of(call, "energy/host/" + host.meta.id, cluster, false));
  out.kind = "host";
  out.id = host.meta.id;
  out.name = host.meta.name;
  const Tariff tariff = CO_TRY(call.core.calendars.tariff(cluster.energy));
  add_pending_of(call, host.meta.id, tariff, out);
  co_return object_response(model::EnergySeries::type(), &out);
}

net::Async<net::Response> vm_energy(Call& call) {
  auto object = CO_TRY(find_object(call, *model::find_resource_kind("vm"), call.ref()));
  const auto& vm = *static_cast<const model::Vm*>(object.get());
  const model::Cluster& cluster = call.core.engine.inventory().cluster_of(vm);
  auto out = CO_TRY(co_await series_of(call, "vm/" + vm.uuid, cluster, true));
  CO_TRY(co_await add_error_of_cluster(call, cluster, out));
  out.kind = "vm";
  out.id = vm.meta.id;
  out.name = vm.meta.name;
  co_return object_response(model::EnergySeries::type(), &out);
}

net::Async<net::Response> pool_energy(Call& call) {
  auto object = CO_TRY(find_object(call, *model::find_resource_kind("pool"), call.ref()));
  const auto& pool = *static_cast<const model::Pool*>(object.get());
  auto cluster = call.core.engine.inventory().clusters().find(pool.cluster);
  if (cluster == nullptr) co_return fail(Code::kNotFound, "its cluster is gone");
  auto out = CO_TRY(co_await series_of(call, "pool/" + pool.meta.id, *cluster, true));
  CO_TRY(co_await add_error_of_cluster(call, *cluster, out));
  out.kind = "pool";
  out.id = pool.meta.id;
  out.name = pool.meta.name;
  co_return object_response(model::EnergySeries::type(), &out);
}

}  // namespace chorok::manager
