#include "manager/telemetry.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace chorok::manager {
namespace {

// More than a VM can do in the time is no measurement: its vCPUs, and QEMU's own threads.
constexpr double kOwnThreads = 4;
constexpr double kPlausible = 1.5;
constexpr double kPlausibleMore = 5;  // seconds
// An incoming guest waits on the target while it runs on the source.
constexpr Duration kElsewhere = std::chrono::seconds(30);
constexpr Duration kGuestWordHolds = std::chrono::minutes(2);

double number(Mib amount) {
  return static_cast<double>(amount.value);
}

// What a counter grew by. A sum over devices shrinks when one is taken out.
double growth(std::int64_t before, std::int64_t now) {
  return static_cast<double>(std::max<std::int64_t>(now - before, 0));
}
template <class Tag>
double growth(Quantity<Tag> before, Quantity<Tag> now) {
  return growth(before.value, now.value);
}
// In seconds.
double growth(Duration before, Duration now) {
  return growth(before.count(), now.count()) / 1e9;
}

// A domain that was busy when it was asked told less of itself: what it said last is still so.
void carry_on(const model::VmSample& before, Duration interval, model::VmSample& now) {
  auto carry = [&](auto member) {
    if (now.*member == std::remove_cvref_t<decltype(now.*member)>{}) now.*member = before.*member;
  };
  carry(&model::VmSample::disk_read);
  carry(&model::VmSample::disk_written);
  carry(&model::VmSample::disk_reads);
  carry(&model::VmSample::disk_writes);
  carry(&model::VmSample::net_received);
  carry(&model::VmSample::net_sent);
  carry(&model::VmSample::swap_in);
  carry(&model::VmSample::swap_out);
  const Duration age = before.guest_age + interval;
  if (now.guest_known() || now.state != model::VmState::kOn || age > kGuestWordHolds) return;
  now.guest_available = before.guest_available;
  now.guest_unused = before.guest_unused;
  now.guest_usable = before.guest_usable;
  now.guest_caches = before.guest_caches;
  now.guest_age = age;
}

void fill_memory(VmUsage& usage, const model::VmSample& vm) {
  usage.memory = number(vm.memory);
  usage.consumed = vm.memory_resident > Mib{} ? number(vm.memory_resident) : usage.memory;
  usage.guest_known = vm.guest_known();
  if (!usage.guest_known) {
    usage.active = std::min(usage.consumed, usage.memory);
    return;
  }
  const double used = number(vm.guest_available) - number(vm.guest_usable);
  usage.active = std::clamp(used, 0.0, usage.memory);
  usage.reclaimable = std::clamp(usage.consumed - usage.active, 0.0, number(vm.guest_usable));
}

// What the guest asked for: what it used, and of what it waited the part that it does not sleep
// (Gulati et al., VMware Distributed Resource Management, 2012). Who never sleeps wanted all of it.
// Who does a little now and then waits at each turn where others are busy (a migration is enough),
// and yet gets all that it asks for.
double demand_mhz(const VmUsage& usage, double core_mhz) {
  const double waited = usage.ready_mhz;
  const double slept =
      std::max(0.0, std::max(1, usage.vcpus) * core_mhz - usage.vcpus_mhz - waited);
  const double awake = usage.vcpus_mhz + slept;
  return usage.vcpus_mhz + (awake > 0 ? waited * usage.vcpus_mhz / awake : waited);
}

Result<> check(const model::HostSample& sample, std::size_t index) {
  auto at = [&](const char* field) { return fmt::format("/samples/{}/{}", index, field); };
  if (sample.boot_id.empty())
    return fail(Code::kInvalid, "a sample needs a boot id", at("boot_id"));
  if (sample.uptime < Duration{} || sample.cpu_busy < Duration{})
    return fail(Code::kInvalid, "time is not negative", at("uptime"));
  for (std::size_t i = 0; i < sample.vms.size(); ++i) {
    const model::VmSample& vm = sample.vms[i];
    const bool ok = !vm.uuid.empty() && vm.uuid.size() <= 64 && vm.cpu_time >= Duration{} &&
                    vm.cpu_ready >= Duration{} && vm.memory >= Mib{} && vm.vcpus >= 0 &&
                    vm.memory_resident >= Mib{} && vm.guest_available >= Mib{} &&
                    vm.guest_usable >= Mib{} && vm.dirty_mib_s >= 0;
    if (!ok)
      return fail(Code::kInvalid, "a VM's sample has a name and no negative amount",
                  at(fmt::format("vms/{}", i).c_str()));
  }
  return {};
}

}  // namespace

