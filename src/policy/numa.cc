#include "policy/numa.h"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <span>

namespace chorok::policy {

Numa::Numa(const Snapshot& snapshot) : snapshot_(&snapshot) {
  first_.reserve(snapshot.hosts.size() + 1);
  // Where memory may be given out more than once, a node's may too.
  const double factor = std::max(1.0, snapshot.settings.power.memory_overcommit);
  for (const model::SnapshotHost& host : snapshot.hosts) {
    first_.push_back(static_cast<std::uint32_t>(room_.size()));
    if (host.numa_memory.size() < 2) continue;
    for (std::size_t n = 0; n < std::min(host.numa_memory.size(), kNodesMax); ++n)
      room_.push_back(host.numa_memory[n] * factor);
  }
  first_.push_back(static_cast<std::uint32_t>(room_.size()));
  if (!any()) return;
  on_.resize(snapshot.vms.size());
  part_.resize(snapshot.vms.size());
}

// The fewest nodes that each have room for an equal part; all, if that is not enough.
std::size_t Numa::needed(Index host, double memory) const {
  if (most_room(host) >= memory) return 1;
  const std::size_t nodes = count(host);
  std::array<double, kNodesMax> room{};
  std::copy_n(room_.begin() + first_[host], nodes, room.begin());
  std::ranges::sort(std::span(room).first(nodes), std::greater());
  for (std::size_t n = 2; n < nodes; ++n)
    if (room[n - 1] >= memory / static_cast<double>(n)) return n;
  return nodes;
}

int Numa::nodes_for(Index vm, Index host, double memory) const {
  if (!any() || count(host) == 0) return 1;
  if (snapshot_->vms[vm].numa_nodes > 0) return snapshot_->vms[vm].numa_nodes;
  return static_cast<int>(needed(host, memory));
}

bool Numa::meets(Index vm, Index host, double memory) const {
  const auto wish = static_cast<std::size_t>(snapshot_->vms[vm].numa_nodes);
  if (wish == 0) return true;
  if (!any() || count(host) == 0) return wish == 1;
  const auto room = room_.begin() + first_[host];
  const double part = memory / static_cast<double>(wish);
  return static_cast<std::size_t>(std::count_if(room,
                                                room + static_cast<std::ptrdiff_t>(count(host)),
                                                [&](double left) { return left >= part; })) >= wish;
}

int Numa::nodes_of(Index vm) const {
  return any() ? std::max(1, std::popcount(on_[vm])) : 1;
}

double Numa::most_room(Index host) const {
  double most = 0;
  for (std::uint32_t n = first_[host]; n < first_[host + 1]; ++n) most = std::max(most, room_[n]);
  return most;
}

// Takes the room, too.
Numa::Nodes Numa::choose(Index vm, Index host, double memory) {
  const std::size_t nodes = count(host);
  if (nodes == 0) return 0;
  const std::size_t wish = static_cast<std::size_t>(snapshot_->vms[vm].numa_nodes);
  const std::size_t wanted = std::min(nodes, wish > 0 ? wish : needed(host, memory));
  const double part = memory / static_cast<double>(wanted);
  Nodes chosen = 0;
  for (std::size_t i = 0; i < wanted; ++i) {
    std::size_t best = nodes;
    for (std::size_t n = 0; n < nodes; ++n) {
      if ((chosen >> n & 1) != 0) continue;
      if (best == nodes) {
        best = n;
        continue;
      }
      // One node: the fullest that holds it. Several, or none that holds it: those with most room.
      const double room = room_[first_[host] + n];
      const double other = room_[first_[host] + best];
      const bool tight = wanted == 1 && room >= part && other >= part;
      if (tight ? room < other : room > other) best = n;
    }
    chosen |= Nodes{1} << best;
    room_[first_[host] + best] -= part;
  }
  return chosen;
}

void Numa::put(Index vm, Index host, double memory) {
  if (!any()) return;
  on_[vm] = choose(vm, host, memory);
  part_[vm] = on_[vm] == 0 ? 0 : memory / std::popcount(on_[vm]);
}

void Numa::take(Index vm, Index host) {
  if (!any()) return;
  for (std::size_t n = 0; n < count(host); ++n)
    if ((on_[vm] >> n & 1) != 0) room_[first_[host] + n] += part_[vm];
  on_[vm] = 0;
}

void Numa::hold(Index vm, Index host, double memory) {
  if (any()) choose(vm, host, memory);
}

}  // namespace chorok::policy
