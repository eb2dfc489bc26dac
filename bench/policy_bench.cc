// bench_policy COMMAND …: the policies on clusters of a stated size, without a manager.
//   generate HOSTS VMS SEED DIR    a skewed cluster as htools text and its loads (hbal -t, -U)
//   balance DIR MOVES              Chorok's balance on it, at most MOVES (0: to the end)
//   spread FILE LOADS              how uneven a cluster is, as hbal -S left it
//   scale HOSTS VMS SEED           balance of a large one: time, moves, memory
//   place HOSTS VMS BATCH SEED     a batch placed on a running cluster
//   nplus1 HOSTS VMS SEED [K]      the check that any host, or any K hosts, may fail
//   simulate HOSTS VMS TICKS SEED [FAULTS]  honest mode with Chorok's loops on drawn loads, tick by
//                                  tick; with HA on and so many faults a host and year of each kind
//   gap CASE DIR                   a small cluster: Chorok's unevenness before and after, and the
//                                  same problem as a linear program in DIR/case.lp for CBC
//   forecast TRACES                ten minutes ahead on PlanetLab's VMs: the mean error of Chorok's
//                                  forecast, of the last value, of the mean of the last hour
// Each prints one line of numbers, named. Loads are steady: deviation 0.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "model/snapshot_text.h"
#include "policy/planner.h"
#include "policy/survive.h"
#include "sim/datacenter/chorok_planner.h"
#include "sim/datacenter/honest.h"
#include "sim/datacenter/trace.h"

