#include "policy/plan.h"

namespace chorok::policy {

const Type& enum_type(const ActionKind*) {
  static const Type kType =
      describe_enum<ActionKind>("ActionKind", "What a plan proposes to do.",
                                {{0, "migrate", "move a running VM to another host"},
                                 {1, "start", "start a VM on a host"},
                                 {2, "power_on", "switch a host on"},
                                 {3, "power_off", "switch a host off"}});
  return kType;
}

// The sentences stand behind "because" of an action and behind "not there:" of an alternative.
const Type& enum_type(const Why*) {
  static const auto kValue = [](Why why) { return static_cast<std::int64_t>(why); };
  static const Type kType = describe_enum<Why>(
      "Why", "Why something is done, or was turned down.",
      {
          {kValue(Why::kMaintenance), "maintenance",
           "the host goes into maintenance and is to be empty"},
          {kValue(Why::kRule), "rule", "a rule is broken as things stand"},
          {kValue(Why::kOverload), "overload", "the host cannot give its VMs what they ask for"},
          {kValue(Why::kReservation), "reservation",
           "the host cannot keep all reservations of its VMs"},
          {kValue(Why::kBalance), "balance", "VMs get less here than they would elsewhere"},
          {kValue(Why::kConsolidate), "consolidate",
           "the host can be switched off once it is empty"},
          {kValue(Why::kWakeDemand), "wake_demand",
           "demand is about to exceed what the running hosts can give"},
          {kValue(Why::kWakeReserve), "wake_reserve",
           "hosts are missing that are to run always, or to carry the VMs of a failed one"},
          {kValue(Why::kIdleHost), "idle_host", "nothing needs the host"},
          {kValue(Why::kPlace), "place", "the VM is to start"},
          {kValue(Why::kRestart), "restart", "the VM's host was lost"},
          {kValue(Why::kNoCpuModel), "no_cpu_model",
           "the host's CPU lacks the model or level that the VM was given"},
          {kValue(Why::kNoDatastore), "no_datastore",
           "the host does not reach a datastore with the VM's disks"},
          {kValue(Why::kNoNetwork), "no_network", "the host does not reach a network of the VM"},
          {kValue(Why::kHostNotReady), "host_not_ready",
           "the host is off, lost, failing or in maintenance"},
          {kValue(Why::kNoCpu), "no_cpu", "the host has not enough CPU left"},
          {kValue(Why::kNoMemory), "no_memory", "the host has not enough memory left"},
          {kValue(Why::kNoNuma), "no_numa", "no NUMA node of the host would hold the VM"},
          {kValue(Why::kRuleForbids), "rule_forbids", "a rule forbids it"},
          {kValue(Why::kHaReserve), "ha_reserve",
           "it would use up what is kept for the VMs of a failed host"},
          {kValue(Why::kPoolReservation), "pool_reservation",
           "the pool has not that much left to reserve"},
          {kValue(Why::kHostReservation), "host_reservation",
           "no host has that much left that is not reserved"},
          {kValue(Why::kPinned), "pinned", "the VM may not be moved"},
          {kValue(Why::kAutomation), "automation", "a person decides for this VM"},
          {kValue(Why::kTooSoon), "too_soon",
           "the VM moved not long ago and its load has not changed since"},
          {kValue(Why::kCostExceedsGain), "cost_exceeds_gain", "it costs more than it gains"},
          {kValue(Why::kMovesLimit), "moves_limit",
           "the round or the host has as many moves as it may"},
          {kValue(Why::kKeepOn), "keep_on", "the host may not be switched off"},
          {kValue(Why::kKeepOff), "keep_off", "the host may not be switched on"},
          {kValue(Why::kUptime), "uptime", "the host was switched not long ago"},
          {kValue(Why::kForecast), "forecast", "demand is expected back too soon for it to pay"},
          {kValue(Why::kWorkLimit), "work_limit", "the search ended at its bound on work"},
          {kValue(Why::kBalanced), "balanced", "there is nothing to gain"},
          {kValue(Why::kInFlight), "in_flight", "something is still under way there"},
          {kValue(Why::kSlowCores), "slow_cores",
           "a core of the host gives less than a vCPU of the VM asks for"},
          {kValue(Why::kHostIsBack), "host_is_back",
           "a host is back from maintenance and carries less than the others"},
      });
  return kType;
}

}  // namespace chorok::policy
