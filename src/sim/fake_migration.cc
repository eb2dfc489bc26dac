#include "sim/fake_migration.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace chorok::sim {

enum class MigrationTable::Phase : std::uint8_t {
  kPrepare,
  kMirror,
  kPreCopy,
  kPostCopy,
  kSwitchOver,
  kConfirm,
  kColdDefine,
  kColdForget,
  kStorage,
};

namespace {

constexpr Duration kSlice = std::chrono::seconds(1);  // between two progress reports
constexpr Duration kSwitchOver = std::chrono::milliseconds(40);
constexpr double kFilled = 0.6;  // of a guest's memory is worth sending

std::string_view words(Interrupt why) {
  static constexpr std::array<std::string_view, 8> kWords = {
      "migration job: canceled by client",
      "migration took longer than it may and was cancelled",
      "unable to write to the migration stream: Broken pipe",
      "domain is no longer running",
      "libvirtd of the source died",
      "Lost connection to destination host",
      "the source lost its power",
      "Lost connection to destination host"};
  return kWords[static_cast<std::size_t>(why)];
}

model::DomainSpec moved(model::DomainSpec spec, const std::vector<std::string>& disks,
                        const std::vector<std::string>& paths) {
  for (std::size_t i = 0; i < disks.size() && i < paths.size(); ++i)
    for (model::DomainDisk& disk : spec.disks)
      if (disk.spec.name == disks[i]) disk.path = paths[i];
  return spec;
}

}  // namespace

class MigrationTable::Migration {
 public:
  Migration(MigrationTable& table, std::uint64_t id, FakeHost& source, FakeHost& target,
            std::string uuid, Progress progress, Ended ended)
      : source(source),
        target(target),
        uuid(std::move(uuid)),
        table_(table),
        world_(table.world_),
        id_(id),
        started_(table.world_.now()),
        progress_(std::move(progress)),
        ended_(std::move(ended)) {
    stats_.from = source.settings().name;
    stats_.to = target.settings().name;
  }
  ~Migration() { world_.loop().cancel(timer_); }

  Result<> begin(ports::MigrateRequest request);
  Result<> begin_storage(std::vector<std::string> disks, std::vector<std::string> paths);
  bool may_abort() const;
  void interrupt(Interrupt why);
  std::int64_t limit_mib_s() const { return request_.settings.bandwidth_mib_s; }

  FakeHost& source;
  FakeHost& target;
  const std::string uuid;
  std::vector<std::move_only_function<void()>> over;  // who waits for its end

 private:
  Result<> begin_cold(FakeDomain& domain);
  Result<> begin_live(FakeDomain& domain);
  void next(Phase phase, Duration delay);
  void step();
  void begin_copy(Phase phase, double mib);
  void schedule_slice();
  void slice_done();
  void round_done();
  void after_pre_copy_round(double bandwidth);
  void halt_source();
  void hand_disks_over();
  void switch_over(double mib);
  bool activate_target();
  void finish();
  void confirm();
  void pivot();
  void cold_define();
  void back_to_source();
  void lose_in_switch_over(Interrupt why);
  void report(std::string_view phase);
  void end(Result<model::MigrationStats> result);
  bool copies_storage() const { return !request_.copy_disks.empty(); }

  MigrationTable& table_;
  FakeWorld& world_;
  const std::uint64_t id_;
  const Time started_;
  Progress progress_;
  Ended ended_;
  ports::MigrateRequest request_;
  model::MigrationStats stats_;
  Phase phase_ = Phase::kPrepare;
  TimerId timer_ = 0;
  double total_mib_ = 0;
  double left_mib_ = 0;     // of this round
  double slice_mib_ = 0;    // on the wire now
  double dirtied_mib_ = 0;  // while this round ran
  double sent_mib_ = 0;
  double throttle_ = 0;
  double bandwidth_ = 1;
  bool was_running_ = true;
  Time halted_{};
};