const Type& HostCursor::Boot::type() {
  static const Type kType =
      describe<Boot>("Boot", "").field("id", &Boot::id, "").field("sequence", &Boot::sequence, "");
  return kType;
}
const Type& HostCursor::type() {
  static const Type kType = describe<HostCursor>("HostCursor", "")
                                .field("boots", &HostCursor::boots, "")
                                .field("uptime", &HostCursor::uptime, "")
                                .field("at", &HostCursor::at, "")
                                .field("busy", &HostCursor::cpu_busy, "")
                                .field("cpu_known", &HostCursor::cpu_known, "")
                                .field("vms", &HostCursor::vms, "", {.max_count = 20000})
                                .field("energy", &HostCursor::energy, "");
  return kType;
}

Telemetry::Telemetry(const Engine& engine, TelemetrySettings settings)
    : engine_(engine), settings_(settings), swept_(engine.now()) {}

double Telemetry::core_mhz(const std::string& host) const {
  auto record = engine_.inventory().hosts().find(host);
  return record == nullptr ? 0 : number(Mib(record->inventory.cpu.mhz.value));
}

// How old a sample is comes from the host's uptime: neither its clock nor ours may be trusted to
// stand still. Only of a system that is gone there is nothing but its clock.
Result<> Telemetry::take(const std::string& host, const model::TelemetryBatch& batch) {
  for (std::size_t i = 0; i < batch.samples.size(); ++i) TRY(check(batch.samples[i], i));
  const Time now = engine_.now();
  HostState& state = hosts_[host];
  for (const model::HostSample& sample : batch.samples) {
    if (!is_new(state, sample)) continue;
    Time at = sample.time;
    if (sample.boot_id == batch.boot_id)
      at = now - std::max(Duration{}, batch.uptime - sample.uptime);
    count(host, state, sample, std::min(std::max(at, state.at), now));
  }
  if (now - swept_ >= settings_.sweep) sweep();
  return {};
}

// Notes its number, too.
bool Telemetry::is_new(HostState& state, const model::HostSample& sample) const {
  auto boot = std::ranges::find(state.boots, sample.boot_id, &HostCursor::Boot::id);
  if (boot != state.boots.end()) {
    if (sample.sequence <= boot->sequence) return false;
    boot->sequence = sample.sequence;
    // What an older system left behind is told before anything of the newer one.
    if (boot + 1 != state.boots.end()) return false;
    if (sample.resumed) begin_anew(state);
    return true;
  }
  state.boots.push_back({sample.boot_id, sample.sequence});
  if (state.boots.size() > settings_.boots_kept) state.boots.erase(state.boots.begin());
  begin_anew(state);
  return true;
}

// Counters of another boot began at zero, and what ran then is over; a host that was suspended used
// nothing, over hours that are nobody's span.
void Telemetry::begin_anew(HostState& state) {
  state.last.clear();
  state.next.clear();
  state.in_parts = false;
  state.cpu_busy = {};
  state.uptime = {};
  state.known = false;
}

void Telemetry::count(const std::string& host, HostState& state, const model::HostSample& sample,
                      Time at) {
  if (!state.in_parts) begin(state, host, sample, at);
  const double core = core_mhz(host);
  const Duration interval = state.consumption.to - state.consumption.from;
  for (model::VmSample vm : sample.vms) {
    state.consumption.vms.push_back(consume(state, vm, interval, core));
    std::string uuid = vm.uuid;
    if (!vm.ended) state.next[std::move(uuid)] = std::move(vm);
  }
  state.in_parts = sample.more;
  if (!sample.more) finish(state, sample, at);
}

void Telemetry::begin(HostState& state, const std::string& host, const model::HostSample& sample,
                      Time at) {
  state.consumption = {};
  state.consumption.host = host;
  state.consumption.boot_id = sample.boot_id;
  const Duration interval = state.known ? sample.uptime - state.uptime : Duration{};
  state.consumption.from = at - std::max(interval, Duration{});
  state.consumption.to = at;
  state.next.clear();
}

