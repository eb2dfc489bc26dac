#include "policy/enforce.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace chorok::policy {

using model::kNone;
using model::kUnlimited;
using model::Resource;
using model::SnapshotOperation;
using model::SnapshotPool;
using model::SnapshotVm;

namespace {

constexpr double kAlmost = 1 - 1e-6;  // sums of many parts are rounded
constexpr Amounts kNoEnd = {kUnlimited, kUnlimited};
constexpr double kSharesAVcpu = 1000;
constexpr double kShortageStep = 0.8;
constexpr int kShortageSteps = 16;    // down to 3 %
constexpr double kSharesLeast = 2;    // of the kernel's
constexpr double kLimitLeast = 0.02;  // of a core: the guest must be able to answer

class Enforcer {
 public:
  Enforcer(const Snapshot& snapshot, const EnforceOptions& options)
      : s_(snapshot), options_(options), on_host_(snapshot.hosts.size()) {}

  Enforcement run() {
    out_.granted = entitle(s_, capacity_for_vms(s_), options_.entitle);
    add_settings();
    weigh();
    if (has_limits()) limit();
    for (Index h = 0; h < s_.hosts.size(); ++h) balloon(h);
    for (Setting& setting : out_.settings) keep_floor(setting);
    return std::move(out_);
  }

 private:
  // ---- Who is where

  void add(Index vm, Index host) {
    on_host_[host].push_back(static_cast<Index>(out_.settings.size()));
    out_.settings.push_back({.vm = vm, .host = host});
  }
  void add_settings() {
    std::vector<Index> goes_to(s_.vms.size(), kNone);
    for (const SnapshotOperation& op : s_.operations)
      if (op.kind == SnapshotOperation::Kind::kMigrate ||
          op.kind == SnapshotOperation::Kind::kStart)
        goes_to[op.vm] = op.to;
    for (Index v = 0; v < s_.vms.size(); ++v) {
      const bool runs = s_.vms[v].run == model::VmRun::kOn && s_.vms[v].host != kNone;
      if (runs) add(v, s_.vms[v].host);
      if (goes_to[v] != kNone && !(runs && goes_to[v] == s_.vms[v].host)) add(v, goes_to[v]);
    }
  }

  // All that it could ever use.
  std::vector<Amounts> everything() const {
    std::vector<Amounts> all(s_.vms.size());
    for (std::size_t v = 0; v < all.size(); ++v) {
      all[v] = s_.vms[v].size;
      all[v].memory += s_.vms[v].overhead;
    }
    return all;
  }
  Entitlement entitle_to(Amounts capacity, std::span<const Amounts> demand) const {
    EntitleOptions options = options_.entitle;
    options.demand = demand;
    return entitle(s_, capacity, options);
  }

  // ---- Weights

  // By VM: what the tree grants of `capacity`, and what VMs count for then.
  struct Level {
    std::vector<double> granted;
    std::vector<double> counts;
  };
  Level level(double capacity, std::span<const Amounts> all) const {
    EntitleOptions busy = options_.entitle;
    busy.demand = all;
    Level level{.granted = entitle_vms(s_, Resource::kCpu, capacity, options_.entitle),
                .counts = entitle_vms(s_, Resource::kCpu, capacity, busy)};
    for (std::size_t v = 0; v < s_.vms.size(); ++v)
      level.counts[v] = std::max(level.counts[v], level.granted[v]);
    return level;
  }
  double granted_on(Index host, const Level& level) const {
    double sum = 0;
    for (const Index i : on_host_[host]) sum += level.granted[out_.settings[i].vm];
    return sum;
  }

  // Where a host has less than its VMs are granted in the cluster, they are weighed as if the whole
  // cluster were so short that they fit: else VMs that are granted all that they could use would
  // count the same, whatever their shares.
  void weigh() {
    const std::vector<Amounts> all = everything();
    double capacity = capacity_for_vms(s_).cpu;
    Level above = level(capacity, all);
    std::vector<Index> left;
    for (Index h = 0; h < s_.hosts.size(); ++h) {
      weigh_host(h, above.counts);
      if (granted_on(h, above) > s_.hosts[h].capacity.cpu && on_host_[h].size() > 1)
        left.push_back(h);
    }
    for (int step = 0; step < kShortageSteps && !left.empty(); ++step) {
      capacity *= kShortageStep;
      const Level below = level(capacity, all);
      std::erase_if(left, [&](Index h) {
        const double room = s_.hosts[h].capacity.cpu;
        const double low = granted_on(h, below);
        const double high = granted_on(h, above);
        weigh_host(h, below.counts);
        if (low > room) return false;
        // Between two levels what is granted is linear, but for a bend now and then.
        const double part = high > low ? (room - low) / (high - low) : 0;
        std::vector<double> counts = below.counts;
        for (const Index i : on_host_[h]) {
          const Index v = out_.settings[i].vm;
          counts[v] += part * (above.counts[v] - counts[v]);
        }
        weigh_host(h, counts);
        return true;
      });
      above = below;
    }
  }

