#include "model/snapshot_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "base/json.h"

namespace chorok::model {
namespace {

// The names of one kind of thing, to find indices by.
class Names {
 public:
  explicit Names(std::string_view what) : what_(what) {}

  Result<> add(std::string name, const std::string& where) {
    if (name.empty()) return fail(Code::kInvalid, "has no name", where);
    if (!index_.emplace(name, static_cast<Index>(names_.size())).second)
      return fail(Code::kInvalid, fmt::format("there are two {}s named '{}'", what_, name), where);
    names_.push_back(std::move(name));
    return {};
  }
  std::size_t size() const { return names_.size(); }

  Result<Index> find(const std::string& name, const std::string& where) const {
    auto it = index_.find(name);
    if (it != index_.end()) return it->second;
    const std::string_view close =
        nearest(name, std::vector<std::string_view>(names_.begin(), names_.end()));
    return fail(Code::kInvalid,
                fmt::format("there is no {} '{}'{}", what_, name.substr(0, 64),
                            close.empty() ? "" : fmt::format("; did you mean '{}'?", close)),
                where);
  }
  // Empty: none.
  Result<Index> find_or_none(const std::string& name, const std::string& where) const {
    if (name.empty()) return kNone;
    return find(name, where);
  }
  // NAME, or NAME* for all that begin so, in their order.
  Result<std::vector<Index>> expand(const std::string& name, const std::string& where) const {
    if (!name.ends_with('*')) return std::vector{TRY(find(name, where))};
    std::vector<Index> found;
    const std::string_view start = std::string_view(name).substr(0, name.size() - 1);
    for (Index i = 0; i < names_.size(); ++i)
      if (names_[i].starts_with(start)) found.push_back(i);
    if (found.empty())
      return fail(Code::kInvalid,
                  fmt::format("no {}'s name begins with '{}'", what_, start.substr(0, 64)), where);
    return found;
  }

 private:
  std::string_view what_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, Index> index_;
};

// Things that are alike share one entry of a list.
template <class T>
class Shared {
 public:
  explicit Shared(std::vector<T>& list) : list_(list) {}
  Index add(T thing) {
    std::string key;
    for (const std::string& word : words(thing)) key += word + '\n';
    auto [it, is_new] = known_.emplace(std::move(key), static_cast<Index>(list_.size()));
    if (is_new) list_.push_back(std::move(thing));
    return it->second;
  }

 private:
  static std::vector<std::string> words(const Requirement& r) {
    return join({r.cpu}, r.datastores, r.networks);
  }
  static std::vector<std::string> words(const Offer& o) {
    return join(o.cpus, o.datastores, o.networks);
  }
  static std::vector<std::string> join(const std::vector<std::string>& a,
                                       const std::vector<std::string>& b,
                                       const std::vector<std::string>& c) {
    std::vector<std::string> all;
    for (const auto* list : {&a, &b, &c}) {
      all.insert(all.end(), list->begin(), list->end());
      all.emplace_back("\t");
    }
    return all;
  }
  std::vector<T>& list_;
  std::map<std::string, Index> known_;
};

std::vector<std::string> sorted(std::vector<std::string> words) {
  std::ranges::sort(words);
  words.erase(std::ranges::unique(words).begin(), words.end());
  return words;
}

std::string numbered(const std::string& name, std::int32_t count, std::int32_t i) {
  return count == 1 ? name : fmt::format("{}{}", name, i + 1);
}

class Reader {
 public:
  explicit Reader(const SnapshotDocument& document)
      : d_(document), offers_(s_.offers), requirements_(s_.requirements) {}

  Result<Snapshot> run() {
    if (d_.version != kSnapshotVersion)
      return fail(Code::kUnsupported,
                  fmt::format("this is version {} of the format; this program reads version {}",
                              d_.version, kSnapshotVersion),
                  "/version");
    s_.now = d_.now;
    s_.revision = d_.revision;
    s_.cluster = d_.cluster;
    s_.settings = d_.settings;
    TRY(read_curves());
    TRY(read_hosts());
    TRY(read_pools());
    TRY(name_vms());
    for (std::size_t i = 0; i < d_.vms.size(); ++i) TRY(read_vms(i));
    for (std::size_t i = 0; i < d_.rules.size(); ++i) TRY(read_rule(i));
    for (std::size_t i = 0; i < d_.operations.size(); ++i) TRY(read_operation(i));
    TRY(check(s_));
    return std::move(s_);
  }

