#include "sim/datacenter/honest_world.h"

#include <algorithm>
#include <limits>
#include <tuple>

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
  heard.assign(host_count, 0);
  is_off_.assign(host_count, 1);
  missing_mhz_.assign(host_count, 0);
  host_meter_.resize(host_count);
  rate_in_.resize(host_count);
  rate_out_.resize(host_count);
  suffers_.resize(host_count);
  cut_since_.assign(host_count, 0);
  ran_.assign(vm_count, 0);
  find_last_samples();
  line_up_faults();
}

// A VM that is in no sample after this one has left by then.
void HonestWorld::find_last_samples() {
  last_sample_.assign(vms(), 0);
  std::size_t unknown = vms();
  std::vector<std::uint8_t> known(vms(), 0);
  for (std::size_t k = traces.samples; k-- > 0 && unknown > 0;) {
    const double* share = traces.cpu_at(k);
    for (Id v = 0; v < vms(); ++v) {
      if (known[v] || share[v] < 0) continue;
      known[v] = 1;
      last_sample_[v] = k;
      --unknown;
    }
  }
}

void HonestWorld::line_up_faults() {
  using What = FaultEvent::What;
  for (const Fault& fault : settings.faults) {
    const auto add = [&](What what, double at) {
      fault_events_.push_back(
          {.what = what, .at_s = at, .kind = fault.kind, .host = static_cast<Id>(fault.host)});
    };
    add(What::kBegins, fault.at_s);
    if (fault.kind == FaultKind::kPartition && fault.for_s > settings.agent_lease_s)
      add(What::kLeaseEnds, fault.at_s + settings.agent_lease_s);
    add(What::kEnds, fault.at_s + fault.for_s);
  }
  std::ranges::sort(fault_events_, {}, [](const FaultEvent& e) {
    return std::tuple(e.at_s, e.host, static_cast<int>(e.kind), static_cast<int>(e.what));
  });
}

// ---- Time ----

