#include "policy/divide.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/result.h"

namespace chorok::policy {
namespace {

// Where the sum of all parts, as a function of the level, changes its slope.
struct Bend {
  double level;
  double slope;  // shares that join (+) or leave (-) there
};

// The level at which claims between floor and ceiling sum up to `amount`, by a sweep over the
// bends. Sums of floors < amount < sum of ceilings.
double find_level(std::vector<Bend>& bends, double floors, double amount) {
  std::ranges::sort(bends, {}, &Bend::level);
  double sum = floors;
  double slope = 0;
  double level = 0;
  for (const Bend& bend : bends) {
    const double rise = slope * (bend.level - level);
    if (sum + rise >= amount) break;
    sum += rise;
    level = bend.level;
    slope += bend.slope;
  }
  // Slope is positive here but for rounding: ceilings above `amount` have not all been reached.
  return slope > 0 ? level + ((amount - sum) / slope) : level;
}

struct Sums {
  double floors = 0;
  double ceilings = 0;
};

Sums sums_of(std::span<const Claim> claims) {
  Sums sums;
  for (const Claim& claim : claims) {
    sums.floors += claim.floor;
    sums.ceilings += claim.ceiling;
  }
  return sums;
}

// The sweep adds up many small steps; what rounding left over goes to who can still take or give
// it, in proportion to shares.
void settle(std::span<const Claim> claims, double amount, std::span<double> out) {
  double sum = 0;
  double open = 0;
  for (std::size_t i = 0; i < claims.size(); ++i) {
    sum += out[i];
    if (out[i] > claims[i].floor && out[i] < claims[i].ceiling) open += claims[i].shares;
  }
  const double rest = amount - sum;
  if (rest == 0 || open <= 0) return;
  for (std::size_t i = 0; i < claims.size(); ++i)
    if (out[i] > claims[i].floor && out[i] < claims[i].ceiling)
      out[i] =
          std::clamp(out[i] + (rest * claims[i].shares / open), claims[i].floor, claims[i].ceiling);
}

// All claims have shares, and sum of floors < amount < sum of ceilings.
void fill_by_level(std::span<const Claim> claims, double floors, double amount,
                   std::span<double> out) {
  std::vector<Bend> bends;
  bends.reserve(claims.size() * 2);
  for (const Claim& claim : claims) {
    if (claim.ceiling <= claim.floor) continue;
    bends.push_back({claim.floor / claim.shares, claim.shares});
    if (std::isfinite(claim.ceiling))
      bends.push_back({claim.ceiling / claim.shares, -claim.shares});
  }
  const double level = find_level(bends, floors, amount);
  for (std::size_t i = 0; i < claims.size(); ++i)
    out[i] = std::clamp(claims[i].shares * level, claims[i].floor, claims[i].ceiling);
  settle(claims, amount, out);
}

void fill_with_shares(std::span<const Claim> claims, double amount, std::span<double> out) {
  const Sums sums = sums_of(claims);
  if (amount >= sums.ceilings) {
    for (std::size_t i = 0; i < claims.size(); ++i) out[i] = claims[i].ceiling;
  } else if (amount == sums.floors) {
    for (std::size_t i = 0; i < claims.size(); ++i) out[i] = claims[i].floor;
  } else if (amount > sums.floors) {
    fill_by_level(claims, sums.floors, amount, out);
  } else {
    std::vector<Claim> less(claims.begin(), claims.end());
    for (Claim& claim : less) claim = {claim.shares, 0, claim.floor};
    fill_by_level(less, 0, amount, out);
  }
}

// Who has shares first; who has none is served from what those leave, once floors are kept.
void fill_in_two_groups(std::span<const Claim> claims, double amount, std::span<double> out) {
  std::vector<Claim> groups[2];
  for (const Claim& claim : claims) groups[claim.shares > 0 ? 0 : 1].push_back(claim);
  for (Claim& claim : groups[1]) claim.shares = 1;
  const Sums with = sums_of(groups[0]);
  const Sums without = sums_of(groups[1]);
  const double spare = std::max(0.0, amount - without.floors);
  const double first = std::min({amount, with.ceilings, std::max(spare, with.floors)});
  double rest = amount - first;
  // Rounding must not take from a floor what was left for it.
  if (amount >= with.floors + without.floors) rest = std::max(rest, without.floors);
  std::vector<double> parts[2];
  for (int g : {0, 1}) {
    parts[g].resize(groups[g].size());
    fill_with_shares(groups[g], g == 0 ? first : rest, parts[g]);
  }
  std::size_t next[2] = {0, 0};
  for (std::size_t i = 0; i < claims.size(); ++i) {
    const int g = claims[i].shares > 0 ? 0 : 1;
    out[i] = parts[g][next[g]++];
  }
}

// Children of every node, side by side: those of `n` are children[first[n]] … first[n + 1].
struct Children {
  std::vector<std::uint32_t> first;
  std::vector<std::uint32_t> children;