Result<> MigrationTable::Migration::begin(ports::MigrateRequest request) {
  request_ = std::move(request);
  FakeDomain* domain = TRY(source.need(uuid));
  if (!domain->snapshots.empty())
    return fail(Code::kFailedPrecondition,
                fmt::format("cannot migrate domain with {} snapshots", domain->snapshots.size()));
  return domain->active() ? begin_live(*domain) : begin_cold(*domain);
}

Result<> MigrationTable::Migration::begin_cold(FakeDomain& domain) {
  if (request_.live) return fail(Code::kFailedPrecondition, "domain is not running");
  if (domain.saved)
    return fail(Code::kFailedPrecondition, "cannot migrate a domain whose memory is saved");
  if (domain.persistent->spec.tpm)
    return fail(Code::kFailedPrecondition, "cannot move it cold: its TPM's state would stay");
  if (FakeDomain* there = target.find(uuid); there && there->active())
    return fail(Code::kFailedPrecondition, "the domain runs on the target");
  stats_.kind = "cold";
  next(Phase::kColdDefine, world_.times().cold_migrate);
  return {};
}

Result<> MigrationTable::Migration::begin_live(FakeDomain& domain) {
  if (!request_.live)
    return fail(Code::kFailedPrecondition, "a running domain can only be migrated live");
  if (domain.role == model::InstanceRole::kIncoming || domain.gave_disks)
    return fail(Code::kFailedPrecondition, "the domain is part of another migration");
  if (!request_.copy_storage) request_.copy_disks.clear();
  TRY(target.begin_incoming(moved(*domain.live, request_.copy_disks, request_.target_paths),
                            domain.guest.cpu_level));
  domain.migrating_out = true;
  stats_.kind = copies_storage() ? "live-storage" : "live";
  stats_.tls = request_.settings.tls;
  next(Phase::kPrepare, world_.times().migrate_prepare);
  return {};
}

Result<> MigrationTable::Migration::begin_storage(std::vector<std::string> disks,
                                                  std::vector<std::string> paths) {
  FakeDomain* domain = TRY(source.need_active(uuid));
  request_.copy_disks = std::move(disks);
  request_.target_paths = std::move(paths);
  model::DomainSpec to = moved(*domain->live, request_.copy_disks, request_.target_paths);
  double mib = 0;
  for (std::size_t i = 0; i < to.disks.size(); ++i) {
    if (to.disks[i].path == domain->live->disks[i].path) continue;
    TRY(world_.files().lock(source.index(), to.disks[i].path, true, domain->qemu));
    if (FakeFile* file = world_.files().peek(source.index(), domain->live->disks[i].path))
      mib += static_cast<double>(file->allocated.value);
  }
  stats_.kind = "storage";
  begin_copy(Phase::kStorage, mib);
  return {};
}

void MigrationTable::Migration::next(Phase phase, Duration delay) {
  phase_ = phase;
  timer_ = world_.later(delay, [this] { step(); });
}

void MigrationTable::Migration::step() {
  timer_ = 0;
  FakeDomain* domain = source.find(uuid);
  switch (phase_) {
    case Phase::kPrepare: {
      double mib = 0;
      for (const model::DomainDisk& disk : domain->live->disks)
        for (const std::string& name : request_.copy_disks)
          if (disk.spec.name == name)
            if (FakeFile* file = world_.files().peek(source.index(), disk.path))
              mib += static_cast<double>(file->allocated.value);
      if (mib > 0) return begin_copy(Phase::kMirror, mib);
      return begin_copy(Phase::kPreCopy,
                        kFilled * static_cast<double>(domain->live->spec.memory.value));
    }
    case Phase::kMirror:
    case Phase::kPreCopy:
    case Phase::kPostCopy:
    case Phase::kStorage:
      return slice_done();
    case Phase::kSwitchOver:
      return finish();
    case Phase::kConfirm:
      return confirm();
    case Phase::kColdDefine:
      return cold_define();
    case Phase::kColdForget:
      source.forget(uuid);
      return end(stats_);
  }
}

void MigrationTable::Migration::begin_copy(Phase phase, double mib) {
  phase_ = phase;
  left_mib_ = mib;
  total_mib_ += mib;
  dirtied_mib_ = 0;
  schedule_slice();
}

