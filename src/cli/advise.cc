// chorok advise: what power management would save, from recorded samples or a list of servers. No
// manager is asked.
#include <fmt/format.h>

#include <charconv>

#include "advise/html.h"
#include "base/json.h"
#include "cli/advise_show.h"
#include "cli/bar.h"
#include "cli/handlers.h"
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
  if (by_hour && !prices.start && call.has("from"))
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

Result<int> advise_samples(Session& session, const Invocation& call,
                           const std::vector<std::string>& paths) {
  const advise::Prices prices = TRY(read_prices(call));
  const std::vector<advise::Hosts> hosts = TRY(read_hosts(call, paths.size()));
  std::vector<advise::Advice> clusters;
  {
    Bar bar(session, "stopped; nothing was written");
    constexpr double kCases = 4;
    for (std::size_t i = 0; i < paths.size(); ++i) {
      const auto whole = static_cast<double>(paths.size()) * kCases;
      double done = static_cast<double>(i) * kCases;
      bar.show(done / whole, fmt::format("reading {}", printable(paths[i])));
      advise::AdviceRequest request{.hosts = hosts[i], .prices = prices};
      request.vm_mhz = TRY(amount(call, "vm-mhz", 1, 1e7, 0));
      request.vm_memory_mib = TRY(amount(call, "vm-memory", 1, 256.0 * 1024 * 1024, 0));
      request.traces = TRY(read_samples(paths[i]));
      // Another count of hosts begins again.
      request.progress = [&](std::string_view name) {
        bar.show(std::min(done++ / whole, 1.0), fmt::format("{}: {}", printable(paths[i]), name));
      };
      auto advice = advise::advise(std::move(request));
      if (!advice && paths.size() > 1) return Unexpected(advice.error().within(paths[i]));
      clusters.push_back(TRY(std::move(advice)));
    }
  }
  return tell(session, call, advise::report_of(std::move(clusters)));
}

Result<int> run_advise(Session& session, const Invocation& call) {
  if (call.has("from") == call.has("p2v"))
    return usage_fail("say what to advise on: --from SAMPLES or --p2v SERVERS.csv", "--from");
  const std::string_view flag = call.has("from") ? "from" : "p2v";
  const std::vector<std::string> paths = call.values(flag);
  if (paths.size() > kPathsMost)
    return usage_fail(fmt::format("more than {} of them", kPathsMost), fmt::format("--{}", flag));
  if (call.has("report")) TRY(check_writable(std::string(call.value("report"))));
  return flag == "from" ? advise_samples(session, call, paths) : advise_p2v(session, call, paths);
}

}  // namespace

CommandSpec advise_command() {
  return {
      .name = "advise",
      .doc = "What power management would save, from recorded samples or a list of servers.",
      .flags =
          {{.name = "from",
            .value = "PATH",
            .doc = "Samples: CSV, a Bitbrains folder, a PlanetLab folder or archive. Several: a "
                   "cluster each.",
            .repeats = true,
            .completes = "file"},
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
