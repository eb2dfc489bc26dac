// Clusters, pools and rules: what must hold of them, and how they go.
#include <fmt/format.h>

#include <algorithm>

#include "control/steps.h"
#include "manager/admission.h"
#include "manager/bmc_switches.h"
#include "manager/energy_report.h"
#include "manager/references.h"
#include "manager/requests_internal.h"

namespace chorok::manager {

using model::Role;
using model::RuleKind;

namespace {

constexpr int kPoolDepthMax = 16;
constexpr std::size_t kRulesOfVmMax = 32;
constexpr std::size_t kBatch = 80;  // of a transaction's 100 keys

void refuse(Problems& problems, std::string field, std::string message,
            Code code = Code::kFailedPrecondition) {
  problems.push_back({std::string(to_string(code)), std::move(message), std::move(field)});
}

template <class T>
void check_bounds(const T& of, const std::string& field, Problems& problems) {
  if (of.limit.value > 0 && of.limit < of.reservation)
    refuse(problems, field + "/limit",
           fmt::format("is {} {}, less than the reservation ({})", of.limit.value,
                       type_of<decltype(of.limit)>().unit, of.reservation.value),
           Code::kInvalid);
}

// Of a new object that says no cluster: the only one there is.
void choose_cluster(std::string& cluster, const Inventory& inventory, Problems& problems) {
  if (!cluster.empty()) return;
  if (inventory.clusters().size() == 1)
    cluster = inventory.default_cluster().meta.id;
  else
    refuse(problems, "/cluster",
           fmt::format("is missing: there are {} clusters", inventory.clusters().size()),
           Code::kInvalid);
}

std::string name_of_vm(const Inventory& inventory, const std::string& id) {
  const auto vm = inventory.vms().find(id);
  return vm == nullptr ? id : vm->meta.name;
}

bool of_hosts(RuleKind kind) {
  return kind == RuleKind::kHostsOnly || kind == RuleKind::kHostsNever;
}

bool contains(const std::vector<std::string>& ids, const std::string& id) {
  return std::ranges::find(ids, id) != ids.end();
}

// Whether the VM has a host left by both rules, which name hosts.
bool both_leave_a_host(const model::Rule& a, const model::Rule& b, const Inventory& inventory) {
  auto allows = [](const model::Rule& rule, const std::string& host) {
    return contains(rule.hosts, host) == (rule.kind == RuleKind::kHostsOnly);
  };
  return std::ranges::any_of(inventory.hosts().all(), [&](const auto& entry) {
    return allows(a, entry.first) && allows(b, entry.first);
  });
}

// Two rules that must hold and cannot both: why, or empty.
std::string contradiction(const model::Rule& a, const model::Rule& b, const Inventory& inventory) {
  std::vector<std::string> common;
  for (const std::string& vm : a.vms)
    if (contains(b.vms, vm)) common.push_back(name_of_vm(inventory, vm));
  const bool opposite = (a.kind == RuleKind::kTogether && b.kind == RuleKind::kApart) ||
                        (a.kind == RuleKind::kApart && b.kind == RuleKind::kTogether);
  if (opposite && common.size() >= 2)
    return fmt::format("rule '{}' says '{}' of {} and {}", b.meta.name, ::chorok::name_of(b.kind),
                       common[0], common[1]);
  if (of_hosts(a.kind) && of_hosts(b.kind) && !common.empty() &&
      !both_leave_a_host(a, b, inventory))
    return fmt::format("with rule '{}' it leaves no host for {}", b.meta.name, common[0]);
  return {};
}

void check_rule_members(const model::Rule& rule, const model::Rule* before,
                        const Inventory& inventory, Problems& problems) {
  const bool same = before != nullptr && before->kind == rule.kind && before->vms == rule.vms &&
                    before->hosts == rule.hosts;
  if (same) return;  // what others took out of it is no fault of this change
  const std::size_t least = of_hosts(rule.kind) ? 1 : 2;
  if (rule.vms.size() < least)
    refuse(problems, "/vms",
           fmt::format("a rule '{}' needs {} at least", ::chorok::name_of(rule.kind),
                       least == 1 ? "a VM" : "two VMs"),
           Code::kInvalid);
  if (of_hosts(rule.kind) && rule.hosts.empty())
    refuse(problems, "/hosts",
           fmt::format("a rule '{}' needs a host at least", ::chorok::name_of(rule.kind)),
           Code::kInvalid);
  if (!of_hosts(rule.kind) && !rule.hosts.empty())
    refuse(problems, "/hosts",
           fmt::format("a rule '{}' speaks of VMs only", ::chorok::name_of(rule.kind)),
           Code::kInvalid);
  for (std::size_t i = 0; i < rule.vms.size(); ++i) {
    const model::Vm& vm = *inventory.vms().find(rule.vms[i]);
    const model::Cluster& theirs = inventory.cluster_of(vm);
    if (theirs.meta.id != rule.cluster)
      refuse(problems, fmt::format("/vms/{}", i),
             fmt::format("'{}' is of cluster '{}'", vm.meta.name, theirs.meta.name));
    if (before != nullptr && contains(before->vms, rule.vms[i])) continue;
    if (rules_of(inventory, rule.vms[i]).size() >= kRulesOfVmMax)
      refuse(problems, fmt::format("/vms/{}", i),
             fmt::format("'{}' is in {} rules already", vm.meta.name, kRulesOfVmMax));
  }
  for (std::size_t i = 0; i < rule.hosts.size(); ++i) {
    const model::Host& host = *inventory.hosts().find(rule.hosts[i]);
    const model::Cluster& theirs = inventory.cluster_of(host);
    if (theirs.meta.id != rule.cluster)
      refuse(problems, fmt::format("/hosts/{}", i),
             fmt::format("'{}' is of cluster '{}'", host.meta.name, theirs.meta.name));
  }
}

}  // namespace

Problems Requests::prepare(model::Datastore& object, const model::Datastore*) const {
  return validate_datastore(object);
}
Problems Requests::prepare(model::Network& object, const model::Network*) const {
  return validate_network(object);
}
Problems Requests::prepare(model::User&, const model::User*) const {
  return {};
}
Problems Requests::prepare(model::Cluster& object, const model::Cluster* before) const {
  Problems problems;
  if (Result<> right = model::check(object.schedule); !right)
    refuse(problems, "/schedule" + right.error().field, right.error().message);
  const model::EnergySettings* kept = before == nullptr ? nullptr : &before->energy;
  if (Result<> good = check_energy(object.energy, kept, identities_.calendar); !good)
    refuse(problems, good.error().field, good.error().message);
  return problems;
}

// ---- Hosts

namespace {

// A rule that keeps VMs on this host alone: without it they could run nowhere.
std::string only_host_of_a_rule(const Inventory& inventory, const std::string& host) {
  for (const auto& [name, rule] : inventory.rules().by_name())
    if (rule->enabled && rule->must && rule->kind == RuleKind::kHostsOnly && !rule->vms.empty() &&
        rule->hosts == std::vector{host})
      return name;
  return {};
}

// Whoever wonders later why a host stays on is told the reason; it goes with the exclusion.
void check_dpm(model::Host& host, const model::Host* before, Problems& problems) {
  const model::HostDpm was = before == nullptr ? model::HostDpm::kAutomatic : before->dpm;
  const std::string reason = before == nullptr ? std::string() : before->dpm_reason;
  if (host.dpm == was && host.dpm_reason == reason) return;
  if (host.dpm == model::HostDpm::kExcluded) {
    if (host.dpm_reason.empty())
      refuse(problems, "/dpm_reason", "why? Whoever wonders why it stays on is told (--dpm-reason)",
             Code::kInvalid);
    return;
  }
  if (was == model::HostDpm::kAutomatic && !host.dpm_reason.empty())
    refuse(problems, "/dpm_reason",
           "is why a host is excluded, and this one is not (--dpm excluded)", Code::kInvalid);
  host.dpm_reason.clear();
}

}  // namespace

Problems Requests::prepare(model::Host& object, const model::Host* before) const {
  const Inventory& inventory = engine_.inventory();
  Problems problems = resolve_references("host", model::Host::type(), &object, before, inventory);
  seal_bmc(object, before == nullptr ? model::BmcSpec() : before->bmc, problems);
  check_dpm(object, before, problems);
  if (before != nullptr && object.bmc != before->bmc) object.bmc_changed = engine_.now();
  if (Result<> good = model::check(object.power_model, "/power_model"); !good)
    refuse(problems, good.error().field, good.error().message);
  const std::string theirs = before == nullptr ? "" : inventory.cluster_of(*before).meta.id;
  if (object.cluster.empty()) object.cluster = theirs;
  if (!problems.empty() || before == nullptr || object.cluster == theirs) return problems;
  std::int64_t running = 0;
  std::vector<std::string> pooled;
  for (const auto& [name, vm] : inventory.vms().by_name()) {
    if (vm->host != object.meta.id) continue;
    if (control::is_running(vm->status.state) || vm->power == model::VmPower::kOn ||
        vm->status.state == model::VmState::kUnknown)
      ++running;
    if (inventory.pool_of(*vm) != nullptr) pooled.push_back(name);
  }
  if (running > 0)
    refuse(problems, "/cluster",
           fmt::format("{} VMs run on it; put it into maintenance first", running));
  if (!pooled.empty())
    refuse(problems, "/cluster",
           fmt::format("{} VMs of it are in pools of its cluster, '{}' first; take them out of "
                       "these, or move them to another host",
                       pooled.size(), pooled[0]));
  if (const std::string rule = only_host_of_a_rule(inventory, object.meta.id); !rule.empty())
    refuse(problems, "/cluster",
           fmt::format("rule '{}' keeps VMs on it alone; change the rule first", rule));
  return problems;
}

// What was given as a password is kept sealed; a BMC that is forgotten takes it along.
void Requests::seal_bmc(model::Host& host, const model::BmcSpec& before, Problems& problems) const {
  model::BmcSpec& bmc = host.bmc;
  if (bmc.driver.empty()) {
    if (before.driver.empty() && bmc != model::BmcSpec())
      refuse(problems, "/bmc/driver", "by what is it reached? (ipmi, redfish, hook, wol, fence_…)",
             Code::kInvalid);
    bmc = {};
    return;
  }
  // A card's password is no BMC's.
  const bool was_card = before.driver == model::kWakeOnLan;
  if (was_card != (bmc.driver == model::kWakeOnLan)) bmc.sealed.clear();
  if (Result<> usable = BmcSwitches::check(bmc); !usable)
    refuse(problems, usable.error().field, usable.error().message);
  else if (bmc.driver != before.driver && identities_.can_reach)
    if (Result<> here = identities_.can_reach(bmc); !here)
      refuse(problems, here.error().field, here.error().message);
  if (bmc.password.empty()) return;
  if (!identities_.seal)
    return refuse(problems, "/bmc/password", "this manager has nowhere to keep a password");
  bmc.sealed = identities_.seal(std::exchange(bmc.password, {}), bmc_place(host.meta.id));
}

Result<> Requests::host_may_go(const model::Host& host, bool force) const {
  const Inventory& inventory = engine_.inventory();
  const auto count = std::ranges::count_if(
      inventory.vms().all(), [&](const auto& entry) { return entry.second->host == host.meta.id; });
  if (count > 0 && !force)
    return fail(
        Code::kFailedPrecondition,
        fmt::format("{} VMs belong to it; put it into maintenance first, or remove it by force",
                    count));
  if (const std::string rule = only_host_of_a_rule(inventory, host.meta.id); !rule.empty())
    return fail(Code::kFailedPrecondition,
                fmt::format("rule '{}' keeps VMs on it alone; change the rule first", rule));
  return {};
}

// ---- Clusters

Result<> Requests::cluster_may_go(const model::Cluster& cluster) const {
  const Inventory& inventory = engine_.inventory();
  if (inventory.clusters().size() == 1)
    return fail(Code::kFailedPrecondition, "it is the only cluster, and there is always one");
  std::vector<std::string> holds;
  auto count = [&](std::size_t number, std::string_view what) {
    if (number > 0) holds.push_back(fmt::format("{} {}{}", number, what, number == 1 ? "" : "s"));
  };
  auto theirs = [&](const auto& entry) { return entry.second->cluster == cluster.meta.id; };
  count(static_cast<std::size_t>(std::ranges::count_if(
            inventory.hosts().all(),
            [&](const auto& entry) { return &inventory.cluster_of(*entry.second) == &cluster; })),
        "host");
  count(static_cast<std::size_t>(std::ranges::count_if(inventory.pools().all(), theirs)), "pool");
  count(static_cast<std::size_t>(std::ranges::count_if(inventory.rules().all(), theirs)), "rule");
  if (holds.empty()) return {};
  return fail(Code::kFailedPrecondition,
              fmt::format("it has {}; move or delete them first", fmt::join(holds, ", ")));
}

// ---- Pools

Problems Requests::prepare(model::Pool& object, const model::Pool* before) const {
  const Inventory& inventory = engine_.inventory();
  Problems problems = resolve_references("pool", model::Pool::type(), &object, before, inventory);
  if (!problems.empty()) return problems;
  const auto parent = inventory.pools().find(object.parent);
  if (object.cluster.empty() && parent != nullptr) object.cluster = parent->cluster;
  choose_cluster(object.cluster, inventory, problems);
  if (before != nullptr && before->cluster != object.cluster)
    refuse(problems, "/cluster", "a pool stays in its cluster; make another one there");
  if (parent != nullptr && parent->cluster != object.cluster)
    refuse(problems, "/parent", fmt::format("'{}' is of another cluster", parent->meta.name));
  int depth = 1;
  for (auto above = parent; above != nullptr; above = inventory.pools().find(above->parent)) {
    if (above->meta.id == object.meta.id) {
      refuse(problems, "/parent", fmt::format("'{}' lies within it", parent->meta.name));
      break;
    }
    if (++depth > kPoolDepthMax) {
      refuse(problems, "/parent", fmt::format("pools are at most {} deep", kPoolDepthMax));
      break;
    }
  }
  check_bounds(object.cpu, "/cpu", problems);
  check_bounds(object.memory, "/memory", problems);
  const bool promises = before == nullptr || before->parent != object.parent ||
                        !equal(before->cpu, object.cpu) || !equal(before->memory, object.memory);
  if (problems.empty() && promises) problems = admit_pool(inventory, world_, engine_.now(), object);
  return problems;
}

void Requests::remove_pool(const Caller& caller, std::string_view ref, bool move_up,
                           Conditions conditions, Answered done) {
  const Inventory& inventory = engine_.inventory();
  const auto pool = inventory.pools().resolve(ref);
  if (pool == nullptr) return done(missing("pool", ref));
  if (caller.role_on(pool->meta.folder) < Role::kAdmin)
    return done(denied(Role::kAdmin, "deleting this"));
  if (auto same = check_revision(conditions, pool->meta.revision); !same)
    return done(Unexpected(same.error()));
  const std::string& id = pool->meta.id;
  const auto vms = std::ranges::count_if(inventory.vms().all(),
                                         [&](const auto& e) { return e.second->pool == id; });
  const auto pools = std::ranges::count_if(inventory.pools().all(),
                                           [&](const auto& e) { return e.second->parent == id; });
  std::string message = "it would be deleted";
  Problems problems;
  const auto parent = inventory.pools().find(pool->parent);
  const std::string up =
      parent == nullptr ? "below the cluster" : fmt::format("to pool '{}'", parent->meta.name);
  if (vms + pools > 0 && move_up)
    message += fmt::format("; {} VMs and {} pools would move up {}", vms, pools, up);
  else if (vms + pools > 0)
    refuse(problems, "",
           fmt::format("{} VMs and {} pools are in it; delete it with them moved up {} (--move-up, "
                       "?move_up=true), or move them first",
                       vms, pools, up));
  if (conditions.dry_run) return done(dry_answer(problems.empty(), message, problems));
  if (!problems.empty()) return done(Unexpected(first_problem(problems)));
  move_up_and_remove(caller, id, std::move(done));
}

// A batch at a time; each leaves things as they may be. What is promised stays: a pool takes from
// its parent at least what it has promised itself.
void Requests::move_up_and_remove(const Caller& caller, const std::string& id, Answered done) {
  const auto pool = engine_.inventory().pools().find(id);
  if (pool == nullptr) return done(Answer{});
  Changes changes;
  for (const auto& [vm_id, vm] : engine_.inventory().vms().all()) {
    if (vm->pool != id || changes.items().size() >= kBatch) continue;
    model::Vm moved = *vm;
    moved.pool = pool->parent;
    changes.put(std::move(moved));
  }
  for (const auto& [child_id, child] : engine_.inventory().pools().all()) {
    if (child->parent != id || changes.items().size() >= kBatch) continue;
    model::Pool moved = *child;
    moved.parent = pool->parent;
    changes.put(std::move(moved));
  }
  const bool last = changes.items().size() < kBatch;
  if (last) {
    changes.erase<model::Pool>(id);
    model::Event event;
    event.kind = "pool.deleted";
    event.subject_kind = "pool";
    event.subject = id;
    event.subject_name = pool->meta.name;
    event.message = fmt::format("deleted by {}", caller.user_name);
    event.user = caller.user_name;
    engine_.add_event(changes, std::move(event));
  }
  engine_.commit(std::move(changes), [this, alive = alive_, caller, id, last,
                                      done = std::move(done)](Result<> stored) mutable {
    if (!*alive) return;
    if (!stored) return done(Unexpected(stored.error()));
    if (last) return done(Answer{});
    move_up_and_remove(caller, id, std::move(done));
  });
}

// ---- Rules

Problems Requests::prepare(model::Rule& object, const model::Rule* before) const {
  const Inventory& inventory = engine_.inventory();
  Problems problems = resolve_references("rule", model::Rule::type(), &object, before, inventory);
  if (!problems.empty()) return problems;
  if (object.cluster.empty() && !object.vms.empty())
    object.cluster = inventory.cluster_of(*inventory.vms().find(object.vms[0])).meta.id;
  choose_cluster(object.cluster, inventory, problems);
  check_rule_members(object, before, inventory, problems);
  if (!problems.empty() || !object.must || !object.enabled) return problems;
  for (const auto& [name, other] : inventory.rules().by_name()) {
    if (other->meta.id == object.meta.id || !other->must || !other->enabled) continue;
    if (std::string why = contradiction(object, *other, inventory); !why.empty())
      refuse(problems, "/vms", fmt::format("both cannot hold: {}", why));
  }
  return problems;
}

// ---- VMs in them

Problems Requests::check_pool_of(const model::Vm& vm, const std::string& host) const {
  Problems problems;
  const auto pool = engine_.inventory().pools().find(vm.pool);
  const auto where = engine_.inventory().hosts().find(host);
  if (pool == nullptr || where == nullptr) return problems;
  const model::Cluster& theirs = engine_.inventory().cluster_of(*where);
  if (theirs.meta.id != pool->cluster)
    refuse(problems, "/pool",
           fmt::format("pool '{}' is not in cluster '{}', which host '{}' is of", pool->meta.name,
                       theirs.meta.name, where->meta.name));
  return problems;
}

// Labels that bills go by are a part of names in the history, which takes 128 bytes.
static void check_billing(const model::Vm& vm, Problems& problems) {
  constexpr std::size_t kBytesMax = 96;
  for (const char* name : {"owner", "vapp"})
    if (const auto label = vm.meta.labels.find(name);
        label != vm.meta.labels.end() && label->second.size() > kBytesMax)
      refuse(
          problems, fmt::format("/meta/labels/{}", name),
          fmt::format("bills go by it: {} bytes at most, not {}", kBytesMax, label->second.size()),
          Code::kInvalid);
}

// Everything that must hold of a VM but where it runs.
Problems Requests::prepare_vm(const Caller& caller, model::Vm& vm, const model::Vm* before) const {
  const Inventory& inventory = engine_.inventory();
  Problems problems = resolve_references("vm", model::Vm::type(), &vm, before, inventory);
  std::ranges::move(validate_vm_spec(vm.spec, before == nullptr ? std::string() : before->meta.id,
                                     inventory, "/spec"),
                    std::back_inserter(problems));
  if (before == nullptr || before->meta.labels != vm.meta.labels) check_billing(vm, problems);
  if (before != nullptr && contains(vm.restart.after, vm.meta.id))
    refuse(problems, "/restart/after", "a VM does not wait for itself", Code::kInvalid);
  const bool moves = before == nullptr || before->pool != vm.pool;
  const auto pool = inventory.pools().find(vm.pool);
  if (moves && pool != nullptr && caller.role_on(pool->meta.folder) < Role::kOperator)
    refuse(problems, "/pool",
           fmt::format("putting a VM into '{}' needs the role 'operator' there", pool->meta.name),
           Code::kPermissionDenied);
  if (!problems.empty() || before == nullptr) return problems;
  if (moves) problems = check_pool_of(vm, vm.host);
  if (problems.empty()) problems = admit_change(inventory, world_, engine_.now(), before, vm);
  return problems;
}

Problems Requests::promised(const model::Vm& vm, const model::Task& task) const {
  const Inventory& inventory = engine_.inventory();
  if (task.kind == "vm.start") return admit_start(inventory, world_, engine_.now(), vm);
  if (task.kind == "vm.migrate" && !task.args.host.empty()) {
    const model::Host* to = world_.host(task.args.host);
    Problems problems = to == nullptr ? Problems{} : check_pool_of(vm, to->meta.id);
    for (model::Problem& problem : problems) {
      problem.message += "; take the VM out of it first";
      problem.field = "/host";
    }
    return problems;
  }
  if (task.kind != "vm.tune") return {};
  model::Vm after = vm;
  if (task.args.cpu) after.spec.cpu = *task.args.cpu;
  if (task.args.memory_allocation) after.spec.memory_allocation = *task.args.memory_allocation;
  Problems problems;
  for (model::Problem& problem : validate_vm_spec(after.spec, vm.meta.id, inventory, ""))
    if (problem.field.starts_with("/cpu/") || problem.field.starts_with("/memory_allocation/"))
      problems.push_back(std::move(problem));
  if (!problems.empty()) return problems;
  problems = admit_change(inventory, world_, engine_.now(), &vm, after);
  for (model::Problem& problem : problems) problem.field.erase(0, std::string("/spec").size());
  return problems;
}

}  // namespace chorok::manager
