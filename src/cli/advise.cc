// chorok advise: what power management would save, from recorded samples or a list of servers. No
// manager is asked, but for its own clusters.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "advise/html.h"
#include "base/json.h"
#include "cli/advise_show.h"
#include "cli/advise_sources.h"
#include "cli/bar.h"
#include "cli/handlers.h"
#include "cli/quantity.h"
#include "cli/session.h"
#include "cli/text.h"
#include "cli/whole_file.h"
#include "sim/datacenter/archive.h"
#include "sim/datacenter/calendar_file.h"
#include "sim/datacenter/trace.h"

namespace chorok::cli {

namespace dc = sim::datacenter;

namespace {

constexpr std::size_t kPathsMost = 64;

Result<double> amount(const Invocation& call, std::string_view flag, double least, double most,
                      double otherwise) {
  if (!call.has(flag)) return otherwise;
  const std::string_view text = call.value(flag);
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= least) ||
      !(value <= most))
    return usage_fail(fmt::format("is a number from {:g} to {:g}", least, most),
                      fmt::format("--{}", flag));
  return value;
}

// Under the flag that said it.
template <class T>
Result<T> of_flag(std::string_view flag, Result<T> value) {
  if (value) return value;
  return Unexpected(std::move(value).error().within(fmt::format("--{}", flag)));
}

Result<advise::Prices> read_prices(const Invocation& call) {
  advise::Prices prices;
  if (call.has("tariff"))
    prices.price =
        TRY(of_flag("tariff", dc::calendar_of(call.value("tariff"), dc::CalendarKind::kPrice)));
  if (call.has("co2"))
    prices.carbon =
        TRY(of_flag("co2", dc::calendar_of(call.value("co2"), dc::CalendarKind::kCarbon)));
  if (call.has("start"))
    prices.start =
        TRY(of_flag("start", model::parse_when(call.value("start"), prices.price.utc_offset_h)));
  prices.pue = TRY(amount(call, "pue", 1, 5, 1));
  const bool by_hour = !prices.price.is_constant() || !prices.carbon.is_constant();
  const auto files = call.values("from");
  const bool undated = std::ranges::any_of(files, [](const std::string& path) {
    return !path.starts_with("prometheus:") && !path.starts_with("libvirt:");
  });
  if (by_hour && !prices.start && undated)
    return usage_fail(
        "the price or CO2 goes by the hour: say when the samples begin, as in "
        "--start 2026-03-01T00:00:00+09:00",
        "--start");
  return prices;
}

