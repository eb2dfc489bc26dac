#include "adapters/libvirt/libvirt_hypervisor.h"

#include <fmt/format.h>

#include "adapters/libvirt/calls.h"
#include "adapters/libvirt/event_thread.h"
#include "adapters/libvirt/migrate.h"
#include "adapters/libvirt/streams.h"

namespace chorok::adapters::libvirt {

namespace {
// The first look at a migration comes early: most are over within a second.
constexpr auto kFirstLook = std::chrono::milliseconds(150);
constexpr auto kLookWhileStopping = std::chrono::milliseconds(50);
constexpr Duration kDirtyRateWindowMin = std::chrono::seconds(1);
constexpr Duration kDirtyRateWindowMax = std::chrono::minutes(1);
// After the window, until QEMU has its result.
constexpr auto kDirtyRateAgain = std::chrono::milliseconds(200);
constexpr int kDirtyRateLooks = 25;
}  // namespace

// Migrations that this process began, on the loop's thread.
struct LibvirtHypervisor::Impl {
  struct Running {
    std::shared_ptr<MigrationJob> job;
    Progress progress;
    std::vector<Then<>> stop_waiters;
    TimerId timer = 0;
    bool looking = false;
  };

  // Not Core's: an event may hold Core's last reference, and its thread cannot wait for itself.
  std::shared_ptr<EventThread> events;
  std::shared_ptr<Core> core;
  std::map<std::string, Running> running;

  // Registers a job and begins to look at it; null when the domain has one already.
  std::shared_ptr<MigrationJob> begin(const std::string& uuid,
                                      const model::MigrationSettings& settings, Progress progress) {
    auto [entry, fresh] = running.try_emplace(uuid);
    if (!fresh) return nullptr;
    auto job = std::make_shared<MigrationJob>();
    job->uuid = uuid;
    job->settings = settings;
    entry->second.job = job;
    entry->second.progress = std::move(progress);
    look_after(uuid, kFirstLook);
    return job;
  }

  void look_after(const std::string& uuid, Duration delay) {
    Running& entry = running.at(uuid);
    core->cancel(entry.timer);
    entry.timer = core->after(delay, [this, uuid] { look(uuid); });
  }

  void look(const std::string& uuid) {
    auto found = running.find(uuid);
    if (found == running.end() || found->second.looking) return;
    found->second.looking = true;
    auto job = found->second.job;
    core->run<ports::MigrateProgress>(
        "", Effect::kReads, [job](Session& session) { return look_at(session, *job); },
        [this, uuid, job](Result<ports::MigrateProgress> progress) {
          looked(uuid, *job, std::move(progress));
        });
  }

  void looked(const std::string& uuid, const MigrationJob& job,
              Result<ports::MigrateProgress> progress) {
    auto found = running.find(uuid);
    if (found == running.end() || found->second.job.get() != &job) return;
    found->second.looking = false;
    if (progress && job.began && found->second.progress) found->second.progress(*progress);
    look_after(uuid, job.stop == Stop::kNo ? core->options().progress_interval
                                           : Duration(kLookWhileStopping));
  }

  Then<model::MigrationStats> ender(const std::string& uuid, Then<model::MigrationStats> done) {
    return [this, uuid, done = std::move(done)](Result<model::MigrationStats> stats) mutable {
      Running ended = std::move(running.at(uuid));
      running.erase(uuid);
      core->cancel(ended.timer);
      done(std::move(stats));
      for (Then<>& waiter : ended.stop_waiters) waiter({});
    };
  }

  // A migration would otherwise keep what waits behind it in the domain's lane.
  void stop_migration(const std::string& uuid) {
    auto found = running.find(uuid);
    if (found == running.end()) return;
    Stop none = Stop::kNo;
    found->second.job->stop.compare_exchange_strong(none, Stop::kCancelled);
    look(uuid);
  }

  void look_at_dirty_rate(const std::string& uuid, Duration delay, int looks, Then<double> done) {
    auto look = [this, uuid, looks, done = std::move(done)]() mutable {
      auto seen = [this, uuid, looks,
                   done = std::move(done)](Result<std::optional<double>> rate) mutable {
        if (!rate) return done(Unexpected(rate.error()));
        if (*rate) return done(**rate);
        if (looks <= 1)
          return done(fail(Code::kTimeout, "the dirty rate was not measured in time"));
        look_at_dirty_rate(uuid, kDirtyRateAgain, looks - 1, std::move(done));
      };
      core->run<std::optional<double>>(
          "", Effect::kReads, [uuid](Session& session) { return read_dirty_rate(session, uuid); },
          std::move(seen));
    };
    core->after(delay, std::move(look));
  }