void MigrationTable::Migration::schedule_slice() {
  bandwidth_ = table_.bandwidth(*this);
  slice_mib_ = std::min(left_mib_, bandwidth_ * seconds(kSlice));
  next(phase_, from_seconds(slice_mib_ / bandwidth_));
}

void MigrationTable::Migration::slice_done() {
  const double took = slice_mib_ / bandwidth_;
  left_mib_ -= slice_mib_;
  sent_mib_ += slice_mib_;
  if (FakeDomain* domain = source.find(uuid); domain && domain->guest.runs) {
    const GuestLoad& load = domain->guest.load;
    const double most = load.working_set * static_cast<double>(domain->live->spec.memory.value);
    stats_.dirty_rate_mib_s = load.dirty_mib_s * (1 - throttle_);
    dirtied_mib_ = std::min(dirtied_mib_ + stats_.dirty_rate_mib_s * took, most);
  }
  report(phase_ == Phase::kPreCopy    ? "pre-copy"
         : phase_ == Phase::kPostCopy ? "post-copy"
                                      : "mirror");
  if (phase_ != Phase::kStorage && world_.faults().chance(world_.faults().rates().migration_breaks))
    return interrupt(Interrupt::kStream);
  if (request_.settings.timeout > Duration{} && phase_ != Phase::kPostCopy &&
      world_.now() - started_ > request_.settings.timeout)
    return interrupt(Interrupt::kTimeout);
  if (left_mib_ > 0) return schedule_slice();
  round_done();
}

void MigrationTable::Migration::round_done() {
  switch (phase_) {
    case Phase::kMirror:
      return begin_copy(Phase::kPreCopy,
                        kFilled * static_cast<double>(source.find(uuid)->live->spec.memory.value));
    case Phase::kStorage:
      return pivot();
    case Phase::kPostCopy:
      return next(Phase::kConfirm, world_.times().migrate_finish);
    default:
      ++stats_.rounds;
      return after_pre_copy_round(bandwidth_);
  }
}

void MigrationTable::Migration::after_pre_copy_round(double bandwidth) {
  const model::MigrationSettings& settings = request_.settings;
  if (dirtied_mib_ / bandwidth <= seconds(settings.downtime_limit))
    return switch_over(dirtied_mib_);
  if (settings.post_copy && stats_.rounds >= settings.post_copy_after_rounds) {
    const double rest = dirtied_mib_;
    stats_.post_copy = true;
    halt_source();
    hand_disks_over();
    if (!activate_target()) return;
    return begin_copy(Phase::kPostCopy, rest);
  }
  // QEMU's own steps: 20 % at first, 10 % more each round that did not help, 99 % at most.
  if (settings.auto_converge && stats_.rounds >= 2)
    throttle_ = std::min(0.99, throttle_ == 0 ? 0.2 : throttle_ + 0.1);
  begin_copy(Phase::kPreCopy, dirtied_mib_);
}

void MigrationTable::Migration::halt_source() {
  FakeDomain* domain = source.find(uuid);
  was_running_ = domain->guest.runs;
  halted_ = world_.now();
  domain->state = DomainState::kPaused;
  source.set_running(*domain, false);
  world_.changed(source.index(), uuid);
}

void MigrationTable::Migration::hand_disks_over() {
  FakeDomain* from = source.find(uuid);
  const model::DomainSpec& to = *target.find(uuid)->live;
  world_.files().unlock(from->qemu);
  from->gave_disks = true;
  for (std::size_t i = 0; i < to.disks.size(); ++i) {
    FakeFile* old_file = world_.files().peek(source.index(), from->live->disks[i].path);
    FakeFile* new_file = world_.files().peek(target.index(), to.disks[i].path);
    bool copied =
        std::ranges::find(request_.copy_disks, to.disks[i].spec.name) != request_.copy_disks.end();
    if (!copied || !old_file || !new_file || old_file == new_file) continue;
    new_file->lineage = old_file->lineage;
    new_file->boots = old_file->boots;
    new_file->allocated = old_file->allocated;
  }
}

