#include "manager/cluster_snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "control/compatibility.h"
#include "control/steps.h"
#include "manager/cluster_needs.h"
#include "manager/cluster_records.h"
#include "manager/energy.h"
#include "manager/link_speed.h"
#include "policy/entitle.h"

namespace chorok::manager {

using model::Index;
using model::kNone;
using model::SnapshotHost;
using model::SnapshotOperation;
using model::SnapshotPool;
using model::SnapshotRule;
using model::SnapshotVm;
using model::VmRun;
using model::VmState;

namespace {

constexpr double kUnknownCpu = 0.25;    // of its size
constexpr double kUnknownMemory = 0.5;  // of its size, in use
// From off to running VMs, and back, until a host's own times are known.
constexpr Duration kTimeOn = std::chrono::minutes(4);
constexpr Duration kTimeOff = std::chrono::minutes(1);
constexpr std::string_view kNoBmc = "it has no BMC that could switch it on again";

model::Allocation allocation(double shares, double reservation, double limit,
                             bool expandable = false) {
  return {.shares = shares,
          .reservation = reservation,
          .limit = limit > 0 ? std::max(limit, reservation) : model::kUnlimited,
          .expandable = expandable};
}

// Of PoolCpu or PoolMemory.
template <class T>
model::Allocation pool_allocation(const T& of, model::Resource resource) {
  using policy::ShareLevel;
  const ShareLevel level = of.level == model::ShareLevel::kLow    ? ShareLevel::kLow
                           : of.level == model::ShareLevel::kHigh ? ShareLevel::kHigh
                                                                  : ShareLevel::kNormal;
  return allocation(
      of.shares > 0 ? static_cast<double>(of.shares) : policy::pool_shares(level, resource),
      static_cast<double>(of.reservation.value), static_cast<double>(of.limit.value),
      of.expandable);
}

double in_seconds(Duration d) {
  return std::chrono::duration<double>(d).count();
}

class Maker {
 public:
  // Of `inventory` all but the many is read.
  Maker(const Inventory& inventory, const SeenNow& seen, const model::Cluster& cluster, Time now,
        const SnapshotOptions& options)
      : inventory_(inventory),
        seen_(seen),
        cluster_(cluster),
        options_(options),
        needs_(inventory, cluster) {
    s_.now = now;
    s_.revision = options.revision;
    s_.cluster = cluster.meta.name;
    s_.settings = options.settings != nullptr ? *options.settings : cluster.settings;
  }

  ClusterSnapshot run(const ManyRecords& many) {
    find_hosts();
    find_operations(many);
    add_pools();
    add_vms(many.vms);
    for (const auto& host : hosts_) add_host(*host);
    for (Index v = 0; v < s_.vms.size(); ++v) add_restart_order(v);
    add_operations();
    add_rules();
    s_.requirements = needs_.take_requirements();
    s_.offers = needs_.take_offers();
    return std::move(out_);
  }

  // One VM that waits for a host, and what it needs.
  std::pair<SnapshotVm, model::Requirement> one(const model::Vm& vm) {
    find_hosts();
    add_pools();
    SnapshotVm out = shaped(vm, {VmRun::kWaiting, kNone, {}});
    return {out, std::move(needs_.take_requirements()[out.requirement])};
  }

 private:
  using VmPtr = Table<model::Vm>::Ptr;
  using HostPtr = Table<model::Host>::Ptr;

  void find_hosts() {
    for (const auto& [name, host] : inventory_.hosts().by_name()) {
      if (&inventory_.cluster_of(*host) != &cluster_) continue;
      host_of_[host->meta.id] = static_cast<Index>(hosts_.size());
      hosts_.push_back(host);
      out_.hosts.push_back(host->meta.id);
    }
  }
  Index host_index(const std::string& id) const {
    const auto it = host_of_.find(id);
    return it == host_of_.end() ? kNone : it->second;
  }

