// chorok advise --from libvirt:URI: looks at hosts for a while. By virsh and read-only, so that the
// program needs no libvirt where nobody asks for one.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <thread>

#include "adapters/work/process.h"
#include "cli/advise_sources.h"

namespace chorok::cli {

namespace dc = sim::datacenter;

namespace {

constexpr Duration kAnswer = std::chrono::seconds(30);
constexpr std::size_t kOutputMost = 32 << 20;

// virsh says "error: " twice.
std::string first_line(std::string_view errors) {
  if (errors.starts_with("error: ")) errors.remove_prefix(7);
  while (errors.ends_with('\n')) errors.remove_suffix(1);
  std::string line(errors.substr(0, 300));
  std::ranges::replace(line, '\n', ' ');
  return line;
}

Result<std::string> virsh(const std::string& uri, std::vector<std::string> words) {
  const adapters::work::StopFlag never;
  std::vector<std::string> arguments = {"virsh", "--readonly", "--connect", uri};
  arguments.insert(arguments.end(), words.begin(), words.end());
  auto done = adapters::work::run_process(
      arguments, {.silence = kAnswer, .total = kAnswer, .max_output = kOutputMost}, never);
  if (!done && done.error().code == Code::kUnavailable)
    return fail(Code::kFailedPrecondition,
                "virsh could not be started: libvirt: needs Debian's libvirt-clients");
  const auto result = TRY(std::move(done));
  if (result.exit_code != 0)
    return fail(Code::kFailedPrecondition,
                fmt::format("libvirt:{}: {}", uri, first_line(result.errors)));
  return result.output;
}

template <class Each>
void for_lines(std::string_view text, Each each) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    each(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

double number_of(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// "CPU(s):              16", "CPU frequency:       1400 MHz", "Memory size:         3145728 KiB"
FoundHost host_of(const std::string& uri, std::string_view nodeinfo) {
  FoundHost host{.name = uri};
  for_lines(nodeinfo, [&](std::string_view line) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    const std::string_view what = line.substr(0, colon);
    const double value = number_of(line.substr(colon + 1));
    if (what == "CPU(s)") host.cores = static_cast<std::int32_t>(value);
    if (what == "CPU frequency") host.core_mhz = value;
    if (what == "Memory size") host.memory_mib = value / 1024;
  });
  return host;
}

struct Seen {
  double cpu_s = 0;
  double vcpus = 0;
  double memory_kib = 0;     // it may have
  double unused_kib = -1;    // its own word; negative: it says nothing
  double available_kib = 0;  // it has, its own word
  bool runs = false;
};

// By name, from `domstats --raw`.
std::map<std::string, Seen> seen_in(std::string_view domstats) {
  std::map<std::string, Seen> all;
  Seen* vm = nullptr;
  for_lines(domstats, [&](std::string_view line) {
    constexpr std::string_view kDomain = "Domain: '";
    if (line.starts_with(kDomain)) {
      vm = &all[std::string(line.substr(kDomain.size(), line.rfind('\'') - kDomain.size()))];
      return;
    }
    while (line.starts_with(' ')) line.remove_prefix(1);
    const std::size_t equals = line.find('=');
    if (vm == nullptr || equals == std::string_view::npos) return;
    const std::string_view what = line.substr(0, equals);
    const double value = number_of(line.substr(equals + 1));
    if (what == "state.state") vm->runs = value == 1;
    if (what == "cpu.time") vm->cpu_s = value / 1e9;
    if (what == "vcpu.current") vm->vcpus = value;
    if (what == "balloon.maximum") vm->memory_kib = value;
    if (what == "balloon.unused") vm->unused_kib = value;
    if (what == "balloon.available") vm->available_kib = value;
  });
  return all;
}

// One host: what changed since the look before.
class Watched {
 public:
  Watched(std::string uri, FoundHost host) : uri_(std::move(uri)), host_(std::move(host)) {}
  const FoundHost& host() const { return host_; }

  Result<> look(bool tell_host, SampleBook& book) {
    auto text = TRY(virsh(uri_, {"domstats", "--list-active", "--state", "--cpu-total", "--vcpu",
                                 "--balloon", "--raw"}));
    const double at = seconds(std::chrono::system_clock::now().time_since_epoch());
    std::map<std::string, Seen> now = seen_in(text);
    for (const auto& [name, vm] : now) {
      const auto before = last_.find(name);
      if (!vm.runs || vm.vcpus < 1 || before == last_.end() || vm.cpu_s < before->second.cpu_s)
        continue;
      const dc::TraceVm size{.cores = static_cast<std::int32_t>(vm.vcpus),
                             .cpu_mhz = vm.vcpus * host_.core_mhz,
                             .memory_mib = vm.memory_kib / 1024};
      const bool says = vm.unused_kib >= 0 && vm.available_kib > vm.unused_kib;
      book.add({.vm = book.vm(tell_host ? fmt::format("{} on {}", name, uri_) : name, size),
                .time_s = at,
                .cpu = (vm.cpu_s - before->second.cpu_s) / (at - last_at_) / vm.vcpus,
                .memory = says ? (vm.available_kib - vm.unused_kib) / 1024 : -1});
    }
    last_ = std::move(now);
    last_at_ = at;
    return {};
  }

 private:
  std::string uri_;
  FoundHost host_;
  std::map<std::string, Seen> last_;
  double last_at_ = 0;
};

}  // namespace

Result<Recorded> watch_libvirt(const std::vector<std::string>& uris, const Watching& watching,
                               const ReadProgress& progress) {
  std::vector<Watched> hosts;
  std::vector<FoundHost> found;
  std::string names;
  for (const std::string& uri : uris) {
    found.push_back(host_of(uri, TRY(virsh(uri, {"nodeinfo"}))));
    hosts.emplace_back(uri, found.back());
    names += (names.empty() ? "libvirt:" : " libvirt:") + uri;
  }
  SampleBook book(names);
  const auto begun = std::chrono::steady_clock::now();
  for (auto next = begun;; next += watching.pause) {
    std::this_thread::sleep_until(next);
    for (Watched& host : hosts) TRY(host.look(hosts.size() > 1, book));
    const Duration passed = std::chrono::steady_clock::now() - begun;
    progress(std::min(1.0, seconds(passed) / seconds(watching.time)),
             fmt::format("watching {} hosts, {} samples", hosts.size(), book.size()));
    if (passed >= watching.time) break;
  }
  if (book.is_empty())
    return fail(Code::kFailedPrecondition, fmt::format("no VM runs on {}", names));
  Recorded out = TRY(std::move(book).close({.step = watching.pause}));
  out.hosts = TRY(classes_of(found));
  return out;
}

}  // namespace chorok::cli
