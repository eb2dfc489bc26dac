// Snapshots to documents and JSON: the other half of snapshot_text.cc.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "base/json.h"
#include "model/snapshot_text.h"

namespace chorok::model {
namespace {

double in_seconds(Duration d) {
  return static_cast<double>(d.count()) / 1e9;
}

class Writer {
 public:
  explicit Writer(const Snapshot& snapshot) : s_(snapshot) {}

  Result<SnapshotDocument> run() {
    TRY(check(s_));
    TRY(check_names("host", s_.hosts));
    TRY(check_names("pool", s_.pools));
    TRY(check_names("vm", s_.vms));
    TRY(check_names("rule", s_.rules));
    TRY(check_names("curve", s_.curves));
    d_.version = kSnapshotVersion;
    d_.now = s_.now;
    d_.revision = s_.revision;
    d_.cluster = s_.cluster;
    d_.settings = s_.settings;
    if (s_.curves != std::vector{usual_curve()})
      for (const PowerCurve& curve : s_.curves)
        d_.curves.push_back({.name = curve.name,
                             .watts = {curve.watts.begin(), curve.watts.end()},
                             .standby_watts = curve.standby,
                             .measured = curve.measured});
    for (const SnapshotHost& host : s_.hosts) d_.hosts.push_back(host_text(host));
    for (const SnapshotPool& pool : s_.pools)
      d_.pools.push_back({.name = pool.name,
                          .parent = name(s_.pools, pool.parent),
                          .cpu_mhz = pool.cpu,
                          .memory_mib = pool.memory,
                          .scalable_shares = pool.scalable_shares});
    for (const SnapshotVm& vm : s_.vms) d_.vms.push_back(vm_text(vm));
    for (const SnapshotRule& rule : s_.rules)
      d_.rules.push_back({.name = rule.name,
                          .kind = rule.kind,
                          .must = rule.must,
                          .vms = names(s_.vms, rule.vms),
                          .hosts = names(s_.hosts, rule.hosts)});
    for (const SnapshotOperation& op : s_.operations)
      d_.operations.push_back({.kind = op.kind,
                               .vm = name(s_.vms, op.vm),
                               .from = name(s_.hosts, op.from),
                               .to = name(s_.hosts, op.to),
                               .since_ago_s = age(op.since)});
    return std::move(d_);
  }

 private:
  template <class T>
  static Result<> check_names(std::string_view what, const std::vector<T>& things) {
    std::unordered_set<std::string_view> known;
    for (std::size_t i = 0; i < things.size(); ++i) {
      const std::string& name = things[i].name;
      const std::string where = fmt::format("/{}s/{}/name", what, i);
      if (name.empty()) return fail(Code::kInvalid, "has no name", where);
      if (!known.insert(name).second)
        return fail(Code::kInvalid, fmt::format("there are two {}s named '{}'", what, name), where);
    }
    return {};
  }
  template <class T>
  static std::string name(const std::vector<T>& things, Index index) {
    return index == kNone ? std::string() : things[index].name;
  }
  template <class T>
  static std::vector<std::string> names(const std::vector<T>& things,
                                        const std::vector<Index>& indices) {
    std::vector<std::string> out;
    for (const Index i : indices) out.push_back(things[i].name);
    return out;
  }
  static std::optional<double> unless(double value, double usual) {
    return value == usual ? std::nullopt : std::optional(value);
  }
  // In seconds. What began after the clock was read for this snapshot, or before a clock was set
  // back, begins now: a negative age is refused by who reads it.
  double age(Time time) const { return std::max(0.0, in_seconds(s_.now - time)); }
  std::optional<double> since(Time time) const {  // absent for "never"
    return time == Time{} ? std::nullopt : std::optional(age(time));
  }
  static DemandText demand(const Demand& d) {
    return {.now = d.now,
            .mean = unless(d.mean, d.now),
            .deviation = d.deviation,
            .peak = unless(d.peak, d.now),
            .expected = unless(d.expected, d.now),
            .upper = unless(d.upper, d.now)};
  }

