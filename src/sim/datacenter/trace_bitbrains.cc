// Bitbrains' traces (GWA-T-12; Shen, van Beek, Iosup, CCGrid 2015) as wide text: a VM a line.
#include <algorithm>
#include <map>

#include "sim/datacenter/trace.h"
#include "sim/datacenter/trace_text.h"

namespace chorok::sim::datacenter {

namespace fs = std::filesystem;

namespace {

using Order = std::map<std::string, std::size_t, std::less<>>;  // name to place in the set

// vms.csv: vm,cores,cpu_mhz,mem_mb,samples
Result<Order> read_sizes(const fs::path& file, const TraceLimits& limits, TraceSet& set) {
  const std::string text = TRY(read_file(file, limits.read));
  const std::string name = file.filename().string();
  Order order;
  Lines lines(text);
  while (auto line = lines.next()) {
    if (line->empty() || (lines.number() == 1 && line->starts_with("vm,"))) continue;
    std::string_view rest = *line;
    TraceVm vm{.name = std::string(next_word(rest, ','))};
    auto cores = number<std::int32_t>(next_word(rest, ','));
    auto mhz = number<double>(next_word(rest, ','));
    auto mib = number<double>(next_word(rest, ','));
    if (vm.name.empty() || !cores || *cores < 1 || *cores > 4096 || !mhz || !(*mhz > 0) ||
        !(*mhz < 1e9) || !mib || !(*mib > 0) || !(*mib < 1e12))
      return bad_line(name, lines.number(),
                      fmt::format("'{}' is not vm,cores,cpu_mhz,mem_mb with sizes above nothing",
                                  shown(*line)));
    vm.cores = *cores;
    vm.cpu_mhz = *mhz;
    vm.memory_mib = *mib;
    if (!order.emplace(vm.name, set.vms.size()).second)
      return bad_line(name, lines.number(), fmt::format("VM {} stands there twice", vm.name));
    if (set.vms.size() >= limits.vms_max)
      return bad_line(name, lines.number(), fmt::format("more than {} VMs", limits.vms_max));
    set.vms.push_back(std::move(vm));
  }
  if (set.vms.empty()) return bad_line(name, lines.number(), "no VM in it");
  return order;
}

// NAME or NAME.xz, whichever is there.
fs::path plain_or_packed(const fs::path& folder, const std::string& name) {
  std::error_code error;
  fs::path packed = folder / (name + ".xz");
  return fs::exists(packed, error) ? packed : folder / name;
}

// One wide file into out[sample * vms + vm]; a sample is `scale(vm)` times what stands there.
template <class Scale>
Result<void> read_wide(const fs::path& file, const Order& order, const TraceLimits& limits,
                       TraceSet& set, std::vector<double>& out, Scale scale) {
  const std::string text = TRY(read_file(file, limits.read));
  const std::string name = file.filename().string();
  std::vector<std::uint8_t> seen(set.vms.size(), 0);
  Lines lines(text);
  while (auto line = lines.next()) {
    if (line->empty()) continue;
    if (line->size() > limits.line_bytes_max)
      return bad_line(name, lines.number(), "a line longer than the limit");
    std::string_view rest = *line;
    auto vm = order.find(next_word(rest, ' '));
    if (vm == order.end())
      return bad_line(name, lines.number(), fmt::format("VM '{}' is not in vms.csv", shown(*line)));
    if (set.samples == 0) {
      set.samples = static_cast<std::size_t>(std::ranges::count(rest, ' ')) + 1;
      if (set.samples > limits.samples_max || set.samples * set.vms.size() > limits.values_max)
        return bad_line(name, lines.number(), "more samples than the limit; split the traces");
    }
    out.resize(set.samples * set.vms.size(), -1);
    if (seen[vm->second]++)
      return bad_line(name, lines.number(), fmt::format("VM {} stands there twice", vm->first));
    const double factor = scale(set.vms[vm->second]);
    bool begun = false;
    for (std::size_t k = 0; k < set.samples; ++k) {
      auto value = number<double>(next_word(rest, ' '));
      if (!value || !(*value >= -1) || !(*value < 1e12) || (begun && *value < 0))
        return bad_line(name, lines.number(),
                        fmt::format("sample {} of VM {} is no amount; {} numbers are expected, -1 "
                                    "before the first sample only",
                                    k + 1, vm->first, set.samples));
      begun = begun || *value >= 0;
      out[k * set.vms.size() + vm->second] = *value < 0 ? -1 : *value * factor;
    }
    while (rest.ends_with(' ')) rest.remove_suffix(1);
    if (!rest.empty())
      return bad_line(name, lines.number(),
                      fmt::format("VM {} has more than {} samples", vm->first, set.samples));
  }
  if (auto missing = std::ranges::find(seen, 0); missing != seen.end())
    return bad_line(name, lines.number(),
                    fmt::format("no line for VM {} of vms.csv",
                                set.vms[static_cast<std::size_t>(missing - seen.begin())].name));
  return {};
}

}  // namespace

Result<TraceSet> read_bitbrains(const fs::path& folder, const TraceLimits& limits) {
  TraceSet set;
  set.source = folder.filename().empty() ? folder.parent_path().filename().string()
                                         : folder.filename().string();
  const Order order = TRY(read_sizes(folder / "vms.csv", limits, set));
  TRY(read_wide(plain_or_packed(folder, "cpu_mhz.txt"), order, limits, set, set.cpu,
                [](const TraceVm& vm) { return 1 / vm.cpu_mhz; }));
  TRY(read_wide(plain_or_packed(folder, "mem_used_mb.txt"), order, limits, set, set.memory,
                [](const TraceVm&) { return 1.0; }));
  return set;
}

Result<TraceSet> read_traces(const fs::path& source, const TraceLimits& limits, Duration interval) {
  std::error_code error;
  if (fs::exists(source / "vms.csv", error)) return read_bitbrains(source, limits);
  std::string name = source.filename().string();
  for (std::string_view packed : {".xz", ".gz", ".zst", ".bz2"})
    if (name.ends_with(packed)) name.resize(name.size() - packed.size());
  if (name.ends_with(".csv")) return read_csv(source, interval, limits);
  return read_planetlab(source, limits);
}

}  // namespace chorok::sim::datacenter