namespace {

using namespace chorok;
using model::Snapshot;
using policy::Index;

constexpr double kCores = 64;
constexpr double kCoreMhz = 1000;
constexpr double kMemory = 262144;  // MiB a host

struct Drawn {
  std::string name;
  double memory = 0;
  int vcpus = 0;
  double load = 0;  // of its vCPUs, 0.05 to 0.95
  std::size_t host = 0;
};

// A third of the hosts carry most VMs: what a cluster looks like after hosts were added.
std::vector<Drawn> draw(std::size_t hosts, std::size_t vms, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  const std::vector<double> sizes = {2048, 4096, 4096, 8192, 8192, 16384};
  std::vector<double> used(hosts);
  std::vector<Drawn> out;
  for (std::size_t v = 0; v < vms; ++v) {
    Drawn vm;
    vm.name = fmt::format("vm{}", v + 1);
    vm.memory = sizes[random() % sizes.size()];
    vm.vcpus = 1 << (random() % 4);
    vm.load = 0.05 + 0.9 * uniform(random) * uniform(random);
    for (int attempt = 0; attempt < 1000; ++attempt) {
      vm.host =
          static_cast<std::size_t>(static_cast<double>(hosts) * std::pow(uniform(random), 1.8));
      if (used[vm.host] + vm.memory <= kMemory * 0.95) break;
    }
    used[vm.host] += vm.memory;
    out.push_back(vm);
  }
  return out;
}

Snapshot snapshot_of(const std::vector<Drawn>& vms, std::size_t hosts) {
  Snapshot snapshot;
  snapshot.now = Time(std::chrono::hours(24));
  snapshot.requirements.resize(1);
  snapshot.offers.resize(1);
  snapshot.curves.push_back(model::usual_curve());
  for (std::size_t h = 0; h < hosts; ++h) {
    model::SnapshotHost host;
    host.name = fmt::format("host{}", h + 1);
    host.capacity = {kCores * kCoreMhz, kMemory};
    host.core_mhz = kCoreMhz;
    host.cores = static_cast<std::int32_t>(kCores);
    snapshot.hosts.push_back(std::move(host));
  }
  for (const Drawn& drawn : vms) {
    model::SnapshotVm vm;
    vm.name = drawn.name;
    vm.host = static_cast<Index>(drawn.host);
    vm.vcpus = drawn.vcpus;
    vm.size = {drawn.vcpus * kCoreMhz, drawn.memory};
    const double cpu = drawn.load * drawn.vcpus * kCoreMhz;
    vm.cpu_demand = {cpu, cpu, 0, cpu, cpu, cpu};
    vm.memory_demand = {drawn.memory, drawn.memory, 0, drawn.memory, drawn.memory, drawn.memory};
    vm.consumed = drawn.memory;
    snapshot.vms.push_back(std::move(vm));
  }
  return snapshot;
}

// Population standard deviation over hosts of the CPU asked for and of the memory used, as shares
// of the host, added up: what hbal's cpu_load and free_mem and Chorok's evenness all lower.
double spread(const Snapshot& snapshot) {
  std::vector<double> cpu(snapshot.hosts.size());
  std::vector<double> memory(snapshot.hosts.size());
  for (const model::SnapshotVm& vm : snapshot.vms) {
    if (vm.host == model::kNone) continue;
    cpu[vm.host] += vm.cpu_demand.now / snapshot.hosts[vm.host].capacity.cpu;
    memory[vm.host] += vm.size.memory / snapshot.hosts[vm.host].capacity.memory;
  }
  auto deviation = [](const std::vector<double>& x) {
    double sum = 0;
    double squares = 0;
    for (const double each : x) {
      sum += each;
      squares += each * each;
    }
    const auto n = static_cast<double>(x.size());
    return std::sqrt(std::max(0.0, squares / n - (sum / n) * (sum / n)));
  };
  return deviation(cpu) + deviation(memory);
}

void apply(Snapshot& snapshot, const policy::Plan& plan) {
  for (const policy::Action& action : plan.actions) {
    if (action.kind == policy::ActionKind::kMigrate || action.kind == policy::ActionKind::kStart) {
      snapshot.vms[action.vm].host = action.to;
    }
  }
}

double timed(const std::function<void()>& work) {
  const auto began = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

void even_settings(Snapshot& snapshot, std::int32_t moves) {
  model::BalanceSettings& settings = snapshot.settings.balance;
  settings.level = 5;
  settings.evenness = 1;
  settings.moves_max = moves;
  settings.work_max = 400'000'000;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) {
    fmt::print(stderr, "bench_policy: cannot read {}\n", path);
    std::exit(1);
  }
  return text.str();
}

Snapshot read_cluster(const std::string& cluster, const std::string& loads) {
  Result<Snapshot> snapshot = model::read_htools(read_file(cluster));
  if (!snapshot) {
    fmt::print(stderr, "bench_policy: {}: {}\n", cluster, snapshot.error().message);
    std::exit(1);
  }
  std::map<std::string, double> cpu;
  std::istringstream lines(read_file(loads));
  std::string name;
  double load = 0;
  double rest = 0;
  while (lines >> name >> load >> rest >> rest >> rest) cpu[name] = load;
  for (model::SnapshotHost& host : snapshot->hosts) host.capacity = {kCores * kCoreMhz, kMemory};
  for (model::SnapshotVm& vm : snapshot->vms) {
    const double mhz = cpu[vm.name] * kCoreMhz;
    vm.cpu_demand = {mhz, mhz, 0, mhz, mhz, mhz};
    const double memory = vm.size.memory;
    vm.memory_demand = {memory, memory, 0, memory, memory, memory};
  }
  return std::move(*snapshot);
}

void generate(std::size_t hosts, std::size_t vms, std::uint32_t seed, const std::string& folder) {
  const std::vector<Drawn> drawn = draw(hosts, vms, seed);
  std::vector<double> used(hosts);
  for (const Drawn& vm : drawn) used[vm.host] += vm.memory;
  std::ofstream cluster(folder + "/cluster.txt");
  cluster << "group|fake-uuid|preferred||\n\n";
  for (std::size_t h = 0; h < hosts; ++h) {
    cluster << fmt::format("host{}|{:.0f}|0|{:.0f}|1000000|1000000|{:.0f}|N|fake-uuid|1\n", h + 1,
                           kMemory, kMemory - used[h], kCores);
  }
  cluster << "\n";
  std::ofstream loads(folder + "/loads.txt");
  for (const Drawn& vm : drawn) {
    cluster << fmt::format("{}|{:.0f}|0|{}|running|Y|host{}||ext||1\n", vm.name, vm.memory,
                           vm.vcpus, vm.host + 1);
    loads << fmt::format("{} {:.6f} {:.6f} 0 0\n", vm.name, vm.load * vm.vcpus, vm.memory / 4096);
  }
  // No tags; a policy that forbids nothing, so that only balance decides.
  cluster << "\n\n|1024,1,1024,1,1,1|1,1,0,0,1,0;1000000,64,10000000,16,8,12|ext|64|64\n";
}

// Mean over hosts of how far CPU and memory load are from their means: what a linear program can
// express of evenness.
double distance(const Snapshot& snapshot) {
  double sum = 0;
  for (const model::Resource of : model::kResources) {
    std::vector<double> share(snapshot.hosts.size());
    for (const model::SnapshotVm& vm : snapshot.vms) {
      share[vm.host] += (of == model::Resource::kCpu ? vm.cpu_demand.now : vm.size.memory) /
                        snapshot.hosts[vm.host].capacity[of];
    }
    double mean = 0;
    for (const double x : share) mean += x / static_cast<double>(share.size());
    for (const double x : share) sum += std::abs(x - mean) / static_cast<double>(share.size());
  }
  return sum;
}

// Minimise the distance over all placements that memory allows. x: VM v on host h; d: distance of
// resource r on host h.
void write_program(const Snapshot& snapshot, const std::string& path) {
  const std::size_t hosts = snapshot.hosts.size();
  std::ofstream out(path);
  auto amount = [&](const model::SnapshotVm& vm, model::Resource of) {
    return (of == model::Resource::kCpu ? vm.cpu_demand.now : vm.size.memory) /
           snapshot.hosts[0].capacity[of];
  };
  out << "Minimize\n obj:";
  for (std::size_t h = 0; h < hosts; ++h) {
    for (int r = 0; r < 2; ++r) {
      out << fmt::format(" + {:.9f} d{}_{}", 1 / static_cast<double>(hosts), h, r);
    }
  }
  out << "\nSubject To\n";
  for (std::size_t v = 0; v < snapshot.vms.size(); ++v) {
    out << fmt::format(" p{}:", v);
    for (std::size_t h = 0; h < hosts; ++h) out << fmt::format(" + x{}_{}", v, h);
    out << " = 1\n";
  }
  for (int r = 0; r < 2; ++r) {
    const model::Resource of = r == 0 ? model::Resource::kCpu : model::Resource::kMemory;
    double mean = 0;
    for (const model::SnapshotVm& vm : snapshot.vms)
      mean += amount(vm, of) / static_cast<double>(hosts);
    for (std::size_t h = 0; h < hosts; ++h) {
      for (const char* sign : {"+", "-"}) {
        out << fmt::format(" c{}_{}_{}: d{}_{}", h, r, *sign == '+' ? "a" : "b", h, r);
        for (std::size_t v = 0; v < snapshot.vms.size(); ++v) {
          out << fmt::format(" {} {:.9f} x{}_{}", *sign == '+' ? "-" : "+",
                             amount(snapshot.vms[v], of), v, h);
        }
        out << fmt::format(" >= {:.9f}\n", *sign == '+' ? -mean : mean);
      }
    }
  }
  for (std::size_t h = 0; h < hosts; ++h) {
    out << fmt::format(" m{}:", h);
    for (std::size_t v = 0; v < snapshot.vms.size(); ++v) {
      out << fmt::format(" + {:.9f} x{}_{}", amount(snapshot.vms[v], model::Resource::kMemory), v,
                         h);
    }
    out << " <= 1\n";
  }
  out << "Binary\n";
  for (std::size_t v = 0; v < snapshot.vms.size(); ++v) {
    for (std::size_t h = 0; h < hosts; ++h) out << fmt::format(" x{}_{}", v, h);
  }
  out << "\nEnd\n";
}

// Loads that wander, each VM around a mean of its own, with a day's swing.
sim::datacenter::TraceSet wandering(std::size_t vms, std::size_t ticks, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  sim::datacenter::TraceSet traces;
  traces.source = "drawn";
  traces.samples = ticks;
  traces.cpu.resize(vms * ticks);
  const std::vector<double> sizes = {2048, 4096, 4096, 8192, 8192, 16384};
  for (std::size_t v = 0; v < vms; ++v) {
    const int cores = 1 << (random() % 4);
    traces.vms.push_back(
        {fmt::format("vm{}", v), cores, cores * kCoreMhz, sizes[random() % sizes.size()]});
    const double mean = 0.05 + 0.5 * uniform(random) * uniform(random);
    double off = 0;
    for (std::size_t k = 0; k < ticks; ++k) {
      off = 0.9 * off + 0.1 * (uniform(random) - 0.5);
      const double swing = 1 + 0.4 * std::sin(2 * 3.14159265 * static_cast<double>(k) / 288);
      traces.cpu[k * vms + v] = std::clamp(mean * swing + off, 0.01, 1.0);
    }
  }
  return traces;
}

int simulate(std::size_t hosts, std::size_t vms, std::size_t ticks, std::uint32_t seed,
             double faults) {
  const sim::datacenter::TraceSet traces = wandering(vms, ticks, seed);
  sim::datacenter::HonestSettings settings;
  settings.hosts = static_cast<std::int32_t>(hosts);
  settings.host_types.push_back(
      {kCoreMhz, static_cast<std::int32_t>(kCores), kMemory, model::usual_curve()});
  settings.cpu_overcommit = 4;
  sim::datacenter::ChorokPlannerSettings planner;
  if (faults > 0) {
    planner.policy.ha.enabled = true;
    settings.faults = sim::datacenter::random_faults(
        {.host = faults, .bmc = faults, .partition = faults, .wake = faults, .migration = faults},
        static_cast<std::uint32_t>(hosts),
        static_cast<double>(ticks) * chorok::seconds(traces.interval), seed);
  }
  Result<sim::datacenter::HonestRun> run = sim::datacenter::HonestRun{};
  const double seconds = timed([&] {
    run = sim::datacenter::run_honest(traces, settings, sim::datacenter::chorok_planner(planner));
  });
  if (!run) {
    fmt::print(stderr, "bench_policy: {}\n", run.error().message);
    return 1;
  }
  fmt::print(
      "seconds {:.3f} ticks {} ticks_per_s {:.3f} migrations {} kwh {:.1f} unmet {:.6f} rss_mib "
      "{:.0f} faults {} lost {} restarted {} down_s {:.0f} doubles {} reserve_short {:.4f}\n",
      seconds, ticks, static_cast<double>(ticks) / seconds, run->metrics.migrations,
      run->metrics.energy_kwh, run->metrics.unmet_demand, peak_mib(), settings.faults.size(),
      run->vms_lost, run->vms_restarted, run->vm_down_s, run->doubles, run->reserve_short);
  return 0;
}

int forecast(const std::string& path) {
  constexpr std::size_t kAhead = 2;
  constexpr std::size_t kHour = 12;
  constexpr double kSize = 1000;
  const auto traces = sim::datacenter::read_planetlab(path);
  if (!traces) {
    fmt::print(stderr, "bench_policy: {}: {}\n", path, traces.error().message);
    return 1;
  }
  const policy::ForecastSettings settings;
  double ours = 0;
  double last = 0;
  double average = 0;
  double count = 0;
  double above = 0;
  for (std::size_t v = 0; v < traces->vms.size(); ++v) {
    policy::DemandHistory history;
    double hour = 0;
    for (std::size_t k = 0; k + kAhead < traces->samples; ++k) {
      const double now = traces->cpu_at(k)[v] * kSize;
      const Time at = Time(traces->interval * static_cast<std::int64_t>(k));
      history.add(at, now, settings);
      hour += now - (k >= kHour ? traces->cpu_at(k - kHour)[v] * kSize : 0);
      if (k < kHour) continue;
      const model::Demand demand = history.demand(at, kSize, settings);
      const double then = traces->cpu_at(k + kAhead)[v] * kSize;
      ours += std::abs(demand.expected - then);
      last += std::abs(now - then);
      average += std::abs(hour / kHour - then);
      above += then > demand.upper ? 1 : 0;
      ++count;
    }
  }
  fmt::print("ours {:.4f} last {:.4f} average {:.4f} above_upper {:.5f} bytes {}\n",
             100 * ours / count / kSize, 100 * last / count / kSize, 100 * average / count / kSize,
             above / count, sizeof(policy::DemandHistory));
  return 0;
}

int run(const std::vector<std::string>& a) {
  auto number = [&](std::size_t i) { return std::strtoull(a.at(i).c_str(), nullptr, 10); };
  const std::string& command = a.at(0);
  if (command == "generate") {
    generate(number(1), number(2), static_cast<std::uint32_t>(number(3)), a.at(4));
  } else if (command == "balance") {
    Snapshot snapshot = read_cluster(a.at(1) + "/cluster.txt", a.at(1) + "/loads.txt");
    even_settings(snapshot, static_cast<std::int32_t>(number(2)));
    policy::Plan plan;
    const double seconds = timed([&] { plan = policy::plan_balance(snapshot); });
    const double before = spread(snapshot);
    apply(snapshot, plan);
    fmt::print("seconds {:.6f} moves {} spread_before {:.6f} spread_after {:.6f}\n", seconds,
               plan.actions.size(), before, spread(snapshot));
  } else if (command == "spread") {
    fmt::print("spread {:.6f}\n", spread(read_cluster(a.at(1), a.at(2))));
  } else if (command == "scale") {
    Snapshot snapshot =
        snapshot_of(draw(number(1), number(2), static_cast<std::uint32_t>(number(3))), number(1));
    even_settings(snapshot, 0);
    policy::Plan plan;
    const double seconds = timed([&] { plan = policy::plan_balance(snapshot); });
    const double before = spread(snapshot);
    apply(snapshot, plan);
    fmt::print(
        "seconds {:.6f} moves {} spread_before {:.6f} spread_after {:.6f} rss_mib {:.0f} "
        "candidates {}\n",
        seconds, plan.actions.size(), before, spread(snapshot), peak_mib(), plan.stats.candidates);
  } else if (command == "simulate") {
    return simulate(number(1), number(2), number(3), static_cast<std::uint32_t>(number(4)),
                    a.size() > 5 ? static_cast<double>(number(5)) : 0);
  } else if (command == "forecast") {
    return forecast(a.at(1));
  } else if (command == "gap") {
    constexpr std::size_t kHosts = 4;
    constexpr std::size_t kVms = 12;
    Snapshot snapshot =
        snapshot_of(draw(kHosts, kVms, static_cast<std::uint32_t>(number(1))), kHosts);
    for (model::SnapshotHost& host : snapshot.hosts) host.capacity = {16000, 65536};
    even_settings(snapshot, 0);
    write_program(snapshot, a.at(2) + "/case.lp");
    const double before = distance(snapshot);
    apply(snapshot, policy::plan_balance(snapshot));
    fmt::print("before {:.9f} after {:.9f}\n", before, distance(snapshot));
  } else if (command == "place") {
    const std::size_t batch = number(3);
    std::vector<Drawn> vms =
        draw(number(1), number(2) + batch, static_cast<std::uint32_t>(number(4)));
    Snapshot snapshot = snapshot_of(vms, number(1));
    for (std::size_t v = number(2); v < vms.size(); ++v) {
      snapshot.vms[v].run = model::VmRun::kWaiting;
      snapshot.vms[v].host = model::kNone;
    }
    policy::Plan plan;
    const double seconds = timed([&] { plan = policy::plan_place(snapshot); });
    fmt::print("seconds {:.6f} placed {} of {}\n", seconds, plan.actions.size(), batch);
  } else if (command == "nplus1") {
    Snapshot snapshot =
        snapshot_of(draw(number(1), number(2), static_cast<std::uint32_t>(number(3))), number(1));
    const auto failures = static_cast<std::int32_t>(a.size() > 4 ? number(4) : 1);
    policy::Survival survival;
    const double seconds = timed([&] { survival = policy::check_failures(snapshot, failures); });
    fmt::print("seconds {:.6f} may_not_fail {} cases {} exhaustive {}\n", seconds,
               survival.uncovered.size(), survival.cases, survival.exhaustive);
  } else {
    fmt::print(stderr, "bench_policy: no command '{}'; the head of policy_bench.cc has them\n",
               command);
    return 2;
  }
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    return run({arguments + 1, arguments + count});
  } catch (const std::out_of_range&) {
    fmt::print(stderr, "bench_policy: too few arguments; the head of policy_bench.cc has them\n");
    return 2;
  }
}