  void find_operations(const ManyRecords& many) {
    for (const auto& op : many.operations) {
      const bool moves = op->kind == model::OpKind::kMigrate && op->args.migration;
      if (moves || op->kind == model::OpKind::kStart) operations_[op->vm] = op;
    }
    // A move is under way from its task's beginning to its end, whatever step it is at.
    for (const auto& task : many.tasks) {
      if (control::waits_for_host(*task)) waiting_.insert(task->target);
      if (const auto target = control::start_target(*task); !target.empty())
        starts_[task->target] = host_index(std::string(target));
      if (task->kind != "vm.migrate") continue;
      const bool only_disks = task->args.host.empty() && !task->args.datastore.empty();
      if (only_disks) continue;
      // Of one that is to leave for maintenance, where to is chosen when it begins.
      const auto host = inventory_.hosts().resolve(task->args.host);
      const Index to = host == nullptr ? kNone : host_index(host->meta.id);
      moves_[task->target] = {.to = to, .since = task->created};
    }
  }

  // ---- Pools, parents first. What hangs on nothing, or in a circle, is left out.

  void add_pools() {
    std::map<std::string, std::vector<const model::Pool*>, std::less<>> children;
    std::map<std::string_view, const model::Pool*> known;
    for (const auto& [name, pool] : inventory_.pools().by_name())
      if (pool->cluster == cluster_.meta.id) known[pool->meta.id] = pool.get();
    if (options_.pool != nullptr) known[options_.pool->meta.id] = options_.pool;
    for (const auto& [id, pool] : known)
      children[known.contains(pool->parent) ? pool->parent : std::string()].push_back(pool);
    for (auto& [parent, of] : children)
      std::ranges::sort(of, {},
                        [](const model::Pool* p) { return std::string_view(p->meta.name); });
    std::vector<const model::Pool*> next = children[std::string()];
    for (std::size_t i = 0; i < next.size(); ++i) {
      add_pool(*next[i]);
      const auto below = children.find(next[i]->meta.id);
      if (below != children.end())
        next.insert(next.end(), below->second.begin(), below->second.end());
    }
  }
  void add_pool(const model::Pool& pool) {
    const auto parent = pool_of_.find(pool.parent);
    pool_of_[pool.meta.id] = static_cast<Index>(s_.pools.size());
    out_.pools.push_back(pool.meta.id);
    s_.pools.push_back({.name = pool.meta.name,
                        .parent = parent == pool_of_.end() ? kNone : parent->second,
                        .cpu = pool_allocation(pool.cpu, model::Resource::kCpu),
                        .memory = pool_allocation(pool.memory, model::Resource::kMemory),
                        .scalable_shares = pool.scalable_shares});
  }

  // ---- VMs

  bool is_here(const model::Vm& vm) const {
    return host_index(vm.host) != kNone || &inventory_.cluster_of(vm) == &cluster_;
  }

  void add_vms(const std::vector<VmPtr>& vms) {
    const std::size_t most = vms.size() + 1;
    s_.vms.reserve(most);
    out_.vms.reserve(most);
    records_.reserve(most);
    vm_of_.reserve(most);
    const model::Vm* instead = options_.waiting != nullptr ? options_.waiting : options_.vm;
    for (const VmPtr& vm : vms)
      if ((instead == nullptr || instead->meta.id != vm->meta.id) && is_here(*vm)) add_vm(vm);
    if (instead != nullptr && (instead == options_.waiting || is_here(*instead)))
      add_vm(std::make_shared<const model::Vm>(*instead));
  }

  struct Place {
    VmRun run = VmRun::kOff;
    Index host = kNone;
    std::string pinned;
  };