  template <class T>
  void run(const std::string& uuid, Effect effect, std::function<Result<T>(Session&)> fn,
           Then<T> done) {
    core->run<T>(uuid, effect, std::move(fn), std::move(done));
  }
  // A change of one domain by a function of (session, uuid, args...).
  template <class T, class F, class... A>
  void change(F fn, std::string uuid, Then<T> done, A... args) {
    std::string lane = uuid;
    run<T>(
        lane, Effect::kChanges,
        [fn, uuid = std::move(uuid), ... args = std::move(args)](Session& session) {
          return fn(session, uuid, args...);
        },
        std::move(done));
  }
};

LibvirtHypervisor::LibvirtHypervisor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<LibvirtHypervisor>> LibvirtHypervisor::create(Loop& loop,
                                                                     LibvirtOptions options) {
  auto impl = std::make_unique<Impl>();
  impl->events = TRY(EventThread::acquire());
  impl->core = std::make_shared<Core>(loop, std::move(options));
  impl->core->begin();
  return std::unique_ptr<LibvirtHypervisor>(new LibvirtHypervisor(std::move(impl)));
}

LibvirtHypervisor::~LibvirtHypervisor() {
  for (auto& [uuid, entry] : impl_->running) impl_->core->cancel(entry.timer);
  impl_->core->shut();
}

void LibvirtHypervisor::inventory(Then<model::HostInventory> done) {
  impl_->run<model::HostInventory>("", Effect::kReads, read_inventory, std::move(done));
}

void LibvirtHypervisor::list(Then<std::vector<model::Instance>> done) {
  impl_->run<std::vector<model::Instance>>("", Effect::kReads, list_instances, std::move(done));
}

void LibvirtHypervisor::statistics(Then<model::HostSample> done) {
  impl_->run<model::HostSample>("", Effect::kReads, read_statistics, std::move(done));
}

// Not in the domain's lane, and no worker waits for the window to pass.
void LibvirtHypervisor::dirty_rate(std::string uuid, Duration window, Then<double> done) {
  if (window < kDirtyRateWindowMin || window > kDirtyRateWindowMax)
    return impl_->core->post([done = std::move(done)]() mutable {
      done(fail(Code::kInvalid, "a dirty rate is measured over 1 to 60 seconds"));
    });
  auto started = [impl = impl_.get(), uuid, window, done = std::move(done)](Result<> ok) mutable {
    if (!ok) return done(Unexpected(ok.error()));
    impl->look_at_dirty_rate(uuid, window, kDirtyRateLooks, std::move(done));
  };
  impl_->run<void>(
      "", Effect::kReads,
      [uuid, window](Session& session) { return start_dirty_rate(session, uuid, window); },
      std::move(started));
}

void LibvirtHypervisor::subscribe(std::function<void(const std::string&, bool)> changed) {
  impl_->core->subscribe(std::move(changed));
}

void LibvirtHypervisor::define(model::DomainSpec domain, Then<> done) {
  std::string lane = domain.uuid;
  impl_->run<void>(
      lane, Effect::kChanges,
      [domain = std::move(domain)](Session& session) { return define_domain(session, domain); },
      std::move(done));
}

void LibvirtHypervisor::undefine(std::string uuid, Then<> done) {
  impl_->change<void>(undefine_domain, std::move(uuid), std::move(done));
}

void LibvirtHypervisor::start(std::string uuid, bool paused, Then<> done) {
  impl_->change<void>(start_domain, std::move(uuid), std::move(done), paused);
}

void LibvirtHypervisor::shutdown(std::string uuid, Then<> done) {
  impl_->change<void>(shutdown_domain, std::move(uuid), std::move(done));
}

void LibvirtHypervisor::destroy(std::string uuid, Then<> done) {
  impl_->stop_migration(uuid);
  impl_->change<void>(destroy_domain, std::move(uuid), std::move(done));
}

void LibvirtHypervisor::reboot(std::string uuid, bool hard, Then<> done) {
  impl_->change<void>(reboot_domain, std::move(uuid), std::move(done), hard);
}

void LibvirtHypervisor::suspend(std::string uuid, Then<> done) {
  impl_->change<void>(suspend_domain, std::move(uuid), std::move(done));
}

void LibvirtHypervisor::resume(std::string uuid, Then<> done) {
  impl_->change<void>(resume_domain, std::move(uuid), std::move(done));
}

void LibvirtHypervisor::save(std::string uuid, Then<> done) {
  impl_->change<void>(save_domain, std::move(uuid), std::move(done));
}

void LibvirtHypervisor::migrate(std::string uuid, ports::MigrateRequest request, Progress progress,
                                Then<model::MigrationStats> done) {
  auto job = impl_->begin(uuid, request.settings, std::move(progress));
  if (job == nullptr)
    return impl_->core->post([done = std::move(done)]() mutable {
      done(fail(Code::kConflict, "the domain is being moved already"));
    });
  impl_->run<model::MigrationStats>(
      uuid, Effect::kChanges,
      [job, request = std::move(request)](Session& session) {
        return migrate_domain(session, *job, request);
      },
      impl_->ender(uuid, std::move(done)));
}

void LibvirtHypervisor::migrate_storage(std::string uuid, std::vector<std::string> disks,
                                        std::vector<std::string> target_paths, Progress progress,
                                        Then<model::MigrationStats> done) {
  model::MigrationSettings unbounded;
  unbounded.timeout = {};  // terabytes take hours
  auto job = impl_->begin(uuid, unbounded, std::move(progress));
  if (job == nullptr)
    return impl_->core->post([done = std::move(done)]() mutable {
      done(fail(Code::kConflict, "the domain is being moved already"));
    });
  impl_->run<model::MigrationStats>(
      uuid, Effect::kChanges,
      [job, disks = std::move(disks), paths = std::move(target_paths)](Session& session) {
        return copy_disks(session, *job, disks, paths);
      },
      impl_->ender(uuid, std::move(done)));
}

void LibvirtHypervisor::abort_migration(std::string uuid, Then<> done) {
  auto found = impl_->running.find(uuid);
  if (found != impl_->running.end()) {
    found->second.stop_waiters.push_back(std::move(done));
    return impl_->stop_migration(uuid);
  }
  impl_->run<void>(
      "", Effect::kChanges, [uuid](Session& session) { return abort_foreign_job(session, uuid); },
      std::move(done));
}

void LibvirtHypervisor::resize(std::string uuid, ports::ResizeRequest request,
                               Then<ports::Applied> done) {
  impl_->change<ports::Applied>(resize_domain, std::move(uuid), std::move(done), request);
}

void LibvirtHypervisor::tune(std::string uuid, model::CpuAllocation cpu,
                             model::MemoryAllocation memory, Then<ports::Applied> done) {
  impl_->change<ports::Applied>(tune_domain, std::move(uuid), std::move(done), cpu, memory);
}

void LibvirtHypervisor::enforce(model::VmEnforcement settings,
                                Then<std::vector<std::string>> done) {
  std::string uuid = settings.uuid;
  impl_->change<std::vector<std::string>>(enforce_on_domain, std::move(uuid), std::move(done),
                                          std::move(settings));
}

void LibvirtHypervisor::attach_disk(std::string uuid, model::DomainDisk disk,
                                    Then<ports::Applied> done) {
  impl_->change<ports::Applied>(attach_domain_disk, std::move(uuid), std::move(done),
                                std::move(disk));
}

void LibvirtHypervisor::attach_nic(std::string uuid, model::DomainNic nic,
                                   Then<ports::Applied> done) {
  impl_->change<ports::Applied>(attach_domain_nic, std::move(uuid), std::move(done),
                                std::move(nic));
}

void LibvirtHypervisor::change_medium(std::string uuid, model::DomainCdrom cdrom,
                                      Then<ports::Applied> done) {
  impl_->change<ports::Applied>(change_domain_medium, std::move(uuid), std::move(done),
                                std::move(cdrom));
}

void LibvirtHypervisor::detach(std::string uuid, std::string device_name,
                               Then<ports::Applied> done) {
  impl_->change<ports::Applied>(detach_device, std::move(uuid), std::move(done),
                                std::move(device_name));
}

void LibvirtHypervisor::snapshot_create(std::string uuid, std::string name, Then<> done) {
  impl_->change<void>(create_snapshot, std::move(uuid), std::move(done), std::move(name));
}

void LibvirtHypervisor::snapshot_revert(std::string uuid, std::string name, Then<> done) {
  impl_->change<void>(revert_snapshot, std::move(uuid), std::move(done), std::move(name));
}

void LibvirtHypervisor::snapshot_delete(std::string uuid, std::string name, Then<> done) {
  impl_->change<void>(delete_snapshot, std::move(uuid), std::move(done), std::move(name));
}

// Not in the domain's lane: people look at a machine while it moves.
void LibvirtHypervisor::console(std::string uuid,
                                Then<std::unique_ptr<ports::ConsoleStream>> done) {
  impl_->run<std::unique_ptr<ports::ConsoleStream>>(
      "", Effect::kReads, [uuid](Session& session) { return open_console(session, uuid); },
      std::move(done));
}

void LibvirtHypervisor::vnc(std::string uuid, Then<std::unique_ptr<ports::ConsoleStream>> done) {
  impl_->run<std::unique_ptr<ports::ConsoleStream>>(
      "", Effect::kReads, [uuid](Session& session) { return open_vnc(session, uuid); },
      std::move(done));
}

void LibvirtHypervisor::check_compatible(model::DomainSpec domain, std::string cpu_definition,
                                         Then<std::vector<std::string>> done) {
  impl_->run<std::vector<std::string>>(
      "", Effect::kReads,
      [domain = std::move(domain), cpu = std::move(cpu_definition)](Session& session) {
        return compatibility(session, domain, cpu);
      },
      std::move(done));
}

void LibvirtHypervisor::cpu_baseline(std::vector<std::string> definitions, Then<std::string> done) {
  impl_->run<std::string>(
      "", Effect::kReads,
      [definitions = std::move(definitions)](Session& session) {
        return baseline(session, definitions);
      },
      std::move(done));
}

void LibvirtHypervisor::adopt(std::string uuid, std::string vm, Then<model::VmSpec> done) {
  impl_->change<model::VmSpec>(adopt_domain, std::move(uuid), std::move(done), std::move(vm));
}

}  // namespace chorok::adapters::libvirt