 private:
  Time ago(double seconds_ago) const { return s_.now - from_seconds(seconds_ago); }

  Result<> read_curves() {
    for (std::size_t i = 0; i < d_.curves.size(); ++i) {
      const CurveText& text = d_.curves[i];
      TRY(curves_.add(text.name, fmt::format("/curves/{}/name", i)));
      PowerCurve curve{.name = text.name, .standby = text.standby_watts, .measured = text.measured};
      if (text.watts.size() != curve.watts.size())
        return fail(
            Code::kInvalid,
            fmt::format("has {} points; a curve has 11: at 0, 10, … 100 % load", text.watts.size()),
            fmt::format("/curves/{}/watts", i));
      std::ranges::copy(text.watts, curve.watts.begin());
      s_.curves.push_back(std::move(curve));
    }
    if (s_.curves.empty() && !d_.hosts.empty()) {
      s_.curves.push_back(usual_curve());
      return curves_.add(s_.curves[0].name, "/curves");
    }
    return {};
  }

  Result<> read_hosts() {
    for (std::size_t i = 0; i < d_.hosts.size(); ++i) {
      const HostText& text = d_.hosts[i];
      const std::string where = fmt::format("/hosts/{}", i);
      SnapshotHost host = TRY(read_host(text, where));
      for (std::int32_t k = 0; k < text.count; ++k) {
        if (s_.hosts.size() >= kSnapshotHostsMax)
          return fail(Code::kExhausted,
                      fmt::format("a snapshot has {} hosts at most", kSnapshotHostsMax),
                      where + "/count");
        host.name = numbered(text.name, text.count, k);
        TRY(hosts_.add(host.name, where + "/name"));
        s_.hosts.push_back(host);
      }
    }
    return {};
  }

  Result<SnapshotHost> read_host(const HostText& text, const std::string& where) {
    SnapshotHost h;
    h.power = text.power;
    h.link = text.link;
    h.admin = text.admin;
    h.capacity = {text.cpu_mhz.value_or(text.cores * text.core_mhz), text.memory_mib};
    h.core_mhz = text.core_mhz;
    h.cores = text.cores;
    h.numa_memory = text.numa_memory_mib;
    h.offer = offers_.add({sorted(text.cpus), sorted(text.datastores), sorted(text.networks)});
    h.curve = text.curve.empty() ? 0 : TRY(curves_.find(text.curve, where + "/curve"));
    h.time_on = from_seconds(text.time_on_s);
    h.time_off = from_seconds(text.time_off_s);
    h.boot_energy = text.boot_energy_j;
    h.shutdown_energy = text.shutdown_energy_j;
    h.keep_on = text.keep_on;
    h.keep_off = text.keep_off;
    h.migration_bandwidth = text.migration_bandwidth_mib_s;
    h.migration_bandwidth_each = text.migration_bandwidth_each_mib_s;
    h.migrations_parallel = text.migrations_parallel;
    if (text.power_since_ago_s) h.power_since = ago(*text.power_since_ago_s);
    if (text.enabled_since_ago_s) h.enabled_since = ago(*text.enabled_since_ago_s);
    h.recent_failures = text.recent_failures;
    h.vms_max = text.vms_max;
    return h;
  }

  // Pools may stand in any order in the document; a snapshot has parents first.
  Result<> read_pools() {
    Names all("pool");
    for (std::size_t i = 0; i < d_.pools.size(); ++i)
      TRY(all.add(d_.pools[i].name, fmt::format("/pools/{}/name", i)));
    std::vector<Index> parents;
    for (std::size_t i = 0; i < d_.pools.size(); ++i)
      parents.push_back(
          TRY(all.find_or_none(d_.pools[i].parent, fmt::format("/pools/{}/parent", i))));
    const std::vector<Index> order = TRY(parents_first(parents));
    std::vector<Index> place(order.size());
    for (Index at = 0; at < order.size(); ++at) place[order[at]] = at;
    for (const Index i : order) {
      const PoolText& text = d_.pools[i];
      TRY(bounded(text.cpu_mhz, fmt::format("/pools/{}/cpu_mhz", i)));
      TRY(bounded(text.memory_mib, fmt::format("/pools/{}/memory_mib", i)));
      TRY(pools_.add(text.name, "/pools"));
      s_.pools.push_back({.name = text.name,
                          .parent = parents[i] == kNone ? kNone : place[parents[i]],
                          .cpu = text.cpu_mhz,
                          .memory = text.memory_mib,
                          .scalable_shares = text.scalable_shares});
    }
    return {};
  }

