#include "model/snapshot.h"

#include <fmt/format.h>

#include <cmath>

namespace chorok::model {

const Type& enum_type(const Resource*) {
  static const Type kType =
      describe_enum<Resource>("Resource", "What a host gives to VMs.",
                              {{0, "cpu", "MHz of a reference core"}, {1, "memory", "MiB"}});
  return kType;
}
const Type& enum_type(const VmRun*) {
  static const Type kType =
      describe_enum<VmRun>("VmRun", "Whether a VM runs, or is to run.",
                           {{0, "off", "does not run, and nobody asks that it should"},
                            {1, "on", "runs on its host"},
                            {2, "waiting", "is to run and has no host yet"}});
  return kType;
}
const Type& enum_type(const SnapshotOperation::Kind*) {
  static const Type kType =
      describe_enum<SnapshotOperation::Kind>("SnapshotOperationKind", "What is under way.",
                                             {{0, "migrate", "a VM moves from a host to another"},
                                              {1, "start", "a VM starts on a host"},
                                              {2, "power_on", "a host is being switched on"},
                                              {3, "power_off", "a host is being switched off"}});
  return kType;
}

const Type& Allocation::type() {
  static const Type kType =
      describe<Allocation>("Allocation", "Importance, guarantee and bound of one resource.")
          .field("shares", &Allocation::shares,
                 "Relative importance under contention; 0 is the preset normal.",
                 {.min = 0, .max = 1e12})
          .field("reservation", &Allocation::reservation, "Guaranteed minimum.",
                 {.min = 0, .max = 1e12})
          .field("limit", &Allocation::limit, "Upper bound; absent for none.",
                 {.min = 0, .max = 1e12})
          .field("expandable", &Allocation::expandable,
                 "Pools: what children reserve may be taken from the parent.");
  return kType;
}

namespace {

// Checks one snapshot and keeps where it is, so that an error can name the place by a JSON pointer
// into the arrays: /vms/3/host.
class Checker {
 public:
  explicit Checker(const Snapshot& snapshot) : s_(snapshot) {}

  Result<> run() {
    TRY(within("hosts", s_.hosts, [&](const SnapshotHost& h) { return host(h); }));
    TRY(within("pools", s_.pools, [&](const SnapshotPool& p) { return pool(p); }));
    TRY(within("vms", s_.vms, [&](const SnapshotVm& v) { return vm(v); }));
    TRY(within("rules", s_.rules, [&](const SnapshotRule& r) { return rule(r); }));
    TRY(within("curves", s_.curves, [&](const PowerCurve& c) { return curve(c); }));
    TRY(within("operations", s_.operations, [&](const SnapshotOperation& o) { return op(o); }));
    list_ = {};
    return settings();
  }

 private:
  template <class T, class Fn>
  Result<> within(std::string_view list, const std::vector<T>& items, Fn&& fn) {
    list_ = list;
    if (items.size() >= kNone)
      return fail(Code::kExhausted, "an index has 32 bits", fmt::format("/{}", list));
    for (at_ = 0; at_ < items.size(); ++at_) TRY(fn(items[at_]));
    return {};
  }
  Unexpected bad(std::string_view field, std::string message) const {
    std::string where = list_.empty() ? "/settings" : fmt::format("/{}/{}", list_, at_);
    return fail(Code::kInvalid, std::move(message), fmt::format("{}/{}", where, field));
  }

