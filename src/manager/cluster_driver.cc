#include "manager/cluster_driver.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/compatibility.h"
#include "policy/restart.h"

namespace chorok::manager {

namespace {

using control::BmcSays;
using control::Command;
using control::LoopEvent;
using model::HostPhase;
using model::HostPower;
using model::Index;
using model::kNone;

Duration scaled(Duration duration, double scale) {
  return Duration(static_cast<std::int64_t>(static_cast<double>(duration.count()) / scale));
}

control::LoopSettings scaled(control::LoopSettings settings, double scale) {
  control::WatchSettings& watch = settings.watch;
  for (Duration* each : {&settings.round, &settings.gap, &watch.margin, &watch.rest,
                         &watch.failure_window, &watch.standby, &watch.fence_after})
    *each = scaled(*each, scale);
  return settings;
}

model::PolicySettings scaled(model::PolicySettings settings, double scale) {
  for (Duration* each : {&settings.balance.stability, &settings.power.judge_off,
                         &settings.power.uptime_min, &settings.horizon})
    *each = scaled(*each, scale);
  return settings;
}

// What the record says of power. A host that does not answer may be in any state.
HostPower power_of(HostPhase phase, const model::Host& host) {
  const bool suspends = host.bmc.standby == model::Standby::kSuspend;
  switch (phase) {
    case HostPhase::kUp:
    case HostPhase::kStopping:
      return HostPower::kOn;
    case HostPhase::kDown:
      return suspends || host.power == HostPower::kStandby ? HostPower::kStandby : HostPower::kOff;
    case HostPhase::kWaking:
      return HostPower::kWaking;
    case HostPhase::kSilent:
    case HostPhase::kFencing:
    case HostPhase::kFailed:
    case HostPhase::kUnknown:
      break;
  }
  return HostPower::kUnknown;
}

// Who sleeps on purpose is not missed.
model::HostLink link_of(const control::HostWatch& watch, const model::Host& host) {
  if (host.link == model::HostLink::kConnected) return host.link;
  return control::is_asleep(watch) ? model::HostLink::kAsleep : model::HostLink::kLost;
}

// Forecasts come with the loads.
control::Brain live_brain() {
  control::Brain brain = control::chorok_brain({});
  brain.forecast = [](model::Snapshot&) {};
  return brain;
}

model::Severity severity_of(LoopEvent::Kind kind) {
  switch (kind) {
    case LoopEvent::Kind::kHostBack:
    case LoopEvent::Kind::kHostAwake:
    case LoopEvent::Kind::kHostAsleep:
    case LoopEvent::Kind::kVmRestarted:
    case LoopEvent::Kind::kWakeTestPassed:
      return model::Severity::kInfo;
    case LoopEvent::Kind::kHostSilent:
    case LoopEvent::Kind::kActionFailed:
      return model::Severity::kWarning;
    default:
      return model::Severity::kError;
  }
}

}  // namespace

ClusterDriver::ClusterDriver(Engine& engine, World& world, PowerSwitches& switches,
                             const VmLoads* loads, std::string cluster, DriverSettings settings)
    : engine_(engine),
      world_(world),
      switches_(switches),
      cluster_(std::move(cluster)),
      settings_(std::move(settings)),
      fleet_({.engine = engine,
              .world = world,
              .loads = loads,
              .bmc =
                  [this](const std::string& host) {
                    const auto it = bmcs_.find(host);
                    return it == bmcs_.end() ? BmcAnswer{} : it->second.answer;
                  },
              .has_bmc = [this](const std::string& host) { return bmcs_.contains(host); },
              .draws = settings_.draws,
              .curve = settings_.curve,
              .time_scale = settings_.time_scale,
              .patience = scaled(settings_.loop, settings_.time_scale).watch.fence_after},
             cluster_),
      switching_({.engine = engine,
                  .switches = switches,
                  .agents = settings_.agents,
                  .limit = settings_.prepare_limit,
                  .acted = [this](const std::string& host) { ask_bmc(host); }}),
      loop_(live_brain(), scaled(settings_.loop, settings_.time_scale)),
      recommendations_({.engine = engine,
                        .loop = loop_,
                        .fleet = fleet_,
                        .plans = plans_,
                        .cluster = cluster_,
                        .look_soon = [this] { look_soon(); }}) {
  loop_.brain().elsewhere = settings_.offload;
  loop_.on_thought([this] { wake_at(engine_.now()); });
  auto watching =
      engine_.watch(engine_.revision(), [this](const Notice& notice) { changed(notice); });
  CHOROK_ASSERT(watching.has_value());  // from now on is never too long ago
  watcher_ = *watching;
  remember_intents();
  // Agents need a while to find a manager that has just begun.
  control::WatchSettings& watch = loop_.settings().watch;
  watch.fence_not_before = engine_.now() + watch.fence_after;
  world_.set_eyes(cluster_, this);
  look_soon();
}

ClusterDriver::~ClusterDriver() {
  *alive_ = false;
  world_.set_eyes(cluster_, nullptr);
  engine_.unwatch(watcher_);
  engine_.loop().cancel(timer_);
}

void ClusterDriver::remember_intents() {
  for (const auto& [id, host] : engine_.inventory().hosts().all())
    intents_.has_changed(id, ours(host.get()));
  for (const auto& [id, vm] : engine_.inventory().vms().all())
    intents_.has_changed(id, ours(vm.get()));
}

void ClusterDriver::changed(const Notice& notice) {
  if (notice.kind == "host") {
    const auto* host = static_cast<const model::Host*>(notice.object.get());
    members_changed_ |= !fleet_.is_as_seen(notice.id, host);
    if (fleet_.has_begun()) hosts_meanwhile_.insert(notice.id);
    if (host != nullptr) bmc_changed(*host);
    if (intents_.has_changed(notice.id, ours(host))) loop_.plan_soon();
    look_soon();
  } else if (notice.kind == "vm") {
    const auto* vm = static_cast<const model::Vm*>(notice.object.get());
    members_changed_ |= !fleet_.is_as_seen(notice.id, vm);
    if (fleet_.has_begun()) vms_meanwhile_.insert(notice.id);
    if (intents_.has_changed(notice.id, ours(vm))) loop_.plan_soon();
    look_soon();
  } else if (notice.kind == "task" || notice.kind == "operation") {
    const auto* task =
        notice.kind == "task" ? static_cast<const model::Task*>(notice.object.get()) : nullptr;
    // Somebody waits for a host to be woken, or for room.
    if (task != nullptr && control::waits_for_host(*task)) plan_soon();
    look_soon();
  } else if (notice.kind == "cluster" || notice.kind == "pool" || notice.kind == "rule") {
    members_changed_ = true;
    fleet_.drop_look();
    loop_.plan_anew();  // nothing is done that was right by what held before
    plan_soon();
  }
}

// Another address may be that of another host: what the old one has shown says nothing of it.
void ClusterDriver::bmc_changed(const model::Host& host) {
  const auto known = bmcs_.find(host.meta.id);
  const bool same =
      known == bmcs_.end() ? host.bmc == model::BmcSpec{} : known->second.spec == host.bmc;
  if (same) return;
  bmcs_.erase(host.meta.id);
  members_changed_ = true;
  const auto& ids = fleet_.host_ids();
  const auto at = static_cast<std::size_t>(std::ranges::find(ids, host.meta.id) - ids.begin());
  if (at < loop_.watches().size()) loop_.prove_bmc(static_cast<Index>(at), false);
}

void ClusterDriver::plan_soon() {
  loop_.plan_soon();
  look_soon();
}

void ClusterDriver::look_soon() {
  if (soon_) return;
  soon_ = true;
  wake_at(settled());
}

Time ClusterDriver::settled() const {
  return engine_.now() + settings_.settle +
         settings_.settle_per_vm * static_cast<std::int64_t>(fleet_.vms());
}

void ClusterDriver::wake_at(Time at) {
  if (timer_ != 0 && timer_at_ <= at) return;
  engine_.loop().cancel(timer_);
  timer_at_ = at;
  timer_ = engine_.loop().after(at - engine_.now(), [this] {
    timer_ = 0;
    timer_at_ = Time::max();
    turn();
  });
}

// The records, and what was remembered of their hosts and VMs. Between rounds only when somebody
// has come or gone, and not while a plan is made: where somebody comes or goes all the time it
// would be given up each time. It is made elsewhere where that is possible, and remembered in a
// turn of its own.
void ClusterDriver::look() {
  // What is remembered and not stored is forgotten before anything else is done by it; and where a
  // restart waits for who is there it does not wait for another thread as well.
  const bool at_once = !restored_ || fleet_.is_outdated();
  if (!at_once) {
    if (loop_.is_thinking()) return;
    const bool had_begun = fleet_.has_begun();
    if (const auto others = fleet_.land()) return remember(*others);
    if (fleet_.has_begun()) return;
    members_changed_ |= had_begun;  // it came, and is of hosts that are no members any more
    if (!members_changed_ && !loop_.round_due(engine_.now())) return;
  }
  members_changed_ = false;
  hosts_meanwhile_.clear();
  vms_meanwhile_.clear();
  if (at_once || !settings_.offload) return remember(fleet_.look());
  loop_.look_begins();
  fleet_.begin_look(settings_.offload, [this, alive = alive_] {
    if (*alive) wake_at(engine_.now());
  });
}

void ClusterDriver::find_bmcs() {
  for (const auto& [id, host] : engine_.inventory().hosts().all()) {
    if (switches_.find(*host) == nullptr)
      bmcs_.erase(id);
    else if (!bmcs_.contains(id))
      bmcs_.emplace(id, Bmc{.spec = host->bmc});
  }
}

void ClusterDriver::remember(bool others) {
  const Inventory& inventory = engine_.inventory();
  for (const std::string& id : hosts_meanwhile_)
    members_changed_ |= !fleet_.is_as_seen(id, inventory.hosts().find(id).get());
  for (const std::string& id : vms_meanwhile_)
    members_changed_ |= !fleet_.is_as_seen(id, inventory.vms().find(id).get());
  if (!others && restored_) return;
  restored_ = true;
  std::vector<control::HostWatch> watches;
  for (const std::string& id : fleet_.host_ids())
    watches.push_back(engine_.inventory().hosts().find(id)->watch);
  loop_.restore(std::move(watches));
}

void ClusterDriver::complete(ClusterSnapshot& made) const {
  if (!restored_) return;
  fleet_.mark_bmcs(made);
  // VMs may have come since the last look; what is known of hosts is by their order.
  if (made.hosts != fleet_.host_ids()) return;
  // A host whose agent has come since the last turn is what its record says: else whoever starts a
  // VM in that second hears that no host can run it.
  std::vector<std::pair<Index, model::SnapshotHost>> come;
  for (Index h = 0; h < made.hosts.size(); ++h) {
    const model::HostPhase phase = loop_.watches()[h].phase;
    const bool is_missed =
        phase == model::HostPhase::kUnknown || phase == model::HostPhase::kSilent;
    if (is_missed && fleet_.host(h).connected) come.emplace_back(h, made.snapshot.hosts[h]);
  }
  loop_.mark_watched(made.snapshot, engine_.now());
  for (auto& [h, host] : come) made.snapshot.hosts[h] = std::move(host);
}

void ClusterDriver::turn() {
  soon_ = false;
  const auto cluster = engine_.inventory().clusters().find(cluster_);
  if (cluster == nullptr) return;
  go_by_schedule(*cluster);
  if (!fleet_.has_begun()) look_began_ = std::chrono::steady_clock::now();
  find_bmcs();
  look();
  fleet_.begin_turn();
  recommendations_.before_turn();
  Result<control::Turn> turn = loop_.turn(fleet_);
  fleet_.end_turn();
  if (!turn) {
    log_.error("cluster {}: {}", cluster->meta.name, turn.error().message);
    wake_at(engine_.now() + loop_.settings().round);
    return;
  }
  if (turn->began) round_began_ = look_began_;
  if (turn->planned) keep_plan();
  carry_out(*turn);
  recommendations_.after_turn();
  ask_bmcs();
  if (fleet_.is_outdated()) wake_at(engine_.now());
  if (members_changed_ && !fleet_.has_begun() && !loop_.is_thinking()) look_soon();
  if (turn->planned && !restored_) look_soon();
  if (turn->wake != Time::max()) wake_at(std::max(turn->wake, settled()));
}

// The settings of this hour. A person sees when they change, and they count at once.
void ClusterDriver::go_by_schedule(const model::Cluster& cluster) {
  loop_.brain().settings = scaled(
      model::in_force(cluster.settings, cluster.schedule, engine_.now()), settings_.time_scale);
  fleet_.settings = loop_.brain().settings;
  const model::ScheduleBand* band = model::band_at(cluster.schedule, engine_.now());
  const std::string name = band == nullptr ? std::string() : band->name;
  const std::optional<std::string> before = std::exchange(band_, name);
  if (!before || *before == name) return;
  fleet_.drop_look();
  members_changed_ = true;
  loop_.plan_anew();
  model::Event event;
  event.time = engine_.now();
  event.kind = "cluster.schedule";
  event.subject_kind = "cluster";
  event.subject = cluster.meta.id;
  event.subject_name = cluster.meta.name;
  event.user = "chorok";
  event.message = fmt::format("{}: DRS is {} at level {}, DPM is {}",
                              band == nullptr ? fmt::format("'{}' of the schedule is over", *before)
                                              : fmt::format("'{}' of the schedule begins", name),
                              name_of(loop_.brain().settings.balance.automation),
                              loop_.brain().settings.balance.level,
                              name_of(loop_.brain().settings.power.automation));
  Changes changes;
  engine_.add_event(changes, std::move(event));
  engine_.commit(std::move(changes), [](Result<>) {});
}

void ClusterDriver::keep_plan() {
  plans_.push_back({.at = engine_.now(),
                    .number = ++rounds_,
                    .took = std::chrono::steady_clock::now() - round_began_,
                    .snapshot = loop_.kept_snapshot(),
                    .plan = std::make_shared<const policy::Plan>(loop_.plan())});
  std::size_t vms = 0;
  for (const PlanRecord& each : plans_) vms += each.snapshot->vms.size();
  while (plans_.size() > settings_.plans_max ||
         (vms > settings_.plans_vms_max && plans_.size() > 1)) {
    vms -= plans_.front().snapshot->vms.size();
    plans_.pop_front();
  }
  world_.forget_placing();
  recommendations_.after_round();
  if (on_round_) on_round_(plans_.back());
  if (settings_.on_round) settings_.on_round(cluster_, plans_.back());
}

void ClusterDriver::carry_out(const control::Turn& turn) {
  ChangeBatches changes;
  for (const Command& command : turn.commands)
    if (command.vm != kNone) add_task(changes.next(), command);
  for (const LoopEvent& event : turn.events) add_event(changes.next(), event);
  add_watches(changes);
  std::vector<std::pair<Command, std::string>> power;
  for (const Command& command : turn.commands) {
    if (command.vm != kNone) continue;
    power.emplace_back(command, fleet_.host_ids()[command.host]);
    model::Event event;
    event.kind = fmt::format("host.{}", name_of(command.kind));
    event.message = command.reason.empty() ? "as the plan in hand has it" : command.reason;
    if (const std::string by = recommendations_.applied_by({}, fleet_.name_of_host(command.host));
        !by.empty())
      event.message += fmt::format(" (applied by {})", by);
    event.subject_kind = "host";
    event.subject = power.back().second;
    event.subject_name = fleet_.name_of_host(command.host);
    event.user = "chorok";
    event.time = engine_.now();
    engine_.add_event(changes.next(), std::move(event));
  }
  if (changes.empty()) return;
  // What is to be stands in the store before anything is switched.
  commit(std::move(changes), [this, power = std::move(power)](Result<> stored) {
    if (!stored) {
      log_.warn("what the loops ordered was not stored: {}", stored.error().message);
      restored_ = false;  // as it is stored, so it is
      look_soon();
      return;
    }
    for (const auto& [command, host] : power) switching_.carry_out(command, host);
  });
}

// `done` when all of it is stored, or with the first error, once all have ended. Not called when
// the driver is gone.
void ClusterDriver::commit(ChangeBatches changes, Done<Result<>> done) {
  struct Open {
    std::size_t left;
    Result<> result;
    Done<Result<>> done;
  };
  auto open = std::make_shared<Open>(Open{changes.sets().size(), {}, std::move(done)});
  for (Changes& set : changes.sets())
    engine_.commit(std::move(set), [open, alive = alive_](Result<> stored) {
      if (!stored && open->result) open->result = std::move(stored);
      if (--open->left == 0 && *alive) open->done(std::move(open->result));
    });
}

void ClusterDriver::add_task(Changes& changes, const Command& command) {
  const std::string& id = fleet_.vm_ids()[command.vm];
  const auto vm = engine_.inventory().vms().find(id);
  if (vm == nullptr) return;
  model::Task task;
  task.id = engine_.new_id("task");
  task.kind = command.kind == Command::Kind::kMigrate ? "vm.migrate" : "vm.start";
  task.target_kind = "vm";
  task.target = id;
  task.target_name = vm->meta.name;
  task.user = "chorok";
  task.reason = fmt::format("{}: {}", name_of(command.why), command.reason);
  if (const std::string by =
          recommendations_.applied_by(vm->meta.name, fleet_.name_of_host(command.host));
      !by.empty())
    task.reason += fmt::format(" (applied by {})", by);
  task.created = engine_.now();
  task.args.host = fleet_.host_ids()[command.host];
  changes.put(std::move(task));
}

void ClusterDriver::add_event(Changes& changes, const LoopEvent& event) {
  model::Event out;
  out.time = engine_.now();
  out.kind = fmt::format("cluster.{}", name_of(event.kind));
  out.severity = severity_of(event.kind);
  out.message = event.text;
  out.user = "chorok";
  if (event.vm != kNone) {
    out.subject_kind = "vm";
    out.subject = fleet_.vm_ids()[event.vm];
    out.subject_name = fleet_.name_of_vm(event.vm);
  } else {
    out.subject_kind = "host";
    out.subject = fleet_.host_ids()[event.host];
    out.subject_name = fleet_.name_of_host(event.host);
  }
  engine_.add_event(changes, std::move(out));
}

// Records of hosts that are watched differently than they say. When a host was heard last changes
// all the time, and is stored with the rest only.
void ClusterDriver::add_watches(ChangeBatches& changes) {
  for (Index h = 0; h < fleet_.host_ids().size(); ++h) {
    const auto record = engine_.inventory().hosts().find(fleet_.host_ids()[h]);
    if (record == nullptr) continue;
    control::HostWatch now = loop_.watches()[h];
    const HostPower power = power_of(now.phase, *record);
    control::HostWatch same = now;
    same.heard = record->watch.heard;
    const model::HostLink link = link_of(now, *record);
    if (same == record->watch && power == record->power && link == record->link) continue;
    if (record->watch.phase == HostPhase::kStopping && now.phase == HostPhase::kUp)
      switching_.give_up(record->meta.id);
    model::Host host = *record;
    host.link = link;
    host.watch = std::move(now);
    host.power = power;
    changes.next().put(std::move(host));
  }
}

Duration ClusterDriver::pace_of(const Bmc& bmc, const control::HostWatch& watch) const {
  if (watch.phase == HostPhase::kDown) return settings_.ask_sleeping;
  if (watch.phase != HostPhase::kUp) return settings_.ask_bmc;
  const bool settled = watch.bmc_proven && bmc.contradicts == Time{};
  return settled ? settings_.ask_awake : settings_.ask_unproven;
}

// BMCs are asked where something hangs on the answer, and seldom where nothing does.
void ClusterDriver::ask_bmcs() {
  for (Index h = 0; h < fleet_.host_ids().size() && h < loop_.watches().size(); ++h) {
    const std::string& id = fleet_.host_ids()[h];
    const auto bmc = bmcs_.find(id);
    if (bmc == bmcs_.end() || !model::has_witness(bmc->second.spec)) continue;
    const Duration pace = pace_of(bmc->second, loop_.watches()[h]);
    if (engine_.now() - bmc->second.asked >= pace)
      ask_bmc(id);
    else
      wake_at(bmc->second.asked + pace);
  }
}

void ClusterDriver::ask_bmc(const std::string& host) {
  const auto bmc = bmcs_.find(host);
  const auto record = engine_.inventory().hosts().find(host);
  if (bmc == bmcs_.end() || record == nullptr || bmc->second.asking) return;
  if (!model::has_witness(record->bmc)) return;  // it could say nothing
  ports::PowerSwitch* power = switches_.find(*record);
  if (power == nullptr) return;
  bmc->second.asking = true;
  bmc->second.asked = engine_.now();
  power->status([this, alive = alive_, host](Result<model::ChassisPower> answer) {
    if (!*alive) return;
    const auto found = bmcs_.find(host);
    if (found == bmcs_.end()) return;
    note_answer(host, found->second, answer);
    BmcSays says = BmcSays::kSilent;
    if (answer && *answer == model::ChassisPower::kOff) says = BmcSays::kOff;
    if (answer && *answer == model::ChassisPower::kOn) says = BmcSays::kOn;
    bmc_said(host, found->second, says);
  });
}

// One answer may get lost; a controller that gives none is told of, and that it does again.
void ClusterDriver::note_answer(const std::string& host, Bmc& bmc,
                                const Result<model::ChassisPower>& answer) {
  constexpr int kUnansweredMax = 3;
  const int before = std::exchange(bmc.unanswered, answer ? 0 : bmc.unanswered + 1);
  const bool is_back = answer && before >= kUnansweredMax;
  const bool is_gone = !answer && bmc.unanswered == kUnansweredMax;
  const auto record = engine_.inventory().hosts().find(host);
  if ((!is_back && !is_gone) || record == nullptr) return;
  tell_of_host(
      engine_, *record, is_back ? "host.bmc_answers" : "host.bmc_silent",
      is_back ? "its BMC answers again"
              : fmt::format("its BMC does not say whether it is on: {}", answer.error().message),
      is_back ? model::Severity::kInfo : model::Severity::kWarning);
}

void ClusterDriver::bmc_said(const std::string& host, Bmc& bmc, BmcSays says) {
  bmc.asking = false;
  const bool news = bmc.answer.says != says;
  bmc.answer = {.says = says, .asked = bmc.asked};
  const auto record = engine_.inventory().hosts().find(host);
  if (record == nullptr) return;
  judge_bmc(*record, bmc);
  // Who waits for a silent host looks at the time as well as at the answer.
  if (news || record->watch.phase != HostPhase::kUp) look_soon();
}

// Addresses of BMCs are typed by people. One is believed when it has said "on" of a host that
// answers, and no more when it says "off" of one that goes on answering: it is another's.
void ClusterDriver::judge_bmc(const model::Host& host, Bmc& bmc) {
  if (!model::has_witness(host.bmc)) return;  // whatever it said proves nothing
  const bool answers =
      host.link == model::HostLink::kConnected && host.link_since <= bmc.answer.asked;
  if (!answers || bmc.answer.says != BmcSays::kOff) bmc.contradicts = {};
  if (!answers || bmc.answer.says == BmcSays::kSilent) return;
  const auto& ids = fleet_.host_ids();
  const auto at = static_cast<Index>(std::ranges::find(ids, host.meta.id) - ids.begin());
  if (at >= loop_.watches().size()) return;
  const bool proven = loop_.watches()[at].bmc_proven;
  if (bmc.answer.says == BmcSays::kOn) {
    loop_.prove_bmc(at, true);
    if (!proven) look_soon();
    return;
  }
  if (bmc.contradicts == Time{}) bmc.contradicts = bmc.answer.asked;
  // A host that has just lost its power is not missed at once.
  if (!proven || bmc.answer.asked - bmc.contradicts < settings_.ask_unproven) return;
  loop_.prove_bmc(at, false);
  tell_of_host(
      engine_, host, "host.bmc_contradicts",
      "its BMC says that it is off, and it answers: is it the BMC of another host? What it "
      "says is not believed until it says 'on'");
  look_soon();
}

}  // namespace chorok::manager
