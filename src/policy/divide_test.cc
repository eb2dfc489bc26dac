#include "policy/divide.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "policy/test_random.h"

namespace chorok::policy {
namespace {

using model::kNone;
using model::kUnlimited;

std::vector<double> filled(const std::vector<Claim>& claims, double amount) {
  std::vector<double> out(claims.size(), -1);
  water_fill(claims, amount, out);
  return out;
}
double sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}
using Parts = std::vector<double>;

TEST(WaterFill, FollowsSharesBetweenFloorAndCeiling) {
  EXPECT_EQ(filled({{2, 0, 100}, {1, 0, 100}}, 90), (Parts{60, 30}));
  // A reservation is a minimum: who gets more by his shares gets nothing on top.
  EXPECT_EQ(filled({{1, 40, 100}, {1, 0, 100}}, 100), (Parts{50, 50}));
  EXPECT_EQ(filled({{1, 70, 100}, {1, 0, 100}}, 100), (Parts{70, 30}));
  // What one cannot use goes to the others by their shares.
  EXPECT_EQ(filled({{4, 0, 10}, {2, 0, 100}, {1, 0, 100}}, 70), (Parts{10, 40, 20}));
}

TEST(WaterFill, Edges) {
  EXPECT_TRUE(filled({}, 10).empty());
  EXPECT_EQ(filled({{1, 0, 5}, {1, 0, 7}}, 100), (Parts{5, 7}));  // more than anybody may have
  EXPECT_EQ(filled({{1, 2, 5}, {1, 3, 7}}, 0), (Parts{0, 0}));
  EXPECT_EQ(filled({{1, 2, 5}, {1, 3, 7}}, 5), (Parts{2, 3}));
  EXPECT_EQ(filled({{1, 0, 0}, {1, 0, 0}}, 5), (Parts{0, 0}));
  EXPECT_EQ(filled({{1, 0, kUnlimited}, {3, 0, kUnlimited}}, 8), (Parts{2, 6}));
  EXPECT_EQ(filled({{1, 0, kUnlimited}}, -3), (Parts{0}));
}

TEST(WaterFill, FloorsThatDoNotFitAreSharedByImportance) {
  EXPECT_EQ(filled({{1, 60, 80}, {1, 60, 80}}, 60), (Parts{30, 30}));
  EXPECT_EQ(filled({{2, 60, 80}, {1, 60, 80}}, 60), (Parts{40, 20}));
  EXPECT_EQ(filled({{9, 10, 80}, {1, 60, 80}}, 60), (Parts{10, 50}));
}

TEST(WaterFill, WithoutSharesComesLast) {
  EXPECT_EQ(filled({{1, 0, 50}, {0, 0, 50}}, 30), (Parts{30, 0}));
  EXPECT_EQ(filled({{1, 0, 50}, {0, 0, 50}, {0, 0, 50}}, 70), (Parts{50, 10, 10}));
  EXPECT_EQ(filled({{1, 0, 50}, {0, 20, 50}}, 30), (Parts{10, 20}));  // but keeps its floor
  EXPECT_EQ(filled({{0, 0, 50}, {0, 0, 50}}, 30), (Parts{15, 15}));
}

std::vector<Claim> random_claims(TestRandom& random, std::size_t count) {
  std::vector<Claim> claims(count);
  for (Claim& c : claims) {
    c.shares = random.chance(0.1) ? 0 : std::pow(10, random.between(-1, 5));
    c.floor = random.chance(0.5) ? 0 : random.between(0, 1000);
    c.ceiling = random.chance(0.1)   ? kUnlimited
                : random.chance(0.1) ? c.floor
                                     : c.floor + random.between(0, 2000);
  }
  return claims;
}

// The level found by halving, of claims that all have shares.
Parts by_halving(const std::vector<Claim>& claims, double amount) {
  double low = 0;
  double high = 1e9;
  Parts parts(claims.size());
  for (int i = 0; i < 200; ++i) {
    const double level = (low + high) / 2;
    for (std::size_t k = 0; k < claims.size(); ++k)
      parts[k] = std::clamp(claims[k].shares * level, claims[k].floor, claims[k].ceiling);
    (sum(parts) < amount ? low : high) = level;
  }
  return parts;
}

TEST(WaterFill, Properties) {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE(seed);
    TestRandom random(seed);
    const std::vector<Claim> claims = random_claims(random, 1 + random.below(20));
    double floors = 0;
    double ceilings = 0;
    bool all_have_shares = true;
    for (const Claim& c : claims) {
      floors += c.floor;
      ceilings += c.ceiling;
      all_have_shares = all_have_shares && c.shares > 0;
    }
    const double amount = random.between(0, 20000);
    const Parts parts = filled(claims, amount);
    ASSERT_NEAR(sum(parts), std::min(amount, ceilings), 1e-6);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      ASSERT_LE(parts[i], claims[i].ceiling);
      ASSERT_GE(parts[i], 0);
      if (amount >= floors) ASSERT_GE(parts[i], claims[i].floor);
    }
    if (all_have_shares && amount > floors && amount < ceilings) {
      const Parts expected = by_halving(claims, amount);
      for (std::size_t i = 0; i < parts.size(); ++i) ASSERT_NEAR(parts[i], expected[i], 1e-4);
    }
  }
}