  Result<> amount(std::string_view field, double value) const {
    if (std::isfinite(value) && value >= 0) return {};
    return bad(field, fmt::format("{} is not an amount: finite and not negative", value));
  }
  Result<> amounts(std::string_view field, const Amounts& value) const {
    TRY(amount(fmt::format("{}/cpu", field), value.cpu));
    return amount(fmt::format("{}/memory", field), value.memory);
  }
  Result<> span(std::string_view field, Duration value) const {
    if (value.count() >= 0) return {};
    return bad(field, "a duration is not negative");
  }
  Result<> fraction(std::string_view field, double value) const {
    if (value >= 0 && value <= 1) return {};
    return bad(field, fmt::format("{} is not between 0 and 1", value));
  }
  Result<> index(std::string_view field, Index value, std::size_t count,
                 std::string_view what) const {
    if (value < count) return {};
    if (value == kNone) return bad(field, fmt::format("names no {}", what));
    return bad(field, fmt::format("there is no {} {}; there are {}", what, value, count));
  }
  Result<> index_or_none(std::string_view field, Index value, std::size_t count,
                         std::string_view what) const {
    if (value == kNone) return {};
    return index(field, value, count, what);
  }
  Result<> indices(std::string_view field, const std::vector<Index>& values, std::size_t count,
                   std::string_view what) const {
    for (std::size_t i = 0; i < values.size(); ++i)
      TRY(index(fmt::format("{}/{}", field, i), values[i], count, what));
    return {};
  }

  Result<> allocation(std::string_view field, const Allocation& a) const {
    TRY(amount(fmt::format("{}/shares", field), a.shares));
    TRY(amount(fmt::format("{}/reservation", field), a.reservation));
    if (std::isnan(a.limit) || a.limit < 0)
      return bad(fmt::format("{}/limit", field), "a limit is an amount, or infinite for none");
    if (a.reservation > a.limit)
      return bad(fmt::format("{}/reservation", field),
                 fmt::format("{} is reserved, above the limit of {}", a.reservation, a.limit));
    return {};
  }
  Result<> demand(std::string_view field, const Demand& d) const {
    for (double value : {d.now, d.mean, d.deviation, d.peak, d.expected, d.upper})
      TRY(amount(field, value));
    return {};
  }

  Result<> host(const SnapshotHost& h) const {
    TRY(amounts("capacity", h.capacity));
    TRY(amount("core_mhz", h.core_mhz));
    TRY(index("offer", h.offer, s_.offers.size(), "offer"));
    TRY(index("curve", h.curve, s_.curves.size(), "power curve"));
    for (double node : h.numa_memory) TRY(amount("numa_memory", node));
    TRY(span("time_on", h.time_on));
    TRY(span("time_off", h.time_off));
    TRY(amount("boot_energy", h.boot_energy));
    TRY(amount("shutdown_energy", h.shutdown_energy));
    TRY(amount("migration_bandwidth", h.migration_bandwidth));
    TRY(amount("migration_bandwidth_each", h.migration_bandwidth_each));
    if (h.cores < 0 || h.migrations_parallel < 0 || h.recent_failures < 0 || h.vms_max < 0)
      return bad("cores", "cores, migrations_parallel, recent_failures and vms_max are counts");
    return {};
  }

  Result<> pool(const SnapshotPool& p) const {
    if (p.parent != kNone && p.parent >= at_)
      return bad("parent",
                 fmt::format("pool {} does not stand before its child {}", p.parent, at_));
    TRY(allocation("cpu", p.cpu));
    return allocation("memory", p.memory);
  }

  Result<> vm(const SnapshotVm& v) const {
    if (v.run == VmRun::kOn) {
      TRY(index("host", v.host, s_.hosts.size(), "host"));
    } else if (v.host != kNone) {
      return bad("host", fmt::format("a VM that is {} runs on no host", name_of(v.run)));
    }
    TRY(index_or_none("pool", v.pool, s_.pools.size(), "pool"));
    TRY(index("requirement", v.requirement, s_.requirements.size(), "requirement"));
    TRY(index_or_none("moved_from", v.moved_from, s_.hosts.size(), "host"));
    TRY(indices("restart_after", v.restart_after, s_.vms.size(), "VM"));
    TRY(amounts("size", v.size));
    TRY(allocation("cpu", v.cpu));
    TRY(allocation("memory", v.memory));
    TRY(demand("cpu_demand", v.cpu_demand));
    TRY(demand("memory_demand", v.memory_demand));
    TRY(amount("overhead", v.overhead));
    TRY(amount("consumed", v.consumed));
    TRY(amount("reclaimable", v.reclaimable));
    TRY(amount("dirty_rate", v.dirty_rate));
    TRY(amount("cpu_when_moved", v.cpu_when_moved));
    TRY(span("sample_age", v.sample_age));
    TRY(span("restart_delay", v.restart_delay));
    TRY(fraction("gaps", v.gaps));
    if (v.vcpus < 1) return bad("vcpus", "a VM has a vCPU at least");
    if (v.numa_nodes < 0) return bad("numa_nodes", "is a count");
    if (v.restart_priority < 0 || v.restart_priority > 5)
      return bad("restart_priority", "is 1 (first) to 5 (last), or 0 (never)");
    return {};
  }