  Place place_of(const model::Vm& vm) const {
    const Index home = host_index(vm.host);
    const auto op = operations_.find(vm.meta.id);
    if (op != operations_.end() && op->second->kind == model::OpKind::kStart)
      if (const Index there = host_index(op->second->host); there != kNone)
        return {VmRun::kOn, there, "it is being started"};
    const bool wanted = vm.power == model::VmPower::kOn;
    const VmState state = vm.status.state;
    const bool runs = control::is_running(state) || (state == VmState::kUnknown && wanted);
    if (!runs && waiting_.contains(vm.meta.id)) return {VmRun::kWaiting, kNone, {}};
    if (const auto start = starts_.find(vm.meta.id); !runs && start != starts_.end())
      if (start->second != kNone) return {VmRun::kOn, start->second, "it is about to start there"};
    if (home == kNone) return {wanted ? VmRun::kWaiting : VmRun::kOff, kNone, {}};
    if (runs) {
      const Index seen = host_index(vm.status.host);
      return {VmRun::kOn, seen == kNone ? home : seen, {}};
    }
    if (vm.status.owed && wanted && op == operations_.end() && !starts_at_home(vm))
      return {VmRun::kWaiting, kNone, {}};
    // Its memory is promised on its host: a task of its own, or its host's boot, starts it there.
    const bool comes = wanted && (state == VmState::kOff || !vm.status.task.empty());
    if (comes) return {VmRun::kOn, home, "it is about to start there"};
    return {};
  }

  bool starts_at_home(const model::Vm& vm) const { return seen_.autostart.contains(vm.meta.id); }

  // Why it is not to be moved now.
  std::string pinned(const model::Vm& vm, const Place& place) const {
    if (place.run != VmRun::kOn) return {};
    if (!place.pinned.empty()) return place.pinned;
    const model::Host& host = *hosts_[place.host];
    if (host.link == model::HostLink::kConnected && !answers(host))
      return "what its host has is not known at present";
    if (!vm.status.task.empty() && !operations_.contains(vm.meta.id))
      return "a task is working on it";
    return needs_.pinned(vm);
  }

  void add_vm(const VmPtr& record) {
    const model::Vm& vm = *record;
    const bool waits = options_.waiting != nullptr && options_.waiting->meta.id == vm.meta.id;
    SnapshotVm out = shaped(vm, waits ? Place{VmRun::kWaiting, kNone, {}} : place_of(vm));
    vm_of_.emplace(vm.meta.id, static_cast<Index>(s_.vms.size()));
    out_.vms.push_back(vm.meta.id);
    records_.push_back(record);
    if (vm.status.last_migration) links_.see(*vm.status.last_migration, s_.now);
    s_.vms.push_back(std::move(out));
  }

  SnapshotVm shaped(const model::Vm& vm, const Place& place) {
    const HostPtr home =
        place.host == kNone ? inventory_.hosts().find(vm.host) : hosts_[place.host];
    SnapshotVm out;
    out.name = vm.meta.name;
    out.run = place.run;
    out.host = place.run == VmRun::kOn ? place.host : kNone;
    if (const auto pool = pool_of_.find(vm.pool); pool != pool_of_.end()) out.pool = pool->second;
    const bool live = place.run == VmRun::kOn && place.pinned.empty();
    const bool starts_here = place.run == VmRun::kWaiting && waiting_.contains(vm.meta.id) &&
                             home != nullptr && !control::kept_at_home(vm).empty();
    out.requirement = needs_.need(vm, live ? home.get() : nullptr, starts_here);
    out.vcpus = std::max(1, vm.spec.vcpus);
    out.size = {out.vcpus * core_mhz(home.get()), static_cast<double>(vm.spec.memory.value)};
    out.overhead = overhead_of(vm.spec);
    out.cpu = allocation(static_cast<double>(vm.spec.cpu.shares),
                         static_cast<double>(vm.spec.cpu.reservation.value),
                         static_cast<double>(vm.spec.cpu.limit.value));
    const model::MemoryAllocation& memory = vm.spec.memory_allocation;
    out.memory = allocation(static_cast<double>(memory.shares),
                            static_cast<double>(memory.reservation.value),
                            static_cast<double>(memory.limit.value));
    out.automation = vm.automation.value_or(model::Automation::kFull);
    out.pinned = pinned(vm, place);
    out.restart_priority = vm.restart.priority;
    out.restart_delay = vm.restart.delay;
    if (const auto& moved = vm.status.last_migration) {
      out.last_moved = std::min(moved->finished, s_.now);  // by its agent's clock
      if (const auto from = inventory_.hosts().find_name(moved->from); from != nullptr)
        out.moved_from = host_index(from->meta.id);
    }
    add_load(vm, out);
    return out;
  }

