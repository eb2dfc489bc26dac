// Finding new places for VMs that lost theirs: all of a failed host, or of several. Works on a
// what-if; what restarts where (policy/restart.h) and whether any host may fail (policy/survive.h)
// both stand on it, so the check promises what the plan then does.
//
// VMs that must be together are placed as one unit. Units go to hosts in three attempts, each only
// if the one before left somebody out: spread over the emptiest hosts; largest first into the
// tightest gap; and at last moving a running VM away to make room. Work is bounded.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "policy/whatif.h"

namespace chorok::policy {

inline constexpr std::size_t kWhyCount = static_cast<std::size_t>(Why::kInFlight) + 1;

// How many hosts said no, by why.
struct Refusals {
  std::array<std::int32_t, kWhyCount> count{};
  void add(Why why) { ++count[static_cast<std::size_t>(why)]; }
  std::int32_t of(Why why) const { return count[static_cast<std::size_t>(why)]; }
  // The most frequent one; that a host is not ready tells least and counts only if there is no
  // other.
  Why main() const;
  // "3 hosts: the host has not enough memory left; 1 host: …"
  std::string text() const;
};

struct Unplaced {
  Index vm = kNone;
  Refusals refusals;
};

struct Made {
  Index vm = kNone;  // that was moved away
  Index from = kNone;
  Index to = kNone;
  Index for_vm = kNone;  // that gets its place
};

struct Replaced {
  std::vector<Unplaced> unplaced;
  std::vector<Made> made_room;
  std::int32_t attempt = 0;  // that found them all a place, from 1; kAttempts: none did for all
  bool work_limit = false;   // a search was given up for it
};

inline constexpr std::int32_t kAttempts = 4;  // with the one that makes room

enum class Fill : std::uint8_t {
  kQuick,   // hosts in turn, from the emptiest: for checks
  kSpread,  // the host that is then used least: for plans
};

class Replacer {
 public:
  // The what-if must outlive this; hosts that are not usable in it are no targets. `work_max`:
  // hosts asked, over the life of this, by the last attempt.
  explicit Replacer(WhatIf& world, std::int64_t work_max = 4'000'000);

  // Takes the VMs from where they are and places them. Whoever found no place is nowhere then.
  Replaced place(std::span<const Index> vms, Fill fill);

  // Part of a host used with `vm` on it as well, of the resource that is used most: CPU by demand,
  // memory by size. Each soft rule broken counts as ten full hosts, each NUMA node beyond one as
  // one.
  double use_with(Index host, Index vm) const;

 private:
  using Unit = std::vector<Index>;
  struct Order;

  std::vector<Unit> units_of(std::span<const Index> vms);
  double misfit(Index host, Index vm) const;
  bool fits(const Unit& unit, Index host, Refusals* why);
  Index quick_host(const Unit& unit);
  Index best_host(const Unit& unit, bool tight, Refusals* why);
  bool make_room(const Unit& unit, std::vector<Made>& made);
  bool make_room_on(Index host, const Unit& unit, std::vector<Made>& made);
  void put(const Unit& unit, Index host);

  WhatIf& world_;
  std::int64_t work_left_;
  std::vector<Index> by_room_;  // usable hosts, most free memory first
  std::size_t turn_ = 0;
  std::vector<std::vector<Index>> together_;  // VMs of each rule kTogether that must hold
  std::vector<std::uint32_t> asked_;          // of each VM, its place among those to be placed
};

}  // namespace chorok::policy
