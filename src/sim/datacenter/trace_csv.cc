// Samples as a table: a line each, in any order, at any pace.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "base/json.h"
#include "sim/datacenter/trace.h"
#include "sim/datacenter/trace_slots.h"
#include "sim/datacenter/trace_text.h"

namespace chorok::sim::datacenter {

namespace {

enum Column : std::uint8_t {
  kTime,
  kVm,
  kCpuPercent,
  kCpuMhz,
  kMemoryMib,
  kSizeMhz,
  kSizeMib,
  kCores,
  kColumns
};
constexpr std::array<std::string_view, kColumns> kNames = {
    "time_s", "vm", "cpu_percent", "cpu_mhz", "memory_mib", "size_mhz", "size_mib", "cores"};
constexpr std::size_t kNoColumn = 1000;
constexpr std::size_t kFieldsMax = 64;

struct Table {
  std::array<std::size_t, kColumns> place{};  // of a column in a line
  std::vector<TraceSample> samples;           // cpu: percent or MHz until all is read
  bool has(Column column) const { return place[column] != kNoColumn; }
};

Result<void> read_header(std::string_view file, std::string_view line, Table& table) {
  table.place.fill(kNoColumn);
  for (std::size_t at = 0; !line.empty() && at < kFieldsMax; ++at) {
    const std::string_view word = next_word(line, ',');
    auto known = std::ranges::find(kNames, word);
    if (known == kNames.end())
      return bad_line(file, 1,
                      fmt::format("column '{}' is unknown; there are time_s, vm, cpu_percent, "
                                  "cpu_mhz, memory_mib, size_mhz, size_mib, cores",
                                  shown(word)));
    table.place[static_cast<std::size_t>(known - kNames.begin())] = at;
  }
  if (!table.has(kTime) || !table.has(kVm) || table.has(kCpuPercent) == table.has(kCpuMhz))
    return bad_line(file, 1,
                    "the columns time_s, vm and one of cpu_percent and cpu_mhz are needed");
  if (table.has(kCpuMhz) && !table.has(kSizeMhz))
    return bad_line(file, 1, "cpu_mhz needs size_mhz, the VM's provisioned CPU, beside it");
  return {};
}

// Seconds, or a time such as 2026-11-21T22:24:48Z.
std::optional<double> time_of(std::string_view word) {
  if (auto plain = number<double>(word)) return plain;
  auto stamp = json::parse_time(word);
  if (!stamp) return std::nullopt;
  return seconds(stamp->time_since_epoch());
}

class Rows {
 public:
  Rows(std::string_view file, const TraceLimits& limits, Table& table, TraceSet& set)
      : file_(file), limits_(limits), table_(table), set_(set) {}

  Result<void> take(std::string_view line, std::size_t number_of_line) {
    std::array<std::string_view, kFieldsMax> words{};
    std::size_t count = 0;
    while (!line.empty() && count < kFieldsMax) words[count++] = next_word(line, ',');
    auto word = [&](Column c) {
      return table_.has(c) ? words[table_.place[c]] : std::string_view();
    };
    auto amount = [&](Column c) -> Result<double> {
      auto value = number<double>(word(c));
      if (!value || !std::isfinite(*value) || *value < 0 || *value > 1e12)
        return bad_line(file_, number_of_line,
                        fmt::format("{} is '{}', not an amount", kNames[c], shown(word(c))));
      return *value;
    };
    auto time = time_of(word(kTime));
    if (!time || !std::isfinite(*time))
      return bad_line(file_, number_of_line,
                      fmt::format("time_s is '{}', neither seconds nor a time as in "
                                  "2026-11-21T22:24:48Z",
                                  shown(word(kTime))));
    if (word(kVm).empty()) return bad_line(file_, number_of_line, "no VM's name");
    if (table_.samples.size() >= limits_.values_max)
      return bad_line(file_, number_of_line, "more samples than the limit; split the traces");
    TraceSample sample{.vm = TRY(vm_of(word(kVm), number_of_line)), .time_s = *time};
    sample.cpu = TRY(amount(table_.has(kCpuPercent) ? kCpuPercent : kCpuMhz));
    if (!word(kMemoryMib).empty()) sample.memory = TRY(amount(kMemoryMib));
    TraceVm& vm = set_.vms[sample.vm];
    if (!word(kSizeMhz).empty()) vm.cpu_mhz = std::max(vm.cpu_mhz, TRY(amount(kSizeMhz)));
    if (!word(kSizeMib).empty()) vm.memory_mib = std::max(vm.memory_mib, TRY(amount(kSizeMib)));
    if (!word(kCores).empty())
      vm.cores = static_cast<std::int32_t>(std::clamp(TRY(amount(kCores)), 1.0, 4096.0));
    table_.samples.push_back(sample);
    return {};
  }

 private:
  Result<std::size_t> vm_of(std::string_view name, std::size_t line) {
    if (auto known = order_.find(name); known != order_.end()) return known->second;
    if (set_.vms.size() >= limits_.vms_max)
      return bad_line(file_, line, fmt::format("more than {} VMs", limits_.vms_max));
    order_.emplace(name, set_.vms.size());
    set_.vms.push_back({.name = std::string(name)});
    return set_.vms.size() - 1;
  }

  std::string_view file_;
  const TraceLimits& limits_;
  Table& table_;
  TraceSet& set_;
  std::map<std::string, std::size_t, std::less<>> order_;
};

}  // namespace

Result<TraceSet> read_csv(const std::filesystem::path& file, Duration interval,
                          const TraceLimits& limits) {
  CHOROK_ASSERT(interval > Duration::zero());
  const std::string text = TRY(read_file(file, limits.read));
  TraceSet set;
  set.source = file.filename().string();
  set.interval = interval;
  Table table;
  Rows rows(set.source, limits, table, set);
  Lines lines(text);
  while (auto line = lines.next()) {
    if (line->size() > limits.line_bytes_max)
      return bad_line(set.source, lines.number(), "a line longer than the limit");
    if (lines.number() == 1) {
      TRY(read_header(set.source, *line, table));
    } else if (!line->empty()) {
      TRY(rows.take(*line, lines.number()));
    }
  }
  if (table.samples.empty()) return bad_line(set.source, lines.number(), "no sample in it");
  if (table.has(kCpuMhz))
    for (const TraceVm& vm : set.vms)
      if (!(vm.cpu_mhz > 0))
        return fail(Code::kInvalid, fmt::format("{}: size_mhz of VM {} is 0; give its provisioned "
                                                "CPU",
                                                set.source, vm.name));
  for (TraceSample& sample : table.samples)
    sample.cpu /= table.has(kCpuPercent) ? 100 : set.vms[sample.vm].cpu_mhz;
  TRY(into_slots(table.samples, table.has(kMemoryMib), limits, set));
  return set;
}

}  // namespace chorok::sim::datacenter
