// What is on the host.
#include <algorithm>
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

}  // namespace chorok::adapters::libvirt