  static Result<std::vector<Index>> parents_first(const std::vector<Index>& parents) {
    const auto count = static_cast<Index>(parents.size());
    std::vector<Index> order;
    std::vector<char> state(count, 0);  // 1: on the way up from here, 2: placed
    std::vector<Index> path;
    for (Index i = 0; i < count; ++i) {
      for (Index p = i; p != kNone && state[p] != 2; p = parents[p]) {
        if (state[p] == 1)
          return fail(Code::kInvalid, "a pool cannot lie within itself",
                      fmt::format("/pools/{}/parent", p));
        state[p] = 1;
        path.push_back(p);
      }
      for (; !path.empty(); path.pop_back()) {
        state[path.back()] = 2;
        order.push_back(path.back());
      }
    }
    return order;
  }

  static Result<> bounded(const Allocation& a, const std::string& where) {
    if (a.reservation <= a.limit) return {};
    return fail(Code::kInvalid,
                fmt::format("{} is reserved, above the limit of {}", a.reservation, a.limit),
                where + "/reservation");
  }

  Result<> name_vms() {
    for (std::size_t i = 0; i < d_.vms.size(); ++i) {
      const VmText& text = d_.vms[i];
      if (vms_.size() + static_cast<std::size_t>(text.count) > kSnapshotVmsMax)
        return fail(Code::kExhausted, fmt::format("a snapshot has {} VMs at most", kSnapshotVmsMax),
                    fmt::format("/vms/{}/count", i));
      for (std::int32_t k = 0; k < text.count; ++k)
        TRY(vms_.add(numbered(text.name, text.count, k), fmt::format("/vms/{}/name", i)));
    }
    return {};
  }

  Result<> read_vms(std::size_t i) {
    const VmText& text = d_.vms[i];
    const std::string where = fmt::format("/vms/{}", i);
    SnapshotVm vm = TRY(read_vm(text, where));
    std::vector<Index> hosts;
    if (!text.host.empty()) hosts = TRY(hosts_.expand(text.host, where + "/host"));
    vm.run = text.run.value_or(hosts.empty() ? VmRun::kOff : VmRun::kOn);
    if (vm.run == VmRun::kOn && hosts.empty())
      return fail(Code::kInvalid, "runs, and names no host", where + "/host");
    if (vm.run != VmRun::kOn && !hosts.empty())
      return fail(Code::kInvalid, fmt::format("is {} and runs on no host", name_of(vm.run)),
                  where + "/host");
    for (std::int32_t k = 0; k < text.count; ++k) {
      vm.name = numbered(text.name, text.count, k);
      if (!hosts.empty()) vm.host = hosts[static_cast<std::size_t>(k) % hosts.size()];
      s_.vms.push_back(vm);
    }
    return {};
  }

  Result<SnapshotVm> read_vm(const VmText& text, const std::string& where) {
    SnapshotVm v;
    TRY(bounded(text.cpu_allocation_mhz, where + "/cpu_allocation_mhz"));
    TRY(bounded(text.memory_allocation_mib, where + "/memory_allocation_mib"));
    v.pool = TRY(pools_.find_or_none(text.pool, where + "/pool"));
    v.moved_from = TRY(hosts_.find_or_none(text.moved_from, where + "/moved_from"));
    v.restart_after = TRY(expand(vms_, text.restart_after, where + "/restart_after"));
    v.requirement =
        requirements_.add({text.cpu_model, sorted(text.datastores), sorted(text.networks)});
    v.vcpus = text.vcpus;
    const double core = s_.hosts.empty() ? 0 : s_.hosts[0].core_mhz;
    v.size = {text.cpu_mhz.value_or(text.vcpus * core), text.memory_mib};
    v.overhead = text.overhead_mib;
    v.cpu = text.cpu_allocation_mhz;
    v.memory = text.memory_allocation_mib;
    v.cpu_demand = demand(text.cpu_demand_mhz);
    v.memory_demand = demand(text.memory_demand_mib);
    v.consumed = text.consumed_mib;
    v.reclaimable = text.reclaimable_mib;
    v.dirty_rate = text.dirty_rate_mib_s;
    v.sample_age = from_seconds(text.sample_age_s);
    v.gaps = text.gaps;
    v.automation = text.automation;
    v.pinned = text.pinned;
    v.numa_nodes = text.numa_nodes;
    v.restart_priority = text.restart_priority;
    v.restart_delay = from_seconds(text.restart_delay_s);
    if (text.moved_ago_s) v.last_moved = ago(*text.moved_ago_s);
    v.cpu_when_moved = text.cpu_when_moved_mhz;
    return v;
  }

