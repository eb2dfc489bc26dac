// Ganeti's text files, as `hbal -t`, `hspace -t`, … read them: five sections apart by an empty
// line, fields between '|'. Order and number of fields are those of Ganeti 3.0 (older files have
// fewer, newer may have more, which are skipped); see "TEXT BACKEND" of its htools manual.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <unordered_map>

#include "model/snapshot_text.h"

namespace chorok::model {
namespace {

// The format counts CPUs and no clock rate; one core of speed 1.0 is this much.
constexpr double kCoreMhz = 1000;
// Without loads, a vCPU asks for what the policy's vcpu_ratio lets it have: a host that is full by
// that ratio is full by demand. This is Ganeti's default ratio.
constexpr double kVcpuRatio = 4;
constexpr std::size_t kLineMax = 65536;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

class HtoolsReader {
 public:
  explicit HtoolsReader(std::string_view text) : text_(text) {}

  Result<Snapshot> run() {
    s_.curves.push_back(usual_curve());
    TRY(each_line([&](std::size_t section, std::string_view line) {
      return section == 4 ? policy(line) : Result<>();
    }));
    TRY(each_line([&](std::size_t section, std::string_view line) -> Result<> {
      switch (section) {
        case 0:
          return group(line);
        case 1:
          return node(line);
        case 2:
          return instance(line);
        case 3:
          return tag(line);
        default:
          return {};
      }
    }));
    if (s_.hosts.empty())
      return fail(Code::kInvalid,
                  "there is no node: an htools file has groups, an empty line, "
                  "nodes, an empty line, instances, …");
    take_unaccounted_memory();
    exclusion_rules();
    TRY(check(s_));
    return std::move(s_);
  }

 private:
  template <class Fn>
  Result<> each_line(Fn&& fn) {
    std::size_t section = 0;
    line_ = 0;
    for (std::string_view rest = text_; !rest.empty();) {
      const std::size_t end = rest.find('\n');
      std::string_view line = rest.substr(0, end);
      rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
      ++line_;
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.size() > kLineMax) return bad("is too long");
      if (line.empty()) {
        ++section;
      } else {
        TRY(fn(section, line));
      }
    }
    return {};
  }

  Unexpected bad(std::string message) const {
    return fail(Code::kInvalid, fmt::format("line {} {}", line_, message),
                fmt::format("/{}", line_));
  }

  Result<double> number(std::string_view what, std::string_view text) const {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !(value >= 0) || value > 1e12)
      return bad(fmt::format("has '{}' for {}, which is no amount", text.substr(0, 32), what));
    return value;
  }
  Result<std::vector<std::string_view>> fields(std::string_view line, std::size_t least,
                                               std::string_view what) const {
    auto parts = split(line, '|');
    if (parts.size() < least)
      return bad(fmt::format("has {} fields; {} has {} at least", parts.size(), what, least));
    if (parts[0].empty() || parts[0].size() > 253) return bad("has no name, or one too long");
    return parts;
  }

  // owner|std|min;max|disk templates|vcpu_ratio|…
  Result<> policy(std::string_view line) {
    const auto parts = split(line, '|');
    if (parts.size() < 5) return bad("has too few fields for a policy");
    const double ratio = TRY(number("vcpu_ratio", parts[4]));
    if (ratio > 0) ratios_[std::string(parts[0])] = ratio;
    return {};
  }
  double ratio_of(const std::string& group) const {
    for (const std::string& owner : {group, std::string()})
      if (auto it = ratios_.find(owner); it != ratios_.end()) return it->second;
    return kVcpuRatio;
  }