  void add_load(const model::Vm& vm, SnapshotVm& out) const {
    if (out.run == VmRun::kOff) return;
    const VmLoad* known =
        options_.loads == nullptr ? nullptr : options_.loads->find(vm, s_.settings);
    const bool paused = vm.status.state == VmState::kPaused;
    const VmLoad load = known != nullptr ? *known : unmeasured(out, paused);
    out.cpu_demand = load.cpu;
    out.memory_demand = load.memory;
    out.consumed = load.consumed;
    out.reclaimable = load.reclaimable;
    out.dirty_rate = load.dirty_rate;
    out.sample_age = load.sample_age;
    out.gaps = load.gaps;
    out.cpu_when_moved = load.cpu_when_moved;
  }

  // Of a VM without a host, the first host's.
  double core_mhz(const model::Host* host) const {
    if (host == nullptr && !hosts_.empty()) host = hosts_.front().get();
    return host == nullptr ? 0 : static_cast<double>(host->inventory.cpu.mhz.value);
  }

  void add_restart_order(Index v) {
    for (const std::string& id : records_[v]->restart.after)
      if (const auto it = vm_of_.find(id); it != vm_of_.end() && it->second != v)
        s_.vms[v].restart_after.push_back(it->second);
  }

  // ---- Hosts

  bool answers(const model::Host& host) const {
    return host.link == model::HostLink::kConnected && host.libvirt_message.empty() &&
           host.inventory.memory > Mib{} && (!seen_.known || seen_.fresh.contains(host.meta.id));
  }

  void add_host(const model::Host& host) {
    const model::HostInventory& has = host.inventory;
    SnapshotHost out;
    out.name = host.meta.name;
    out.power = host.power;
    out.link = host.link;
    out.admin = host.admin;
    out.enabled_since = host.enabled_since;
    double foreign = 0;
    for (const model::Instance& guest : host.foreign)
      if (control::is_running(guest.state)) foreign += static_cast<double>(guest.memory.value);
    const auto memory = static_cast<double>(has.memory.value);
    out.capacity = {static_cast<double>(has.cpu.capacity.value),
                    std::max(0.0, memory - own_memory(has) - foreign)};
    out.core_mhz = static_cast<double>(has.cpu.mhz.value);
    const std::int32_t cores = std::max(0, has.cpu.sockets) * std::max(0, has.cpu.cores);
    out.cores = has.cpu.online > 0 ? has.cpu.online : cores * std::max(1, has.cpu.threads);
    if (has.numa.size() > 1)
      for (const model::NumaNode& node : has.numa)
        out.numa_memory.push_back(
            static_cast<double>(std::max<std::int64_t>(0, node.memory.value)));
    out.offer = needs_.offer(host);
    out.curve = curve(host, cores > 0 ? cores : out.cores);
    out.time_on = kTimeOn;
    out.time_off = kTimeOff;
    out.boot_energy = s_.curves[out.curve].at(0.5) * in_seconds(kTimeOn);
    out.shutdown_energy = s_.curves[out.curve].at(0) * in_seconds(kTimeOff);
    out.keep_on = out.keep_off = kNoBmc;
    out.migrations_parallel = cluster_.migration.parallel_per_host;
    add_bandwidth(out);
    // Connected, but what it has is not known: nothing is to go there. Its VMs are pinned.
    if (host.link == model::HostLink::kConnected && !answers(host)) out.recent_failures = 1;
    s_.hosts.push_back(std::move(out));
  }

  // One migration is as fast as the slower of its limit and of what was seen of the host's link.
  void add_bandwidth(SnapshotHost& host) {
    const auto limit = static_cast<double>(cluster_.migration.bandwidth_mib_s);
    const double seen = links_.of(host.name);
    host.migration_bandwidth_each = limit > 0 && seen > 0 ? std::min(limit, seen) : limit + seen;
    host.migration_bandwidth = std::max(host.migration_bandwidth, host.migration_bandwidth_each);
    if (limit > 0)
      host.migration_bandwidth =
          std::min(host.migration_bandwidth, limit * host.migrations_parallel);
  }

