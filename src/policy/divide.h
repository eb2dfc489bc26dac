// Dividing one amount among claims by shares, and down a tree of them. The arithmetic below
// entitlement, without a snapshot, so that it can be read, tested and used by itself.
//
// One idea: there is a level λ, the same for all, and everybody gets shares × λ, but not less than
// his floor and not more than his ceiling. λ is the one for which the amount is used up
// (water-filling; min-funding in Waldspurger, "Memory Resource Management in VMware ESX Server",
// OSDI 2002, section 4). So a reservation is a minimum and not a present: who has more by his
// shares anyway gets nothing on top.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/snapshot.h"

namespace chorok::policy {

struct Claim {
  double shares = 0;
  double floor = 0;
  double ceiling = 0;  // not below the floor; may be infinite
};

// Writes each claim's part of `amount` to `out` (same length). The parts add up to `amount`, or to
// all ceilings if those are less. If the floors alone are more than `amount`, each is a ceiling
// instead: importance decides who keeps how much. Claims without shares come last, equal to each
// other. O(n log n).
void water_fill(std::span<const Claim> claims, double amount, std::span<double> out);

// One node of a tree in flat arrays. Leaves are VMs, inner nodes pools; a parent stands before its
// children, the root is node 0.
struct TreeNode {
  std::uint32_t parent = model::kNone;  // kNone: the root alone
  bool leaf = false;
  double shares = 0;
  double reservation = 0;
  double limit = model::kUnlimited;
  double demand = 0;             // leaves
  double size = 0;               // leaves: configured; never more
  bool expandable = false;       // inner nodes
  bool scalable_shares = false;  // inner nodes: shares are the sum of the children's
};

// What a node may claim, its subtree taken into account: guaranteed ≤ wanted ≤ most.
struct NodeClaim {
  double shares = 0;
  double guaranteed = 0;  // reserved, as far as demand asks for it
  double wanted = 0;      // demand within limits
  double most = 0;        // size within limits
};

struct Division {
  std::vector<double> given;      // a node
  std::vector<NodeClaim> claims;  // a node
};

// Gives `capacity` to the root and divides it down, at each node in two passes: first demand,
// everybody's guarantee being his floor; when all demand is met, what is left, up to the size.
// Sums to min(capacity, what the root may have at most). O(n log n), no recursion.
Division divide(std::span<const TreeNode> tree, double capacity);

}  // namespace chorok::policy
