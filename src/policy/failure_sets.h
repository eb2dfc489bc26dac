// Which sets of k hosts to let fail, where there are more than can all be tried: those in which
// something is likely to stay down. Decides nothing: what a set does is told by whoever tries it.
//
// A random set of a large cluster tells little, for most are easy. What makes a set hard is one of
// these, and each has its own way in:
//   much to place          a host and those that carry most
//   a VM without refuge    a host and those with most room for the largest of its VMs
//   several large VMs      a host and those that carry the largest VMs of the cluster
//   few hosts to choose    sets within the hosts that a requirement or a rule leaves to some VMs
//   anything else          the hardest sets found so far, with one of their hosts exchanged
#pragma once

#include <functional>
#include <set>
#include <span>
#include <vector>

#include "policy/whatif.h"

namespace chorok::policy {

// How hard it was to bring back the VMs of a set: more is worse.
struct Stress {
  std::int64_t unplaced = 0;
  std::int64_t made_room = 0;
  std::int32_t attempt = 0;  // Replaced::attempt
  double memory = 0;         // MiB to place
  auto operator<=>(const Stress&) const = default;
};

// Sets of `size` out of `count`, at most `most`: for whoever must know whether it can try them all.
std::int64_t sets_of(std::size_t count, std::size_t size, std::int64_t most);

// Calls `go` with each set of `size` of `hosts`, the first ones first, until it says false. Whether
// it came to the end.
bool for_each_set(std::span<const Index> hosts, std::size_t size,
                  const std::function<bool(const std::vector<Index>&)>& go);

class FailureSets {
 public:
  // Answers how hard a set is; nullopt: no more.
  using Try = std::function<std::optional<Stress>(const std::vector<Index>&)>;

  // Of `hosts`, in the order of what they carry, sets of `size`; at most `sets_max` are tried.
  FailureSets(const WhatIf& world, std::vector<Index> hosts, std::size_t size,
              std::int64_t sets_max, Try go);
  void search();

 private:
  bool full() const { return ended_ || sets_left_ <= 0; }
  // Makes the set `size` large with the hosts that carry most, and tries it if it is new.
  void try_set(std::vector<Index> set);
  void with_the_fullest(std::int64_t most);
  void with_the_refuges(std::int64_t most);
  void with_the_largest_vms(std::int64_t most);
  void among_few_hosts(std::int64_t most);
  void next_to_the_hardest();

  struct Tried {
    Stress stress;
    std::vector<Index> set;
  };

  const WhatIf& world_;
  std::vector<Index> hosts_;  // most memory in use first
  std::size_t size_;
  std::int64_t sets_left_;
  Try go_;
  bool ended_ = false;
  std::vector<bool> listed_;           // whether a host is one of hosts_
  std::vector<Index> by_room_;         // most free memory first
  std::vector<Index> largest_vm_;      // of each host; kNone: it has none to bring back
  std::set<std::vector<Index>> seen_;  // sorted
  std::vector<Tried> hardest_;         // worst first, a few
};

}  // namespace chorok::policy
