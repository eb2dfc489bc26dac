#include "manager/energy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "manager/cluster_snapshot.h"
#include "manager/energy_report.h"
#include "manager/telemetry.h"
#include "model/curves.h"
#include "policy/energy_share.h"

namespace chorok::manager {
namespace {

using ports::EnergyMeasure;

constexpr double kInvariant = 0.001;
constexpr Duration kSmallGap = std::chrono::seconds(1);
constexpr std::size_t kVmsMax = 200'000;
constexpr Duration kSweep = std::chrono::hours(1);
constexpr Duration kForget = std::chrono::hours(24);
// Meters of a large cluster are asked in turn, every few seconds.
constexpr Duration kMeterNews = std::chrono::minutes(1);
// What is known of a curve: written down for this host, of a machine like it, of the usual machine.
constexpr double kErrorOwn = 0.1, kErrorNamed = 0.2, kErrorUsual = 0.35;

bool is_off(const model::Host& host) {
  const bool no_power =
      host.power == model::HostPower::kOff || host.power == model::HostPower::kStandby;
  return host.link != model::HostLink::kConnected &&
         (no_power || host.watch.phase == model::HostPhase::kDown);
}

}  // namespace

const Type& EnergyCursor::type() {
  static const Type kType = describe<EnergyCursor>("EnergyCursor", "")
                                .field("until", &EnergyCursor::until, "")
                                .field("joules", &EnergyCursor::joules, "")
                                .field("meter", &EnergyCursor::meter, "");
  return kType;
}

bool is_rested(const model::Host& host) {
  const auto phase = host.watch.phase;
  return host.admin == model::HostAdmin::kEnabled &&
         (phase == model::HostPhase::kDown || phase == model::HostPhase::kStopping ||
          phase == model::HostPhase::kWaking);
}

HostMeter::Curve curve_of(const model::Host& host) {
  HostMeter::Curve out;
  const model::PowerModel& known = host.power_model;
  const model::CpuInventory& cpu = host.inventory.cpu;
  const std::int32_t cores = std::max(0, cpu.sockets) * std::max(0, cpu.cores);
  out.watts = modelled_curve(cores > 0 ? cores : std::max(1, cpu.online));
  out.error = kErrorUsual;
  if (const model::KnownCurve* found = model::find_curve(known.curve)) {
    const double standby = found->curve.standby > 0 ? found->curve.standby : out.watts.standby;
    out.watts = found->curve;
    out.watts.standby = standby;
    out.error = kErrorNamed;
  }
  if (known.watts.size() == out.watts.watts.size()) {
    std::ranges::copy(known.watts, out.watts.watts.begin());
    out.watts.name = "own";
    out.error = kErrorOwn;
  }
  if (known.standby > 0) out.watts.standby = known.standby;
  out.simulated = host.inventory.simulated;
  return out;
}

EnergyAccounts::EnergyAccounts(const Engine& engine, EnergyAccountsSettings settings)
    : engine_(engine), settings_(settings), began_(engine.now()) {}

EnergyAccounts::HostState& EnergyAccounts::state_of(const model::Host& host) {
  HostState& state = hosts_[host.meta.id];
  state.meter.set_curve(curve_of(host));
  state.meter.set_gap(settings_.gap);
  return state;
}

void EnergyAccounts::read(const std::string& id, const model::PowerReading& reading) {
  auto host = engine_.inventory().hosts().find(id);
  if (host != nullptr) state_of(*host).meter.read(reading);
}

EnergyAccount EnergyAccounts::take(const model::Host& host, HostState& state,
                                   const HostMeter::Span& span) {
  EnergyAccount out{.host = host.meta.id, .from = span.from, .to = span.to, .off = span.off};
  const double elapsed = seconds(span.to - span.from);
  const double idle = state.meter.idle() * elapsed;  // before this span teaches it
  out.drawn = state.meter.take(span);
  state.until = span.to;
  state.joules += out.drawn.joules;
  out.idle = std::min(idle, out.drawn.joules);
  out.unused = out.drawn.joules;
  if (span.off) out.standby = out.drawn.joules;
  // Against the same host idling all that time: boots and shutdowns are in what it drew.
  if (is_rested(host)) out.saved = idle - out.drawn.joules;
  state.saved += out.saved;
  return out;
}

std::vector<EnergyAccount> EnergyAccounts::account(Consumption& consumption) {
  std::vector<EnergyAccount> out;
  auto host = engine_.inventory().hosts().find(consumption.host);
  if (host == nullptr || consumption.to <= Time{}) return out;
  HostState& state = state_of(*host);
  state.seen = engine_.now();
  const bool known = state.until > Time{};
  if (known && consumption.from - state.until > kSmallGap) {
    out.push_back(take(*host, state, {.from = state.until, .to = consumption.from, .off = false}));
    note(state, out.back(), nullptr);
  }
  HostMeter::Span span{.from = known ? std::min(state.until, consumption.to) : consumption.from,
                       .to = consumption.to,
                       .local = &consumption.power};
  span.whole = span.from - consumption.from < kSmallGap;
  const auto capacity = static_cast<double>(host->inventory.cpu.capacity.value);
  if (consumption.usage && capacity > 0)
    span.load = std::min(1.0, consumption.usage->cpu_mhz / capacity);
  if (span.to <= span.from) {  // the first sample, or one of a time that is accounted for
    if (!known) state.until = consumption.to;
    state.meter.see(consumption.power);
    return out;
  }
  EnergyAccount account = take(*host, state, span);
  divide(*host, consumption, account);
  for (std::size_t i = 0; i < account.vms.size(); ++i) consumption.vms[i].energy_j = account.vms[i];
  note(state, account, &consumption);
  check(state, *host, account);
  out.push_back(std::move(account));
  return out;
}

void EnergyAccounts::divide(const model::Host& host, const Consumption& consumption,
                            EnergyAccount& account) const {
  const double elapsed = seconds(account.to - account.from);
  const double whole = seconds(consumption.to - consumption.from);
  const double core = static_cast<double>(host.inventory.cpu.mhz.value);
  policy::HostEnergySample before;
  before.at = account.from;
  before.boot = "one";
  before.reading.energy = Joules(0);
  policy::HostEnergySample after = before;
  after.at = account.to;
  after.cpu = static_cast<double>(host.inventory.cpu.capacity.value);
  after.memory = static_cast<double>(host.inventory.memory.value);
  after.idle = Watts(account.idle / elapsed);
  after.reading.energy = Joules(account.drawn.joules);
  after.reading.source = account.drawn.source;
  // Of a time that is partly accounted for already, the part that is not.
  const double part = whole > 0 ? std::min(1.0, elapsed / whole) : 1;
  if (consumption.usage && core > 0)
    after.cpu_time = from_seconds(consumption.usage->cpu_mhz / core * whole * part);
  for (std::size_t i = 0; i < consumption.vms.size(); ++i) {
    const VmConsumption& vm = consumption.vms[i];
    after.vms.push_back({.vm = fmt::format("{}", i),
                         .cpu_time = from_seconds(vm.cpu_s * part),
                         .cpu = vm.ended ? 0 : vm.claim_mhz,
                         .memory = vm.ended ? 0 : vm.claim_mib});
  }
  auto shared = policy::share_energy(before, after);
  account.vms.assign(consumption.vms.size(), 0);
  if (!shared) return log_.error("host {}: {}", host.meta.name, shared.error().message);
  for (std::size_t i = 0; i < shared->vms.size(); ++i)
    account.vms[i] = shared->vms[i].energy.total().value;
  account.unused = shared->unused.total().value;
}

void EnergyAccounts::note(HostState& state, const EnergyAccount& account,
                          const Consumption* consumption) {
  const double elapsed = seconds(account.to - account.from);
  if (elapsed <= 0) return;
  const Drawn& drawn = account.drawn;
  HostNow& now = state.now;
  now = {.at = account.to,
         .interval = account.to - account.from,
         .watts = drawn.joules / elapsed,
         .vms = (drawn.joules - account.unused) / elapsed,
         .unused = account.unused / elapsed,
         .error = drawn.joules > 0 ? drawn.error / drawn.joules : 0,
         .idle = state.meter.idle(),
         .joules = state.joules,
         .saved = state.saved,
         .off = account.off,
         .estimated = drawn.estimated > 0,
         .source = drawn.source,
         .method = drawn.method};
  if (consumption == nullptr) return;
  for (std::size_t i = 0; i < account.vms.size(); ++i) {
    const std::string& uuid = consumption->vms[i].uuid;
    if (!vms_.contains(uuid) && vms_.size() >= kVmsMax) continue;
    VmNow& vm = vms_[uuid];
    // Two lives of one VM in one interval are one VM.
    const bool same = vm.at == account.to && vm.host == account.host;
    vm.watts = account.vms[i] / elapsed + (same ? vm.watts : 0);
    vm.at = account.to;
    vm.host = account.host;
    vm.joules += account.vms[i];
  }
}

double parts_of(const EnergyAccount& account) {
  return std::accumulate(account.vms.begin(), account.vms.end(), account.unused);
}

bool adds_up(const EnergyAccount& account) {
  return std::abs(parts_of(account) - account.drawn.joules) <=
         kInvariant * std::max(account.drawn.joules, 1.0);
}

void EnergyAccounts::check(HostState& state, const model::Host& host,
                           const EnergyAccount& account) {
  if (adds_up(account)) return;
  ++violations_;
  if (state.complained) return;
  state.complained = true;
  const std::string words =
      fmt::format("the energy of host {} is {:.1f} J, its VMs' and the unused are {:.1f} J",
                  host.meta.name, account.drawn.joules, parts_of(account));
  log_.error("{}", words);
  if (violated_) violated_(host.meta.id, words);
}

std::optional<WattsLine::Reading> EnergyAccounts::metered(const std::string& id) const {
  auto it = hosts_.find(id);
  if (it == hosts_.end()) return std::nullopt;
  const WattsLine::Reading* last = it->second.meter.wall().last();
  if (last == nullptr || engine_.now() - last->at > kMeterNews) return std::nullopt;
  return *last;
}

std::optional<model::PowerCurve> EnergyAccounts::learned_curve(const std::string& id) const {
  auto it = hosts_.find(id);
  return it == hosts_.end() ? std::nullopt : it->second.meter.learned();
}

std::vector<EnergyAccount> EnergyAccounts::absent() {
  std::vector<EnergyAccount> out;
  const Time now = engine_.now();
  if (now - swept_ > kSweep) {
    swept_ = now;
    std::erase_if(vms_, [&](const auto& entry) { return now - entry.second.at > kForget; });
  }
  for (const auto& [id, host] : engine_.inventory().hosts().all()) {
    const bool never = host->inventory.cpu.capacity <= Mhz{} && host->bmc.driver.empty();
    if (never) continue;
    HostState& state = state_of(*host);
    const bool was_off = std::exchange(state.is_off, is_off(*host));
    if (state.until == Time{}) {
      state.until = now;
      continue;
    }
    // How it went is not what it draws in standby: accounted apart, and what follows is told soon.
    // While this manager was away it went early rather than late: the hours of a host that is found
    // off, and has told nothing since, are hours off.
    const bool off = state.is_off && (was_off || state.until < began_);
    const bool goes = state.is_off && !off;
    const bool lost = host->link != model::HostLink::kConnected;
    // An agent that comes back tells what its VMs did meanwhile.
    Duration patience = lost ? settings_.lost : settings_.silent;
    if (off) patience = state.now.off ? settings_.off_every : Duration::zero();
    const Time since = off ? state.until : std::max({state.until, state.seen, began_});
    if (!goes && now - since < patience) continue;
    Time to = now;
    if (const WattsLine::Reading* last = state.meter.wall().last();
        last != nullptr && state.meter.wall().covers(now))
      to = std::min(now, last->at);
    if (to <= state.until) {
      state.is_off = was_off;  // accounted apart when there is something to account
      continue;
    }
    out.push_back(take(*host, state, {.from = state.until, .to = to, .off = off}));
    note(state, out.back(), nullptr);
  }
  return out;
}

Drawn EnergyAccounts::pending(const std::string& id, Time from, Time to) const {
  auto it = hosts_.find(id);
  auto host = engine_.inventory().hosts().find(id);
  if (it == hosts_.end() || host == nullptr || it->second.until == Time{}) return {};
  const HostState& state = it->second;
  to = std::min(to, engine_.now());
  if (to <= state.until || to <= from) return {};
  HostMeter::Span span{.from = state.until, .to = to, .off = is_off(*host)};
  Drawn out = state.meter.peek(span);
  // Of what is not accounted for, the part that was asked for.
  const double part = std::min(1.0, seconds(to - from) / seconds(to - state.until));
  for (double* each : {&out.joules, &out.measured, &out.estimated, &out.error}) *each *= part;
  return out;
}

EnergyCursor EnergyAccounts::cursor(const std::string& host) const {
  auto it = hosts_.find(host);
  if (it == hosts_.end()) return {};
  return {
      .until = it->second.until, .joules = it->second.joules, .meter = it->second.meter.cursor()};
}

void EnergyAccounts::restore(const std::string& id, const EnergyCursor& cursor) {
  if (cursor.until == Time{}) return;
  // What its meter has taught is by its curve.
  const auto host = engine_.inventory().hosts().find(id);
  HostState& state = host != nullptr ? state_of(*host) : hosts_[id];
  state.until = std::min(cursor.until, engine_.now());
  state.seen = engine_.now();
  state.joules = cursor.joules;
  state.now.joules = cursor.joules;
  state.is_off = host != nullptr && is_off(*host);
  state.meter.restore(cursor.meter);
}

std::vector<ports::HistoryUse> EnergyAccounts::uses(const EnergyAccount& account) const {
  std::vector<ports::HistoryUse> out;
  auto host = engine_.inventory().hosts().find(account.host);
  if (host == nullptr) return out;
  ports::HistoryUse use{.series = "energy/host/" + account.host, .amounts = {}};
  use.amounts[EnergyMeasure::kTotal] = account.drawn.joules;
  use.amounts[EnergyMeasure::kIdle] = account.idle;
  use.amounts[EnergyMeasure::kUnused] = account.unused;
  use.amounts[EnergyMeasure::kMeasured] = account.drawn.measured;
  use.amounts[EnergyMeasure::kEstimated] = account.drawn.estimated;
  use.amounts[EnergyMeasure::kError] = account.drawn.error;
  use.amounts[EnergyMeasure::kStandby] = account.standby;
  use.amounts[EnergyMeasure::kSaved] = account.saved;
  out.push_back(use);
  const std::string& cluster = engine_.inventory().cluster_of(*host).meta.id;
  use.series = "energy/cluster/" + cluster;
  out.push_back(std::move(use));
  const Drawn& drawn = account.drawn;
  const auto sources = by_source(drawn.source, drawn.method, drawn.joules, drawn.estimated);
  out.push_back({.series = "meter/host/" + account.host, .amounts = sources});
  out.push_back({.series = "meter/cluster/" + cluster, .amounts = sources});
  return out;
}

const EnergyAccounts::HostNow* EnergyAccounts::host(const std::string& id) const {
  auto it = hosts_.find(id);
  return it == hosts_.end() || it->second.now.at == Time{} ? nullptr : &it->second.now;
}

const EnergyAccounts::VmNow* EnergyAccounts::vm(const std::string& uuid) const {
  auto it = vms_.find(uuid);
  return it == vms_.end() ? nullptr : &it->second;
}

}  // namespace chorok::manager
