#include "manager/live_fleet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "control/autostart.h"
#include "control/steps.h"
#include "control/waketest.h"

namespace chorok::manager {

using control::BmcSays;
using model::kNone;

namespace {

// It should answer: it was not switched off, and has not failed.
bool is_expected(const model::Host& host) {
  const model::HostPhase phase = host.watch.phase;
  return phase == model::HostPhase::kUp || phase == model::HostPhase::kSilent ||
         phase == model::HostPhase::kFencing;
}

// Guests that run there and are not Chorok's.
bool hosts_others(const model::Host& host) {
  return std::ranges::any_of(
      host.foreign, [](const model::Instance& guest) { return control::is_running(guest.state); });
}

// The same curve with what was measured while the host was off, in whole watts.
model::Index with_standby(model::Snapshot& snapshot, model::Index curve, double watts) {
  model::PowerCurve like = snapshot.curves[curve];
  like.standby = std::round(watts);
  like.name += fmt::format(".off{:.0f}", watts);
  return put_curve(snapshot, std::move(like));
}

}  // namespace

LiveFleet::LiveFleet(Sources sources, std::string cluster)
    : sources_(std::move(sources)), cluster_(std::move(cluster)) {}

SnapshotOptions LiveFleet::options() const {
  return {.loads = sources_.loads,
          .world = &sources_.world,
          .revision = static_cast<std::int64_t>(sources_.engine.revision()),
          .settings = &settings};
}

bool LiveFleet::look() {
  looked_ = true;
  return adopt(make_snapshot(sources_.engine.inventory(), cluster_, now(), options()));
}

void LiveFleet::begin_look(const Offload& elsewhere, std::function<void()> tell) {
  auto looking = std::make_shared<Looking>();
  looking->records = std::make_unique<const FrozenCluster>(sources_.engine.inventory(), cluster_,
                                                           now(), options());
  looking_ = looking;
  elsewhere([looking] { looking->made = looking->records->make(); },
            [looking, tell = std::move(tell)] {
              looking->records = nullptr;
              looking->done = true;
              tell();
            });
}

std::optional<bool> LiveFleet::land() {
  if (looking_ == nullptr || !looking_->done) return std::nullopt;
  const auto looking = std::exchange(looking_, nullptr);
  const Inventory& inventory = sources_.engine.inventory();
  const auto is_gone = [&](const std::string& id) {
    const HostPtr host = inventory.hosts().find(id);
    return host == nullptr || inventory.cluster_of(*host).meta.id != cluster_;
  };
  if (std::ranges::any_of(looking->made.hosts, is_gone)) return std::nullopt;
  landed_ = true;
  return adopt(std::move(looking->made));
}

bool LiveFleet::adopt(ClusterSnapshot next) {
  looking_ = nullptr;  // older
  const bool others = next.hosts != seen_.hosts || next.vms != seen_.vms;
  seen_ = std::move(next);
  outdated_ = false;
  mark_bmcs(seen_);
  if (!others) return false;
  host_index_.clear();
  for (Index h = 0; h < seen_.hosts.size(); ++h) host_index_[seen_.hosts[h]] = h;
  vm_index_.clear();
  for (Index v = 0; v < seen_.vms.size(); ++v) vm_index_[seen_.vms[v]] = v;
  return true;
}

// Names are part of it: the order of indices is theirs.
bool LiveFleet::is_as_seen(const std::string& id, const model::Host* host) const {
  const Index seen = index_of_host(id);
  const bool here =
      host != nullptr && sources_.engine.inventory().cluster_of(*host).meta.id == cluster_;
  if (!here || seen == kNone) return here == (seen != kNone);
  return seen_.snapshot.hosts[seen].name == host->meta.name;
}

bool LiveFleet::is_as_seen(const std::string& id, const model::Vm* vm) const {
  const auto seen = vm_index_.find(id);
  const bool known = seen != vm_index_.end();
  const bool here =
      vm != nullptr && sources_.engine.inventory().cluster_of(*vm).meta.id == cluster_;
  if (!here || !known) return here == known;
  return seen_.snapshot.vms[seen->second].name == vm->meta.name;
}

void LiveFleet::begin_turn() {
  busy_.clear();
  awaited_.clear();
  tests_.clear();
  by_hand_.clear();
  for (const auto& [id, task] : sources_.engine.inventory().tasks().all()) {
    if (task->finished_state()) continue;
    if (task->kind == "host.wake-test" && task->state == model::TaskState::kRunning)
      tests_[task->target] = task->created;
    const bool on = task->kind == "host.power-on";
    if ((on || task->kind == "host.power-off") && task->state == model::TaskState::kRunning)
      by_hand_[task->target] = {.task = id, .on = on, .user = task->user, .excluded_why = {}};
    if (task->target_kind != "vm") continue;
    busy_.insert(task->target);
    if (task->args.host.empty()) continue;
    if (const auto host = sources_.engine.inventory().hosts().resolve(task->args.host))
      awaited_.insert(host->meta.id);
  }
  std::size_t expected = 0, lost = 0;
  for (Index h = 0; h < hosts(); ++h) {
    const HostPtr host = record(h);
    if (host == nullptr || !is_expected(*host)) continue;
    ++expected;
    lost += host->link != model::HostLink::kConnected ? 1 : 0;
  }
  if (2 * lost > expected) most_silent_ = now();
}

LiveFleet::HostPtr LiveFleet::record(Index host) const {
  return sources_.engine.inventory().hosts().find(seen_.hosts[host]);
}

LiveFleet::Index LiveFleet::index_of_host(const std::string& id) const {
  const auto it = host_index_.find(id);
  return it == host_index_.end() ? kNone : it->second;
}

control::HostSeen LiveFleet::host(Index h) const {
  const HostPtr host = record(h);
  if (host == nullptr) return {};
  const std::string& id = host->meta.id;
  const bool answers = host->link == model::HostLink::kConnected;
  BmcAnswer bmc = sources_.bmc(id);
  // What was so before it was heard last says nothing of what is now.
  const bool witness = model::has_witness(host->bmc);
  if (!witness || (!answers && bmc.asked < host->link_since)) bmc.says = BmcSays::kSilent;
  return {.connected = answers && sources_.world.fresh(id),
          .answers = answers,
          .bmc = bmc.says,
          // Once the link is lost nothing that its agent could have heard came later than that.
          .heard = answers ? Time{} : host->link_since,
          .bmc_proven = witness && host->watch.bmc_proven && sources_.has_bmc(id),
          .by_link = model::sleeps_by_agent(host->bmc),
          .others_heard = most_silent_ == Time{} || now() - most_silent_ > sources_.patience};
}

LiveFleet::Index LiveFleet::host_of(Index v) const {
  const auto vm = sources_.engine.inventory().vms().find(seen_.vms[v]);
  if (vm == nullptr) return kNone;
  const model::VmState state = vm->status.state;
  const bool runs = control::is_running(state) ||
                    (state == model::VmState::kUnknown && vm->power == model::VmPower::kOn);
  if (!runs) return kNone;
  const Index seen = index_of_host(vm->status.host);
  return seen != kNone ? seen : index_of_host(vm->host);
}

bool LiveFleet::owed(Index v) const {
  const auto vm = sources_.engine.inventory().vms().find(seen_.vms[v]);
  if (vm == nullptr || !vm->status.owed || vm->power != model::VmPower::kOn) return false;
  return !control::awaits_autostart(*vm, sources_.world.host(vm->host), sources_.world);
}

std::int32_t LiveFleet::migrations(Index h) const {
  return sources_.world.committed(seen_.hosts[h]).migrations;
}

bool LiveFleet::empty(Index h) const {
  const HostPtr host = record(h);
  if (host == nullptr || awaited_.contains(seen_.hosts[h])) return false;
  if (sources_.world.committed(seen_.hosts[h]).vms > 0) return false;
  return std::ranges::none_of(
      host->foreign, [](const model::Instance& guest) { return control::is_running(guest.state); });
}

control::TestWish LiveFleet::test_wish(Index h) const {
  const HostPtr host = record(h);
  if (host == nullptr) return {};
  const auto asked = tests_.find(seen_.hosts[h]);
  const auto read = sources_.draws ? sources_.draws(seen_.hosts[h]) : std::nullopt;
  return {.asked = asked == tests_.end() ? Time{} : asked->second,
          .bmc_changed = host->bmc_changed,
          .switchable = sources_.has_bmc(seen_.hosts[h]),
          .draws = read ? std::optional(read->watts) : std::nullopt,
          .drew_at = read ? read->at : Time{}};
}

control::PowerWish LiveFleet::power_wish(Index h) const {
  const HostPtr host = record(h);
  if (host == nullptr) return {};
  const auto asked = by_hand_.find(seen_.hosts[h]);
  control::PowerWish wish = asked == by_hand_.end() ? control::PowerWish{} : asked->second;
  wish.switchable = sources_.has_bmc(seen_.hosts[h]);
  wish.enabled = host->admin == model::HostAdmin::kEnabled;
  wish.excluded = host->dpm == model::HostDpm::kExcluded;
  wish.excluded_why = host->dpm_reason;
  return wish;
}

double LiveFleet::free_memory(Index h) const {
  // Given out more than once where the cluster's settings say so: as it is planned and admitted.
  const double factor = std::max(1.0, seen_.snapshot.settings.power.memory_overcommit);
  return (seen_.snapshot.hosts[h].capacity.memory * factor) -
         static_cast<double>(sources_.world.committed(seen_.hosts[h]).memory.value);
}

model::Snapshot& LiveFleet::snapshot() {
  // Who has looked in this turn need not again: it is as dear as the look was.
  if (looked_ || outdated_) return seen_.snapshot;
  ClusterSnapshot next = make_snapshot(sources_.engine.inventory(), cluster_, now(), options());
  // Indices stand until the next look, which is on its way.
  outdated_ = next.hosts != seen_.hosts || next.vms != seen_.vms;
  if (outdated_) return seen_.snapshot;
  looked_ = true;
  adopt(std::move(next));
  return seen_.snapshot;
}

// Why a host that can be switched off is not to be; empty: it may.
std::string LiveFleet::kept_on(const model::Host& host) const {
  if (host.dpm == model::HostDpm::kExcluded)
    return host.dpm_reason.empty() ? "it is excluded from DPM"
                                   : "it is excluded from DPM: " + host.dpm_reason;
  if (hosts_others(host)) return "guests run there that are not Chorok's";
  return control::kept_on_by_test(host.watch.test, settings.power);
}

void LiveFleet::mark_bmcs(ClusterSnapshot& made) const {
  for (Index h = 0; h < made.hosts.size(); ++h) {
    model::SnapshotHost& host = made.snapshot.hosts[h];
    // What a host draws decides whether it pays to switch it off: its own meter knows best.
    if (sources_.curve)
      if (auto curve = sources_.curve(made.hosts[h]))
        host.curve = put_curve(made.snapshot, std::move(*curve));
    if (!sources_.has_bmc(made.hosts[h])) continue;
    host.keep_on.clear();
    host.keep_off.clear();
    const HostPtr stored = sources_.engine.inventory().hosts().find(made.hosts[h]);
    const model::HostWatch& watch = stored->watch;
    // One that was waking when its record was written may have come in this very turn.
    if (watch.phase == model::HostPhase::kUp)
      host.power_since = std::min(watch.since, made.snapshot.now);
    if (watch.phase == model::HostPhase::kWaking) host.power_since = made.snapshot.now;
    const auto of = [&](Duration seen, Duration assumed) {
      return seen > Duration{} ? seen : from_seconds(seconds(assumed) / sources_.time_scale);
    };
    host.time_on = of(watch.time_on, host.time_on);
    host.time_off = of(watch.time_off, host.time_off);
    if (watch.test.standby_watts)
      host.curve = with_standby(made.snapshot, host.curve, *watch.test.standby_watts);
    const model::PowerCurve& curve = made.snapshot.curves[host.curve];
    host.boot_energy = curve.at(0.5) * seconds(host.time_on);
    host.shutdown_energy = curve.at(0) * seconds(host.time_off);
    host.keep_on = kept_on(*stored);
    if (stored->dpm == model::HostDpm::kExcluded) host.keep_off = host.keep_on;
  }
}

}  // namespace chorok::manager
