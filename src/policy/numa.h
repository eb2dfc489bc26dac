// Which NUMA nodes of its host each VM's memory is taken to be on, so that a VM goes where one node
// holds it, or, larger than a node, where the fewest do.
//
// Nobody tells which node a guest's pages are on, and they move. So this is a model: a VM is on
// one node if one has the room, the one that is then fullest (best fit keeps large gaps); else it
// is in equal parts on as few nodes as have the room, those with most; else on all. VMs that run
// already are put so largest first; those that come and go later as they come and go, so a host
// may look more divided than the kernel would leave it. That costs rank, never a place: hard is
// only a number of nodes that somebody asked for (SnapshotVm::numa_nodes).
//
// A host's nodes are few (two to eight), so each question is O(1). Hosts of one node cost nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "policy/plan.h"

namespace chorok::policy {

class Numa {
 public:
  explicit Numa(const Snapshot& snapshot);
  // Whether any host has more than one node: if not, all else here is idle.
  bool any() const { return !room_.empty(); }

  // Nodes that the VM would be on if it came to the host with so many MiB; 1 where there is one.
  int nodes_for(Index vm, Index host, double memory) const;
  // Whether the host can give it the nodes that it asks for; true if it asks for none.
  bool meets(Index vm, Index host, double memory) const;
  // Nodes it is on; 1 if it is nowhere.
  int nodes_of(Index vm) const;
  // The largest amount that one node has left, MiB.
  double most_room(Index host) const;

  void put(Index vm, Index host, double memory);
  void take(Index vm, Index host);
  // Room that is needed by something that is not there yet.
  void hold(Index vm, Index host, double memory);

 private:
  using Nodes = std::uint64_t;  // a bit each
  static constexpr std::size_t kNodesMax = 64;

  std::size_t count(Index host) const { return first_[host + 1] - first_[host]; }
  std::size_t needed(Index host, double memory) const;
  Nodes choose(Index vm, Index host, double memory);

  const Snapshot* snapshot_;
  std::vector<std::uint32_t> first_;  // of each host, its first in room_; hosts of one node: none
  std::vector<double> room_;          // MiB left on each node of each host
  std::vector<Nodes> on_;             // of each VM, among its host's
  std::vector<double> part_;          // of each VM, MiB on each of them
};

}  // namespace chorok::policy
