#include "sim/datacenter/honest_world.h"

#include <algorithm>
#include <limits>

namespace chorok::sim::datacenter {

namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr double kTinyMib = 1e-6;
constexpr double kTinySeconds = 1e-9;
// However much a VM writes, migration gains on it: QEMU slows it down until it does.
constexpr double kDirtyMost = 0.8;

}  // namespace

HonestWorld::HonestWorld(const TraceSet& trace_set, const HonestSettings& s)
    : traces(trace_set), settings(s) {
  const std::size_t vm_count = traces.vms.size();
  const auto host_count = static_cast<std::size_t>(settings.hosts);
  const std::size_t kinds = settings.vm_types.size();
  const std::size_t part = kinds ? (vm_count + kinds - 1) / kinds : 1;
  for (std::size_t v = 0; v < vm_count; ++v) {
    const TraceVm& vm = traces.vms[v];
    size.push_back(kinds ? settings.vm_types[v / part].mhz : vm.cpu_mhz);
    const std::int32_t own_cores = kinds ? settings.vm_types[v / part].cores : 0;
    cores.push_back(own_cores > 0 ? own_cores : vm.cores);
    memory.push_back(kinds ? settings.vm_types[v / part].memory_mib : vm.memory_mib);
  }
  used_memory = memory;
  asked.assign(vm_count, -1);
  host.assign(vm_count, kNowhere);
  moving.assign(vm_count, 0);
  vm_meter_.resize(vm_count);
  power.assign(host_count, Power::kOff);
  power_since.assign(host_count, 0);
  power_until.assign(host_count, kNever);
  list.resize(host_count);
  reserved.assign(host_count, 0);
  links.assign(host_count, 0);
  incoming.assign(host_count, 0);
  load_.assign(host_count, 0);
  shown_load_.assign(host_count, -1);
  watts_.assign(host_count, 0);
  metered_until_.assign(host_count, 0);
  energy_.assign(host_count, 0);
  memory_is_short_.assign(host_count, 0);
  off_s.assign(host_count, 0);
  is_off_.assign(host_count, 1);
  missing_mhz_.assign(host_count, 0);
  host_meter_.resize(host_count);
  rate_in_.resize(host_count);
  rate_out_.resize(host_count);
}

// ---- Time ----

void HonestWorld::ask(std::size_t sample) {
  const double* share = traces.cpu_at(sample);
  const double* used = traces.memory.empty() ? nullptr : traces.memory.data() + sample * vms();
  waiting_mhz_ = 0;
  for (Id v = 0; v < vms(); ++v) {
    const double before = needed_memory(v);
    asked[v] = share[v] >= 0 ? share[v] * size[v] : host[v] == kNowhere ? -1 : 0;
    if (used && used[v] >= 0) used_memory[v] = used[v];
    if (host[v] != kNowhere) reserved[host[v]] += needed_memory(v) - before;
    if (exists(v) && host[v] == kNowhere) {
      vm_meter_[v].enter(now, 0, asked[v], false);
      waiting_mhz_ += asked[v];
    }
  }
  for (const Migration& m : migrations) {  // the target holds room for it too
    reserved[m.to] = 0;
    for (Id v : list[m.to]) reserved[m.to] += needed_memory(v);
  }
  for (const Migration& m : migrations) reserved[m.to] += needed_memory(m.vm);
  share_links();
  for (Id h = 0; h < hosts(); ++h) refresh(h);
}

double HonestWorld::next_event() const {
  double next = kNever;
  for (double until : power_until) next = std::min(next, until);
  for (const Migration& m : migrations) next = std::min(next, now + m.left_mib / m.rate);
  return next;
}

void HonestWorld::advance(double time) {
  const double span = time - now;
  now = time;
  unmet_mhz_s_ += waiting_mhz_ * span;
  for (Migration& m : migrations) m.left_mib -= m.rate * span;
  for (Id h = 0; h < hosts(); ++h)
    if (power_until[h] <= now + kTinySeconds)
      set_power(h, power[h] == Power::kBooting ? Power::kOn : Power::kOff, kNever);
  bool landed = false;
  for (std::size_t i = 0; i < migrations.size();) {
    if (migrations[i].left_mib > kTinyMib) {
      ++i;
      continue;
    }
    const Migration done = migrations[i];
    migrations.erase(migrations.begin() + static_cast<std::ptrdiff_t>(i));
    land(done);
    landed = true;
  }
  if (landed) share_links();
}

