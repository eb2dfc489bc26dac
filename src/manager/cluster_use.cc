#include "manager/cluster_use.h"

#include "policy/admit.h"
#include "policy/entitle.h"

namespace chorok::manager {

using model::Allocation;
using model::Index;
using model::kNone;
using model::Resource;
using model::SnapshotVm;
using model::VmRun;

const Type& enum_type(const UseKind*) {
  static const Type kType = describe_enum<UseKind>(
      "UseKind", "What a row stands for.", {{0, "cluster", ""}, {1, "pool", ""}, {2, "vm", ""}});
  return kType;
}

const Type& ResourceUse::type() {
  static const Type kType =
      describe<ResourceUse>("ResourceUse", "Of one resource, MHz or MiB.")
          .field("shares", &ResourceUse::shares, "Importance among those beside it.")
          .field("reservation", &ResourceUse::reservation,
                 "Guaranteed; of a cluster what its serving hosts have.")
          .field("limit", &ResourceUse::limit, "Never exceeded; 0 is none.")
          .field("expandable", &ResourceUse::expandable, "May take more from its parent.")
          .field("promised", &ResourceUse::promised, "Reservations of what is in it.")
          .field("demand", &ResourceUse::demand, "What runs in it asks for so much now.")
          .field("entitled", &ResourceUse::entitled, "And is granted so much.");
  return kType;
}

const Type& UseRow::type() {
  static const Type kType =
      describe<UseRow>("UseRow", "A cluster, a pool or a VM.")
          .field("kind", &UseRow::kind, "")
          .field("id", &UseRow::id, "")
          .field("name", &UseRow::name, "")
          .field("depth", &UseRow::depth, "0 is the cluster.")
          .field("vms", &UseRow::vms, "VMs in it and below.")
          .field("vms_on", &UseRow::vms_on, "Those that run.")
          .field("cpu", &UseRow::cpu, "MHz.")
          .field("memory", &UseRow::memory, "MiB.")
          .field("enforced", &UseRow::enforced, "What a running VM's host was told to give it.");
  return kType;
}

const Type& ClusterUse::type() {
  static const Type kType =
      describe<ClusterUse>("ClusterUse", "Where a cluster's CPU and memory go.")
          .field("cluster", &ClusterUse::cluster, "Its name.")
          .field("rows", &ClusterUse::rows, "A tree: each thing before what is in it.",
                 {.max_count = 1'000'000});
  return kType;
}

namespace {

class Counter {
 public:
  Counter(const ClusterSnapshot& made, const std::string& cluster_id, bool with_vms,
          std::span<const std::optional<Enforced>> enforced)
      : made_(made),
        enforced_(enforced),
        s_(made.snapshot),
        cluster_id_(cluster_id),
        with_vms_(with_vms),
        entitled_(policy::entitle(s_)),
        reserved_(policy::reserved(s_)),
        sums_(s_.pools.size() + 1),
        vms_in_(with_vms ? s_.pools.size() + 1 : 0),
        pools_in_(s_.pools.size() + 1) {}

  ClusterUse run() {
    out_.cluster = s_.cluster;
    for (Index v = 0; v < s_.vms.size(); ++v) add_vm(v);
    for (Index p = static_cast<Index>(s_.pools.size()); p-- > 0;) add_up(p);
    for (Index p = 0; p < s_.pools.size(); ++p) pools_in_[slot(s_.pools[p].parent)].push_back(p);
    write_tree();
    return std::move(out_);
  }

 private:
  struct Sum {
    std::int64_t vms = 0;
    std::int64_t on = 0;
    model::Amounts demand;
  };
  // Pools by their index, the cluster last.
  std::size_t slot(Index pool) const { return pool == kNone ? s_.pools.size() : pool; }

  model::Amounts demand(Index v) const {
    const SnapshotVm& vm = s_.vms[v];
    if (vm.run != VmRun::kOn) return {};
    return {policy::demand_of(vm, Resource::kCpu, {}),
            policy::demand_of(vm, Resource::kMemory, {})};
  }
  void add_vm(Index v) {
    Sum& sum = sums_[slot(s_.vms[v].pool)];
    ++sum.vms;
    if (s_.vms[v].run == VmRun::kOn) ++sum.on;
    sum.demand += demand(v);
    if (with_vms_) vms_in_[slot(s_.vms[v].pool)].push_back(v);
  }
  // Parents stand before their children.
  void add_up(Index pool) {
    const Sum& from = sums_[pool];
    Sum& to = sums_[slot(s_.pools[pool].parent)];
    to.vms += from.vms;
    to.on += from.on;
    to.demand += from.demand;
  }