VmConsumption Telemetry::consume(const HostState& state, model::VmSample& vm, Duration interval,
                                 double core_mhz) const {
  VmConsumption out;
  out.uuid = vm.uuid;
  out.ended = vm.ended;
  out.claim_mhz = vm.vcpus * core_mhz;
  out.claim_mib = number(std::max(vm.memory, vm.memory_maximum));
  static const model::VmSample kZero;
  const model::VmSample* before = &kZero;
  auto last = state.last.find(vm.uuid);
  if (last != state.last.end() && last->second.life == vm.life &&
      last->second.cpu_time <= vm.cpu_time) {
    before = &last->second;
    carry_on(*before, interval, vm);
    out.whole = interval > Duration{} && !vm.ended;
  } else if (!state.known) {
    return out;  // how much of it was before anybody counted?
  }
  const double elapsed = seconds(interval);
  out.cpu_s = growth(before->cpu_time, vm.cpu_time);
  out.ready_s = growth(before->cpu_ready, vm.cpu_ready);
  if (out.cpu_s > elapsed * (vm.vcpus + kOwnThreads) * kPlausible + kPlausibleMore)
    return {
        .uuid = vm.uuid, .claim_mhz = out.claim_mhz, .claim_mib = out.claim_mib, .ended = vm.ended};
  out.cpu_mhz_s = out.cpu_s * core_mhz;
  out.ready_mhz_s = out.ready_s * core_mhz;
  VmUsage usage;
  usage.uuid = vm.uuid;
  usage.host = state.consumption.host;
  usage.at = state.consumption.to;
  usage.interval = interval;
  usage.state = vm.state;
  usage.vcpus = vm.vcpus;
  fill_memory(usage, vm);
  out.memory_mib_s = usage.memory * elapsed;
  out.consumed_mib_s = usage.consumed * elapsed;
  out.active_mib_s = usage.active * elapsed;
  const double read = growth(before->disk_read, vm.disk_read);
  const double written = growth(before->disk_written, vm.disk_written);
  const double received = growth(before->net_received, vm.net_received);
  const double sent = growth(before->net_sent, vm.net_sent);
  out.disk_bytes = read + written;
  out.net_bytes = received + sent;
  if (!out.whole) return out;
  usage.cpu_mhz = out.cpu_mhz_s / elapsed;
  usage.vcpus_mhz = usage.cpu_mhz;
  if (vm.cpu_vcpus > Duration{})
    usage.vcpus_mhz =
        std::min(usage.cpu_mhz, growth(before->cpu_vcpus, vm.cpu_vcpus) * core_mhz / elapsed);
  usage.ready_mhz = std::min(out.ready_s / elapsed, double(std::max(1, vm.vcpus))) * core_mhz;
  usage.disk_read = read / elapsed;
  usage.disk_written = written / elapsed;
  usage.disk_reads = growth(before->disk_reads, vm.disk_reads) / elapsed;
  usage.disk_writes = growth(before->disk_writes, vm.disk_writes) / elapsed;
  usage.net_received = received / elapsed;
  usage.net_sent = sent / elapsed;
  usage.swap_in = growth(before->swap_in, vm.swap_in) / elapsed;
  usage.swap_out = growth(before->swap_out, vm.swap_out) / elapsed;
  usage.dirty_mib_s = vm.dirty_mib_s;
  usage.dirty_known = vm.dirty_known;
  out.usage = std::move(usage);
  return out;
}

void Telemetry::finish(HostState& state, const model::HostSample& sample, Time at) {
  Consumption& consumption = state.consumption;
  consumption.sequence = sample.sequence;
  consumption.power = sample.power;
  HostUsage host;
  host.host = consumption.host;
  host.at = at;
  host.interval = consumption.to - consumption.from;
  host.memory = number(sample.memory_total);
  host.available = number(sample.memory_available);
  host.vms = static_cast<std::int32_t>(state.next.size());
  const double elapsed = seconds(host.interval);
  if (elapsed > 0) {
    const double core = core_mhz(consumption.host);
    for (const VmConsumption& vm : consumption.vms) {
      host.guests_mhz += vm.cpu_mhz_s / elapsed;
      host.ready_mhz += vm.ready_s * core / elapsed;
      if (vm.usage) host.guests += vm.usage->consumed;
    }
    host.cpu_known = sample.cpu_known && state.cpu_known;
    const double busy = growth(state.cpu_busy, sample.cpu_busy) / elapsed * core;
    host.cpu_mhz = host.cpu_known ? std::max(busy, host.guests_mhz) : host.guests_mhz;
    state.usage = host;
    consumption.usage = host;
  }
  state.last = std::exchange(state.next, {});
  state.uptime = sample.uptime;
  state.at = at;
  state.cpu_busy = sample.cpu_busy;
  state.cpu_known = sample.cpu_known;
  state.known = true;
  for (const VmConsumption& vm : consumption.vms)
    if (vm.usage) note(*vm.usage);
  if (consumed_) consumed_(consumption);
  consumption = {};
}