  // name|uuid|alloc_policy|…: instances stay in their group, so a group is what hosts share.
  Result<> group(std::string_view line) {
    const auto parts = TRY(fields(line, 3, "a group"));
    if (groups_.size() >= 10'000) return bad("is one group too many");
    const std::string name(parts[0]);
    const auto at = static_cast<Index>(s_.offers.size());
    if (!groups_.emplace(std::string(parts[1]), at).second)
      return bad(fmt::format("repeats the group {}", parts[1]));
    s_.offers.push_back({.datastores = {"group:" + name}});
    s_.requirements.push_back({.datastores = {"group:" + name}});
    group_ratio_.push_back(ratio_of(name));
    return {};
  }

  // name|total_mem|node_mem|free_mem|total_disk|free_disk|cpus|offline|group|spindles|tags|
  // exclusive_storage|free_spindles|node_cpus|cpu_speed
  Result<> node(std::string_view line) {
    const auto parts = TRY(fields(line, 9, "a node"));
    if (s_.hosts.size() >= kSnapshotHostsMax) return bad("is one node too many");
    SnapshotHost host;
    host.name = parts[0];
    const auto at = static_cast<Index>(s_.hosts.size());
    if (!nodes_.emplace(host.name, at).second)
      return bad(fmt::format("repeats the node {}", host.name));
    auto it = groups_.find(std::string(parts[8]));
    if (it == groups_.end()) return bad(fmt::format("names no group known: {}", parts[8]));
    host.offer = it->second;
    const bool unknown = std::ranges::find(parts, "?") != parts.end();
    if (parts[7] == "Y" || unknown) {
      host.power = HostPower::kUnknown;
      host.link = HostLink::kLost;
    }
    double free = 0;
    if (!unknown) {
      const double total = TRY(number("total_mem", parts[1]));
      host.capacity.memory = std::max(0.0, total - TRY(number("node_mem", parts[2])));
      free = TRY(number("free_mem", parts[3]));
      const double cpus = TRY(number("cpus", parts[6]));
      const double own = parts.size() > 13 ? TRY(number("node_cpus", parts[13])) : 1;
      const double speed = parts.size() > 14 ? TRY(number("cpu_speed", parts[14])) : 1;
      host.cores = static_cast<std::int32_t>(std::min(cpus, 1e6));
      host.core_mhz = kCoreMhz * speed;
      host.capacity.cpu = std::max(0.0, cpus - own) * host.core_mhz;
    }
    free_.push_back(free);
    used_.push_back(0);
    s_.hosts.push_back(std::move(host));
    return {};
  }

  // name|mem|disk|vcpus|status|auto_balance|primary|secondary|disk_template|tags|…
  Result<> instance(std::string_view line) {
    const auto parts = TRY(fields(line, 9, "an instance"));
    if (s_.vms.size() >= kSnapshotVmsMax) return bad("is one instance too many");
    SnapshotVm vm;
    vm.name = parts[0];
    if (!instances_.emplace(vm.name, static_cast<Index>(s_.vms.size())).second)
      return bad(fmt::format("repeats the instance {}", vm.name));
    auto node = nodes_.find(std::string(parts[6]));
    if (node == nodes_.end()) return bad(fmt::format("names no node known: {}", parts[6]));
    const SnapshotHost& host = s_.hosts[node->second];
    vm.size.memory = TRY(number("mem", parts[1]));
    const double vcpus = TRY(number("vcpus", parts[3]));
    vm.vcpus = static_cast<std::int32_t>(std::clamp(vcpus, 1.0, 4096.0));
    vm.size.cpu = vm.vcpus * kCoreMhz;
    vm.requirement = host.offer;
    // auto_balance off: not counted when a node fails.
    if (parts[5] == "N") vm.restart_priority = 0;
    vm.run = run_of(parts[4]);
    if (vm.run == VmRun::kOn) {
      vm.host = node->second;
      used_[vm.host] += vm.size.memory;
      const double cpu = vm.size.cpu / group_ratio_[host.offer];
      vm.cpu_demand = {.now = cpu, .mean = cpu, .peak = cpu, .expected = cpu, .upper = cpu};
      const double memory = vm.size.memory;
      vm.memory_demand = {
          .now = memory, .mean = memory, .peak = memory, .expected = memory, .upper = memory};
      vm.consumed = memory;
    }
    s_.vms.push_back(std::move(vm));
    if (parts.size() > 9) note_tags(parts[9]);
    return {};
  }

  static VmRun run_of(std::string_view status) {
    if (status == "running" || status == "ERROR_up") return VmRun::kOn;
    if (status == "ERROR_down" || status == "ERROR_nodedown" || status == "ERROR_nodeoffline" ||
        status == "ERROR_wrongnode")
      return VmRun::kWaiting;
    return VmRun::kOff;
  }

  void note_tags(std::string_view tags) {
    const auto vm = static_cast<Index>(s_.vms.size() - 1);
    for (const std::string_view one : split(tags, ','))
      if (!one.empty()) tagged_[std::string(one)].push_back(vm);
  }

  // htools:iextags:PREFIX: instances with the same tag PREFIX:… stand apart.
  Result<> tag(std::string_view line) {
    constexpr std::string_view kExclusion = "htools:iextags:";
    if (line.starts_with(kExclusion)) exclusion_.emplace_back(line.substr(kExclusion.size()));
    return {};
  }

  void exclusion_rules() {
    for (const auto& [name, vms] : tagged_)
      for (const std::string& prefix : exclusion_)
        if (name.starts_with(prefix + ":") && vms.size() > 1 &&
            s_.rules.size() < kSnapshotRulesMax) {
          s_.rules.push_back({.name = fmt::format("exclusion-{}", s_.rules.size() + 1),
                              .kind = RuleKind::kApart,
                              .vms = vms});
          break;
        }
  }

  // What is neither the node's, nor an instance's, nor free is held by something htools does not
  // know, and it counts as the node's own.
  void take_unaccounted_memory() {
    for (std::size_t h = 0; h < s_.hosts.size(); ++h) {
      double& capacity = s_.hosts[h].capacity.memory;
      const double held = capacity - free_[h] - used_[h];
      if (held > 0) capacity -= held;
    }
  }

  std::string_view text_;
  std::size_t line_ = 0;
  Snapshot s_;
  std::map<std::string, double> ratios_;
  std::unordered_map<std::string, Index> groups_;  // by uuid
  std::vector<double> group_ratio_;
  std::unordered_map<std::string, Index> nodes_;
  std::unordered_map<std::string, Index> instances_;
  std::vector<double> free_;
  std::vector<double> used_;
  std::map<std::string, std::vector<Index>> tagged_;
  std::vector<std::string> exclusion_;
};

}  // namespace

bool looks_like_htools(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos || text[start] == '{' || text[start] == '[') return false;
  const std::string_view line = text.substr(start, text.find('\n', start) - start);
  return std::ranges::count(line, '|') >= 2;
}

Result<Snapshot> read_htools(std::string_view text) {
  if (text.size() > kSnapshotBytesMax)
    return fail(Code::kExhausted, fmt::format("the file has {} bytes; the most is {}", text.size(),
                                              kSnapshotBytesMax));
  return HtoolsReader(text).run();
}

}  // namespace chorok::model
