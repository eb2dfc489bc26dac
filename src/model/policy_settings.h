// What a cluster's policies go by: its records carry these settings, and so do snapshots. Every
// bound has a default and a reason. Their tables (limits, documentation) are in policy_settings.cc;
// a field that is not there cannot be set.
#pragma once

#include <cstdint>

#include "base/reflect.h"

namespace chorok::model {

// How far the cluster acts by itself, also on a single VM, which the cluster's own setting bounds.
enum class Automation : std::uint8_t { kOff, kManual, kPartial, kFull };
const Type& enum_type(const Automation*);

enum class RuleKind : std::uint8_t {
  kTogether,    // VMs on one host
  kApart,       // VMs on different hosts
  kHostsOnly,   // VMs on these hosts
  kHostsNever,  // VMs not on these hosts
};
const Type& enum_type(const RuleKind*);

struct BalanceSettings {
  Automation automation = Automation::kFull;
  std::int32_t level = 3;             // 1 only repair … 5 any gain that pays for its move
  std::int32_t moves_max = 0;         // a round; 0: no bound but the hosts'
  std::int32_t moves_per_host = 0;    // a round, in and out; 0: no bound
  std::int64_t work_max = 4'000'000;  // candidate moves scored a round
  Duration stability = std::chrono::minutes(30);  // a VM does not move back within it …
  double changed_load = 1.5;                      // … unless its demand changed by this factor
  bool swaps = true;
  // A target must have room for its VMs' demand and this many standard deviations of it.
  double deviations = 2;
  // An undelivered MHz second counts as this many times the energy that would deliver it.
  double performance_worth = 40;
  // How much mere unevenness counts: 0 not at all (what no VM feels is not mended), 1 as much as a
  // host's load squared, in MHz.
  double evenness = 0;
  bool memory_by_consumed = false;  // true: consumed; false: active and overhead
  static const Type& type();
};

struct PowerSettings {
  Automation automation = Automation::kOff;
  double target = 0.98;     // of its CPU that a running host may carry …
  double deviations = 2.7;  // … counting its VMs' demand and this many standard deviations of it
  double memory_target = 0.95;                     // of its memory
  double memory_overcommit = 1.0;                  // 1: reserved and used memory must fit
  Duration judge_off = std::chrono::minutes(40);   // power-off is judged over this
  Duration uptime_min = std::chrono::minutes(20);  // a host that was woken stays on
  double break_even_factor = 3;                    // off at least this often the break-even time
  std::int32_t hosts_on_min = 1;
  std::int32_t changes_max = 0;  // hosts switched a round, each way; 0: no bound
  // A living host is switched off only when it has proved that it comes back …
  bool require_wake_test = true;
  Duration wake_test_every = std::chrono::days(180);  // … not longer ago than this
  static const Type& type();
};

struct HaSettings {
  bool enabled = false;
  std::int32_t failures = 1;  // hosts that may fail: N+k
  static const Type& type();
};

struct PolicySettings {
  BalanceSettings balance;
  PowerSettings power;
  HaSettings ha;
  double forecast_quantile = 0.99;  // of demand over the horizon
  Duration horizon = std::chrono::minutes(10);
  static const Type& type();
};

}  // namespace chorok::model
