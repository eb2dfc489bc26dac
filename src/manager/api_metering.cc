// GET /metering: what VMs, pools and users used, for billing.
#include <charconv>

#include "manager/api_usage.h"
#include "manager/energy_report.h"
#include "manager/series.h"
#include "model/energy.h"

namespace chorok::manager {
namespace {

using ports::HistoryPoint;
using ports::Measure;

struct Span {
  Time from{};
  Time to{};
};

Result<Span> span_of(const Call& call) {
  const std::string month = call.value("month");
  if (month.empty()) {
    const ports::HistoryQuery query = TRY(query_of(call));
    return Span{query.from, query.to};
  }
  double offset = 0;
  if (const std::string text = call.value("utc_offset"); !text.empty()) {
    auto [at, bad] = std::from_chars(text.data(), text.data() + text.size(), offset);
    if (bad != std::errc() || at != text.data() + text.size() || !(offset >= -12 && offset <= 14))
      return fail(Code::kInvalid, "hours ahead of UTC, -12 to 14", "?utc_offset");
  }
  const auto [from, to] = TRY(month_of(month, offset));
  return Span{from, to};
}

using Totals = std::map<std::string, HistoryPoint>;

// How well a cluster's energy is known, and so that of whatever used a part of it.
struct Known {
  HistoryPoint energy;
  HistoryPoint meters;

  void tell(model::MeteringRow& row) const {
    using ports::EnergyMeasure;
    const double joules = energy.amounts[EnergyMeasure::kTotal];
    if (joules <= 0) return;
    row.measured = energy.amounts[EnergyMeasure::kMeasured] / joules;
    row.error = energy.amounts[EnergyMeasure::kError] / joules;
    const std::vector<model::EnergySource> sources = sources_of(meters.amounts);
    if (sources.empty()) return;
    row.source = sources.front().source;
    row.method = sources.front().method;
  }
};

net::Async<std::map<std::string, Known>> known_of(ports::History& history, Span span) {
  std::map<std::string, Known> out;
  for (const bool is_meter : {false, true}) {
    const std::string prefix = is_meter ? "meter/cluster/" : "energy/cluster/";
    const Totals totals = CO_TRY(co_await totals_of(history, prefix, span.from, span.to));
    for (const auto& [series, total] : totals)
      for (const std::string& cluster : {series.substr(prefix.size()), std::string()}) {
        HistoryPoint& sum = is_meter ? out[cluster].meters : out[cluster].energy;
        for (std::size_t i = 0; i < ports::kMeasures; ++i)
          sum.amounts.values[i] += total.amounts.values[i];
      }
  }
  co_return out;
}

// Who a series is of. What is gone has the name and the cluster that it had last.
struct Rows {
  const Call& call;
  std::string by;
  std::string cluster;  // id; empty: all
  std::map<std::string, std::string> vm_of_uuid;
  std::map<std::string, Known> known;  // by cluster's id; of all under ""

  void index() {
    if (by != "vm") return;
    for (const auto& [id, vm] : call.core.engine.inventory().vms().all()) vm_of_uuid[vm->uuid] = id;
  }
  // False: it is not to be shown.
  bool name(const std::string& key, const std::string& label, model::MeteringRow& row) const {
    const Inventory& inventory = call.core.engine.inventory();
    const LabelParts last = parts_of_label(label);
    row.kind = by;
    row.id = key;
    row.name = last.name.empty() ? key : last.name;
    std::string of = last.cluster;
    if (by == "vm") {
      auto id = vm_of_uuid.find(key);
      row.gone = id == vm_of_uuid.end();
      if (!row.gone) {
        auto vm = inventory.vms().find(id->second);
        row.id = vm->meta.id;
        row.name = vm->meta.name;
        of = inventory.cluster_of(*vm).meta.id;
      }
    } else if (by == "pool") {
      if (auto pool = inventory.pools().find(key)) {
        row.name = pool->meta.name;
        of = pool->cluster;
      } else if (inventory.clusters().find(key) != nullptr) {
        row.name = "(no pool)";
        of = key;
      } else {
        row.gone = true;
      }
    } else if (by == "vapp") {
      of = key.substr(0, key.find('/'));
      row.id = row.name = key.substr(of.size() + 1);
    } else if (key.empty()) {
      row.name = "(nobody)";
    }
    if (auto found = inventory.clusters().find(of)) row.cluster = found->meta.name;
    if (auto its = known.find(of); its != known.end()) its->second.tell(row);
    return cluster.empty() || cluster == of;
  }
};

}  // namespace

net::Async<net::Response> get_metering(Call& call) {
  ports::History* history = CO_TRY(history_of(call));
  if (call.caller.role_on("") < model::Role::kViewer)
    co_return fail(Code::kPermissionDenied, "metering is for viewers of the whole inventory");
  const Span span = CO_TRY(span_of(call));
  Rows rows{.call = call, .by = call.value("by"), .cluster = {}, .vm_of_uuid = {}, .known = {}};
  if (rows.by.empty()) rows.by = "vm";
  if (rows.by != "vm" && rows.by != "pool" && rows.by != "vapp" && rows.by != "user")
    co_return fail(Code::kInvalid, "vm, pool, vapp or user", "?by");
  if (const std::string name = call.value("cluster"); !name.empty()) {
    auto found = call.core.engine.inventory().clusters().resolve(name);
    if (found == nullptr) co_return fail(Code::kNotFound, "there is no such cluster", "?cluster");
    rows.cluster = found->meta.id;
    if (rows.by == "user")
      co_return fail(Code::kInvalid,
                     "what a user used is recorded over all clusters together: leave the cluster "
                     "out, or ask by vm or pool",
                     "?cluster");
  }
  const std::string prefix = rows.by + "/";
  const Totals totals = CO_TRY(co_await totals_of(*history, prefix, span.from, span.to));
  rows.known = CO_TRY(co_await known_of(*history, span));
  rows.index();
  model::Metering out{.from = span.from, .to = span.to, .by = rows.by};
  for (const auto& [series, total] : totals) {
    model::MeteringRow row;
    if (!rows.name(series.substr(prefix.size()), total.label, row)) continue;
    row.cpu_mhz_hours = total.amounts[Measure::kCpu] / 3600;
    row.memory_gib_hours = total.amounts[Measure::kMemory] / 1024 / 3600;
    row.kwh = total.amounts[Measure::kEnergy] / 3.6e6;
    row.hours = seconds(total.measured) / 3600;
    out.rows.push_back(std::move(row));
  }
  co_return object_response(model::Metering::type(), &out);
}

}  // namespace chorok::manager
