// chorok advise --from prometheus:URL: hosts that Chorok does not manage, by what libvirt's and the
// node's exporter have written. https://prometheus.io/docs/prometheus/latest/querying/api/
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "cli/advise_sources.h"

namespace chorok::cli {

namespace dc = sim::datacenter;

namespace {

// A query answers a day: a week of 5 minutes of 1,000 VMs would be an answer of 60 MB.
constexpr Duration kQueried = std::chrono::hours(24);
constexpr double kMib = 1048576;
constexpr double kCoreMhz = 3000;  // where no node exporter says
constexpr std::size_t kSamplesMost = 100'000'000;

// By UUID: a VM that was migrated is a series on each of its hosts.
using Sizes = std::map<std::string, dc::TraceVm>;

class Prometheus {
 public:
  explicit Prometheus(Api& api) : api_(api) {}

  // Series as {"metric": {…}, "value": [time, "number"]}, of what stood at `at` or within a week
  // before.
  Result<Value> now(const std::string& query, Time at) {
    return ask("/api/v1/query", {{"query", query}, {"time", stamp(at)}});
  }
  Result<Value> over(const std::string& query, Time from, Time to, Duration step) {
    return ask("/api/v1/query_range", {{"query", query},
                                       {"start", stamp(from)},
                                       {"end", stamp(to)},
                                       {"step", fmt::format("{:.0f}", seconds(step))}});
  }