void MigrationTable::Migration::switch_over(double mib) {
  halt_source();
  hand_disks_over();
  sent_mib_ += mib;
  report("switch-over");
  next(Phase::kSwitchOver, kSwitchOver + from_seconds(mib / bandwidth_));
}

// False when it could not be done, and then the migration has ended.
bool MigrationTable::Migration::activate_target() {
  const FakeDomain* from = source.find(uuid);
  Result<> active = target.activate(uuid, from->guest, was_running_);
  if (!active) {
    target.stop(uuid);
    back_to_source();
    end(Unexpected(active.error()));
    return false;
  }
  FakeDomain* there = target.find(uuid);
  const model::DomainSpec& definition = from->persistent ? *from->persistent : *from->live;
  there->persistent = moved(definition, request_.copy_disks, request_.target_paths);
  stats_.downtime = world_.now() - halted_;
  return true;
}

void MigrationTable::Migration::finish() {
  if (activate_target()) next(Phase::kConfirm, world_.times().migrate_finish);
}

void MigrationTable::Migration::confirm() {
  if (FakeDomain* domain = source.find(uuid)) {
    domain->persistent.reset();
    source.stop(uuid);
  }
  end(stats_);
}

void MigrationTable::Migration::pivot() {
  FakeDomain* domain = source.find(uuid);
  model::DomainSpec to = moved(*domain->live, request_.copy_disks, request_.target_paths);
  for (std::size_t i = 0; i < to.disks.size(); ++i) {
    const std::string& old_path = domain->live->disks[i].path;
    if (to.disks[i].path == old_path) continue;
    FakeFile* old_file = world_.files().peek(source.index(), old_path);
    FakeFile* new_file = world_.files().peek(source.index(), to.disks[i].path);
    if (old_file && new_file) {
      new_file->lineage = old_file->lineage;
      new_file->boots = old_file->boots;
      new_file->allocated = old_file->allocated;
      if (domain->guest.runs) new_file->executing.insert(domain->qemu);
    }
    world_.files().unlock_one(source.index(), old_path, domain->qemu);
  }
  domain->live = std::move(to);
  if (domain->persistent)
    domain->persistent = moved(*domain->persistent, request_.copy_disks, request_.target_paths);
  world_.changed(source.index(), uuid);
  end(stats_);
}

void MigrationTable::Migration::cold_define() {
  Result<> defined = target.define(
      moved(*source.find(uuid)->persistent, request_.copy_disks, request_.target_paths));
  if (!defined) return end(Unexpected(defined.error()));
  next(Phase::kColdForget, world_.times().cold_migrate);
}

void MigrationTable::Migration::back_to_source() {
  FakeDomain* domain = source.find(uuid);
  if (!domain || !domain->active()) return;
  domain->migrating_out = false;
  // Where the target holds the disks after all, the source stays paused.
  if (was_running_ && domain->state == DomainState::kPaused && domain->gave_disks)
    (void)source.resume(uuid);
}

bool MigrationTable::Migration::may_abort() const {
  return phase_ != Phase::kPostCopy && phase_ != Phase::kSwitchOver && phase_ != Phase::kConfirm &&
         phase_ != Phase::kColdForget;
}

void MigrationTable::Migration::interrupt(Interrupt why) {
  switch (phase_) {
    case Phase::kConfirm:
      // The target has the guest. A source that keeps its half must find out by looking.
      if (why != Interrupt::kSourceDaemon || world_.random().chance(0.5)) return confirm();
      break;
    case Phase::kPostCopy:
      if (why == Interrupt::kSourceDaemon || why == Interrupt::kTargetDaemon) return;
      if (why == Interrupt::kGuestGone) return confirm();
      source.stop(uuid, DomainState::kCrashed);  // half of its memory on each side
      target.stop(uuid, DomainState::kCrashed);
      break;
    case Phase::kSwitchOver:
      lose_in_switch_over(why);
      break;
    case Phase::kStorage:
      for (const std::string& path : request_.target_paths)
        if (FakeDomain* domain = source.find(uuid); domain && domain->active())
          world_.files().unlock_one(source.index(), path, domain->qemu);
      break;
    case Phase::kColdDefine:
    case Phase::kColdForget:
      break;
    default:
      target.stop(uuid);
      back_to_source();
  }
  Code code = why == Interrupt::kAbort     ? Code::kCancelled
              : why == Interrupt::kTimeout ? Code::kTimeout
                                           : Code::kFailedPrecondition;
  end(fail(code, std::string(words(why))));
}

