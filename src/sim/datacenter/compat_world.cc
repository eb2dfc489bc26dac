#include "sim/datacenter/compat_world.h"

#include <algorithm>
#include <cmath>

namespace chorok::sim::datacenter {

// On machines with fused multiply-add the results would differ in the last bit, and with it the
// choice between hosts.
#pragma STDC FP_CONTRACT OFF

namespace {

constexpr double kLostWhileMoved = 0.9;  // what a VM gets at the source while it migrates
constexpr double kFeltByTarget = 0.1;    // what it costs the target until it has arrived

}  // namespace

SpecPower::SpecPower(const model::PowerCurve& curve) : watts_(curve.watts) {
  for (std::size_t i = 0; i < watts_.size(); ++i) {
    tenth_[i] = static_cast<double>(i) / 10;
    if (i + 1 < watts_.size()) slope_[i] = (watts_[i + 1] - watts_[i]) / 10;
  }
}

CompatWorld::CompatWorld(const TraceSet& trace_set, const CompatSettings& s)
    : traces(trace_set), settings(s) {
  const std::size_t vm_count = traces.vms.size();
  const auto host_count = static_cast<std::size_t>(settings.hosts);
  migration_rate = settings.host_bandwidth / (2 * 8000);
  for (const HostType& type : settings.host_types) {
    power_of_type.emplace_back(type.curve);
    capacity.push_back(type.mhz());
    core.push_back(type.core_mhz);
  }
  const std::size_t part = (vm_count + settings.vm_types.size() - 1) /
                           std::max<std::size_t>(settings.vm_types.size(), 1);
  for (std::size_t v = 0; v < vm_count; ++v) {
    const VmType& type = settings.vm_types[v / part];
    size.push_back(type.mhz);
    memory.push_back(type.memory_mib);
  }
  requested.assign(vm_count, 0);
  share.assign(vm_count, 0);
  host.assign(vm_count, kNoHost);
  moves.assign(vm_count, 0);
  history.assign(vm_count * kRing, 0);
  asked.assign(vm_count, 0);
  vm_meter.resize(vm_count);
  list.resize(host_count);
  for (auto& vms_of_host : list) vms_of_host.reserve(64);
  load_mhz.assign(host_count, 0);
  watts.assign(host_count, 0);
  host_meter.resize(host_count);
  is_touched_.assign(host_count, 0);
  for (HostId h = 0; h < host_count; ++h) watts[h] = power_of_type[type_of(h)].at(0);
}

void CompatWorld::place(VmId vm, HostId h) {
  host[vm] = h;
  list[h].push_back(vm);
}

// UtilizationModelPlanetLabInMemory.getUtilization: linear between samples, the last one repeated.
void CompatWorld::ask(double time) {
  const double position = time / settings.interval_s;
  const std::size_t last = traces.samples - 1;
  const auto before = static_cast<std::size_t>(position);
  const auto after = static_cast<std::size_t>(std::ceil(position));
  const double* a = traces.cpu_at(std::min(before, last));
  const double* b = traces.cpu_at(std::min(after, last));
  if (before == after) {
    for (std::size_t v = 0; v < vms(); ++v) {
      share[v] = a[v];
      requested[v] = share[v] * size[v];
    }
    return;
  }
  const double span = static_cast<double>(after - before) * settings.interval_s;
  const double since = time - static_cast<double>(before) * settings.interval_s;
  for (std::size_t v = 0; v < vms(); ++v) {
    const double slope = (b[v] - a[v]) / span;
    share[v] = a[v] + slope * since;
    requested[v] = share[v] * size[v];
  }
}

double CompatWorld::load(HostId h) const {
  const double load = load_mhz[h] / capacity[type_of(h)];
  return load > 1 && load < 1.01 ? 1 : load;
}

// VmSchedulerTimeSharedOverSubscription over the host's list: fills allocated_, returns the demand
// (incoming VMs at a tenth), and says whether it is more than there is.
double CompatWorld::allocate(HostId h, bool& over) {
  const std::vector<VmId>& vms_here = list[h];
  const std::size_t type = type_of(h);
  const double most = core[type];
  double left = capacity[type];
  double demand = 0;
  over = false;
  allocated_.resize(vms_here.size());
  for (std::size_t i = 0; i < vms_here.size(); ++i) {
    const VmId v = vms_here[i];
    const bool incoming = is_incoming(h, v);
    const double capped = std::min(requested[v], most);
    const double needed = incoming ? capped * kFeltByTarget : capped;
    demand += needed;
    if (left >= needed)
      left -= needed;
    else
      over = true;
    allocated_[i] = incoming ? needed : moves[v] ? capped * kLostWhileMoved : capped;
  }
  if (!over) return demand;
  const double scale = capacity[type] / demand;
  for (std::size_t i = 0; i < vms_here.size(); ++i) {
    const VmId v = vms_here[i];
    const double capped = std::min(requested[v], most);
    const bool incoming = is_incoming(h, v);
    allocated_[i] = std::floor(incoming   ? capped * kFeltByTarget * scale
                               : moves[v] ? capped * scale * kLostWhileMoved
                                          : capped * scale);
  }
  return demand;
}

// HostDynamicWorkload.updateVmsProcessing, and the host's part of the frame's energy.
void CompatWorld::update_host(HostId h, bool frame) {
  const std::size_t type = type_of(h);
  bool over = false;
  const double demand = allocate(h, over);
  double used = 0;
  double asked_for = 0;
  double sizes = 0;
  double memories = 0;
  for (std::size_t i = 0; i < list[h].size(); ++i) {
    const VmId v = list[h][i];
    double got = allocated_[i];
    if (!is_incoming(h, v)) {
      vm_meter[v].enter(now, got, requested[v], moves[v] != 0);
      if (moves[v]) got /= kLostWhileMoved;
    }
    used += got;
    asked_for += requested[v];
    sizes += size[v];
    memories += memory[v];
  }
  const double watts_before = watts[h];
  const bool drew_power = load_mhz[h] != 0 || (settings.keep_vms && !list[h].empty());
  load_mhz[h] = used;
  watts[h] = power_of_type[type].at(load(h));
  if (frame && drew_power && !first_update_)
    frame_j_ += (watts_before + (watts[h] - watts_before) / 2) * frame_s_;
  const double idle = settings.host_types[type].curve.watts[0];
  const double reserved = std::min(1.0, sizes / capacity[type]) / 2 +
                          std::min(1.0, memories / settings.host_types[type].memory_mib) / 2;
  host_meter[h].enter(now, {.allocated = used,
                            .requested = asked_for,
                            .excess = over ? demand / capacity[type] - 1 : 0,
                            .unused = idle * (1 - reserved),
                            .active = is_active(h)});
}

void CompatWorld::update(double time) {
  frame_s_ = time - now;
  frame_j_ = 0;
  now = time;
  ask(time);
  for (HostId h = 0; h < hosts(); ++h)
    if (!list[h].empty() || load_mhz[h] != 0 || first_update_) update_host(h, frame_s_ > 0);
  first_update_ = false;
  energy_j += frame_j_;
}

void CompatWorld::remember() {
  newest = (newest + 1) % kRing;
  for (std::size_t v = 0; v < vms(); ++v) {
    history[v * kRing + newest] = share[v];
    asked[v] = (asked[v] << 1 | (share[v] != 0 ? 1U : 0U)) & ((1U << kHistory) - 1);
  }
}

void CompatWorld::remove(HostId h, VmId v) {
  auto& vms_here = list[h];
  auto found = std::ranges::find(vms_here, v);
  CHOROK_ASSERT(found != vms_here.end());
  vms_here.erase(found);
}

void CompatWorld::destroy_idle() {
  if (settings.keep_vms) return;
  for (HostId h = 0; h < hosts(); ++h)
    std::erase_if(list[h], [&](VmId v) {
      if (moves[v] || requested[v] != 0) return false;
      host[v] = kNoHost;
      return true;
    });
}

void CompatWorld::touch(HostId h) {
  if (is_touched_[h]) return;
  is_touched_[h] = 1;
  touched_.push_back(h);
}

void CompatWorld::update_touched() {
  for (HostId h : touched_) {
    update_host(h, false);
    is_touched_[h] = 0;
  }
  touched_.clear();
}

// Datacenter's migrations: all at once, each for memory / half the bandwidth. A VM may be sent
// twice in one tick; then it occupies both targets and ends at the second.
void CompatWorld::start(const std::vector<Move>& all) {
  for (const Move& move : all) {
    moves[move.vm] = 1;
    ++migrations;
    migration_s += migration_seconds(move.vm);
    list[move.to].push_back(move.vm);
    const auto order = static_cast<std::uint32_t>(arrivals_.size());
    arrivals_.push_back({now + migration_seconds(move.vm), order, move.vm, move.to});
    touch(host[move.vm]);
    touch(move.to);
  }
  update_touched();
  std::ranges::sort(arrivals_, [](const Arrival& a, const Arrival& b) {
    return a.time != b.time ? a.time < b.time : a.order < b.order;
  });
}

void CompatWorld::arrive(const Arrival& arrival) {
  touch(host[arrival.vm]);
  remove(host[arrival.vm], arrival.vm);
  remove(arrival.to, arrival.vm);
  touch(arrival.to);
  list[arrival.to].push_back(arrival.vm);
  host[arrival.vm] = arrival.to;
  moves[arrival.vm] = 0;
}

void CompatWorld::finish_migrations(const RowSink& row) {
  std::size_t next = 0;
  while (next < arrivals_.size()) {
    const double time = arrivals_[next].time;
    update(time);
    destroy_idle();
    report(row);
    for (; next < arrivals_.size() && arrivals_[next].time == time; ++next) arrive(arrivals_[next]);
    update_touched();
    destroy_idle();
    report(row);
  }
  arrivals_.clear();
}

std::int32_t CompatWorld::active_hosts(std::size_t of_type) const {
  std::int32_t count = 0;
  for (HostId h = 0; h < hosts(); ++h) count += type_of(h) == of_type && is_active(h);
  return count;
}

double CompatWorld::requested_sum() const {
  double sum = 0;
  for (std::size_t v = 0; v < vms(); ++v)
    if (host[v] != kNoHost) sum += requested[v];
  return sum;
}

void CompatWorld::report(const RowSink& row) const {
  if (!row) return;
  TickRow r;
  r.time_s = now;
  for (std::size_t type = 0; type < settings.host_types.size(); ++type)
    r.active_hosts += active_hosts(type);
  r.active_first_type = active_hosts(0);
  r.vms =
      static_cast<std::int32_t>(std::ranges::count_if(host, [](HostId h) { return h != kNoHost; }));
  r.requested_mhz = requested_sum();
  r.energy_kwh = energy_j / 3.6e6;
  r.migrations = migrations;
  std::vector<float> loads(hosts(), -1);
  for (HostId h = 0; h < hosts(); ++h) {
    if (!is_active(h)) continue;
    loads[h] = static_cast<float>(load(h));
    r.capacity_mhz += capacity[type_of(h)];
  }
  r.host_load = loads;
  row(r);
}

Metrics CompatWorld::finish() {
  Metrics m;
  m.migrations = migrations;
  m.migration_s = migration_s;
  m.vms = static_cast<std::int64_t>(vms());
  m.vms_left = std::ranges::count_if(host, [](HostId h) { return h != kNoHost; });
  add_up(vm_meter, host_meter, energy_j, m);
  return m;
}

}  // namespace chorok::sim::datacenter