// ---- trees ----

std::vector<TreeNode> random_tree(TestRandom& random, bool admitted) {
  std::vector<TreeNode> tree(1, {.expandable = true});
  const std::size_t pools = random.below(8);
  for (std::size_t i = 0; i < pools; ++i)
    tree.push_back({.parent = random.below(tree.size()),
                    .shares = random.between(100, 10000),
                    .limit = random.chance(0.8) ? kUnlimited : random.between(100, 20000),
                    .expandable = true,
                    .scalable_shares = random.chance(0.3)});
  const std::size_t inner = tree.size();
  const std::size_t leaves = 1 + random.below(30);
  for (std::size_t i = 0; i < leaves; ++i) {
    TreeNode leaf{.parent = random.below(inner),
                  .leaf = true,
                  .shares = random.between(100, 10000),
                  .demand = random.chance(0.2) ? 0 : random.between(0, 3000),
                  .size = random.between(0, 3000)};
    if (random.chance(0.4)) leaf.reservation = random.between(0, 800);
    if (random.chance(0.3)) leaf.limit = leaf.reservation + random.between(0, 2000);
    tree.push_back(leaf);
  }
  // Admission's part: no limit above the reservations below it.
  if (admitted)
    for (std::size_t n = 1; n < inner; ++n) tree[n].limit = kUnlimited;
  return tree;
}

TEST(Divide, Properties) {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE(seed);
    TestRandom random(seed);
    const bool admitted = random.chance(0.5);
    const std::vector<TreeNode> tree = random_tree(random, admitted);
    const double capacity = random.chance(0.05) ? 0 : random.between(0, 40000);
    const Division d = divide(tree, capacity);

    // All there is to give is given, at every node.
    ASSERT_NEAR(d.given[0], std::min(capacity, d.claims[0].most), 1e-6);
    Parts below(tree.size());
    for (std::size_t i = 1; i < tree.size(); ++i) below[tree[i].parent] += d.given[i];
    bool unmet = false;
    for (std::size_t i = 0; i < tree.size(); ++i) {
      if (!tree[i].leaf) ASSERT_NEAR(below[i], d.given[i], 1e-6) << "node " << i;
      ASSERT_LE(d.given[i], tree[i].limit + 1e-9);
      if (!tree[i].leaf) continue;
      ASSERT_LE(d.given[i], tree[i].size + 1e-9);
      if (d.given[i] < d.claims[i].wanted - 1e-6) unmet = true;
      if (admitted && capacity >= d.claims[0].guaranteed)
        ASSERT_GE(d.given[i], d.claims[i].guaranteed - 1e-6) << "leaf " << i;
    }
    // Work-conserving: nothing idle while somebody wants it, but for a limit in between.
    if (unmet && admitted) {
      ASSERT_NEAR(d.given[0], capacity, 1e-6);
      for (std::size_t i = 1; i < tree.size(); ++i)
        if (tree[i].leaf) ASSERT_LE(d.given[i], d.claims[i].wanted + 1e-6) << "leaf " << i;
    }
  }
}