  static Demand demand(const DemandText& text) {
    return {.now = text.now,
            .mean = text.mean.value_or(text.now),
            .deviation = text.deviation,
            .peak = text.peak.value_or(text.now),
            .expected = text.expected.value_or(text.now),
            .upper = text.upper.value_or(text.now)};
  }

  Result<std::vector<Index>> expand(const Names& names, const std::vector<std::string>& texts,
                                    const std::string& where) {
    std::vector<Index> all;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const auto found = TRY(names.expand(texts[i], fmt::format("{}/{}", where, i)));
      references_ += found.size();
      if (references_ > kSnapshotReferencesMax)
        return fail(
            Code::kExhausted,
            fmt::format("a snapshot's rules name {} things at most", kSnapshotReferencesMax),
            where);
      all.insert(all.end(), found.begin(), found.end());
    }
    return all;
  }

  Result<> read_rule(std::size_t i) {
    const RuleText& text = d_.rules[i];
    const std::string where = fmt::format("/rules/{}", i);
    TRY(rules_.add(text.name, where + "/name"));
    s_.rules.push_back({.name = text.name,
                        .kind = text.kind,
                        .must = text.must,
                        .vms = TRY(expand(vms_, text.vms, where + "/vms")),
                        .hosts = TRY(expand(hosts_, text.hosts, where + "/hosts"))});
    return {};
  }

  Result<> read_operation(std::size_t i) {
    const OperationText& text = d_.operations[i];
    const std::string where = fmt::format("/operations/{}", i);
    s_.operations.push_back({.kind = text.kind,
                             .vm = TRY(vms_.find_or_none(text.vm, where + "/vm")),
                             .from = TRY(hosts_.find_or_none(text.from, where + "/from")),
                             .to = TRY(hosts_.find_or_none(text.to, where + "/to")),
                             .since = ago(text.since_ago_s)});
    return {};
  }

  const SnapshotDocument& d_;
  Snapshot s_;
  Shared<Offer> offers_;
  Shared<Requirement> requirements_;
  Names curves_{"curve"};
  Names hosts_{"host"};
  Names pools_{"pool"};
  Names vms_{"VM"};
  Names rules_{"rule"};
  std::size_t references_ = 0;
};

// The version alone, for a document that this program cannot read otherwise.
struct VersionOnly {
  std::int32_t version = 0;
  static const Type& type() {
    static const Type kType =
        describe<VersionOnly>("Snapshot", "").field("version", &VersionOnly::version, "");
    return kType;
  }
};

}  // namespace

PowerCurve usual_curve() {
  return {.name = "usual",
          .watts = {120, 145, 165, 185, 205, 225, 245, 270, 295, 325, 350},
          .standby = 10};
}

Result<Snapshot> from_document(const SnapshotDocument& document) {
  return Reader(document).run();
}

Result<Snapshot> read_snapshot(std::string_view text) {
  auto document = json::decode<SnapshotDocument>(text, {.max_bytes = kSnapshotBytesMax});
  if (document) return from_document(*document);
  auto version = json::decode<VersionOnly>(text, {.max_bytes = kSnapshotBytesMax, .stored = true});
  if (version && version->version > kSnapshotVersion)
    return fail(Code::kUnsupported,
                fmt::format("this is version {} of the format; this program reads up to {}",
                            version->version, kSnapshotVersion),
                "/version");
  return std::unexpected(std::move(document).error());
}

}  // namespace chorok::model
