// chorok advise --cluster: what a running cluster has recorded of itself.
#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "cli/advise_sources.h"
#include "model/snapshot_text.h"

namespace chorok::cli {

namespace dc = sim::datacenter;

namespace {

Result<model::Snapshot> snapshot_of(Api& api, const std::string& cluster) {
  std::string text;
  TRY(api.download(ref_path("clusters", cluster, "snapshot"), [&](std::string_view bytes) {
    text += bytes;
    return text.size() <= model::kSnapshotBytesMax;
  }));
  return model::read_snapshot(text);
}

// As the manager sees them: sizes without what a host needs itself, curves measured where they are.
advise::Hosts hosts_of(const model::Snapshot& snapshot) {
  advise::Hosts hosts;
  for (const model::SnapshotHost& host : snapshot.hosts) {
    const model::PowerCurve& curve = snapshot.curves[host.curve];
    const auto alike = std::ranges::find_if(hosts.classes, [&](const advise::HostClass& one) {
      return one.type.cores == host.cores && one.type.core_mhz == host.core_mhz &&
             one.type.memory_mib == host.capacity.memory && one.type.curve == curve;
    });
    if (alike != hosts.classes.end()) {
      ++alike->count;
      alike->names.push_back(host.name);
      continue;
    }
    hosts.classes.push_back(
        {.name = fmt::format("{} cores, {:.0f} GiB", host.cores, host.capacity.memory / 1024),
         .source = curve.measured
                       ? "measured by these hosts' own meters"
                       : fmt::format("{}, a model: nobody has measured these hosts", curve.name),
         .type = {.core_mhz = host.core_mhz,
                  .cores = host.cores,
                  .memory_mib = host.capacity.memory,
                  .curve = curve},
         .count = 1,
         .names = {host.name}});
  }
  return hosts;
}

Result<> add_history(Api& api, const model::SnapshotVm& vm, const Period& period,
                     SampleBook& book) {
  const Value answer = TRY(api.get(ref_path("vms", vm.name, "stats"),
                                   {{"from", json::format_time(period.from)},
                                    {"to", json::format_time(period.to)},
                                    {"step", fmt::format("{:.0f}", seconds(period.step))}}));
  const dc::TraceVm size{.cores = vm.vcpus, .cpu_mhz = vm.size.cpu, .memory_mib = vm.size.memory};
  for (const Value& point : answer.get("points").items()) {
    const Time at = TRY(json::parse_time(point.get("at").text()));
    book.add({.vm = book.vm(vm.name, size),
              .time_s = seconds(at.time_since_epoch()),
              .cpu = (point.get("cpu_mhz").number() + point.get("ready_mhz").number()) /
                     std::max(vm.size.cpu, 1.0),
              .memory = point.get("active").number()});
  }
  return {};
}

}  // namespace

Result<Recorded> read_cluster(Session& session, const std::string& cluster, const Period& period,
                              const ReadProgress& progress) {
  Api& api = *TRY(session.api());
  progress(0, fmt::format("reading the snapshot of {}", cluster));
  const model::Snapshot snapshot = TRY(snapshot_of(api, cluster));
  SampleBook book(cluster);
  for (std::size_t i = 0; i < snapshot.vms.size(); ++i) {
    progress(static_cast<double>(i) / static_cast<double>(snapshot.vms.size()),
             fmt::format("reading what {} used", snapshot.vms[i].name));
    TRY(add_history(api, snapshot.vms[i], period, book));
  }
  if (book.is_empty())
    return fail(Code::kFailedPrecondition,
                fmt::format("nothing was recorded of the VMs of '{}' in that time; --since goes "
                            "further back",
                            cluster));
  Recorded out = TRY(std::move(book).close(period));
  out.hosts = hosts_of(snapshot);
  return out;
}

}  // namespace chorok::cli
