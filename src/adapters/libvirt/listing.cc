// What is on the host, and how much it uses.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "adapters/libvirt/calls.h"

namespace chorok::adapters::libvirt {

namespace {

// Calls libvirt's allocate-a-list functions and owns the result.
class DomainList {
 public:
  explicit DomainList(virConnectPtr connection)
      : count_(virConnectListAllDomains(connection, &domains_, 0)) {}
  ~DomainList() {
    for (int i = 0; i < count_; ++i) virDomainFree(domains_[i]);
    std::free(static_cast<void*>(domains_));
  }
  DomainList(const DomainList&) = delete;
  DomainList& operator=(const DomainList&) = delete;

  bool ok() const { return count_ >= 0; }
  std::span<virDomainPtr> all() const {
    return {domains_, static_cast<std::size_t>(std::max(count_, 0))};
  }

 private:
  virDomainPtr* domains_ = nullptr;
  int count_;
};

model::InstanceRole role_of(virDomainPtr domain, const RawState& state) {
  bool moving = state.state == VIR_DOMAIN_PAUSED && (state.reason == VIR_DOMAIN_PAUSED_MIGRATION ||
                                                     state.reason == VIR_DOMAIN_PAUSED_POSTCOPY);
  if (!moving) return model::InstanceRole::kPrimary;
  TypedParams params;
  int type = 0;
  if (virDomainGetJobStats(domain, &type, params.out(), params.out_size(), 0) == 0) {
    int operation = 0;
    virTypedParamsGetInt(params.data(), params.size(), VIR_DOMAIN_JOB_OPERATION, &operation);
    if (operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN) return model::InstanceRole::kIncoming;
    if (operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT) return model::InstanceRole::kPrimary;
  }
  // A target has no definition of its own before the switch-over.
  return virDomainIsPersistent(domain) == 1 ? model::InstanceRole::kPrimary
                                            : model::InstanceRole::kIncoming;
}

// In the domain's lane: behind the migration that may be carrying them.
void give_snapshots_back(Core& core, const std::string& uuid) {
  core.run<void>(
      uuid, Effect::kChanges, [uuid](Session& inner) { return unpack_snapshots(inner, uuid); },
      [uuid, &core](const Result<>& outcome) {
        if (outcome) return core.changed(uuid);
        if (outcome.error().code != Code::kNotFound)
          Core::log().warn("snapshots domain={} reason=\"{}\"", uuid, outcome.error().message);
      });
}

Result<model::Instance> describe_domain(const Session& session, virDomainPtr domain,
                                        std::set<std::string>& running) {
  RawState state = TRY(raw_state(domain));
  bool active = is_active(state);
  std::string text = TRY(domain_text(domain, 0));
  ParsedDomain live = TRY(parse_domain_xml(text));
  model::Instance instance = std::move(live.instance);
  instance.persistent = virDomainIsPersistent(domain) == 1;
  instance.state = vm_state(state, !active && virDomainHasManagedSaveImage(domain, 0) == 1);
  instance.role = role_of(domain, state);
  if (active && instance.persistent) {
    if (Result<ParsedDomain> next = read_domain(domain, true)) {
      instance.pending = next->instance.generation != instance.generation;
      instance.generation = next->instance.generation;
      if (instance.vm.empty()) instance.vm = next->instance.vm;
    }
  }
  if (active && instance.role == model::InstanceRole::kPrimary)
    instance.ips = session.core.lookups().addresses(instance.uuid, live.agent_connected);
  if (active) running.insert(instance.uuid);
  session.core.lookups().fill_sizes(instance.uuid, instance.disks);
  instance.snapshots = list_snapshots(domain);
  if (instance.role == model::InstanceRole::kPrimary && has_packed_snapshots(text))
    give_snapshots_back(session.core, instance.uuid);
  return instance;
}

// One record of virConnectGetAllDomainStats, read by name.
class Record {
 public:
  explicit Record(virDomainStatsRecordPtr record) : record_(record) {}
  std::uint64_t number(const std::string& name) const {
    unsigned long long value = 0;
    virTypedParamsGetULLong(record_->params, record_->nparams, name.c_str(), &value);
    return value;
  }
  std::uint64_t count(const std::string& name) const {
    unsigned value = 0;
    virTypedParamsGetUInt(record_->params, record_->nparams, name.c_str(), &value);
    return value;
  }
  int integer(const char* name) const {
    int value = 0;
    virTypedParamsGetInt(record_->params, record_->nparams, name, &value);
    return value;
  }
  // Sum over `group`.0…n of `field`.
  std::uint64_t sum(const char* group, const char* counter, const char* field) const {
    std::uint64_t total = 0;
    std::uint64_t many = count(fmt::format("{}.{}", group, counter));
    for (std::uint64_t i = 0; i < many; ++i)
      total += number(fmt::format("{}.{}.{}", group, i, field));
    return total;
  }
  virDomainPtr domain() const { return record_->dom; }