// A guest that is moving is on two hosts; the one where it runs speaks for it.
void Telemetry::note(const VmUsage& usage) {
  if (!vms_.contains(usage.uuid) && vms_.size() >= settings_.vms_max) return;
  VmState& vm = state_of(usage.uuid);
  vm.seen = usage.at;
  if (vm.usage && vm.usage->host != usage.host) {
    const bool runs_there = vm.usage->state == model::VmState::kOn;
    if (usage.state != model::VmState::kOn && runs_there && usage.at - vm.usage->at < kElsewhere)
      return;
    vm.cpu_when_moved = demand_mhz(*vm.usage, core_mhz(vm.usage->host));
  }
  VmUsage fresh = usage;
  if (!fresh.dirty_known && vm.usage && vm.usage->dirty_known) {
    fresh.dirty_known = true;
    fresh.dirty_mib_s = vm.usage->dirty_mib_s;
  }
  vm.usage = std::move(fresh);
  vm.cpu.add(usage.at, demand_mhz(usage, core_mhz(usage.host)), settings_.forecast);
  vm.memory.add(usage.at, usage.active, settings_.forecast);
}

void Telemetry::remember(const std::string& uuid, Time at, double cpu_mhz, double active) {
  VmState& vm = state_of(uuid);
  vm.seen = std::max(vm.seen, at);
  vm.cpu.add(at, cpu_mhz, settings_.forecast);
  vm.memory.add(at, active, settings_.forecast);
}

void Telemetry::sweep() {
  swept_ = engine_.now();
  std::unordered_map<std::string_view, bool> known;
  for (const auto& [id, vm] : engine_.inventory().vms().all()) known[vm->uuid] = true;
  std::erase_if(vms_, [&](const auto& entry) {
    return !known.contains(entry.first) && swept_ - entry.second->seen > settings_.forget;
  });
  std::erase_if(hosts_, [&](const auto& entry) {
    return engine_.inventory().hosts().find(entry.first) == nullptr;
  });
}

void Telemetry::restore(const std::string& host, HostCursor cursor) {
  HostState& state = hosts_[host];
  state.boots = std::move(cursor.boots);
  state.uptime = cursor.uptime;
  state.at = cursor.at;
  state.cpu_busy = cursor.cpu_busy;
  state.cpu_known = cursor.cpu_known;
  state.known = !state.boots.empty();
  for (model::VmSample& vm : cursor.vms) {
    std::string uuid = vm.uuid;
    state.last[std::move(uuid)] = std::move(vm);
  }
}

HostCursor Telemetry::cursor(const std::string& host) const {
  HostCursor out;
  auto it = hosts_.find(host);
  if (it == hosts_.end()) return out;
  const HostState& state = it->second;
  out.boots = state.boots;
  out.uptime = state.uptime;
  out.at = state.at;
  out.cpu_busy = state.cpu_busy;
  out.cpu_known = state.cpu_known;
  for (const auto& [uuid, vm] : state.last) {
    // Only what grows is compared.
    model::VmSample& kept = out.vms.emplace_back();
    kept.uuid = uuid;
    kept.life = vm.life;
    kept.cpu_time = vm.cpu_time;
    kept.cpu_vcpus = vm.cpu_vcpus;
    kept.cpu_ready = vm.cpu_ready;
    kept.disk_read = vm.disk_read;
    kept.disk_written = vm.disk_written;
    kept.disk_reads = vm.disk_reads;
    kept.disk_writes = vm.disk_writes;
    kept.net_received = vm.net_received;
    kept.net_sent = vm.net_sent;
  }
  std::ranges::sort(out.vms, {}, &model::VmSample::uuid);
  return out;
}