// One --hosts for all paths, or one each.
Result<std::vector<advise::Hosts>> read_hosts(const Invocation& call, std::size_t paths) {
  const double mhz = TRY(amount(call, "host-mhz", 100, 20'000, 0));
  const double memory = TRY(amount(call, "host-memory", 256, 256.0 * 1024 * 1024, 0));
  std::vector<std::string> texts = call.values("hosts");
  if (texts.empty()) texts.emplace_back("spec-median-2023");
  if (texts.size() != 1 && texts.size() != paths)
    return usage_fail(fmt::format("there are {} for {} paths; give one for all of them, or one "
                                  "each in their order",
                                  texts.size(), paths),
                      "--hosts");
  std::vector<advise::Hosts> all;
  for (const std::string& text : texts) all.push_back(TRY(advise::parse_hosts(text, mhz, memory)));
  all.resize(paths, all[0]);
  return all;
}

template <class A>
Result<int> tell(Session& session, const Invocation& call, const A& report) {
  if (call.has("report")) {
    TRY(write_whole(std::string(call.value("report")), advise::html_of(report)));
    session.note(fmt::format("report: {}\n", call.value("report")));
  }
  if (session.is_structured())
    session.out_value(TRY(parse_json(json::encode(report))));
  else
    show_advice(session, report);
  return exit_code::kOk;
}

Result<int> advise_p2v(Session& session, const Invocation& call,
                       const std::vector<std::string>& paths) {
  const double units = TRY(amount(call, "host-rack-units", 0.1, 100, 2));
  const double vcpu = TRY(amount(call, "vcpu-percent", 0.1, 100, 20));
  const advise::Prices prices = TRY(read_prices(call));
  const std::vector<advise::Hosts> hosts = TRY(read_hosts(call, paths.size()));
  std::vector<advise::Fleet> fleets;
  for (const std::string& path : paths) fleets.push_back(TRY(advise::read_fleet(path, vcpu)));
  TRY(advise::check_once(fleets));
  std::vector<advise::P2vPlan> plans;
  for (std::size_t i = 0; i < fleets.size(); ++i) {
    if (hosts[i].classes.size() != 1)
      return usage_fail("machines are packed onto hosts of one class; name one", "--hosts");
    plans.push_back(advise::plan_p2v(fleets[i], hosts[i].classes[0], units, prices));
  }
  return tell(session, call, advise::report_of(std::move(plans)));
}

// An inventory has no time in it: it is for the other flag.
Result<dc::TraceSet> read_samples(const std::string& path) {
  auto traces = dc::read_traces(path);
  if (traces || !path.ends_with(".csv")) return traces;
  constexpr std::uint64_t kBytesMost = 64 << 20;
  const auto text =
      dc::read_file(path, {.total_bytes_max = kBytesMost, .file_bytes_max = kBytesMost});
  if (!text) return traces;
  const std::string_view header = std::string_view(*text).substr(0, text->find('\n'));
  for (std::string_view column : {"Powerstate", "vInfo", "# Cores", "vHost"})
    if (header.contains(column))
      return usage_fail(fmt::format("{} is an inventory of RVTools: it has no samples over time; "
                                    "give it with --p2v",
                                    path),
                        "--from");
  return traces;
}

// What to advise on: files a cluster each, clusters of the manager's, a Prometheus each, and all
// hosts of libvirt: together.
struct Origin {
  enum class Kind : std::uint8_t { kFile, kCluster, kPrometheus, kLibvirt };
  Kind kind = Kind::kFile;
  std::string name;
  std::vector<std::string> uris;  // of libvirt:
};

std::vector<Origin> origins_of(const Invocation& call) {
  constexpr std::string_view kPrometheus = "prometheus:";
  constexpr std::string_view kLibvirt = "libvirt:";
  std::vector<Origin> out;
  Origin hosts{.kind = Origin::Kind::kLibvirt};
  for (const std::string& path : call.values("from")) {
    if (path.starts_with(kLibvirt))
      hosts.uris.push_back(path.substr(kLibvirt.size()));
    else if (path.starts_with(kPrometheus))
      out.push_back({Origin::Kind::kPrometheus, path.substr(kPrometheus.size()), {}});
    else
      out.push_back({Origin::Kind::kFile, path, {}});
  }
  if (!hosts.uris.empty()) {
    hosts.name = fmt::format("{} hosts of libvirt", hosts.uris.size());
    out.push_back(std::move(hosts));
  }
  for (const std::string& cluster : call.values("cluster"))
    out.push_back({Origin::Kind::kCluster, cluster, {}});
  return out;
}

Result<Duration> duration_of(const Invocation& call, std::string_view flag, Duration least,
                             Duration most, Duration otherwise) {
  if (!call.has(flag)) return otherwise;
  const Duration value = TRY(of_flag(flag, parse_duration(call.value(flag))));
  if (value < least || value > most)
    return usage_fail(
        fmt::format("is {} to {}", human_seconds(seconds(least)), human_seconds(seconds(most))),
        fmt::format("--{}", flag));
  return value;
}

// A time, or how long ago.
Result<Time> when(Session& session, const Invocation& call, std::string_view flag, Time otherwise) {
  if (!call.has(flag)) return otherwise;
  if (auto time = json::parse_time(call.value(flag))) return *time;
  const auto ago = parse_duration(call.value(flag));
  if (!ago)
    return usage_fail(fmt::format("'{}' is neither a time (2026-11-22T05:00:00Z) nor how long ago "
                                  "(7d)",
                                  call.value(flag)),
                      fmt::format("--{}", flag));
  return session.terminal().now() - *ago;
}

Result<Period> read_period(Session& session, const Invocation& call) {
  using namespace std::chrono_literals;
  Period period;
  period.to = TRY(when(session, call, "until", session.terminal().now()));
  period.from = TRY(when(session, call, "since", period.to - 7 * 24h));
  period.step = TRY(duration_of(call, "step", 10s, 1h, 5min));
  if (period.to - period.from < 2 * period.step)
    return usage_fail("it must be two steps before the end at least", "--since");
  return period;
}

// Files are read whole: what nothing would go by is refused.
Result<> check_used(const Invocation& call, const std::vector<Origin>& origins) {
  bool records = false, watches = false;
  for (const Origin& origin : origins) {
    records |= origin.kind == Origin::Kind::kCluster || origin.kind == Origin::Kind::kPrometheus;
    watches |= origin.kind == Origin::Kind::kLibvirt;
  }
  for (const char* flag : {"since", "until", "step"}) {
    const bool used = records || (watches && std::string_view(flag) == "step");
    if (call.has(flag) && !used)
      return usage_fail("is for --cluster and prometheus: alone, files are read whole",
                        fmt::format("--{}", flag));
  }
  if (call.has("watch") && !watches) return usage_fail("is for libvirt: alone", "--watch");
  return {};
}

Result<Recorded> read_origin(Session& session, const Invocation& call, const Origin& origin,
                             const ReadProgress& progress) {
  using namespace std::chrono_literals;
  switch (origin.kind) {
    case Origin::Kind::kFile:
      return Recorded{.traces = TRY(read_samples(origin.name))};
    case Origin::Kind::kCluster:
      return read_cluster(session, origin.name, TRY(read_period(session, call)), progress);
    case Origin::Kind::kPrometheus:
      return read_prometheus({.url = origin.name}, TRY(read_period(session, call)), progress);
    case Origin::Kind::kLibvirt:
      return watch_libvirt(origin.uris,
                           {.time = TRY(duration_of(call, "watch", 30s, 31 * 24h, 10min)),
                            .pause = TRY(duration_of(call, "step", 5s, 1h, 10s))},
                           progress);
  }
  return fail(Code::kInternal, "an origin that nobody reads");
}

Result<int> advise_samples(Session& session, const Invocation& call) {
  const std::vector<Origin> origins = origins_of(call);
  for (const Origin& origin : origins)
    if (origin.kind == Origin::Kind::kPrometheus && !origin.name.starts_with("http://") &&
        !origin.name.starts_with("https://"))
      return usage_fail(fmt::format("'{}' is no address of a Prometheus: write "
                                    "prometheus:http://metrics:9090",
                                    origin.name),
                        "--from");
  const advise::Prices prices = TRY(read_prices(call));
  const std::vector<advise::Hosts> hosts = TRY(read_hosts(call, origins.size()));
  std::vector<advise::Advice> clusters;
  {
    Bar bar(session, "stopped; nothing was written");
    constexpr double kParts = 5;  // reading, and the cases
    const auto whole = static_cast<double>(origins.size()) * kParts;
    for (std::size_t i = 0; i < origins.size(); ++i) {
      double done = static_cast<double>(i) * kParts;
      const std::string name = printable(origins[i].name);
      bar.show(done / whole, fmt::format("reading {}", name));
      advise::AdviceRequest request{.hosts = hosts[i], .prices = prices};
      request.vm_mhz = TRY(amount(call, "vm-mhz", 1, 1e7, 0));
      request.vm_memory_mib = TRY(amount(call, "vm-memory", 1, 256.0 * 1024 * 1024, 0));
      Recorded recorded =
          TRY(read_origin(session, call, origins[i], [&](double share, const std::string& what) {
            bar.show((done + share) / whole, printable(what));
          }));
      request.traces = std::move(recorded.traces);
      if (!call.has("hosts") && !recorded.hosts.classes.empty())
        request.hosts = std::move(recorded.hosts);
      if (!request.prices.start) request.prices.start = recorded.start;
      // Another count of hosts begins again.
      request.progress = [&](std::string_view case_name) {
        done = std::min(done + 1, whole);
        bar.show(done / whole, fmt::format("{}: {}", name, case_name));
      };
      auto advice = advise::advise(std::move(request));
      if (!advice && origins.size() > 1) return Unexpected(advice.error().within(origins[i].name));
      clusters.push_back(TRY(std::move(advice)));
    }
  }
  return tell(session, call, advise::report_of(std::move(clusters)));
}

Result<int> run_advise(Session& session, const Invocation& call) {
  const bool samples = call.has("from") || call.has("cluster");
  if (samples == call.has("p2v"))
    return usage_fail("say what to advise on: --from SAMPLES, --cluster NAME or --p2v SERVERS.csv",
                      "--from");
  for (const char* flag : {"from", "cluster", "p2v"})
    if (call.values(flag).size() > kPathsMost)
      return usage_fail(fmt::format("more than {} of them", kPathsMost), fmt::format("--{}", flag));
  TRY(check_used(call, origins_of(call)));
  if (call.has("report")) TRY(check_writable(std::string(call.value("report"))));
  return samples ? advise_samples(session, call) : advise_p2v(session, call, call.values("p2v"));
}

}  // namespace

CommandSpec advise_command() {
  return {
      .name = "advise",
      .doc = "What power management would save, from recorded samples or a list of servers.",
      .flags =
          {{.name = "from",
            .value = "PATH",
            .doc = "Samples: CSV, a Bitbrains folder, a PlanetLab folder or archive, "
                   "prometheus:URL, libvirt:URI. Several: a cluster each; hosts of libvirt: are "
                   "one.",
            .repeats = true,
            .completes = "file"},
           {.name = "cluster",
            .value = "NAME",
            .doc = "A cluster of the manager's: what it recorded, on the hosts that it has.",
            .repeats = true,
            .completes = "cluster"},
           {.name = "since",
            .value = "WHEN",
            .doc = "Where records begin: a time, or how long ago; 7d if not said."},
           {.name = "until", .value = "WHEN", .doc = "Where they end; now if not said."},
           {.name = "step",
            .value = "DURATION",
            .doc = "Of their intervals: 5m if not said, 10s for libvirt:."},
           {.name = "watch",
            .value = "DURATION",
            .doc = "For how long to look at hosts of libvirt:; 10m if not said."},
           {.name = "p2v",
            .value = "FILE",
            .doc = "Servers to consolidate: CSV, or RVTools' vHost or vInfo as CSV.",
            .repeats = true,
            .completes = "file"},
           {.name = "hosts",
            .value = "CLASS[:COUNT][+…]",
            .doc = "Which hosts, as in spec-median-2017:8+spec-median-2023:4; spec-median-2023, "
                   "the fewest that carry all, if not said. One for all paths or one each.",
            .repeats = true},
           {.name = "host-mhz", .value = "MHZ", .doc = "A core's clock; 3000 if not known."},
           {.name = "host-memory", .value = "MIB", .doc = "A host's memory; 8 GiB a core."},
           {.name = "tariff",
            .value = "PRICE",
            .doc = "Money a kWh: 0.21EUR, FILE.csv[:EUR], FILE.toml, korea-industrial-tou; "
                   "korea-industrial (178 KRW, 2024-10) if not said."},
           {.name = "co2",
            .value = "KG",
            .doc = "CO2 a kWh: 0.35, FILE.csv, FILE.toml; korea-grid (0.4173, value of 2023) if "
                   "not said."},
           {.name = "start",
            .value = "TIME",
            .doc = "When samples begin, as in 2026-03-01T00:00; prices by the hour need it."},
           {.name = "pue",
            .value = "RATIO",
            .doc = "Facility energy over IT energy; 1, not applied, if not said."},
           {.name = "vm-mhz", .value = "MHZ", .doc = "Size of VMs whose samples do not say."},
           {.name = "vm-memory", .value = "MIB", .doc = "Memory of such VMs."},
           {.name = "vcpu-percent",
            .value = "PERCENT",
            .doc = "How busy a vCPU of vInfo is taken to be; 20 if not said."},
           {.name = "host-rack-units", .value = "U", .doc = "Height of a host; 2 if not said."},
           {.name = "report",
            .value = "FILE",
            .doc = "Also write it as one HTML file.",
            .completes = "file"}},
      .example =
          "chorok advise --from samples.csv --hosts spec-median-2023:12 --report advice.html",
      .handler = run_advise};
}

}  // namespace chorok::cli
