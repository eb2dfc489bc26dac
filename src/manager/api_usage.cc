// What is used: now, in the past, and for Prometheus.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "manager/api_core.h"
#include "manager/api_usage.h"
#include "manager/metrics.h"
#include "model/protocol.h"
#include "model/usage.h"
#include "ports/history.h"

namespace chorok::manager {

namespace {

constexpr Duration kSpanDefault = std::chrono::hours(1);
constexpr Duration kStepMin = std::chrono::seconds(1);
constexpr double kStepsDefault = 240;
constexpr double kStepsMax = 10'000;
constexpr int kDirtyWindowMax = 60;

Result<const Telemetry*> telemetry_of(const Call& call) {
  if (call.core.settings.telemetry == nullptr)
    return fail(Code::kUnsupported, "this manager takes no telemetry");
  return call.core.settings.telemetry;
}

std::string name_of_host(const Engine& engine, const std::string& id) {
  auto host = engine.inventory().hosts().find(id);
  return host == nullptr ? std::string() : host->meta.name;
}

model::UsagePoint point_of(const ports::HistoryPoint& from) {
  using ports::Measure;
  const double measured = seconds(from.measured);
  auto mean = [&](Measure m) { return measured > 0 ? from.amounts[m] / measured : 0; };
  return {.at = from.at,
          .measured = from.measured,
          .cpu_mhz = mean(Measure::kCpu),
          .cpu_peak_mhz = from.cpu_peak,
          .ready_mhz = mean(Measure::kReady),
          .memory = mean(Measure::kMemory),
          .active = mean(Measure::kActive),
          .consumed = mean(Measure::kConsumed),
          .disk = mean(Measure::kDisk),
          .net = mean(Measure::kNet)};
}

net::Async<net::Response> stats(Call& call, std::string series, std::string id, std::string name) {
  ports::History* history = CO_TRY(history_of(call));
  ports::HistoryQuery query = CO_TRY(query_of(call));
  query.series = std::move(series);
  model::UsageSeries out;
  out.id = std::move(id);
  out.name = std::move(name);
  out.from = query.from;
  out.to = query.to;
  out.step = query.step;
  using Points = Result<std::vector<ports::HistoryPoint>>;
  auto points = CO_TRY(co_await until_done<Points>(
      [&](Done<Points> done) { history->range(std::move(query), std::move(done)); }));
  for (const ports::HistoryPoint& each : points) {
    out.points.push_back(point_of(each));
    out.measured += each.measured;
    out.cpu_mhz_hours += each.amounts[ports::Measure::kCpu] / 3600;
    out.memory_gib_hours += each.amounts[ports::Measure::kMemory] / 1024 / 3600;
  }
  co_return object_response(model::UsageSeries::type(), &out);
}

}  // namespace

Result<Time> time_parameter(const Call& call, std::string_view name, Time otherwise) {
  const std::string text = call.value(name);
  if (text.empty()) return otherwise;
  const std::string field = fmt::format("?{}", name);
  if (text.starts_with('-')) {
    double back = 0;
    auto [at, bad] = std::from_chars(text.data() + 1, text.data() + text.size(), back);
    // Not another sign: "--1" would be ahead of now.
    if (bad == std::errc() && at == text.data() + text.size() && back >= 0 && back <= 1e9)
      return call.core.engine.now() - from_seconds(back);
  } else if (auto time = json::parse_time(text)) {
    return *time;
  }
  return fail(Code::kInvalid,
              fmt::format("'{}' is neither a time (2026-11-22T05:00:00Z) nor seconds before now "
                          "(-3600)",
                          text),
              field);
}

Result<ports::HistoryQuery> query_of(const Call& call) {
  ports::HistoryQuery query;
  query.to = TRY(time_parameter(call, "to", call.core.engine.now()));
  query.from = TRY(time_parameter(call, "from", query.to - kSpanDefault));
  if (query.from >= query.to) return fail(Code::kInvalid, "it must be before the end", "?from");
  const double span = seconds(query.to - query.from);
  const std::string text = call.value("step");
  if (text.empty()) {
    constexpr int kRound[] = {10, 30, 60, 300, 900, 3600, 6 * 3600, 86400};
    const auto* fits =
        std::ranges::find_if(kRound, [&](int step) { return span / step <= kStepsDefault; });
    query.step = std::chrono::seconds(fits == std::end(kRound) ? 86400 : *fits);
  } else {
    double step = 0;
    auto [at, bad] = std::from_chars(text.data(), text.data() + text.size(), step);
    if (bad != std::errc() || at != text.data() + text.size() || !(step >= 1) || step > 1e9)
      return fail(Code::kInvalid, "a step is a number of seconds, 1 or more", "?step");
    query.step = std::max(kStepMin, from_seconds(step));
  }
  if (span / seconds(query.step) > kStepsMax)
    return fail(Code::kInvalid,
                fmt::format("that is more than {:.0f} steps: ask for a larger step", kStepsMax),
                "?step");
  return query;
}

Result<ports::History*> history_of(const Call& call) {
  if (call.core.settings.history == nullptr)
    return fail(Code::kUnsupported, "this manager keeps no history");
  return call.core.settings.history;
}

net::Async<std::map<std::string, ports::HistoryPoint>> totals_of(ports::History& history,
                                                                 std::string prefix, Time from,
                                                                 Time to) {
  using Totals = Result<std::map<std::string, ports::HistoryPoint>>;
  co_return co_await until_done<Totals>(
      [&](Done<Totals> done) { history.totals(prefix, from, to, std::move(done)); });
}

net::Async<net::Response> get_metrics(Call& call) {
  const Telemetry* telemetry = CO_TRY(telemetry_of(call));
  // It names everything there is.
  if (call.caller.role_on("") < model::Role::kViewer)
    co_return fail(Code::kPermissionDenied, "metrics are for viewers of the whole inventory");
  co_return net::Response::text(
      200,
      metrics_text(call.core.engine, *telemetry, call.core.settings.energy,
                   call.core.settings.version, call.core.started, call.core.settings.drivers),
      "text/plain; version=0.0.4; charset=utf-8");
}

net::Async<net::Response> get_usage(Call& call) {
  const Telemetry& telemetry = *CO_TRY(telemetry_of(call));
  const Engine& engine = call.core.engine;
  const bool all = CO_TRY(call.flag("stale"));
  model::UsageNow out;
  out.at = engine.now();
  auto sees_host = visible_to(call.core, call.caller, "host");
  for (const auto& [id, host] : engine.inventory().hosts().all()) {
    const HostUsage* usage = telemetry.host(id);
    if (usage == nullptr || (sees_host && !sees_host(host.get()))) continue;
    if (!all && telemetry.is_stale(usage->at)) continue;
    out.hosts.push_back(*usage);
    out.hosts.back().name = host->meta.name;
    out.hosts.back().capacity_mhz = static_cast<double>(host->inventory.cpu.capacity.value);
  }
  auto sees_vm = visible_to(call.core, call.caller, "vm");
  for (const auto& [id, vm] : engine.inventory().vms().all()) {
    const VmUsage* usage = telemetry.vm_by_uuid(vm->uuid);
    if (usage == nullptr || (sees_vm && !sees_vm(vm.get()))) continue;
    if (!all && telemetry.is_stale(usage->at)) continue;
    out.vms.push_back(*usage);
    out.vms.back().vm = id;
    out.vms.back().name = vm->meta.name;
    // A size that waits for the next boot is not one that a balloon takes from.
    const bool waits = std::ranges::any_of(vm->status.pending, [](const std::string& field) {
      return field.find("memory") != std::string::npos;
    });
    if (!waits)
      out.vms.back().balloon =
          std::max(0.0, static_cast<double>(vm->spec.memory.value) - usage->memory);
    out.vms.back().host_name = name_of_host(engine, usage->host);
  }
  co_return object_response(model::UsageNow::type(), &out);
}

net::Async<net::Response> vm_stats(Call& call) {
  auto object = CO_TRY(find_object(call, *model::find_resource_kind("vm"), call.ref()));
  const auto& vm = *static_cast<const model::Vm*>(object.get());
  co_return co_await stats(call, "vm/" + vm.uuid, vm.meta.id, vm.meta.name);
}

net::Async<net::Response> vm_dirty_rate(Call& call) {
  auto object = CO_TRY(find_object(call, *model::find_resource_kind("vm"), call.ref()));
  const model::Vm vm = *static_cast<const model::Vm*>(object.get());
  const std::string asked = call.value("window");
  int window = 1;
  const auto [end, error] = std::from_chars(asked.data(), asked.data() + asked.size(), window);
  const bool is_number = asked.empty() || (error == std::errc() && *end == 0);
  if (!is_number || window < 1 || window > kDirtyWindowMax)
    co_return fail(Code::kInvalid, fmt::format("whole seconds, 1 to {}", kDirtyWindowMax),
                   "?window");
  // Where it is seen to run, which while it moves is not yet where it goes.
  const std::string host_id = vm.status.host.empty() ? vm.host : vm.status.host;
  const auto host = call.core.engine.inventory().hosts().find(host_id);
  if (vm.status.state != model::VmState::kOn || host == nullptr)
    co_return fail(Code::kFailedPrecondition,
                   fmt::format("'{}' is {}: only a guest that runs writes to its memory",
                               vm.meta.name, name_of(vm.status.state)));
  const model::DirtyRateRequest request{vm.uuid, std::chrono::seconds(window)};
  const std::string said =
      CO_TRY(co_await until_done<Result<std::string>>([&, request](Done<Result<std::string>> done) {
        call.core.agents.call(host->meta.id, "vm.dirty_rate", json::encode(request),
                              request.window + call.core.settings.agent_timeout, std::move(done));
      }));
  const auto answer = CO_TRY(json::decode<model::DirtyRateAnswer>(said, {.stored = true}));
  const model::DirtyRate out{.vm = vm.meta.id,
                             .name = vm.meta.name,
                             .host_name = host->meta.name,
                             .at = call.core.engine.now(),
                             .window = request.window,
                             .mib_s = answer.mib_s};
  co_return object_response(model::DirtyRate::type(), &out);
}

net::Async<net::Response> host_stats(Call& call) {
  auto object = CO_TRY(find_object(call, *model::find_resource_kind("host"), call.ref()));
  const auto& host = *static_cast<const model::Host*>(object.get());
  co_return co_await stats(call, "host/" + host.meta.id, host.meta.id, host.meta.name);
}

net::awaitable<net::Response> Api::handle_metrics(net::Request& request) {
  const bool is_it = request.method == "GET" && request.path == "/metrics";
  if (!is_it || core_->settings.telemetry == nullptr)
    co_return problem_response({Code::kNotFound, "here is /metrics and nothing else", {}}, 404,
                               request.path);
  co_return net::Response::text(
      200,
      metrics_text(core_->engine, *core_->settings.telemetry, core_->settings.energy,
                   core_->settings.version, core_->started, core_->settings.drivers),
      "text/plain; version=0.0.4; charset=utf-8");
}

}  // namespace chorok::manager