 private:
  static std::string stamp(Time at) {
    return fmt::format("{:.3f}", seconds(at.time_since_epoch()));
  }
  Result<Value> ask(const std::string& path, Query query) {
    auto answer = api_.get(path, std::move(query));
    if (!answer)  // not kUnavailable: that would be said of the manager
      return fail(
          Code::kFailedPrecondition,
          fmt::format("Prometheus at {}: {}", api_.connection().url, answer.error().message));
    if (answer->get("status").text() != "success")
      return fail(Code::kUnavailable,
                  fmt::format("Prometheus says: {}", answer->get("error").text("no success")));
    return answer->get("data/result");
  }
  Api& api_;
};

// "NaN" and what is no number are 0.
double number_of(const Value& pair) {
  if (pair.items().size() != 2) return 0;
  const std::string_view text = pair.items()[1].text();
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && std::isfinite(value) && value > 0 ? value : 0;
}

std::string_view machine_of(const Value& series) {
  const std::string_view instance = series.get("metric/instance").text();
  return instance.substr(0, instance.rfind(':'));
}

Result<Sizes> sizes_of(Prometheus& prometheus, const Period& period, std::string_view window) {
  Sizes sizes;
  auto fill = [&](std::string_view metric, auto set) -> Result<> {
    const Value series = TRY(prometheus.now(
        fmt::format("max by (uuid, domain) (max_over_time({}[{}]))", metric, window), period.to));
    for (const Value& each : series.items()) {
      dc::TraceVm& vm = sizes[std::string(each.get("metric/uuid").text())];
      vm.name = each.get("metric/domain").text();
      set(vm, number_of(each.get("value")));
    }
    return {};
  };
  TRY(fill("libvirt_domain_info_virtual_cpus", [](dc::TraceVm& vm, double value) {
    vm.cores = static_cast<std::int32_t>(std::clamp(value, 1.0, 4096.0));
  }));
  TRY(fill("libvirt_domain_info_maximum_memory_bytes",
           [](dc::TraceVm& vm, double value) { vm.memory_mib = value / kMib; }));
  return sizes;
}

// Machines that have both exporters; those without a libvirt's are not hosts.
Result<std::vector<FoundHost>> hosts_of(Prometheus& prometheus, const Period& period,
                                        std::string_view window) {
  std::set<std::string, std::less<>> hypervisors;
  const Value up =
      TRY(prometheus.now(fmt::format("max_over_time(libvirt_up[{}])", window), period.to));
  for (const Value& series : up.items()) hypervisors.emplace(machine_of(series));
  std::map<std::string, FoundHost, std::less<>> hosts;
  auto fill = [&](const std::string& query, auto set) -> Result<> {
    const Value series = TRY(prometheus.now(query, period.to));
    for (const Value& each : series.items()) {
      const std::string_view machine = machine_of(each);
      if (!hypervisors.contains(machine)) continue;
      FoundHost& host = hosts[std::string(machine)];
      host.name = machine;
      set(host, number_of(each.get("value")));
    }
    return {};
  };
  TRY(fill(fmt::format("count by (instance) (last_over_time(node_cpu_seconds_total"
                       "{{mode=\"idle\"}}[{}]))",
                       window),
           [](FoundHost& host, double cores) { host.cores = static_cast<std::int32_t>(cores); }));
  TRY(fill(
      fmt::format("max by (instance) (last_over_time(node_memory_MemTotal_bytes[{}]))", window),
      [](FoundHost& host, double bytes) { host.memory_mib = bytes / kMib; }));
  TRY(fill(
      fmt::format("max by (instance) (last_over_time(node_cpu_frequency_max_hertz[{}]))", window),
      [](FoundHost& host, double hertz) { host.core_mhz = hertz / 1e6; }));
  std::vector<FoundHost> found;
  for (auto& [name, host] : hosts) {
    if (host.core_mhz == 0) host.core_mhz = kCoreMhz;  // a virtual machine does not say
    found.push_back(std::move(host));
  }
  return found;
}

Result<> add_use(Prometheus& prometheus, const Period& period, const Sizes& sizes, double core_mhz,
                 SampleBook& book, const ReadProgress& progress) {
  const std::string query =
      fmt::format("sum by (uuid) (rate(libvirt_domain_info_cpu_time_seconds_total[{:.0f}s]))",
                  std::max(seconds(period.step), 120.0));
  for (Time from = period.from; from < period.to; from += kQueried) {
    progress(seconds(from - period.from) / seconds(period.to - period.from),
             "reading CPU time from Prometheus");
    const Time to = std::min(from + kQueried - period.step, period.to);
    const Value series = TRY(prometheus.over(query, from, to, period.step));
    for (const Value& each : series.items()) {
      const auto size = sizes.find(std::string(each.get("metric/uuid").text()));
      if (size == sizes.end()) continue;
      dc::TraceVm vm = size->second;
      vm.cpu_mhz = vm.cores * core_mhz;
      // Two VMs of one name on two hosts are two VMs.
      const std::size_t place =
          book.vm(fmt::format("{} {}", vm.name, size->first.substr(0, 8)), vm);
      for (const Value& point : each.get("values").items())
        book.add({.vm = place,
                  .time_s = point.items().empty() ? 0 : point.items()[0].number(),
                  .cpu = number_of(point) / vm.cores});
      if (book.size() > kSamplesMost)
        return fail(Code::kExhausted, "more samples than the limit; take a longer --step");
    }
  }
  return {};
}

}  // namespace

Result<Recorded> read_prometheus(const Connection& connection, const Period& period,
                                 const ReadProgress& progress) {
  auto api = TRY(Api::create(connection));
  Prometheus prometheus(*api);
  const std::string window = fmt::format("{:.0f}s", seconds(period.to - period.from));
  const Sizes sizes = TRY(sizes_of(prometheus, period, window));
  if (sizes.empty())
    return fail(Code::kFailedPrecondition,
                fmt::format("{} has no libvirt_domain_info_virtual_cpus in that time: it needs "
                            "prometheus-libvirt-exporter on each host",
                            connection.url));
  const std::vector<FoundHost> found = TRY(hosts_of(prometheus, period, window));
  const double core_mhz = found.empty() ? kCoreMhz : found.front().core_mhz;
  SampleBook book(fmt::format("prometheus:{}", connection.url));
  TRY(add_use(prometheus, period, sizes, core_mhz, book, progress));
  if (book.is_empty())
    return fail(Code::kFailedPrecondition,
                "Prometheus knows VMs and no CPU time of theirs in that time");
  Recorded out = TRY(std::move(book).close(period));
  out.hosts = TRY(classes_of(found));
  return out;
}

}  // namespace chorok::cli