  HostText host_text(const SnapshotHost& h) const {
    const Offer& offer = s_.offers[h.offer];
    return {.name = h.name,
            .power = h.power,
            .link = h.link,
            .admin = h.admin,
            .cores = h.cores,
            .core_mhz = h.core_mhz,
            .cpu_mhz = unless(h.capacity.cpu, h.cores * h.core_mhz),
            .memory_mib = h.capacity.memory,
            .numa_memory_mib = h.numa_memory,
            .cpus = offer.cpus,
            .datastores = offer.datastores,
            .networks = offer.networks,
            .curve = h.curve == 0 ? std::string() : s_.curves[h.curve].name,
            .time_on_s = in_seconds(h.time_on),
            .time_off_s = in_seconds(h.time_off),
            .boot_energy_j = h.boot_energy,
            .shutdown_energy_j = h.shutdown_energy,
            .keep_on = h.keep_on,
            .keep_off = h.keep_off,
            .migration_bandwidth_mib_s = h.migration_bandwidth,
            .migration_bandwidth_each_mib_s = h.migration_bandwidth_each,
            .migrations_parallel = h.migrations_parallel,
            .power_since_ago_s = since(h.power_since),
            .enabled_since_ago_s = since(h.enabled_since),
            .recent_failures = h.recent_failures,
            .vms_max = h.vms_max};
  }

  VmText vm_text(const SnapshotVm& v) const {
    const Requirement& needs = s_.requirements[v.requirement];
    const double core = s_.hosts.empty() ? 0 : s_.hosts[0].core_mhz;
    const bool usual_run = v.run == (v.host == kNone ? VmRun::kOff : VmRun::kOn);
    return {.name = v.name,
            .run = usual_run ? std::nullopt : std::optional(v.run),
            .host = name(s_.hosts, v.host),
            .pool = name(s_.pools, v.pool),
            .vcpus = v.vcpus,
            .cpu_mhz = unless(v.size.cpu, v.vcpus * core),
            .memory_mib = v.size.memory,
            .overhead_mib = v.overhead,
            .cpu_allocation_mhz = v.cpu,
            .memory_allocation_mib = v.memory,
            .cpu_demand_mhz = demand(v.cpu_demand),
            .memory_demand_mib = demand(v.memory_demand),
            .consumed_mib = v.consumed,
            .reclaimable_mib = v.reclaimable,
            .dirty_rate_mib_s = v.dirty_rate,
            .cpu_model = needs.cpu,
            .datastores = needs.datastores,
            .networks = needs.networks,
            .sample_age_s = in_seconds(v.sample_age),
            .gaps = v.gaps,
            .automation = v.automation,
            .pinned = v.pinned,
            .numa_nodes = v.numa_nodes,
            .restart_priority = v.restart_priority,
            .restart_after = names(s_.vms, v.restart_after),
            .restart_delay_s = in_seconds(v.restart_delay),
            .moved_ago_s = since(v.last_moved),
            .moved_from = name(s_.hosts, v.moved_from),
            .cpu_when_moved_mhz = v.cpu_when_moved};
  }

  const Snapshot& s_;
  SnapshotDocument d_;
};

// One entry of a list a line, so that a person finds it and a diff shows it.
std::string lay_out(const SnapshotDocument& document) {
  constexpr json::EncodeOptions kSparse = {.defaults = false};
  const Type& type = SnapshotDocument::type();
  std::string out = "{";
  bool first = true;
  for (const Field& field : type.fields) {
    const void* at = field_at(field, &document);
    const Type& kind = field.type();
    if (equal(kind, at, field_at(field, type.prototype))) continue;
    out += fmt::format("{}\n  \"{}\": ", first ? "" : ",", field.name);
    first = false;
    if (kind.kind != Kind::kList) {
      json::encode_to(out, kind, at, kSparse);
      continue;
    }
    const std::size_t count = kind.access.count(at);
    out += "[";
    for (std::size_t i = 0; i < count; ++i) {
      out += i == 0 ? "\n    " : ",\n    ";
      json::encode_to(out, kind.element(), kind.access.at(at, i), kSparse);
    }
    out += "\n  ]";
  }
  return out + "\n}\n";
}

}  // namespace

Result<SnapshotDocument> to_document(const Snapshot& snapshot) {
  return Writer(snapshot).run();
}

Result<std::string> write_snapshot(const Snapshot& snapshot) {
  return lay_out(TRY(to_document(snapshot)));
}

}  // namespace chorok::model
