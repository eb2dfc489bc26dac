#include "model/pool.h"

namespace chorok::model {
namespace {

constexpr double kMaxShares = 1'000'000'000;
constexpr double kMaxMhz = 1e12;  // pools are sums: of the widest cluster, and more
constexpr double kMaxMib = 1e12;
constexpr Limits kReference = {.max_length = 63, .pattern = Pattern::kName};

// PoolCpu and PoolMemory differ in their units.
template <class T>
Type allocation(std::string_view name, std::string_view doc, double max) {
  return describe<T>(name, doc)
      .field("level", &T::level, "Importance under contention, as a word.")
      .field("shares", &T::shares, "Importance as a number; 0: as the level says.",
             {.min = 0, .max = kMaxShares})
      .field("reservation", &T::reservation,
             "Guaranteed to what is in it; refused where it cannot be kept.",
             {.min = 0, .max = max})
      .field("limit", &T::limit, "Never exceeded; 0 is none.", {.min = 0, .max = max})
      .field("expandable", &T::expandable,
             "What its VMs reserve beyond its reservation is taken from its parent.");
}

}  // namespace

const Type& enum_type(const ShareLevel*) {
  static const Type kType =
      describe_enum<ShareLevel>("ShareLevel", "Importance under contention, as a word.",
                                {{0, "normal", ""}, {1, "low", "half"}, {2, "high", "double"}});
  return kType;
}

const Type& PoolCpu::type() {
  static const Type kType =
      allocation<PoolCpu>("PoolCpu", "How CPU is divided and guaranteed.", kMaxMhz);
  return kType;
}

const Type& PoolMemory::type() {
  static const Type kType =
      allocation<PoolMemory>("PoolMemory", "How memory is divided and guaranteed.", kMaxMib);
  return kType;
}

const Type& Pool::type() {
  static const Type kType =
      describe<Pool>("Pool", "A part of a cluster's CPU and memory.")
          .field("meta", &Pool::meta, "Name, labels, folder, notes.", {.required = true})
          .field("cluster", &Pool::cluster,
                 "The cluster it is in: name or id; empty when created: its parent's, or the only "
                 "one.",
                 kReference)
          .field("parent", &Pool::parent,
                 "The pool it is in: name or id; empty: directly below the cluster.", kReference)
          .field("cpu", &Pool::cpu, "Shares, reservation and limit of CPU.")
          .field("memory", &Pool::memory, "Shares, reservation and limit of memory.")
          .field("scalable_shares", &Pool::scalable_shares,
                 "Its shares are the sum of those in it, so that more VMs weigh more.");
  return kType;
}

const Type& Rule::type() {
  static const Type kType =
      describe<Rule>("Rule", "Which VMs run together, apart, or on which hosts.")
          .field("meta", &Rule::meta, "Name, labels, folder, notes.", {.required = true})
          .field("cluster", &Rule::cluster,
                 "The cluster it holds in: name or id; empty when created: that of its VMs.",
                 kReference)
          .field("kind", &Rule::kind, "What it asks for.")
          .field("must", &Rule::must,
                 "It holds always; otherwise it gives way where nothing else helps.")
          .field("enabled", &Rule::enabled, "It is observed.")
          .field("vms", &Rule::vms, "VMs: names or ids.",
                 {.max_length = 63, .max_count = 1000, .pattern = Pattern::kName})
          .field("hosts", &Rule::hosts, "Hosts: names or ids.",
                 {.max_length = 63, .max_count = 1000, .pattern = Pattern::kName});
  return kType;
}

}  // namespace chorok::model