  // The sum of a host's weights is that of its VMs' normal ones, so that guests which are not
  // Chorok's stay what they were among them.
  void weigh_host(Index host, std::span<const double> counts) {
    double sum = 0;
    double normal = 0;
    for (const Index i : on_host_[host]) {
      sum += counts[out_.settings[i].vm];
      normal += kSharesAVcpu * s_.vms[out_.settings[i].vm].vcpus;
    }
    for (const Index i : on_host_[host]) {
      Setting& setting = out_.settings[i];
      setting.shares =
          sum > 0 ? normal * counts[setting.vm] / sum : kSharesAVcpu * s_.vms[setting.vm].vcpus;
      setting.shares = std::max(setting.shares, kSharesLeast);
    }
  }

  // ---- Limits

  static bool limits(const model::Allocation& of) { return of.limit < kUnlimited; }
  bool has_limits() const {
    const auto any = [](const auto& each) { return limits(each.cpu) || limits(each.memory); };
    return std::ranges::any_of(s_.pools, any) || std::ranges::any_of(s_.vms, any);
  }

  void limit() {
    const Entitlement most = entitle_to(kNoEnd, everything());
    std::vector<Amounts> asks(s_.vms.size());
    for (std::size_t v = 0; v < asks.size(); ++v) {
      const SnapshotVm& vm = s_.vms[v];
      asks[v].cpu = std::max(cpu_asked(static_cast<Index>(v)), options_.wake * most.vms[v].cpu);
      asks[v].memory =
          std::max(demand_of(vm, Resource::kMemory, options_.entitle), vm.overhead + floor_of(vm));
    }
    const Entitlement bound = entitle_to(kNoEnd, asks);
    const std::vector<double> held = held_in_pools();
    for (Setting& setting : out_.settings) {
      limit_cpu(setting, bound);
      limit_memory(setting, bound, held);
    }
  }

  Before before(Index v) const {
    return v < options_.before.size() ? options_.before[v] : Before();
  }
  double cpu_asked(Index v) const {
    const double demand = demand_of(s_.vms[v], Resource::kCpu, options_.entitle);
    const double limit = before(v).limit;
    if (limit > 0 && demand >= options_.limit_used * limit) return s_.vms[v].size.cpu;
    return std::min(demand * (1 + options_.headroom), s_.vms[v].size.cpu);
  }

  // The nearest pool above a VM whose limit is used up; kNone: it is the VM's own.
  Index limiting_pool(const SnapshotVm& vm, Resource resource, const Entitlement& bound) const {
    const double own = vm.allocation(resource).limit;
    const double got = bound.vms[static_cast<std::size_t>(&vm - s_.vms.data())][resource];
    const double fixed = resource == Resource::kMemory ? vm.overhead : 0;
    if (own < kUnlimited && got >= (own + fixed) * kAlmost) return kNone;
    for (Index p = vm.pool; p != kNone; p = s_.pools[p].parent) {
      const double limit = s_.pools[p].allocation(resource).limit;
      if (limit < kUnlimited && bound.pools[p][resource] >= limit * kAlmost) return p;
    }
    return kNone;
  }
  void limit_cpu(Setting& setting, const Entitlement& bound) const {
    const SnapshotVm& vm = s_.vms[setting.vm];
    const double got = bound.vms[setting.vm].cpu;
    if (got >= vm.size.cpu * kAlmost) return;
    setting.limit = std::max(got, kLimitLeast * vm.size.cpu / std::max(1, vm.vcpus));
    setting.limit_pool = limiting_pool(vm, Resource::kCpu, bound);
  }

  // ---- Memory

  // What it would hold of the host if nothing were taken from it.
  double holds(Index v) const {
    const SnapshotVm& vm = s_.vms[v];
    return std::min(vm.consumed + before(v).held_back, vm.size.memory + vm.overhead);
  }
  std::vector<double> held_in_pools() const {
    std::vector<double> held(s_.pools.size(), 0);
    for (Index v = 0; v < s_.vms.size(); ++v)
      if (s_.vms[v].run == model::VmRun::kOn && s_.vms[v].pool != kNone)
        held[s_.vms[v].pool] += holds(v);
    for (Index p = static_cast<Index>(held.size()); p-- > 0;)
      if (s_.pools[p].parent != kNone) held[s_.pools[p].parent] += held[p];
    return held;
  }

  // Without overhead.
  double floor_of(const SnapshotVm& vm) const {
    const double works =
        (vm.memory_demand.now * (1 + options_.active_margin)) + options_.active_margin_mib;
    return std::min(vm.size.memory,
                    std::max({vm.memory.reservation, works, options_.memory_least}));
  }