void HonestWorld::land(const Migration& done) {
  std::erase(list[done.from], done.vm);
  list[done.to].push_back(done.vm);
  host[done.vm] = done.to;
  moving[done.vm] = 0;
  reserved[done.from] -= needed_memory(done.vm);
  --links[done.from];
  --links[done.to];
  --incoming[done.to];
  migration_s += now - done.since;
  refresh(done.from);
  refresh(done.to);
}

// A migration gets the smaller of its shares of both links, and loses what the VM writes meanwhile.
void HonestWorld::share_links() {
  std::ranges::fill(rate_in_, 0);
  std::ranges::fill(rate_out_, 0);
  for (const Migration& m : migrations) {
    ++rate_out_[m.from];
    ++rate_in_[m.to];
  }
  for (Migration& m : migrations) {
    const double rate = settings.link_mib_s / std::max(rate_out_[m.from], rate_in_[m.to]);
    const double busy = size[m.vm] > 0 ? std::max(asked[m.vm], 0.0) / size[m.vm] : 0;
    m.rate = rate - std::min(settings.dirty_mib_s * busy, kDirtyMost * rate);
  }
}

void HonestWorld::set_power(Id h, Power p, double until) {
  power[h] = p;
  power_since[h] = now;
  power_until[h] = until;
  refresh(h);
}

// ---- Meters ----

void HonestWorld::refresh(Id h) {
  const double span = now - metered_until_[h];
  energy_[h] += watts_[h] * span;
  if (memory_is_short_[h]) memory_short_s += span;
  if (is_off_[h]) off_s[h] += span;
  unmet_mhz_s_ += missing_mhz_[h] * span;
  metered_until_[h] = now;

  const HostType& type = type_of(h);
  const double copying = settings.migration_load_mhz * links[h];
  double demand = copying;
  double sizes = 0;
  double used = 0;
  for (Id v : list[h]) {
    demand += std::min(asked[v], type.core_mhz * cores[v]);
    sizes += size[v];
    used += used_memory[v];
  }
  const double capacity = type.mhz();
  load_[h] = static_cast<float>(demand / capacity);
  const double scale = demand > capacity ? capacity / demand : 1;
  double given = copying * scale;
  double requested = copying;
  missing_mhz_[h] = 0;
  for (Id v : list[h]) {
    const double most = std::min(asked[v], type.core_mhz * cores[v]) * scale;
    given += most;
    requested += asked[v];
    const double got = moving[v] ? most * (1 - settings.slowed) : most;
    missing_mhz_[h] += asked[v] - got;
    vm_meter_[v].enter(now, got, asked[v], moving[v] != 0);
  }
  switch (power[h]) {
    case Power::kOff:
      watts_[h] = type.curve.standby;
      break;
    case Power::kBooting:
      watts_[h] = boot_j(h) / boot_s(h);
      break;
    case Power::kStopping:
      watts_[h] = shutdown_j(h) / shutdown_s(h);
      break;
    case Power::kOn:
      watts_[h] = type.curve.at(given / capacity);
      break;
  }
  memory_is_short_[h] = used > type.memory_mib;
  is_off_[h] = power[h] == Power::kOff;
  const bool on = power[h] == Power::kOn;
  const double accounted =
      std::min(1.0, sizes / capacity) / 2 + std::min(1.0, reserved[h] / type.memory_mib) / 2;
  host_meter_[h].enter(now, {.allocated = given,
                             .requested = requested,
                             .excess = demand > capacity ? demand / capacity - 1 : 0,
                             .unused = type.curve.watts[0] * (1 - accounted),
                             .active = on});
}

void HonestWorld::start_meters() {
  std::ranges::fill(energy_, 0);
  std::ranges::fill(vm_meter_, VmMeter{});
  std::ranges::fill(metered_until_, now);
  migrations_started = 0;
  migration_s = 0;
  memory_short_s = 0;
  unmet_mhz_s_ = 0;
  std::ranges::fill(off_s, 0);
  for (Id h = 0; h < hosts(); ++h) {
    host_meter_[h] = HostMeter(power[h] == Power::kOn);
    refresh(h);
  }
}