  explicit Children(std::span<const TreeNode> tree)
      : first(tree.size() + 1, 0), children(tree.empty() ? 0 : tree.size() - 1) {
    for (std::size_t i = 1; i < tree.size(); ++i) ++first[tree[i].parent + 1];
    for (std::size_t n = 0; n < tree.size(); ++n) first[n + 1] += first[n];
    std::vector<std::uint32_t> next(first.begin(), first.end() - 1);
    for (std::size_t i = 1; i < tree.size(); ++i)
      children[next[tree[i].parent]++] = static_cast<std::uint32_t>(i);
  }
  std::span<const std::uint32_t> of(std::size_t node) const {
    return std::span(children).subspan(first[node], first[node + 1] - first[node]);
  }
};

// What a node claims once its children have added theirs up in `sum`.
NodeClaim claim_of(const TreeNode& node, const NodeClaim& sum) {
  NodeClaim claim;
  claim.shares = node.shares;
  if (node.leaf) {
    claim.most = std::min(node.limit, node.size);
    claim.wanted = std::min(node.demand, claim.most);
    claim.guaranteed = std::min(node.reservation, claim.wanted);
    return claim;
  }
  if (node.scalable_shares) claim.shares = sum.shares;
  claim.most = std::min(node.limit, sum.most);
  claim.wanted = std::min(node.limit, sum.wanted);
  // Without expandable reservations, a pool whose children were promised more than it has keeps
  // that shortage to itself.
  const double promised =
      node.expandable ? std::max(node.reservation, sum.guaranteed) : node.reservation;
  claim.guaranteed = std::min(promised, claim.wanted);
  return claim;
}

// Parents stand before their children, so walking backwards is bottom-up.
std::vector<NodeClaim> add_up(std::span<const TreeNode> tree) {
  std::vector<NodeClaim> claims(tree.size());
  for (std::size_t i = tree.size(); i-- > 0;) {
    claims[i] = claim_of(tree[i], claims[i]);
    if (i == 0) break;
    CHOROK_ASSERT(tree[i].parent < i && !tree[tree[i].parent].leaf);
    NodeClaim& parent = claims[tree[i].parent];
    parent.shares += claims[i].shares;
    parent.guaranteed += claims[i].guaranteed;
    parent.wanted += claims[i].wanted;
    parent.most += claims[i].most;
  }
  return claims;
}

}  // namespace

void water_fill(std::span<const Claim> claims, double amount, std::span<double> out) {
  CHOROK_ASSERT(claims.size() == out.size());
  if (claims.empty()) return;
  amount = std::max(0.0, amount);
  const bool all_have_shares =
      std::ranges::all_of(claims, [](const Claim& claim) { return claim.shares > 0; });
  if (all_have_shares) {
    fill_with_shares(claims, amount, out);
  } else {
    fill_in_two_groups(claims, amount, out);
  }
}

Division divide(std::span<const TreeNode> tree, double capacity) {
  Division division{.given = std::vector<double>(tree.size()), .claims = add_up(tree)};
  if (tree.empty()) return division;
  const Children children(tree);
  division.given[0] = std::min(std::max(0.0, capacity), division.claims[0].most);
  std::vector<Claim> claims;
  std::vector<double> parts;
  for (std::size_t n = 0; n < tree.size(); ++n) {
    const auto below = children.of(n);
    if (below.empty()) continue;
    double wanted = 0;
    for (const std::uint32_t child : below) wanted += division.claims[child].wanted;
    const bool first_pass = division.given[n] <= wanted;
    claims.clear();
    for (const std::uint32_t child : below) {
      const NodeClaim& c = division.claims[child];
      claims.push_back(first_pass ? Claim{c.shares, c.guaranteed, c.wanted}
                                  : Claim{c.shares, c.wanted, c.most});
    }
    parts.resize(below.size());
    water_fill(claims, division.given[n], parts);
    for (std::size_t i = 0; i < below.size(); ++i) division.given[below[i]] = parts[i];
  }
  return division;
}

}  // namespace chorok::policy
