// PlanetLab's format, as CloudSim ships it (Beloglazov and Buyya, CCPE 24(13), 2012).
#include <algorithm>
#include <numeric>

#include "sim/datacenter/trace.h"
#include "sim/datacenter/trace_text.h"

namespace chorok::sim::datacenter {

namespace {

struct Reading {
  std::vector<std::string> names;
  std::vector<std::uint8_t> percent;  // VM by VM
  std::size_t samples = 0;
};

Result<void> read_vm(std::string_view file, std::string_view content, const TraceLimits& limits,
                     Reading& out) {
  if (out.names.size() >= limits.vms_max)
    return fail(Code::kExhausted, fmt::format("{}: more than {} VMs", file, limits.vms_max));
  const std::size_t before = out.percent.size();
  Lines lines(content);
  while (auto line = lines.next()) {
    if (line->empty()) continue;
    auto percent = number<int>(*line);
    if (!percent || *percent < 0 || *percent > 100)
      return bad_line(file, lines.number(),
                      fmt::format("'{}' is no CPU use in percent; a line is a whole number from 0 "
                                  "to 100",
                                  shown(*line)));
    out.percent.push_back(static_cast<std::uint8_t>(*percent));
    if (out.percent.size() > limits.values_max || out.percent.size() - before > limits.samples_max)
      return bad_line(file, lines.number(), "more samples than the limit; split the traces");
  }
  const std::size_t samples = out.percent.size() - before;
  if (samples < 2) return bad_line(file, lines.number(), "a trace needs two samples at least");
  if (out.samples == 0) out.samples = samples;
  if (samples != out.samples)
    return bad_line(
        file, lines.number(),
        fmt::format("{} samples, but the files before it have {}; cut all to one length", samples,
                    out.samples));
  out.names.emplace_back(file.substr(file.find_last_of('/') + 1));
  return {};
}

}  // namespace

Result<TraceSet> read_planetlab(const std::filesystem::path& source, const TraceLimits& limits) {
  Reading reading;
  TRY(for_each_file(source, limits.read,
                    [&](std::string_view file, std::string_view content) -> Result<void> {
                      return read_vm(file, content, limits, reading);
                    }));
  const std::size_t vms = reading.names.size();
  if (vms == 0)
    return fail(Code::kInvalid,
                fmt::format("{}: no trace in it; PlanetLab traces are one file a VM, in a folder "
                            "or a tar",
                            source.string()));
  std::vector<std::size_t> order(vms);
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::string_view(reading.names[i]); });

  TraceSet set;
  set.source = source.filename().string();
  set.samples = reading.samples;
  set.vms.resize(vms);
  set.cpu.resize(vms * set.samples);
  for (std::size_t vm = 0; vm < vms; ++vm) {
    set.vms[vm].name = reading.names[order[vm]];
    if (vm > 0 && set.vms[vm].name == set.vms[vm - 1].name)
      return fail(Code::kInvalid,
                  fmt::format("{}: two files are called '{}'; give one day at a time",
                              source.string(), set.vms[vm].name));
    const std::uint8_t* percent = reading.percent.data() + order[vm] * set.samples;
    for (std::size_t k = 0; k < set.samples; ++k)
      set.cpu[k * vms + vm] = static_cast<double>(percent[k]) / 100.0;
  }
  return set;
}

}  // namespace chorok::sim::datacenter
