#include "sim/fake_hypervisor.h"

#include <fmt/format.h>

#include "sim/fake_console.h"
#include "sim/fake_migration.h"

namespace chorok::sim {

using ports::Applied;

FakeHypervisor::FakeHypervisor(FakeWorld& world, HostIndex host)
    : world_(world),
      host_(world.host(host)),
      daemon_(world.daemon(host)),
      connection_(std::make_shared<Connection>()) {
  daemon_.connect(connection_);
}

FakeHypervisor::~FakeHypervisor() {
  connection_->alive = false;
  connection_->changed = nullptr;
}

template <class T, class Begin, class Effect>
void FakeHypervisor::run_steps(const char* op, std::string uuid, Begin begin, Effect effect,
                               Done<Result<T>> done) {
  daemon_.submit(std::make_unique<TypedCall<T>>(
      world_.loop(), connection_, std::string("hypervisor.") + op, std::move(uuid),
      std::move(begin), std::move(effect), std::move(done)));
}

template <class T, class Effect>
void FakeHypervisor::run(const char* op, std::string uuid, Duration takes, Effect effect,
                         Done<Result<T>> done) {
  run_steps<T>(
      op, std::move(uuid), [takes](const Call&) -> Result<Duration> { return takes; },
      std::move(effect), std::move(done));
}

void FakeHypervisor::inventory(Done<Result<model::HostInventory>> done) {
  run<model::HostInventory>(
      "inventory", "", world_.times().query,
      [&host = host_]() -> Result<model::HostInventory> { return host.inventory(); },
      std::move(done));
}

void FakeHypervisor::list(Done<Result<std::vector<model::Instance>>> done) {
  run<std::vector<model::Instance>>(
      "list", "", world_.times().query,
      [&host = host_]() -> Result<std::vector<model::Instance>> { return host.list(); },
      std::move(done));
}

void FakeHypervisor::statistics(Done<Result<model::HostSample>> done) {
  run<model::HostSample>(
      "statistics", "", world_.times().query,
      [&host = host_]() -> Result<model::HostSample> { return host.statistics(); },
      std::move(done));
}

void FakeHypervisor::dirty_rate(std::string uuid, Duration window, Done<Result<double>> done) {
  const bool fits = window >= std::chrono::seconds(1) && window <= std::chrono::minutes(1);
  run<double>(
      "dirty_rate", "", fits ? window : Duration{},
      [&host = host_, uuid, fits]() -> Result<double> {
        if (!fits) return fail(Code::kInvalid, "a dirty rate is measured over 1 to 60 seconds");
        const FakeDomain* domain = TRY(host.need_active(uuid));
        return domain->guest.runs ? domain->guest.load.dirty_mib_s : 0;
      },
      std::move(done));
}

void FakeHypervisor::subscribe(
    std::function<void(const std::string& uuid, bool connected)> changed) {
  connection_->changed = std::move(changed);
}

void FakeHypervisor::define(model::DomainSpec domain, Done<Result<>> done) {
  std::string uuid = domain.uuid;
  run<void>(
      "define", uuid, world_.times().define,
      [&host = host_, domain = std::move(domain)] { return host.define(domain); }, std::move(done));
}

void FakeHypervisor::undefine(std::string uuid, Done<Result<>> done) {
  run<void>(
      "undefine", uuid, world_.times().define,
      [&host = host_, uuid] { return host.undefine(uuid); }, std::move(done));
}

Duration FakeHypervisor::memory_to_disk(const std::string& uuid) const {
  const FakeDomain* domain = host_.find(uuid);
  if (!domain) return {};
  return from_seconds(static_cast<double>(domain->spec().spec.memory.value) / 2 /
                      world_.times().disk_mib_s);
}

void FakeHypervisor::start(std::string uuid, bool paused, Done<Result<>> done) {
  run_steps<void>(
      "start", uuid,
      [this_times = world_.times(), &host = host_, uuid](const Call&) -> Result<Duration> {
        const FakeDomain* domain = TRY(host.need(uuid));
        if (domain->role == model::InstanceRole::kIncoming)
          return fail(Code::kFailedPrecondition, "cannot start it: it is being migrated");
        if (domain->active()) return Duration{};
        double mib = domain->saved ? static_cast<double>(domain->spec().spec.memory.value) / 2 : 0;
        TRY(host.begin_start(uuid));
        return this_times.start + from_seconds(mib / this_times.disk_mib_s);
      },
      [&host = host_, uuid, paused] { return host.finish_start(uuid, paused); }, std::move(done));
}

void FakeHypervisor::shutdown(std::string uuid, Done<Result<>> done) {
  run<void>(
      "shutdown", uuid, world_.times().suspend,
      [&world = world_, &host = host_, uuid]() -> Result<> {
        FakeDomain* domain = TRY(host.need(uuid));
        if (!domain->active()) return {};
        if (domain->state == DomainState::kPaused)
          return fail(Code::kFailedPrecondition,
                      "it is suspended and cannot hear; resume it first");
        if (!domain->guest.load.ignores_acpi)
          world.guest_will(domain->guest.life, world.times().guest_shutdown, false);
        return {};
      },
      std::move(done));
}

// What waits in the domain's lane would wait for its migration.
void FakeHypervisor::destroy(std::string uuid, Done<Result<>> done) {
  world_.migration_table().abort(host_.index(), uuid, nullptr);
  run<void>(
      "destroy", uuid, world_.times().destroy,
      [&world = world_, &host = host_, uuid]() -> Result<> {
        FakeDomain* domain = TRY(host.need(uuid));
        if (!domain->active()) return {};
        world.migration_table().guest_gone(uuid);
        host.stop(uuid);
        return {};
      },
      std::move(done));
}

void FakeHypervisor::reboot(std::string uuid, bool hard, Done<Result<>> done) {
  run<void>(
      "reboot", uuid, world_.times().reboot,
      [&world = world_, &host = host_, uuid, hard]() -> Result<> {
        FakeDomain* domain = TRY(host.need_active(uuid));
        if (hard) return host.reset(uuid);
        if (!domain->guest.load.ignores_acpi)
          world.guest_will(domain->guest.life, world.times().guest_shutdown, true);
        return {};
      },
      std::move(done));
}

void FakeHypervisor::suspend(std::string uuid, Done<Result<>> done) {
  run<void>(
      "suspend", uuid, world_.times().suspend, [&host = host_, uuid] { return host.suspend(uuid); },
      std::move(done));
}

void FakeHypervisor::resume(std::string uuid, Done<Result<>> done) {
  run<void>(
      "resume", uuid, world_.times().suspend, [&host = host_, uuid] { return host.resume(uuid); },
      std::move(done));
}

void FakeHypervisor::save(std::string uuid, Done<Result<>> done) {
  run<void>(
      "save", uuid, memory_to_disk(uuid), [&host = host_, uuid] { return host.save(uuid); },
      std::move(done));
}

template <class Begin>
void FakeHypervisor::run_migration(const char* op, std::string uuid, Begin begin,
                                   Done<Result<model::MigrationStats>> done) {
  using Stats = model::MigrationStats;
  auto outcome = std::make_shared<std::optional<Result<Stats>>>();
  run_steps<Stats>(
      op, std::move(uuid),
      [begin = std::move(begin), outcome,
       &daemon = daemon_](const Call& self) mutable -> Result<Duration> {
        TRY(begin([outcome, &daemon, id = self.id](Result<Stats> result) {
          *outcome = std::move(result);
          daemon.finished(id);
        }));
        return kOwnPace;
      },
      [outcome]() -> Result<Stats> { return std::move(**outcome); }, std::move(done));
}

namespace {

// Progress is for the client that asked; libvirtd's own work goes on without it.
std::function<void(ports::MigrateProgress)> while_connected(
    std::shared_ptr<Connection> connection, std::function<void(ports::MigrateProgress)> progress) {
  if (!progress) return nullptr;
  return [connection = std::move(connection),
          progress = std::move(progress)](ports::MigrateProgress now) {
    if (connection->alive) progress(std::move(now));
  };
}

}  // namespace

void FakeHypervisor::migrate(std::string uuid, ports::MigrateRequest request,
                             std::function<void(ports::MigrateProgress)> progress,
                             Done<Result<model::MigrationStats>> done) {
  if (world_.migration_table().moves(host_.index(), uuid)) return refuse_second(std::move(done));
  run_migration(
      "migrate", uuid,
      [&world = world_, &host = host_, uuid, request = std::move(request),
       progress = while_connected(connection_, std::move(progress))](auto ended) {
        return world.migration_table().start(host, uuid, request, progress, std::move(ended));
      },
      std::move(done));
}

void FakeHypervisor::migrate_storage(std::string uuid, std::vector<std::string> disks,
                                     std::vector<std::string> target_paths,
                                     std::function<void(ports::MigrateProgress)> progress,
                                     Done<Result<model::MigrationStats>> done) {
  if (world_.migration_table().moves(host_.index(), uuid)) return refuse_second(std::move(done));
  run_migration(
      "migrate_storage", uuid,
      [&world = world_, &host = host_, uuid, disks = std::move(disks),
       paths = std::move(target_paths),
       progress = while_connected(connection_, std::move(progress))](auto ended) {
        return world.migration_table().start_storage(host, uuid, disks, paths, progress,
                                                     std::move(ended));
      },
      std::move(done));
}

void FakeHypervisor::refuse_second(Done<Result<model::MigrationStats>> done) {
  world_.later(Duration{}, [connection = connection_, done = std::move(done)]() mutable {
    if (connection->alive) done(fail(Code::kConflict, "the domain is being moved already"));
  });
}

// Not in the domain's lane: it would wait for the migration that it is to stop.
void FakeHypervisor::abort_migration(std::string uuid, Done<Result<>> done) {
  run_steps<void>(
      "abort_migration", "",
      [&world = world_, &daemon = daemon_, index = host_.index(),
       uuid](const Call& self) -> Result<Duration> {
        world.migration_table().abort(index, uuid, [&world, &daemon, id = self.id] {
          world.later(Duration{}, [&daemon, id] { daemon.finished(id); });
        });
        return kOwnPace;
      },
      []() -> Result<> { return {}; }, std::move(done));
}

void FakeHypervisor::resize(std::string uuid, ports::ResizeRequest request,
                            Done<Result<Applied>> done) {
  run<Applied>(
      "resize", uuid, world_.times().change,
      [&host = host_, uuid, request] { return host.resize(uuid, request); }, std::move(done));
}

void FakeHypervisor::tune(std::string uuid, model::CpuAllocation cpu,
                          model::MemoryAllocation memory, Done<Result<Applied>> done) {
  run<Applied>(
      "tune", uuid, world_.times().change,
      [&host = host_, uuid, cpu, memory] { return host.tune(uuid, cpu, memory); }, std::move(done));
}

void FakeHypervisor::enforce(model::VmEnforcement settings,
                             Done<Result<std::vector<std::string>>> done) {
  const std::string uuid = settings.uuid;
  run<std::vector<std::string>>(
      "enforce", uuid, world_.times().change,
      [&host = host_, settings = std::move(settings)] { return host.enforce(settings); },
      std::move(done));
}

void FakeHypervisor::attach_disk(std::string uuid, model::DomainDisk disk,
                                 Done<Result<Applied>> done) {
  run<Applied>(
      "attach_disk", uuid, world_.times().change,
      [&host = host_, uuid, disk = std::move(disk)] { return host.attach_disk(uuid, disk); },
      std::move(done));
}

void FakeHypervisor::attach_nic(std::string uuid, model::DomainNic nic,
                                Done<Result<Applied>> done) {
  run<Applied>(
      "attach_nic", uuid, world_.times().change,
      [&host = host_, uuid, nic = std::move(nic)] { return host.attach_nic(uuid, nic); },
      std::move(done));
}

void FakeHypervisor::change_medium(std::string uuid, model::DomainCdrom cdrom,
                                   Done<Result<Applied>> done) {
  run<Applied>(
      "change_medium", uuid, world_.times().change,
      [&host = host_, uuid, cdrom = std::move(cdrom)] { return host.change_medium(uuid, cdrom); },
      std::move(done));
}

void FakeHypervisor::detach(std::string uuid, std::string device_name, Done<Result<Applied>> done) {
  run<Applied>(
      "detach", uuid, world_.times().change,
      [&host = host_, uuid, device_name] { return host.detach(uuid, device_name); },
      std::move(done));
}

void FakeHypervisor::snapshot_create(std::string uuid, std::string name, Done<Result<>> done) {
  run<void>(
      "snapshot_create", uuid, world_.times().snapshot + memory_to_disk(uuid),
      [&host = host_, uuid, name] { return host.snapshot_create(uuid, name); }, std::move(done));
}

void FakeHypervisor::snapshot_revert(std::string uuid, std::string name, Done<Result<>> done) {
  run<void>(
      "snapshot_revert", uuid, world_.times().snapshot + memory_to_disk(uuid),
      [&host = host_, uuid, name] { return host.snapshot_revert(uuid, name); }, std::move(done));
}

void FakeHypervisor::snapshot_delete(std::string uuid, std::string name, Done<Result<>> done) {
  run<void>(
      "snapshot_delete", uuid, world_.times().snapshot,
      [&host = host_, uuid, name] { return host.snapshot_delete(uuid, name); }, std::move(done));
}

void FakeHypervisor::console(std::string uuid,
                             Done<Result<std::unique_ptr<ports::ConsoleStream>>> done) {
  run<std::unique_ptr<ports::ConsoleStream>>(
      "console", "", world_.times().query,
      [&world = world_, &host = host_, uuid]() -> Result<std::unique_ptr<ports::ConsoleStream>> {
        FakeDomain* domain = TRY(host.need_active(uuid));
        return std::make_unique<FakeConsole>(world, host.index(), uuid, domain->qemu);
      },
      std::move(done));
}

void FakeHypervisor::vnc(std::string uuid,
                         Done<Result<std::unique_ptr<ports::ConsoleStream>>> done) {
  run<std::unique_ptr<ports::ConsoleStream>>(
      "vnc", "", world_.times().query,
      [&host = host_, uuid]() -> Result<std::unique_ptr<ports::ConsoleStream>> {
        TRY(host.need_active(uuid));
        return fail(Code::kUnsupported, "a fake guest has no display");
      },
      std::move(done));
}

void FakeHypervisor::check_compatible(model::DomainSpec domain, std::string cpu_definition,
                                      Done<Result<std::vector<std::string>>> done) {
  run<std::vector<std::string>>(
      "check_compatible", "", world_.times().query,
      [&host = host_, domain = std::move(domain), cpu = std::move(cpu_definition)] {
        const std::string& own = domain.spec.cpu_model;
        return host.check_compatible(domain, own.empty() || own.starts_with("host-") ? cpu : own);
      },
      std::move(done));
}

void FakeHypervisor::cpu_baseline(std::vector<std::string> definitions,
                                  Done<Result<std::string>> done) {
  run<std::string>(
      "cpu_baseline", "", world_.times().query,
      [definitions = std::move(definitions)]() -> Result<std::string> {
        if (definitions.empty()) return fail(Code::kInvalid, "no CPU definition was given");
        std::int32_t least = cpu_level_of(definitions.front());
        for (const std::string& each : definitions) least = std::min(least, cpu_level_of(each));
        return sim::cpu_definition(least);
      },
      std::move(done));
}

void FakeHypervisor::adopt(std::string uuid, std::string vm, Done<Result<model::VmSpec>> done) {
  run<model::VmSpec>(
      "adopt", uuid, world_.times().define,
      [&host = host_, uuid, vm] { return host.adopt(uuid, vm); }, std::move(done));
}

}  // namespace chorok::sim