  Result<> rule(const SnapshotRule& r) const {
    TRY(indices("vms", r.vms, s_.vms.size(), "VM"));
    TRY(indices("hosts", r.hosts, s_.hosts.size(), "host"));
    bool names_hosts = r.kind == RuleKind::kHostsOnly || r.kind == RuleKind::kHostsNever;
    if (!names_hosts && !r.hosts.empty())
      return bad("hosts", fmt::format("a rule '{}' speaks of VMs only", name_of(r.kind)));
    return {};
  }

  Result<> curve(const PowerCurve& c) const {
    for (double watts : c.watts) TRY(amount("watts", watts));
    return amount("standby", c.standby);
  }

  Result<> op(const SnapshotOperation& o) const {
    using Kind = SnapshotOperation::Kind;
    bool of_vm = o.kind == Kind::kMigrate || o.kind == Kind::kStart;
    if (o.kind != Kind::kMigrate || o.to != kNone) TRY(index("to", o.to, s_.hosts.size(), "host"));
    if (of_vm) TRY(index("vm", o.vm, s_.vms.size(), "VM"));
    if (o.kind == Kind::kMigrate) TRY(index("from", o.from, s_.hosts.size(), "host"));
    return {};
  }

  Result<> settings() const {
    const PolicySettings& p = s_.settings;
    TRY(fraction("forecast_quantile", p.forecast_quantile));
    TRY(span("horizon", p.horizon));
    if (p.balance.level < 1 || p.balance.level > 5)
      return bad("balance/level", "is 1 (repair only) to 5 (any gain)");
    if (p.balance.moves_max < 0 || p.balance.moves_per_host < 0 || p.balance.work_max < 0)
      return bad("balance/moves_max", "a bound is not negative");
    TRY(span("balance/stability", p.balance.stability));
    if (!(p.balance.changed_load >= 1)) return bad("balance/changed_load", "is a factor from 1 up");
    TRY(amount("balance/deviations", p.balance.deviations));
    TRY(amount("balance/performance_worth", p.balance.performance_worth));
    TRY(fraction("balance/evenness", p.balance.evenness));
    TRY(fraction("power/target", p.power.target));
    TRY(amount("power/deviations", p.power.deviations));
    TRY(fraction("power/memory_target", p.power.memory_target));
    if (!(p.power.memory_overcommit >= 1) || !std::isfinite(p.power.memory_overcommit))
      return bad("power/memory_overcommit", "is a factor from 1 up");
    TRY(span("power/judge_off", p.power.judge_off));
    TRY(span("power/uptime_min", p.power.uptime_min));
    TRY(span("power/wake_test_every", p.power.wake_test_every));
    TRY(amount("power/break_even_factor", p.power.break_even_factor));
    if (p.power.hosts_on_min < 0 || p.power.changes_max < 0)
      return bad("power/hosts_on_min", "a bound is not negative");
    if (p.ha.failures < 0) return bad("ha/failures", "is a count of hosts");
    return {};
  }

  const Snapshot& s_;
  std::string_view list_;
  std::size_t at_ = 0;
};

}  // namespace

Result<void> check(const Snapshot& snapshot) {
  return Checker(snapshot).run();
}

}  // namespace chorok::model