  Index curve(const model::Host& host, std::int32_t cores) {
    if (host.power_model != model::PowerModel{}) return put_curve(s_, curve_of(host).watts);
    const auto [it, fresh] = curve_of_.try_emplace(cores, static_cast<Index>(s_.curves.size()));
    if (fresh) s_.curves.push_back(modelled_curve(cores));
    return it->second;
  }

  // ---- What is under way, and rules

  void add_operations() {
    for (const auto& [vm_id, op] : operations_) {
      const auto vm = vm_of_.find(vm_id);
      if (vm == vm_of_.end()) continue;
      SnapshotOperation out{.vm = vm->second, .since = op->created};
      if (op->kind == model::OpKind::kStart) {
        out.kind = SnapshotOperation::Kind::kStart;
        out.to = host_index(op->host);
      } else {
        out.from = host_index(op->host);
        out.to = host_index(op->args.migration->host);
        if (out.from == kNone) continue;
      }
      if (out.to != kNone) s_.operations.push_back(out);
    }
    for (const auto& [vm_id, move] : moves_) {
      const auto vm = vm_of_.find(vm_id);
      if (vm == vm_of_.end() || operations_.contains(vm_id)) continue;
      const Index from = s_.vms[vm->second].host;
      if (from == kNone || from == move.to) continue;
      s_.operations.push_back({.vm = vm->second, .from = from, .to = move.to, .since = move.since});
    }
    std::ranges::sort(s_.operations, {}, &SnapshotOperation::vm);
  }

  void add_rules() {
    for (const auto& [name, rule] : inventory_.rules().by_name()) {
      if (!rule->enabled || rule->cluster != cluster_.meta.id) continue;
      SnapshotRule out{.name = rule->meta.name, .kind = rule->kind, .must = rule->must};
      for (const std::string& id : rule->vms)
        if (const auto it = vm_of_.find(id); it != vm_of_.end()) out.vms.push_back(it->second);
      const bool of_hosts =
          rule->kind == model::RuleKind::kHostsOnly || rule->kind == model::RuleKind::kHostsNever;
      if (of_hosts)
        for (const std::string& id : rule->hosts)
          if (const Index host = host_index(id); host != kNone) out.hosts.push_back(host);
      // What is left of it says nothing. (A rule's last host is not removed: Requests refuses.)
      if (out.vms.size() < (of_hosts ? 1U : 2U) || (of_hosts && out.hosts.empty())) continue;
      out_.rules.push_back(rule->meta.id);
      s_.rules.push_back(std::move(out));
    }
  }