// The guest runs nowhere at this moment, and who has lost contact cannot know what the other does.
void MigrationTable::Migration::lose_in_switch_over(Interrupt why) {
  const bool target_lives = why != Interrupt::kTargetHost && why != Interrupt::kGuestGone;
  const bool finish_arrived = target_lives && world_.random().chance(0.5);
  if (finish_arrived && target.activate(uuid, source.find(uuid)->guest, was_running_)) {
    FakeDomain* there = target.find(uuid);
    there->persistent =
        moved(source.find(uuid)->spec(), request_.copy_disks, request_.target_paths);
    return;  // the source stays paused: the image locks keep it from running on
  }
  target.stop(uuid);
  // A libvirtd that died after QEMU was done leaves the guest paused when it comes back.
  if (why == Interrupt::kSourceDaemon && world_.random().chance(0.5)) return;
  if (why != Interrupt::kSourceHost) back_to_source();
}

void MigrationTable::Migration::report(std::string_view phase) {
  if (!progress_) return;
  auto bytes = [](double mib) { return Bytes(static_cast<std::int64_t>(mib * (1 << 20))); };
  ports::MigrateProgress progress;
  progress.transferred = bytes(sent_mib_);
  progress.remaining = bytes(left_mib_);
  progress.total = bytes(total_mib_);
  progress.percent = total_mib_ > 0 ? 100 * (1 - left_mib_ / total_mib_) : 0;
  progress.dirty_rate_mib_s = stats_.dirty_rate_mib_s;
  progress.bandwidth_mib_s = bandwidth_;
  progress.rounds = stats_.rounds;
  progress.expected_downtime = from_seconds(dirtied_mib_ / bandwidth_);
  progress.phase = phase;
  progress_(std::move(progress));
}

void MigrationTable::Migration::end(Result<model::MigrationStats> result) {
  if (FakeDomain* domain = source.find(uuid)) domain->migrating_out = false;
  if (result) {
    result->total = world_.now() - started_;
    result->finished = world_.now();
    result->transferred = Bytes(static_cast<std::int64_t>(sent_mib_ * (1 << 20)));
  }
  Ended ended = std::move(ended_);
  auto waiting = std::move(over);
  table_.gone(id_);  // `this` is gone as well
  ended(std::move(result));
  for (auto& waiter : waiting) waiter();
}

MigrationTable::MigrationTable(FakeWorld& world) : world_(world) {}
MigrationTable::~MigrationTable() = default;

void MigrationTable::gone(std::uint64_t id) {
  under_way_.erase(id);
}

MigrationTable::Migration& MigrationTable::add(FakeHost& source, FakeHost& target,
                                               const std::string& uuid, Progress progress,
                                               Ended ended) {
  const std::uint64_t id = ++last_id_;
  auto made = std::make_unique<Migration>(*this, id, source, target, uuid, std::move(progress),
                                          std::move(ended));
  return *under_way_.emplace(id, std::move(made)).first->second;
}

Result<> MigrationTable::start(FakeHost& source, const std::string& uuid,
                               ports::MigrateRequest request, Progress progress, Ended ended) {
  TRY(source.need(uuid));
  FakeHost* target = world_.find_host(request.target_uri);
  if (!target)
    return fail(Code::kFailedPrecondition,
                fmt::format("unable to resolve address of '{}'", request.target_uri));
  if (target == &source)
    return fail(Code::kFailedPrecondition, "Attempt to migrate guest to the same host");
  if (!world_.linked(source.index(), target->index()) || !world_.libvirtd_up(target->index()))
    return fail(Code::kFailedPrecondition,
                fmt::format("unable to connect to server at '{}'", request.target_uri));
  for (const auto& [id, other] : under_way_)
    if (other->uuid == uuid)
      return fail(Code::kFailedPrecondition, "another migration job is already running");
  Migration& migration = add(source, *target, uuid, std::move(progress), std::move(ended));
  Result<> begun = migration.begin(std::move(request));
  if (!begun) under_way_.erase(last_id_);
  return begun;
}