double HonestWorld::energy_j() const {
  double sum = 0;
  for (Id h = 0; h < hosts(); ++h) sum += energy_[h] + watts_[h] * (now - metered_until_[h]);
  return sum;
}

double HonestWorld::unmet_mhz_s() const {
  double sum = unmet_mhz_s_;
  for (Id h = 0; h < hosts(); ++h) sum += missing_mhz_[h] * (now - metered_until_[h]);
  return sum;
}

TickRow HonestWorld::row() {
  TickRow r;
  r.time_s = now;
  const HostType& first = settings.host_types[0];
  auto is_first_type = [&](const HostType& type) {
    return type.curve == first.curve && type.core_mhz == first.core_mhz &&
           type.cores == first.cores && type.memory_mib == first.memory_mib;
  };
  for (Id h = 0; h < hosts(); ++h) {
    const bool on = power[h] == Power::kOn;
    shown_load_[h] = on ? load_[h] : -1;
    r.capacity_mhz += on ? type_of(h).mhz() : 0;
    r.active_hosts += on;
    r.active_first_type += on && is_first_type(type_of(h));
  }
  for (Id v = 0; v < vms(); ++v) {
    r.vms += exists(v);
    r.requested_mhz += std::max(asked[v], 0.0);
  }
  r.energy_kwh = energy_j() / 3.6e6;
  r.migrations = migrations_started;
  r.unmet_mhz_s = unmet_mhz_s();
  r.host_load = shown_load_;
  return r;
}

Metrics HonestWorld::finish() {
  Metrics m;
  m.migrations = migrations_started;
  for (const Migration& under_way : migrations) migration_s += now - under_way.since;
  m.migration_s = migration_s;
  m.vms = static_cast<std::int64_t>(vms());
  m.vms_left = std::ranges::count_if(asked, [](double a) { return a >= 0; });
  for (Id h = 0; h < hosts(); ++h) refresh(h);
  for (Id v = 0; v < vms(); ++v)
    if (exists(v) && host[v] == kNowhere) vm_meter_[v].enter(now, 0, asked[v], false);
  add_up(vm_meter_, host_meter_, energy_j(), m);
  return m;
}

// ---- Actions ----

bool HonestWorld::can_take(Id h, Id v) const {
  // Less a rounding of sums that are added to and taken from all day.
  return power[h] == Power::kOn &&
         reserved[h] + needed_memory(v) <= type_of(h).memory_mib * (1 + kTinySeconds);
}

bool HonestWorld::start_vm(Id v, Id h) {
  if (host[v] != kNowhere || !exists(v) || !can_take(h, v)) return false;
  host[v] = h;
  list[h].push_back(v);
  reserved[h] += needed_memory(v);
  waiting_mhz_ = std::max(0.0, waiting_mhz_ - asked[v]);
  refresh(h);
  return true;
}

bool HonestWorld::migrate(Id v, Id h) {
  const Id from = host[v];
  if (from == kNowhere || from == h || moving[v] || !can_take(h, v) ||
      links[from] >= settings.migrations_parallel || links[h] >= settings.migrations_parallel)
    return false;
  moving[v] = 1;
  reserved[h] += needed_memory(v);
  ++links[from];
  ++links[h];
  ++incoming[h];
  ++migrations_started;
  migrations.push_back(
      {.vm = v, .from = from, .to = h, .since = now, .left_mib = std::max(used_memory[v], 1.0)});
  share_links();
  refresh(from);
  refresh(h);
  return true;
}

bool HonestWorld::power_on(Id h) {
  if (power[h] != Power::kOff) return false;
  set_power(h, Power::kBooting, now + boot_s(h));
  return true;
}

bool HonestWorld::power_off(Id h) {
  if (power[h] != Power::kOn || !list[h].empty() || incoming[h] > 0) return false;
  set_power(h, Power::kStopping, now + shutdown_s(h));
  return true;
}

}  // namespace chorok::sim::datacenter
