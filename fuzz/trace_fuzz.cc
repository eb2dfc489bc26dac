// Traces and experiments, as people get them from elsewhere. The first byte chooses the reader:
// a PlanetLab folder, CSV, Bitbrains' tables, TOML, prices in time. What was read must hold what it
// says it holds, and an experiment on it must end well.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "sim/datacenter/experiment_file.h"
#include "sim/datacenter/trace.h"

using namespace chorok;
using namespace chorok::sim::datacenter;

namespace {

namespace fs = std::filesystem;

// Small: the bounds are part of what is tried.
constexpr TraceLimits kLimits = {
    .read = {.total_bytes_max = 1 << 16, .file_bytes_max = 1 << 15, .files_max = 8},
    .vms_max = 16,
    .samples_max = 512,
    .values_max = 4096,
    .line_bytes_max = 1 << 12};

// Files in a folder of this process, and gone with it.
class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / ("chorok-trace-fuzz-" + std::to_string(getpid()))) {
    fs::create_directories(path_);
  }
  ~Folder() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  const fs::path& path() const { return path_; }
  fs::path write(const char* name, std::string_view text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return path_ / name;
  }
  void clear() const {
    for (const auto& entry : fs::directory_iterator(path_)) fs::remove(entry);
  }

 private:
  fs::path path_;
};

void check(const Result<TraceSet>& read) {
  if (!read) {
    CHOROK_ASSERT(!read.error().message.empty());
    return;
  }
  CHOROK_ASSERT(read->vms.size() <= kLimits.vms_max && read->samples <= kLimits.samples_max);
  CHOROK_ASSERT(read->cpu.size() == read->vms.size() * read->samples);
  CHOROK_ASSERT(read->memory.empty() || read->memory.size() == read->cpu.size());
  for (double share : read->cpu) CHOROK_ASSERT(std::isfinite(share));
  for (double mib : read->memory) CHOROK_ASSERT(std::isfinite(mib));
  for (const TraceVm& vm : read->vms)
    CHOROK_ASSERT(std::isfinite(vm.cpu_mhz) && std::isfinite(vm.memory_mib) && vm.cores > 0);
}

// The next part of the input, up to a line that is "--".
std::string_view next_part(std::string_view& rest) {
  const std::size_t end = rest.find("\n--\n");
  std::string_view part = rest.substr(0, end == std::string_view::npos ? end : end + 1);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 4);
  return part;
}

void feed_experiment(std::string_view text) {
  const Result<ExperimentFile> file = parse_experiment(text);
  if (!file) {
    CHOROK_ASSERT(!file.error().message.empty());
    return;
  }
  const TraceSet traces = synthetic_traces({.vms = 3, .days = 0.01});
  (void)host_mix(*file, traces);
  ExperimentFile changed = *file;
  (void)set_field(changed, text.substr(0, 20), "1");
}

// Means over a day lie between the least and the greatest value.
void feed_series(std::string_view text) {
  auto series = model::parse_series(text, "s.csv", 9, {.bytes_max = 1 << 14, .points_max = 64});
  if (!series) {
    CHOROK_ASSERT(!series.error().message.empty());
    return;
  }
  CHOROK_ASSERT(!series->empty() && series->size() <= 64);
  const model::Calendar calendar{.series = std::move(*series)};
  double least = 1e300;
  double most = -1e300;
  for (std::size_t i = 0; i < calendar.series.size(); ++i) {
    CHOROK_ASSERT(i == 0 || calendar.series[i].from > calendar.series[i - 1].from);
    least = std::min(least, calendar.series[i].value);
    most = std::max(most, calendar.series[i].value);
  }
  const Time from = calendar.series.front().from;
  (void)calendar.covers(from, from + std::chrono::hours(24));
  const double mean = calendar.mean(from, from + std::chrono::hours(24));
  CHOROK_ASSERT(mean >= least * (1 - 1e-9) - 1e-9 && mean <= most * (1 + 1e-9) + 1e-9);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1 || size > 1 << 14) return 0;
  static const Folder folder;
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  folder.clear();
  switch (data[0]) {
    case 'p':
      folder.write("vm_a", next_part(text));
      folder.write("vm_b", next_part(text));
      check(read_planetlab(folder.path(), kLimits));
      break;
    case 'c':
      check(read_csv(folder.write("t.csv", text), std::chrono::minutes(5), kLimits));
      break;
    case 'b':
      folder.write("vms.csv", next_part(text));
      folder.write("cpu_mhz.txt", next_part(text));
      folder.write("mem_used_mb.txt", next_part(text));
      check(read_bitbrains(folder.path(), kLimits));
      break;
    case 'a':  // tars and compressed files
      check(read_traces(folder.write("t.tar.xz", text), kLimits));
      break;
    case 't':
      feed_experiment(text);
      break;
    case 's':
      feed_series(text);
      break;
    default:
      break;
  }
  return 0;
}