  void limit_memory(Setting& setting, const Entitlement& bound,
                    const std::vector<double>& held) const {
    const SnapshotVm& vm = s_.vms[setting.vm];
    const double got = bound.vms[setting.vm].memory - vm.overhead;
    if (got >= vm.size.memory * kAlmost) return;
    const Index pool = limiting_pool(vm, Resource::kMemory, bound);
    const double now = pool == kNone ? holds(setting.vm) - vm.overhead : held[pool];
    const double limit = pool == kNone ? vm.memory.limit : s_.pools[pool].memory.limit;
    if (now < limit * options_.memory_full) return;
    setting.memory = std::max(got, 1.0);
    setting.memory_pool = pool;
  }

  // The host's memory by what its VMs are entitled to, where they hold more than it has.
  void balloon(Index h) {
    const double room = s_.hosts[h].capacity.memory * options_.memory_full;
    double held = 0;
    for (const Index i : on_host_[h]) held += holds(out_.settings[i].vm);
    if (room <= 0 || held <= room) return;
    std::vector<Claim> claims;
    for (const Index i : on_host_[h]) {
      const Setting& setting = out_.settings[i];
      const SnapshotVm& vm = s_.vms[setting.vm];
      const double floor = floor_of(vm);
      const double most = setting.memory > 0 ? std::max(setting.memory, floor) : vm.size.memory;
      claims.push_back({.shares = out_.granted.vms[setting.vm].memory,
                        .floor = floor + vm.overhead,
                        .ceiling = most + vm.overhead});
    }
    std::vector<double> parts(claims.size());
    water_fill(claims, room, parts);
    for (std::size_t at = 0; at < parts.size(); ++at) {
      if (parts[at] >= claims[at].ceiling * kAlmost) continue;
      Setting& setting = out_.settings[on_host_[h][at]];
      setting.memory = std::max(parts[at] - s_.vms[setting.vm].overhead, 1.0);
      setting.memory_by_host = true;
      setting.memory_pool = kNone;
    }
  }

  // In whole MiB; nothing, where what it needs is all that it has.
  void keep_floor(Setting& setting) const {
    if (setting.memory <= 0) return;
    const SnapshotVm& vm = s_.vms[setting.vm];
    setting.memory = std::ceil(std::max(setting.memory, floor_of(vm)) - 1e-6);
    if (setting.memory < vm.size.memory) return;
    setting.memory = 0;
    setting.memory_by_host = false;
    setting.memory_pool = kNone;
  }

  const Snapshot& s_;
  const EnforceOptions& options_;
  Enforcement out_;
  std::vector<std::vector<Index>> on_host_;  // places in `settings`
};

bool differs(double told, double now, double up, double down) {
  if ((told == 0) != (now == 0)) return true;
  return now > told * (1 + up) || now < told * (1 - down);
}

std::string whose(const Snapshot& snapshot, Index pool, Resource resource) {
  if (pool == kNone) return "its own limit";
  const SnapshotPool& of = snapshot.pools[pool];
  return fmt::format("its part of the {:.0f} {} that pool {} is limited to",
                     of.allocation(resource).limit, resource == Resource::kCpu ? "MHz" : "MiB",
                     of.name);
}

std::string weight(const Setting& setting, std::string_view host) {
  return fmt::format("counts {:.0f} when CPU is short on {}", setting.shares, host);
}

}  // namespace

Enforcement enforce(const Snapshot& snapshot, const EnforceOptions& options) {
  return Enforcer(snapshot, options).run();
}

bool worth_telling(const Setting& told, const Setting& now, const EnforceTolerance& by) {
  if (differs(told.shares, now.shares, by.shares, by.shares)) return true;
  if (differs(told.limit, now.limit, by.limit_up, by.limit_down)) return true;
  if ((told.memory == 0) != (now.memory == 0)) return true;
  return std::abs(now.memory - told.memory) > std::max(by.memory_mib, by.memory * told.memory);
}

std::string cpu_sentence(const Snapshot& snapshot, const Setting& setting) {
  const std::string& host = snapshot.hosts[setting.host].name;
  if (setting.limit <= 0) return unlimited_cpu_sentence(setting, host);
  return fmt::format("{}, and never gets more than {:.0f} MHz: {}", weight(setting, host),
                     setting.limit, whose(snapshot, setting.limit_pool, Resource::kCpu));
}

std::string unlimited_cpu_sentence(const Setting& setting, std::string_view host) {
  return weight(setting, host) + ", and may use all that is free";
}

std::string memory_sentence(const Snapshot& snapshot, const Setting& setting) {
  const SnapshotVm& vm = snapshot.vms[setting.vm];
  if (setting.memory <= 0) return std::string(kKeepsMemory);
  const std::string why =
      setting.memory_by_host
          ? fmt::format("memory is short on {}", snapshot.hosts[setting.host].name)
          : whose(snapshot, setting.memory_pool, Resource::kMemory);
  return fmt::format("is asked to make do with {:.0f} of its {:.0f} MiB of memory: {}",
                     setting.memory, vm.size.memory, why);
}

}  // namespace chorok::policy
