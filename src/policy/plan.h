// What a policy proposes: actions in an order that can be carried out, each with its reason; what
// is wrong and cannot be put right; what was turned down, counted by why. A plan explains itself
// with nothing but itself and the snapshot it was made from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/snapshot.h"

namespace chorok::policy {

using model::Amounts;
using model::Index;
using model::kNone;
using model::Resource;
using model::Snapshot;

enum class ActionKind : std::uint8_t { kMigrate, kStart, kPowerOn, kPowerOff };
const Type& enum_type(const ActionKind*);

// Why something is done, or was not. One list for all policies, so that they can be counted and
// explained in one place (policy/explain.h has the sentence for each).
enum class Why : std::uint8_t {
  // why an action
  kMaintenance,  // the host is to be empty
  kRule,         // a rule is broken
  kOverload,     // the host cannot give what its VMs ask for
  kReservation,  // reservations on the host exceed it
  kBalance,      // VMs get less than they could elsewhere
  kConsolidate,  // the host can be switched off
  kWakeDemand,   // demand is about to exceed what is on
  kWakeReserve,  // the HA reserve is not there
  kIdleHost,     // nothing needs this host
  kPlace,        // a VM is to start
  kRestart,      // a VM's host was lost
  // why not
  kNoCpuModel,  // the host's CPU cannot run it
  kNoDatastore,
  kNoNetwork,
  kHostNotReady,  // off, lost, in maintenance, failing
  kNoCpu,         // not enough CPU there
  kNoMemory,
  kNoNuma,  // larger than a NUMA node that would hold it
  kRuleForbids,
  kHaReserve,        // what is kept for a failed host would be used
  kPoolReservation,  // the pool has nothing left to reserve
  kHostReservation,  // no host has that much unreserved
  kPinned,           // the VM may not be moved
  kAutomation,       // a person decides for this VM
  kTooSoon,          // moved within the stability window, its load not changed
  kCostExceedsGain,
  kMovesLimit,  // of the round or the host
  kKeepOn,      // the host may not be powered off
  kKeepOff,     // the host may not be powered on
  kUptime,      // the host was switched not long ago
  kForecast,    // demand is expected to come back too soon
  kWorkLimit,   // the search stopped at its bound
  kBalanced,    // nothing is to gain
  kInFlight,    // something is still under way there
  kSlowCores,   // why an action: a core of the host gives less than a vCPU asks for
  kHostIsBack,  // why an action: a host came back from maintenance and carries less than others
};
const Type& enum_type(const Why*);

// One thing that was weighed and turned down.
struct Alternative {
  Index host = kNone;
  Why why = Why::kCostExceedsGain;
  double value = 0;  // what it lacked, in the unit of `why` (MHz, MiB, score)
};

struct Action {
  ActionKind kind = ActionKind::kMigrate;
  Index vm = kNone;
  Index from = kNone;
  Index to = kNone;           // also the host of a power action
  std::int32_t priority = 3;  // 1 mandatory … 5 small gain
  Why why = Why::kBalance;
  std::string reason;  // a sentence with its numbers
  double gain =
      0;  // joules over the horizon the plan weighs by: entitlement delivered, power saved
  double cost = 0;                        // joules: copying, both ends' CPU, slowdown, risk
  std::vector<std::uint32_t> after;       // actions of this plan that must have ended before
  std::vector<Alternative> alternatives;  // best first, a few
  Duration delay{};                       // start this long after those in `after` are ready
  bool recommended =
      false;  // a person decides it, whatever the cluster does by itself (recommend.h)
};

// Something that is wrong now, or will be, and that no action of this plan mends.
struct Violation {
  Why why = Why::kOverload;
  Index vm = kNone;
  Index host = kNone;
  std::string text;
};

struct TurnedDown {
  Why why = Why::kCostExceedsGain;
  std::int64_t count = 0;
};

struct PlanStats {
  std::int64_t candidates = 0;  // moves scored
  std::int32_t hosts_on_before = 0;
  std::int32_t hosts_on_after = 0;
};

struct Plan {
  std::vector<Action> actions;
  std::vector<Violation> violations;
  std::vector<TurnedDown> turned_down;  // by why, ascending
  std::string nothing;                  // why there is nothing to do, when there is not
  PlanStats stats;
};

}  // namespace chorok::policy
