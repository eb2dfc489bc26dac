// Energy over the API: now, over time, for billing. What it costs is worked out here, from
// calendars as they are now; the history keeps joules.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "manager/api_usage.h"
#include "manager/energy.h"
#include "manager/series.h"
#include "manager/telemetry.h"

namespace chorok::manager {
namespace {

using ports::EnergyMeasure;
using ports::HistoryPoint;
using ports::Measure;
using Points = Result<std::vector<HistoryPoint>>;

constexpr std::size_t kPartsMax = 1000;
constexpr Duration kPointMax = std::chrono::hours(1);  // calendars change by the hour
constexpr double kRest = 0.001;
constexpr std::size_t kRefinedMax = 8;  // steps that each host is asked for: an edge, a join, …
constexpr std::size_t kDepthMax = 64;   // of pools; a tree is no deeper

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

// The sum of some series over time, and what their cluster pays.
net::Async<model::EnergySeries> series_of(Call& call, const std::vector<std::string>& names,
                                          const model::Cluster& cluster, bool is_share) {
  ports::History* history = CO_TRY(history_of(call));
  ports::HistoryQuery query = CO_TRY(query_of(call));
  model::EnergySeries out;
  const Tariff tariff = call.core.calendars.tariff(cluster.energy, out.notes);
  SeriesInput input{.from = query.from, .to = query.to, .step = query.step, .points = {}};
  query.step = input.points_step = std::min(query.step, kPointMax);
  input.is_share = is_share;
  for (const std::string& name : names) {
    query.series = name;
    auto points = CO_TRY(co_await points_of(*history, query));
    std::ranges::move(points, std::back_inserter(input.points));
  }
  std::ranges::sort(input.points, {}, &HistoryPoint::at);
  summarize(input, tariff, out);
  co_return out;
}

net::Async<std::vector<model::EnergySource>> sources_in(Call& call, std::string series, Time from,
                                                        Time to) {
  ports::History* history = CO_TRY(history_of(call));
  const auto totals = CO_TRY(co_await totals_of(*history, series, from, to));
  auto it = totals.find(series);
  co_return it == totals.end() ? std::vector<model::EnergySource>()
                               : sources_of(it->second.amounts);
}

// What a host drew and nobody has accounted for, in [from, to).
Pending pending_of(const Call& call, const std::string& host, Time from, Time to) {
  const EnergyAccounts& energy = *call.core.settings.energy;
  const Drawn sum = energy.pending(host, from, to);
  return {.from = std::max(from, energy.cursor(host).until),
          .to = std::min(to, call.core.engine.now()),
          .joules = sum.joules,
          .measured = sum.measured,
          .estimated = sum.estimated,
          .error = sum.error};
}

std::vector<std::string> hosts_of(const Call& call, const model::Cluster& cluster) {
  const Inventory& inventory = call.core.engine.inventory();
  std::vector<std::string> out;
  for (const auto& [id, host] : inventory.hosts().all())
    if (inventory.cluster_of(*host).meta.id == cluster.meta.id) out.push_back(id);
  return out;
}

// Steps that not all hosts were measured through, and the first: by each host's own time.
net::Async<> refine_steps(Call& call, const std::vector<std::string>& hosts, bool with_pending,
                          model::EnergySeries& out) {
  ports::History* history = CO_TRY(history_of(call));
  std::size_t left = kRefinedMax;
  for (std::size_t i = 0; i < out.points.size() && left > 0; ++i) {
    model::EnergyPoint& point = out.points[i];
    if (i > 0 && !is_partial(out, point)) continue;
    --left;
    const Time end = std::min(point.at + out.step, out.to);
    const auto totals = CO_TRY(co_await totals_of(*history, "energy/host/", point.at, end));
    std::vector<HostStep> steps;
    for (const std::string& host : hosts) {
      HostStep step;
      if (auto it = totals.find("energy/host/" + host); it != totals.end())
        step = {it->second.amounts[EnergyMeasure::kTotal],
                it->second.amounts[EnergyMeasure::kUnused], seconds(it->second.measured)};
      const Pending more = with_pending ? pending_of(call, host, point.at, end) : Pending{};
      if (more.joules > 0) step.measured += seconds(more.to - more.from);
      step.joules += more.joules;
      steps.push_back(step);
    }
    refine(steps, point);
  }
  conclude(out);
  co_return Result<>{};
}

// As it is accounted, by steps that hosts may have been measured through in part.
net::Async<model::EnergySeries> accounts_of(Call& call, const model::Cluster& cluster) {
  auto out =
      CO_TRY(co_await series_of(call, {"energy/cluster/" + cluster.meta.id}, cluster, false));
  out.sources =
      CO_TRY(co_await sources_in(call, "meter/cluster/" + cluster.meta.id, out.from, out.to));
  co_return out;
}

void name_source(const std::vector<model::EnergySource>& sources, model::EnergyPart& part) {
  if (sources.empty()) return;
  part.source = sources.front().source;
  part.method = sources.front().method;
}

model::EnergyPart host_part(const Call& call, const model::Host& host, const HistoryPoint& total,
                            const HistoryPoint* meters, const model::EnergySeries& whole) {
  model::EnergyPart out{.kind = "host", .id = host.meta.id, .name = host.meta.name};
  const Pending pending = pending_of(call, host.meta.id, whole.from, whole.to);
  out.pending_joules = pending.joules;
  out.joules = total.amounts[EnergyMeasure::kTotal] + pending.joules;
  out.share = whole.joules > 0 ? out.joules / whole.joules : 0;
  const double measured =
      seconds(total.measured) + (pending.joules > 0 ? seconds(pending.to - pending.from) : 0);
  if (measured > 0) out.watts = out.joules / measured;
  out.unused_joules = total.amounts[EnergyMeasure::kUnused];
  out.saved_joules = total.amounts[EnergyMeasure::kSaved];
  if (out.joules > 0) {
    out.measured = (total.amounts[EnergyMeasure::kMeasured] + pending.measured) / out.joules;
    out.error = (total.amounts[EnergyMeasure::kError] + pending.error) / out.joules;
  }
  if (meters != nullptr) name_source(sources_of(meters->amounts), out);
  return out;
}

// A VM's, or what is directly in a pool: known as well as the whole is.
model::EnergyPart share_part(std::string kind, std::string id, std::string name,
                             const HistoryPoint& total, const model::EnergySeries& whole) {
  model::EnergyPart out{.kind = std::move(kind), .id = std::move(id), .name = std::move(name)};
  out.joules = out.direct_joules = total.amounts[Measure::kEnergy];
  if (total.measured > Duration{}) out.watts = out.joules / seconds(total.measured);
  out.measured = whole.measured;
  out.error = whole.error;
  name_source(whole.sources, out);
  return out;
}

void add_other(std::string kind, double joules, model::EnergySeries& out) {
  if (joules <= kRest * out.joules) return;
  const double over = seconds(out.measured_for);
  model::EnergyPart part{.kind = "other", .id = {}, .name = std::move(kind), .gone = true};
  part.joules = part.direct_joules = joules;
  part.share = joules / out.joules;
  part.watts = over > 0 ? joules / over : 0;
  part.measured = out.measured;
  part.error = out.error;
  name_source(out.sources, part);
  out.parts.push_back(std::move(part));
}

// A cluster's hosts; what is left is of hosts that were in it.
net::Async<> add_hosts(Call& call, const model::Cluster& cluster, model::EnergySeries& out) {
  ports::History* history = CO_TRY(history_of(call));
  const Inventory& inventory = call.core.engine.inventory();
  auto sees = visible_to(call.core, call.caller, "host");
  const auto totals = CO_TRY(co_await totals_of(*history, "energy/host/", out.from, out.to));
  const auto meters = CO_TRY(co_await totals_of(*history, "meter/host/", out.from, out.to));
  double rest = out.joules - out.pending_joules;
  for (const auto& [id, host] : inventory.hosts().all()) {
    auto it = totals.find("energy/host/" + id);
    if (it == totals.end() || inventory.cluster_of(*host).meta.id != cluster.meta.id) continue;
    rest -= it->second.amounts[EnergyMeasure::kTotal];
    if (sees && !sees(host.get())) continue;
    auto meter = meters.find("meter/host/" + id);
    out.parts.push_back(
        host_part(call, *host, it->second, meter == meters.end() ? nullptr : &meter->second, out));
  }
  add_other("host", rest, out);
  co_return Result<>{};
}

// The largest first, and no more than there is room for; all others are in `rest`.
void put_parts(std::string kind, std::vector<model::EnergyPart> parts, double rest,
               model::EnergySeries& out) {
  std::ranges::sort(parts, std::ranges::greater{}, &model::EnergyPart::joules);
  for (; parts.size() > kPartsMax; parts.pop_back())  // a pool's holds that of those below it
    rest += kind == "pool" ? parts.back().direct_joules : parts.back().joules;
  std::ranges::move(parts, std::back_inserter(out.parts));
  add_other(std::move(kind), rest, out);
}

// Of what holds several VMs, whose times overlap: its mean is over the whole's.
void of_whole(model::EnergyPart& part, const model::EnergySeries& whole) {
  const double over = seconds(whole.measured_for);
  part.share = whole.joules > 0 ? part.joules / whole.joules : 0;
  part.watts = over > 0 ? part.joules / over : 0;
}

// What VMs drew of it all, as far as it is accounted.
double drawn_by_vms(const model::EnergySeries& whole) {
  return whole.joules - whole.pending_joules - whole.unused_joules;
}

// Pools, each with what is below it.
net::Async<> add_pools(Call& call, const model::Cluster& cluster, model::EnergySeries& out) {
  ports::History* history = CO_TRY(history_of(call));
  const auto& pools = call.core.engine.inventory().pools();
  const auto totals = CO_TRY(co_await totals_of(*history, "pool/", out.from, out.to));
  std::map<std::string, model::EnergyPart> found;
  double rest = drawn_by_vms(out);
  for (const auto& [id, pool] : pools.all())
    if (pool->cluster == cluster.meta.id) {
      auto it = totals.find("pool/" + id);
      found[id] = share_part("pool", id, pool->meta.name,
                             it == totals.end() ? HistoryPoint{} : it->second, out);
      rest -= found[id].direct_joules;
    }
  for (const auto& [id, part] : found) {
    auto above = pools.find(pools.find(id)->parent);
    for (std::size_t depth = 0; above != nullptr && depth < kDepthMax; ++depth) {
      found[above->meta.id].joules += part.direct_joules;
      above = pools.find(above->parent);
    }
  }
  auto own = totals.find("pool/" + cluster.meta.id);
  if (own != totals.end()) {
    found[""] = share_part("pool", "", "(no pool)", own->second, out);
    rest -= found[""].joules;
  }
  for (const auto& [series, total] : totals) {
    const std::string id = series.substr(series.find('/') + 1);
    const LabelParts last = parts_of_label(total.label);
    if (last.cluster != cluster.meta.id || pools.find(id) != nullptr) continue;
    found[id] = share_part("pool", id, last.name, total, out);
    found[id].gone = true;
    rest -= found[id].direct_joules;
  }
  std::vector<model::EnergyPart> parts;
  for (auto& [id, part] : found)
    if (part.joules > 0) parts.push_back(std::move(part));
  for (model::EnergyPart& part : parts) of_whole(part, out);
  put_parts("pool", std::move(parts), rest, out);
  co_return Result<>{};
}

// By what VMs' labels said then.
net::Async<> add_vapps(Call& call, const model::Cluster& cluster, model::EnergySeries& out) {
  ports::History* history = CO_TRY(history_of(call));
  const std::string prefix = vapp_series(cluster.meta.id);
  const auto totals = CO_TRY(co_await totals_of(*history, prefix, out.from, out.to));
  if (totals.empty()) co_return Result<>{};
  std::vector<model::EnergyPart> parts;
  double rest = drawn_by_vms(out);
  for (const auto& [series, total] : totals) {
    const std::string name = series.substr(prefix.size());
    parts.push_back(share_part("vapp", name, name, total, out));
    parts.back().direct_joules = 0;
    of_whole(parts.back(), out);
    rest -= parts.back().joules;
  }
  put_parts("vapp", std::move(parts), rest, out);
  co_return Result<>{};
}

// VMs; those that are gone too, where it is known that they were here: by the name that they had
// last, or where none was recorded by their UUIDs.
net::Async<> add_vms(Call& call, const model::Cluster& cluster, model::EnergySeries& out) {
  ports::History* history = CO_TRY(history_of(call));
  const Inventory& inventory = call.core.engine.inventory();
  auto totals = CO_TRY(co_await totals_of(*history, "vm/", out.from, out.to));
  auto sees = visible_to(call.core, call.caller, "vm");
  std::vector<model::EnergyPart> found;
  double rest = drawn_by_vms(out);
  for (const auto& [id, vm] : inventory.vms().all()) {
    auto it = totals.find("vm/" + vm->uuid);
    if (it == totals.end()) continue;
    const bool is_here = inventory.cluster_of(*vm).meta.id == cluster.meta.id;
    if (is_here) rest -= it->second.amounts[Measure::kEnergy];
    if (is_here && (!sees || sees(vm.get())))
      found.push_back(share_part("vm", id, vm->meta.name, it->second, out));
    totals.erase(it);
  }
  const bool is_only = inventory.clusters().all().size() == 1;
  for (const auto& [series, total] : totals) {
    const std::string uuid = series.substr(series.find('/') + 1);
    const LabelParts last = parts_of_label(total.label);
    if (sees || (last.cluster.empty() ? !is_only : last.cluster != cluster.meta.id)) continue;
    found.push_back(share_part("vm", uuid, last.name.empty() ? uuid : last.name, total, out));
    found.back().gone = true;
    rest -= found.back().joules;
  }
  for (model::EnergyPart& part : found) {
    part.direct_joules = 0;
    part.share = out.joules > 0 ? part.joules / out.joules : 0;
  }
  put_parts("vm", std::move(found), rest, out);
  co_return Result<>{};
}

// A pool and all below it: series of the history.
std::vector<std::string> series_below(const Inventory& inventory, const std::string& pool) {
  std::vector<std::string> ids = {pool};
  for (std::size_t i = 0; i < ids.size(); ++i)
    for (const auto& [id, each] : inventory.pools().all())
      if (each->parent == ids[i]) ids.push_back(id);
  for (std::string& id : ids) id = "pool/" + id;
  return ids;
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
  auto out = CO_TRY(co_await accounts_of(call, cluster));
  std::vector<std::string> ignored;
  const Tariff tariff = call.core.calendars.tariff(cluster.energy, ignored);
  const std::vector<std::string> hosts = hosts_of(call, cluster);
  for (const std::string& host : hosts)
    add_pending(pending_of(call, host, out.from, out.to), tariff, out);
  CO_TRY(co_await refine_steps(call, hosts, true, out));
  out.kind = "cluster";
  out.id = cluster.meta.id;
  out.name = cluster.meta.name;
  CO_TRY(co_await add_hosts(call, cluster, out));
  const std::string parts = call.value("parts");
  if (parts.find("pools") != std::string::npos) CO_TRY(co_await add_pools(call, cluster, out));
  if (parts.find("vapps") != std::string::npos) CO_TRY(co_await add_vapps(call, cluster, out));
  if (parts.find("vms") != std::string::npos) CO_TRY(co_await add_vms(call, cluster, out));
  co_return object_response(model::EnergySeries::type(), &out);
}

net::Async<net::Response> host_energy(Call& call) {
  auto object = CO_TRY(find_object(call, *model::find_resource_kind("host"), call.ref()));
  const auto& host = *static_cast<const model::Host*>(object.get());
  const std::string& id = host.meta.id;
  const model::Cluster cluster = call.core.engine.inventory().cluster_of(host);
  CO_TRY(energy_of(call));
  auto out = CO_TRY(co_await series_of(call, {"energy/host/" + id}, cluster, false));
  out.sources = CO_TRY(co_await sources_in(call, "meter/host/" + id, out.from, out.to));
  out.kind = "host";
  out.id = id;
  out.name = host.meta.name;
  std::vector<std::string> ignored;
  const Tariff tariff = call.core.calendars.tariff(cluster.energy, ignored);
  add_pending(pending_of(call, id, out.from, out.to), tariff, out);
  co_return object_response(model::EnergySeries::type(), &out);
}

net::Async<net::Response> vm_energy(Call& call) {
  auto object = CO_TRY(find_object(call, *model::find_resource_kind("vm"), call.ref()));
  const auto& vm = *static_cast<const model::Vm*>(object.get());
  const model::Cluster cluster = call.core.engine.inventory().cluster_of(vm);
  CO_TRY(energy_of(call));
  auto out = CO_TRY(co_await series_of(call, {"vm/" + vm.uuid}, cluster, true));
  take_from_cluster(CO_TRY(co_await accounts_of(call, cluster)), false, out);
  out.kind = "vm";
  out.id = vm.meta.id;
  out.name = vm.meta.name;
  co_return object_response(model::EnergySeries::type(), &out);
}

net::Async<net::Response> pool_energy(Call& call) {
  auto object = CO_TRY(find_object(call, *model::find_resource_kind("pool"), call.ref()));
  const auto& pool = *static_cast<const model::Pool*>(object.get());
  const Inventory& inventory = call.core.engine.inventory();
  auto cluster = inventory.clusters().find(pool.cluster);
  if (cluster == nullptr) co_return fail(Code::kNotFound, "its cluster is gone");
  CO_TRY(energy_of(call));
  const auto names = series_below(inventory, pool.meta.id);
  auto out = CO_TRY(co_await series_of(call, names, *cluster, true));
  const auto direct = CO_TRY(co_await series_of(call, {names.front()}, *cluster, true));
  out.direct_joules = direct.joules;
  auto whole = CO_TRY(co_await accounts_of(call, *cluster));
  CO_TRY(co_await refine_steps(call, hosts_of(call, *cluster), false, whole));
  take_from_cluster(whole, true, out);
  out.kind = "pool";
  out.id = pool.meta.id;
  out.name = pool.meta.name;
  co_return object_response(model::EnergySeries::type(), &out);
}

}  // namespace chorok::manager