  static ResourceUse use(const Allocation& of, double promised, double demand, double entitled) {
    return {.shares = of.shares,
            .reservation = of.reservation,
            .limit = of.limit == model::kUnlimited ? 0 : of.limit,
            .expandable = of.expandable,
            .promised = promised,
            .demand = demand,
            .entitled = entitled};
  }

  // By hand rather than by recursion: pools may be deep in a snapshot that nobody checked for it.
  void write_tree() {
    const model::Amounts has = policy::capacity_for_vms(s_);
    const Sum& all = sums_.back();
    out_.rows.push_back(
        {.kind = UseKind::kCluster,
         .id = cluster_id_,
         .name = s_.cluster,
         .vms = all.vms,
         .vms_on = all.on,
         .cpu = use({.reservation = has.cpu, .limit = has.cpu}, reserved_.cluster.cpu,
                    all.demand.cpu, entitled_.given.cpu),
         .memory = use({.reservation = has.memory, .limit = has.memory}, reserved_.cluster.memory,
                       all.demand.memory, entitled_.given.memory)});
    std::vector<std::pair<Index, std::int32_t>> next;  // pools to write, the first one last
    auto open = [&](std::size_t at, std::int32_t depth) {
      if (with_vms_)
        for (const Index v : vms_in_[at]) write_vm(v, depth);
      for (auto it = pools_in_[at].rbegin(); it != pools_in_[at].rend(); ++it)
        next.emplace_back(*it, depth);
    };
    open(s_.pools.size(), 1);
    while (!next.empty()) {
      const auto [pool, depth] = next.back();
      next.pop_back();
      write_pool(pool, depth);
      open(pool, depth + 1);
    }
  }
  void write_pool(Index p, std::int32_t depth) {
    const model::SnapshotPool& pool = s_.pools[p];
    const Sum& sum = sums_[p];
    out_.rows.push_back(
        {.kind = UseKind::kPool,
         .id = made_.pools[p],
         .name = pool.name,
         .depth = depth,
         .vms = sum.vms,
         .vms_on = sum.on,
         .cpu = use(pool.cpu, reserved_.pools[p].cpu, sum.demand.cpu, entitled_.pools[p].cpu),
         .memory = use(pool.memory, reserved_.pools[p].memory, sum.demand.memory,
                       entitled_.pools[p].memory)});
  }
  void write_vm(Index v, std::int32_t depth) {
    const SnapshotVm& vm = s_.vms[v];
    const bool on = vm.run == VmRun::kOn;
    Allocation cpu = vm.cpu;
    Allocation memory = vm.memory;
    if (cpu.shares <= 0)
      cpu.shares = policy::vm_shares(policy::ShareLevel::kNormal, Resource::kCpu, vm);
    if (memory.shares <= 0)
      memory.shares = policy::vm_shares(policy::ShareLevel::kNormal, Resource::kMemory, vm);
    const model::Amounts asks = demand(v);
    out_.rows.push_back(
        {.kind = UseKind::kVm,
         .id = made_.vms[v],
         .name = vm.name,
         .depth = depth,
         .vms = 1,
         .vms_on = on ? 1 : 0,
         .cpu = use(cpu, on ? cpu.reservation : 0, asks.cpu, entitled_.vms[v].cpu),
         .memory = use(memory, on ? memory.reservation : 0, asks.memory, entitled_.vms[v].memory)});
    if (on && v < enforced_.size()) out_.rows.back().enforced = enforced_[v];
  }

  const ClusterSnapshot& made_;
  std::span<const std::optional<Enforced>> enforced_;
  const model::Snapshot& s_;
  const std::string& cluster_id_;
  bool with_vms_;
  policy::Entitlement entitled_;
  policy::Reserved reserved_;
  std::vector<Sum> sums_;
  std::vector<std::vector<Index>> vms_in_;
  std::vector<std::vector<Index>> pools_in_;
  ClusterUse out_;
};

}  // namespace

ClusterUse cluster_use(const ClusterSnapshot& made, const std::string& cluster_id, bool with_vms,
                       std::span<const std::optional<Enforced>> enforced) {
  return Counter(made, cluster_id, with_vms, enforced).run();
}

}  // namespace chorok::manager