TEST(Divide, IsMonotoneInShares) {
  for (std::uint64_t seed = 1; seed <= 1500; ++seed) {
    SCOPED_TRACE(seed);
    TestRandom random(seed);
    std::vector<TreeNode> tree = random_tree(random, false);
    const double capacity = random.between(0, 40000);
    const Division before = divide(tree, capacity);
    const std::size_t node = 1 + random.below(tree.size() - 1);
    tree[node].shares *= random.between(1, 10);
    const Division after = divide(tree, capacity);
    ASSERT_GE(after.given[node], before.given[node] - 1e-6);
  }
}

TEST(Divide, AFlatTreeIsWaterFilling) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE(seed);
    TestRandom random(seed);
    std::vector<TreeNode> tree(1, {.expandable = true});
    std::vector<Claim> claims;
    for (int i = 0; i < 20; ++i) {
      const double demand = random.between(0, 100);
      const double reservation = random.between(0, 100);
      const double shares = random.between(1, 100);
      tree.push_back({.parent = 0,
                      .leaf = true,
                      .shares = shares,
                      .reservation = reservation,
                      .demand = demand,
                      .size = 200});
      claims.push_back({shares, std::min(reservation, demand), demand});
    }
    const Division d = divide(tree, 500);
    if (500 > d.claims[0].wanted) continue;
    const Parts expected = filled(claims, 500);
    for (std::size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(d.given[i + 1], expected[i], 1e-6);
  }
}

TEST(Divide, APoolsSharesHoldForAllInIt) {
  // Two pools of equal shares, one with one VM, one with four: halves.
  std::vector<TreeNode> tree(1, {.expandable = true});
  tree.push_back({.parent = 0, .shares = 4000});
  tree.push_back({.parent = 0, .shares = 4000});
  for (int i = 0; i < 5; ++i)
    tree.push_back(
        {.parent = i == 0 ? 1u : 2u, .leaf = true, .shares = 1000, .demand = 1000, .size = 1000});
  EXPECT_EQ(divide(tree, 1000).given, (Parts{1000, 500, 500, 500, 125, 125, 125, 125}));
  // With scalable shares what counts is what is in them.
  tree[1].scalable_shares = tree[2].scalable_shares = true;
  EXPECT_EQ(divide(tree, 1000).given, (Parts{1000, 200, 800, 200, 200, 200, 200, 200}));
}

TEST(Divide, ExpandableReservationsReachUpTheTree) {
  // A VM's reservation in a pool without one of its own, beside a VM with many shares.
  std::vector<TreeNode> tree(1, {.expandable = true});
  tree.push_back({.parent = 0, .shares = 1});
  tree.push_back(
      {.parent = 1, .leaf = true, .shares = 1, .reservation = 400, .demand = 500, .size = 500});
  tree.push_back({.parent = 0, .leaf = true, .shares = 1e6, .demand = 1000, .size = 1000});
  EXPECT_NEAR(divide(tree, 1000).given[2], 0.001, 0.001);
  tree[1].expandable = true;
  EXPECT_EQ(divide(tree, 1000).given[2], 400);
}

TEST(Divide, ADeepChainTakesNoStack) {
  std::vector<TreeNode> tree(1, {.expandable = true});
  for (std::uint32_t i = 0; i < 100000; ++i) tree.push_back({.parent = i, .shares = 1});
  tree.push_back({.parent = 100000, .leaf = true, .shares = 1, .demand = 5, .size = 7});
  EXPECT_EQ(divide(tree, 100).given.back(), 7);
  EXPECT_EQ(divide(tree, 3).given.back(), 3);
}

}  // namespace
}  // namespace chorok::policy