Result<> MigrationTable::start_storage(FakeHost& host, const std::string& uuid,
                                       std::vector<std::string> disks,
                                       std::vector<std::string> target_paths, Progress progress,
                                       Ended ended) {
  if (disks.size() != target_paths.size())
    return fail(Code::kInvalid, "each disk needs a target path");
  for (const auto& [id, other] : under_way_)
    if (other->uuid == uuid)
      return fail(Code::kFailedPrecondition, "another migration job is already running");
  Migration& migration = add(host, host, uuid, std::move(progress), std::move(ended));
  Result<> begun = migration.begin_storage(std::move(disks), std::move(target_paths));
  if (!begun) under_way_.erase(last_id_);
  return begun;
}

void MigrationTable::abort(HostIndex source, const std::string& uuid,
                           std::move_only_function<void()> over) {
  for (auto& [id, migration] : under_way_)
    if (migration->uuid == uuid && migration->source.index() == source) {
      if (over) migration->over.push_back(std::move(over));
      if (migration->may_abort()) migration->interrupt(Interrupt::kAbort);
      return;
    }
  if (over) over();
}

bool MigrationTable::moves(HostIndex source, const std::string& uuid) const {
  for (const auto& [id, each] : under_way_)
    if (each->uuid == uuid && each->source.index() == source) return true;
  return false;
}

void MigrationTable::interrupt_where(const std::function<bool(const Migration&)>& concerned,
                                     const std::function<Interrupt(const Migration&)>& why) {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, migration] : under_way_)
    if (concerned(*migration)) ids.push_back(id);
  for (std::uint64_t id : ids)
    if (auto found = under_way_.find(id); found != under_way_.end())
      found->second->interrupt(why(*found->second));
}

void MigrationTable::daemon_died(HostIndex host) {
  interrupt_where(
      [host](const Migration& each) {
        return each.source.index() == host || each.target.index() == host;
      },
      [host](const Migration& each) {
        return each.source.index() == host ? Interrupt::kSourceDaemon : Interrupt::kTargetDaemon;
      });
}

void MigrationTable::host_died(HostIndex host) {
  interrupt_where(
      [host](const Migration& each) {
        return each.source.index() == host || each.target.index() == host;
      },
      [host](const Migration& each) {
        return each.source.index() == host ? Interrupt::kSourceHost : Interrupt::kTargetHost;
      });
}

void MigrationTable::link_cut(HostIndex a, HostIndex b) {
  interrupt_where(
      [a, b](const Migration& each) {
        HostIndex from = each.source.index(), to = each.target.index();
        return (from == a && to == b) || (from == b && to == a);
      },
      [](const Migration&) { return Interrupt::kStream; });
}

void MigrationTable::guest_gone(const std::string& uuid) {
  interrupt_where([&](const Migration& each) { return each.uuid == uuid; },
                  [](const Migration&) { return Interrupt::kGuestGone; });
}

double MigrationTable::bandwidth(const Migration& of) const {
  if (&of.source == &of.target) return world_.times().disk_mib_s;
  double sharing = 0;
  for (const auto& [id, each] : under_way_)
    sharing += &each->source == &of.source || &each->target == &of.target ||
               &each->source == &of.target || &each->target == &of.source;
  double link = std::min(of.source.settings().link_mib_s, of.target.settings().link_mib_s) /
                std::max(1.0, sharing);
  const auto limit = static_cast<double>(of.limit_mib_s());
  return limit > 0 ? std::min(link, limit) : link;
}

}  // namespace chorok::sim