void HonestWorld::ask(std::size_t sample) {
  const double* share = traces.cpu_at(sample);
  const double* used = traces.memory.empty() ? nullptr : traces.memory.data() + sample * vms();
  waiting_mhz_ = 0;
  for (Id v = 0; v < vms(); ++v) {
    const double before = needed_memory(v);
    if (sample > last_sample_[v]) {
      if (exists(v)) leave(v);
      continue;
    }
    asked[v] = share[v] >= 0 ? share[v] * size[v] : exists(v) ? 0 : -1;
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
  if (next_fault_ < fault_events_.size()) next = std::max(now, fault_events_[next_fault_].at_s);
  for (double until : power_until) next = std::min(next, until);
  for (const Migration& m : migrations) next = std::min(next, now + m.left_mib / m.rate);
  return next;
}

void HonestWorld::advance(double time) {
  const double span = time - now;
  now = time;
  unmet_mhz_s_ += waiting_mhz_ * span;
  vm_down_s += static_cast<double>(down_) * span;
  for (Migration& m : migrations) m.left_mib -= m.rate * span;
  for (Id h = 0; h < hosts(); ++h)
    if (power_until[h] <= now + kTinySeconds)
      set_power(h, power[h] == Power::kBooting ? Power::kOn : Power::kOff, kNever);
  bool ended = false;
  for (std::size_t i = 0; i < migrations.size();) {
    if (migrations[i].left_mib > kTinyMib) {
      ++i;
      continue;
    }
    const Migration done = migrations[i];
    migrations.erase(migrations.begin() + static_cast<std::ptrdiff_t>(i));
    end(done,
        !suffers(done.from, FaultKind::kMigration) && !suffers(done.to, FaultKind::kMigration));
    ended = true;
  }
  if (ended) share_links();
  strike();
}

void HonestWorld::end(const Migration& migration, bool arrived) {
  const Id v = migration.vm;
  if (arrived) {
    std::erase(list[migration.from], v);
    list[migration.to].push_back(v);
    host[v] = migration.to;
  }
  reserved[arrived ? migration.from : migration.to] -= needed_memory(v);
  moving[v] = 0;
  --links[migration.from];
  --links[migration.to];
  --incoming[migration.to];
  migration_s += now - migration.since;
  refresh(migration.from);
  refresh(migration.to);
}

// ---- Faults ----

void HonestWorld::strike() {
  using What = FaultEvent::What;
  for (;
       next_fault_ < fault_events_.size() && fault_events_[next_fault_].at_s <= now + kTinySeconds;
       ++next_fault_) {
    const FaultEvent& event = fault_events_[next_fault_];
    if (event.host >= hosts()) continue;
    if (connected(event.host)) heard[event.host] = now;
    std::uint8_t& count = suffers_[event.host][static_cast<std::size_t>(event.kind)];
    if (event.what == What::kEnds) {
      --count;
    } else if (event.what == What::kBegins) {
      ++count;
      if (event.kind == FaultKind::kPartition && count == 1) cut_since_[event.host] = now;
      if (event.kind == FaultKind::kHost) lose(event.host);
    } else if (count > 0 && now - cut_since_[event.host] + kTinySeconds >= settings.agent_lease_s) {
      // The agent stops what it may not run any more. Where HA is off, nobody asks it to.
      if (stops_without_lease)
        while (!list[event.host].empty()) stop_vm(list[event.host].back());
    }
  }
}

void HonestWorld::cut_power(Id h) {
  if (power[h] != Power::kOff && !suffers(h, FaultKind::kBmc)) lose(h);
}

void HonestWorld::lose(Id h) {
  while (!list[h].empty()) stop_vm(list[h].back());
  for (std::size_t i = migrations.size(); i-- > 0;) {
    if (migrations[i].to != h) continue;
    const Migration broken = migrations[i];
    migrations.erase(migrations.begin() + static_cast<std::ptrdiff_t>(i));
    end(broken, false);
  }
  if (power[h] != Power::kOff) set_power(h, Power::kOff, kNever);
  share_links();
}

// It is asked for, and runs nowhere.
void HonestWorld::stop_vm(Id v) {
  const Id h = host[v];
  ++vms_lost;
  ++down_;
  take_away(v);
  waiting_mhz_ += asked[v];
  vm_meter_[v].enter(now, 0, asked[v], false);
  refresh(h);
}

void HonestWorld::take_away(Id v) {
  const Id h = host[v];
  if (moving[v]) {
    const auto own = std::ranges::find(migrations, v, &Migration::vm);
    const Migration broken = *own;
    migrations.erase(own);
    end(broken, false);
  }
  std::erase(list[h], v);
  reserved[h] -= needed_memory(v);
  host[v] = kNowhere;
}

void HonestWorld::leave(Id v) {
  if (host[v] != kNowhere)
    take_away(v);
  else
    down_ -= ran_[v];
  asked[v] = -1;
  vm_meter_[v].enter(now, 0, 0, false);
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
  if (connected(h)) heard[h] = now;
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
  vm_down_s = 0;
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
  return power[h] == Power::kOn && needed_memory(v) <= free_memory(h);
}

bool HonestWorld::start_vm(Id v, Id h) {
  doubles += host[v] != kNowhere;
  if (host[v] != kNowhere || !exists(v) || !can_take(h, v)) return false;
  host[v] = h;
  list[h].push_back(v);
  reserved[h] += needed_memory(v);
  down_ -= ran_[v];
  ran_[v] = 1;
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
  if (suffers(h, FaultKind::kHost) || suffers(h, FaultKind::kBmc) || suffers(h, FaultKind::kWake))
    return true;  // ordered, and nothing happens
  set_power(h, Power::kBooting, now + boot_s(h));
  return true;
}

bool HonestWorld::power_off(Id h) {
  if (power[h] != Power::kOn || !list[h].empty() || incoming[h] > 0) return false;
  if (suffers(h, FaultKind::kBmc)) return true;
  set_power(h, Power::kStopping, now + shutdown_s(h));
  return true;
}

}  // namespace chorok::sim::datacenter