 private:
  virDomainStatsRecordPtr record_;
};

ports::DomainStats read_record(const Record& record) {
  ports::DomainStats stats;
  std::array<char, VIR_UUID_STRING_BUFLEN> uuid{};
  virDomainGetUUIDString(record.domain(), uuid.data());
  stats.uuid = uuid.data();
  stats.state = vm_state({record.integer("state.state"), record.integer("state.reason")}, false);
  stats.cpu_time = Duration(static_cast<std::int64_t>(record.number("cpu.time")));
  stats.cpu_wait = Duration(static_cast<std::int64_t>(record.sum("vcpu", "current", "wait") +
                                                      record.sum("vcpu", "current", "delay")));
  auto kib = [&](const char* name) {
    return Mib(static_cast<std::int64_t>(record.number(name) / 1024));
  };
  stats.memory_balloon = kib("balloon.current");
  stats.memory_resident = kib("balloon.rss");
  Mib available = kib("balloon.available");
  Mib usable = kib("balloon.usable");
  if (usable == Mib{}) usable = kib("balloon.unused");
  if (available > usable && usable > Mib{}) stats.memory_used = available - usable;
  auto bytes = [](std::uint64_t value) { return Bytes(static_cast<std::int64_t>(value)); };
  stats.disk_read = bytes(record.sum("block", "count", "rd.bytes"));
  stats.disk_written = bytes(record.sum("block", "count", "wr.bytes"));
  stats.net_received = bytes(record.sum("net", "count", "rx.bytes"));
  stats.net_sent = bytes(record.sum("net", "count", "tx.bytes"));
  return stats;
}

// For drivers without bulk statistics (Xen, LXC).
Result<std::vector<ports::DomainStats>> statistics_one_by_one(const Session& session) {
  DomainList domains(session.conn());
  if (!domains.ok()) return last_error("cannot list the domains");
  std::vector<ports::DomainStats> all;
  for (virDomainPtr domain : domains.all()) {
    virDomainInfo info{};
    if (virDomainGetInfo(domain, &info) < 0 || !is_active({info.state, 0})) continue;
    ports::DomainStats stats;
    std::array<char, VIR_UUID_STRING_BUFLEN> uuid{};
    virDomainGetUUIDString(domain, uuid.data());
    stats.uuid = uuid.data();
    stats.state = vm_state({info.state, 0}, false);
    stats.cpu_time = Duration(static_cast<std::int64_t>(info.cpuTime));
    stats.memory_balloon = Mib(static_cast<std::int64_t>(info.memory / 1024));
    all.push_back(std::move(stats));
  }
  return all;
}

}  // namespace

model::VmState vm_state(const RawState& state, bool saved) {
  switch (state.state) {
    case VIR_DOMAIN_RUNNING:
    case VIR_DOMAIN_BLOCKED:
      return model::VmState::kOn;
    case VIR_DOMAIN_PAUSED:
      if (state.reason == VIR_DOMAIN_PAUSED_STARTING_UP) return model::VmState::kStarting;
      if (state.reason == VIR_DOMAIN_PAUSED_SHUTTING_DOWN) return model::VmState::kStopping;
      if (state.reason == VIR_DOMAIN_PAUSED_CRASHED) return model::VmState::kCrashed;
      return model::VmState::kPaused;
    case VIR_DOMAIN_PMSUSPENDED:
      return model::VmState::kPaused;
    case VIR_DOMAIN_SHUTDOWN:
      return model::VmState::kStopping;
    case VIR_DOMAIN_SHUTOFF:
      if (saved) return model::VmState::kSaved;
      return state.reason == VIR_DOMAIN_SHUTOFF_CRASHED ? model::VmState::kCrashed
                                                        : model::VmState::kOff;
    case VIR_DOMAIN_CRASHED:
      return model::VmState::kCrashed;
    default:
      return model::VmState::kUnknown;
  }
}

Result<std::vector<model::Instance>> list_instances(const Session& session) {
  DomainList domains(session.conn());
  if (!domains.ok()) return last_error("cannot list the domains");
  std::vector<model::Instance> all;
  std::set<std::string> running;
  for (virDomainPtr domain : domains.all()) {
    Result<model::Instance> instance = describe_domain(session, domain, running);
    if (instance) {
      all.push_back(std::move(*instance));
    } else if (virConnectIsAlive(session.conn()) != 1) {
      return Unexpected(instance.error());
    }  // else it went away while we looked
  }
  session.core.lookups().keep_only(running);
  return all;
}

Result<std::vector<ports::DomainStats>> domain_statistics(const Session& session) {
  constexpr unsigned kGroups = VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_CPU_TOTAL |
                               VIR_DOMAIN_STATS_VCPU | VIR_DOMAIN_STATS_BALLOON |
                               VIR_DOMAIN_STATS_BLOCK | VIR_DOMAIN_STATS_INTERFACE;
  constexpr unsigned kFlags =
      VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE | VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT;
  virDomainStatsRecordPtr* records = nullptr;
  int count = virConnectGetAllDomainStats(session.conn(), kGroups, &records, kFlags);
  if (count < 0) {
    if (last_error_number() == VIR_ERR_NO_SUPPORT) return statistics_one_by_one(session);
    return last_error("cannot read the domains' statistics");
  }
  std::vector<ports::DomainStats> all;
  for (int i = 0; i < count; ++i) all.push_back(read_record(Record(records[i])));
  virDomainStatsRecordListFree(records);
  return all;
}

}  // namespace chorok::adapters::libvirt