const VmUsage* Telemetry::vm_by_uuid(const std::string& uuid) const {
  auto it = vms_.find(uuid);
  return it == vms_.end() || !it->second->usage ? nullptr : &*it->second->usage;
}

const VmUsage* Telemetry::vm(const std::string& vm_id) const {
  auto record = engine_.inventory().vms().find(vm_id);
  return record == nullptr ? nullptr : vm_by_uuid(record->uuid);
}

const HostUsage* Telemetry::host(const std::string& id) const {
  auto it = hosts_.find(id);
  return it == hosts_.end() || !it->second.usage ? nullptr : &*it->second.usage;
}

Telemetry::VmState& Telemetry::state_of(const std::string& uuid) {
  std::shared_ptr<VmState>& vm = vms_[uuid];
  if (vm == nullptr)
    vm = std::make_shared<VmState>(VmState{.uuid = uuid});
  else if (vm.use_count() > 1)  // what is frozen is let go on this thread alone
    vm = std::make_shared<VmState>(*vm);
  return *vm;
}

policy::ForecastSettings Telemetry::ahead(policy::ForecastSettings forecast,
                                          const model::PolicySettings& policy) {
  forecast.horizon = policy.horizon;
  forecast.quantile = policy.forecast_quantile;
  return forecast;
}

VmLoad Telemetry::load_of(const VmState& vm, const model::Vm& record, const model::Host* host,
                          Time now, const policy::ForecastSettings& forecast) {
  double size = 0;
  if (host != nullptr) {
    const model::CpuInventory& cpu = host->inventory.cpu;
    size = static_cast<double>(cpu.mhz.value) * record.spec.vcpus;
    // However many vCPUs it has: it cannot use more than its host.
    if (cpu.capacity > Mhz{}) size = std::min(size, static_cast<double>(cpu.capacity.value));
  }
  VmLoad out{.cpu = vm.cpu.demand(now, size, forecast),
             .memory = vm.memory.demand(now, number(record.spec.memory), forecast),
             .sample_age = now - vm.cpu.newest(),
             .gaps = vm.cpu.gaps(),
             .cpu_when_moved = vm.cpu_when_moved};
  if (!vm.usage) return out;
  out.consumed = vm.usage->consumed;
  out.reclaimable = vm.usage->reclaimable;
  out.dirty_rate = vm.usage->dirty_known ? vm.usage->dirty_mib_s : 0;
  return out;
}

const VmLoad* Telemetry::find(const model::Vm& record, const model::PolicySettings& policy) const {
  const auto it = vms_.find(record.uuid);
  if (it == vms_.end() || it->second->cpu.empty()) return nullptr;
  const auto host = engine_.inventory().hosts().find(record.host);
  found_ =
      load_of(*it->second, record, host.get(), engine_.now(), ahead(settings_.forecast, policy));
  return &found_;
}

class Telemetry::Frozen final : public VmLoads {
 public:
  explicit Frozen(const Telemetry& all)
      : now_(all.engine_.now()),
        forecast_(all.settings_.forecast),
        hosts_(all.engine_.inventory().hosts()) {
    known_.reserve(all.vms_.size());
    for (const auto& [uuid, state] : all.vms_) known_.push_back(state);
  }
  const VmLoad* find(const model::Vm& vm, const model::PolicySettings& policy) const override {
    if (index_.empty())
      for (const auto& state : known_) index_[state->uuid] = state.get();
    const auto it = index_.find(vm.uuid);
    if (it == index_.end() || it->second->cpu.empty()) return nullptr;
    found_ = load_of(*it->second, vm, hosts_.find(vm.host).get(), now_, ahead(forecast_, policy));
    return &found_;
  }
  std::unique_ptr<const VmLoads> frozen() const override {
    return std::make_unique<const Frozen>(*this);
  }

 private:
  Time now_;
  policy::ForecastSettings forecast_;
  Table<model::Host> hosts_;
  std::vector<std::shared_ptr<const VmState>> known_;
  // Made by who asks first, so that the loop need not.
  mutable std::unordered_map<std::string_view, const VmState*> index_;
  mutable VmLoad found_;
};

std::unique_ptr<const VmLoads> Telemetry::frozen() const {
  return std::make_unique<const Frozen>(*this);
}

}  // namespace chorok::manager
