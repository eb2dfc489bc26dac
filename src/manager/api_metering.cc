// GET /metering: what VMs, pools and users used, for billing.
#include <charconv>

#include "manager/api_usage.h"
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

// Who a series is of. Of what is gone only the id is left.
struct Rows {
  const Call& call;
  std::string by;
  std::string cluster;  // id; empty: all
  std::map<std::string, std::string> vm_of_uuid;

  void index() {
    if (by != "vm") return;
    for (const auto& [id, vm] : call.core.engine.inventory().vms().all()) vm_of_uuid[vm->uuid] = id;
  }
  // False: it is not to be shown.
  bool name(const std::string& key, model::MeteringRow& row) const {
    const Inventory& inventory = call.core.engine.inventory();
    row.kind = by;
    row.id = row.name = key;
    std::string of;
    if (by == "vm") {
      auto id = vm_of_uuid.find(key);
      if (id != vm_of_uuid.end()) {
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
      }
    } else if (key.empty()) {
      row.name = "(nobody)";
    }
    if (auto found = inventory.clusters().find(of)) row.cluster = found->meta.name;
    return cluster.empty() || cluster == of;
  }
};

}  // namespace

net::Async<net::Response> get_metering(Call& call) {
  ports::History* history = CO_TRY(history_of(call));
  if (call.caller.role_on("") < model::Role::kViewer)
    co_return fail(Code::kPermissionDenied, "metering is for viewers of the whole inventory");
  const Span span = CO_TRY(span_of(call));
  Rows rows{.call = call, .by = call.value("by"), .cluster = {}, .vm_of_uuid = {}};
  if (rows.by.empty()) rows.by = "vm";
  if (rows.by != "vm" && rows.by != "pool" && rows.by != "user")
    co_return fail(Code::kInvalid, "vm, pool or user", "?by");
  if (const std::string name = call.value("cluster"); !name.empty()) {
    auto found = call.core.engine.inventory().clusters().resolve(name);
    if (found == nullptr) co_return fail(Code::kNotFound, "there is no such cluster", "?cluster");
    rows.cluster = found->meta.id;
  }
  using Totals = Result<std::map<std::string, HistoryPoint>>;
  const std::string prefix = rows.by + "/";
  const auto totals = CO_TRY(co_await until_done<Totals>(
      [&](Done<Totals> done) { history->totals(prefix, span.from, span.to, std::move(done)); }));
  rows.index();
  model::Metering out{.from = span.from, .to = span.to, .by = rows.by};
  for (const auto& [series, total] : totals) {
    model::MeteringRow row;
    if (!rows.name(series.substr(prefix.size()), row)) continue;
    row.cpu_mhz_hours = total.amounts[Measure::kCpu] / 3600;
    row.memory_gib_hours = total.amounts[Measure::kMemory] / 1024 / 3600;
    row.kwh = total.amounts[Measure::kEnergy] / 3.6e6;
    row.hours = seconds(total.measured) / 3600;
    out.rows.push_back(std::move(row));
  }
  co_return object_response(model::Metering::type(), &out);
}

}  // namespace chorok::manager