  const Inventory& inventory_;
  const SeenNow& seen_;
  const model::Cluster& cluster_;
  const SnapshotOptions& options_;
  ClusterNeeds needs_;
  LinkSpeed links_;
  ClusterSnapshot out_;
  model::Snapshot& s_ = out_.snapshot;
  std::vector<HostPtr> hosts_;
  std::vector<VmPtr> records_;
  std::unordered_map<std::string, Index> host_of_;
  std::unordered_map<std::string_view, Index> vm_of_;  // names of records_
  std::unordered_map<std::string, Index> pool_of_;
  std::map<std::int32_t, Index> curve_of_;
  std::unordered_map<std::string, Table<model::Operation>::Ptr> operations_;  // by VM
  struct Move {
    Index to = kNone;  // not chosen yet
    Time since{};
  };
  std::unordered_map<std::string, Move> moves_;    // by VM: tasks that have not ended
  std::unordered_set<std::string> waiting_;        // VMs whose start waits for a host
  std::unordered_map<std::string, Index> starts_;  // by VM: where a start that is under way goes
};

}  // namespace

VmLoad unmeasured(const SnapshotVm& vm, bool paused) {
  const double cpu = paused ? 0 : kUnknownCpu * vm.size.cpu;
  const double memory = kUnknownMemory * vm.size.memory;
  return {.cpu = {.now = cpu,
                  .mean = cpu,
                  .deviation = cpu,
                  .peak = 2 * cpu,
                  .expected = cpu,
                  .upper = 2 * cpu},
          .memory =
              {.now = memory, .mean = memory, .peak = memory, .expected = memory, .upper = memory},
          .consumed = vm.size.memory,
          .gaps = 1,
          .cpu_when_moved = cpu};
}

Index put_curve(model::Snapshot& snapshot, model::PowerCurve curve) {
  const std::string name = curve.name;
  for (int other = 2;; ++other) {
    const auto same = std::ranges::find(snapshot.curves, curve.name, &model::PowerCurve::name);
    if (same == snapshot.curves.end()) {
      snapshot.curves.push_back(std::move(curve));
      return static_cast<Index>(snapshot.curves.size() - 1);
    }
    if (*same == curve) return static_cast<Index>(same - snapshot.curves.begin());
    curve.name = fmt::format("{}.{}", name, other);
  }
}

Index index_of(const std::vector<std::string>& ids, std::string_view id) {
  const auto it = std::ranges::find(ids, id);
  return it == ids.end() ? kNone : static_cast<Index>(it - ids.begin());
}

ClusterSnapshot make_snapshot(const Inventory& inventory, const std::string& cluster, Time now,
                              const SnapshotOptions& options) {
  const auto record = inventory.clusters().find(cluster);
  CHOROK_ASSERT(record != nullptr);
  return make_snapshot(inventory, many_records(inventory), seen_now(inventory, options.world),
                       *record, now, options);
}

ClusterSnapshot make_snapshot(const Inventory& few, const ManyRecords& many, const SeenNow& seen,
                              const model::Cluster& cluster, Time now,
                              const SnapshotOptions& options) {
  return Maker(few, seen, cluster, now, options).run(many);
}

Index put_waiting(ClusterSnapshot& made, const Inventory& inventory, const std::string& cluster,
                  const model::Vm& vm, const SnapshotOptions& options,
                  const std::unordered_map<std::string, Index>& known) {
  const auto record = inventory.clusters().find(cluster);
  CHOROK_ASSERT(record != nullptr);
  // Whether what its hosts have is known says nothing of a VM that waits.
  auto [out, needs] = Maker(inventory, {}, *record, made.snapshot.now, options).one(vm);
  if (out.pool >= made.snapshot.pools.size()) out.pool = kNone;  // it is newer
  auto& requirements = made.snapshot.requirements;
  const auto same = std::ranges::find(requirements, needs);
  out.requirement = static_cast<Index>(same - requirements.begin());
  if (same == requirements.end()) requirements.push_back(std::move(needs));
  const auto place = known.find(vm.meta.id);
  if (place != known.end()) {
    made.snapshot.vms[place->second] = std::move(out);
    return place->second;
  }
  made.vms.push_back(vm.meta.id);
  made.snapshot.vms.push_back(std::move(out));
  return static_cast<Index>(made.vms.size() - 1);
}

model::PowerCurve modelled_curve(std::int32_t cores) {
  constexpr double kIdle = 40, kIdlePerCore = 1, kFull = 60, kFullPerCore = 6;
  // Watts rise faster up to a tenth of the load and towards its end.
  constexpr std::array kShape = {0.0, 0.11, 0.2, 0.28, 0.37, 0.46, 0.54, 0.65, 0.76, 0.89, 1.0};
  const double idle = kIdle + kIdlePerCore * cores;
  const double full = kFull + kFullPerCore * cores;
  model::PowerCurve curve{.name = fmt::format("modelled-{}-cores", cores), .standby = 10};
  for (std::size_t i = 0; i < kShape.size(); ++i) curve.watts[i] = idle + (full - idle) * kShape[i];
  return curve;
}

double own_memory(const model::HostInventory& inventory) {
  constexpr double kSystem = 512, kPart = 0.015;
  if (inventory.simulated) return 0;
  return kSystem + kPart * static_cast<double>(inventory.memory.value);
}

double overhead_of(const model::VmSpec& spec) {
  constexpr double kProcess = 64, kPerVcpu = 8, kPart = 0.004;  // page tables, virtqueues
  return kProcess + kPerVcpu * std::max(1, spec.vcpus) +
         kPart * static_cast<double>(spec.memory.value);
}

}  // namespace chorok::manager
