// The table of docs/alarms.md; manager/alarms_test.cc holds them to each other.
#include <algorithm>

#include "control/alarms.h"

namespace chorok::control {

namespace {

using model::AlarmSeverity;
using std::chrono::hours;
using std::chrono::minutes;

constexpr AlarmSeverity kInfo = AlarmSeverity::kInfo;
constexpr AlarmSeverity kWarning = AlarmSeverity::kWarning;
constexpr AlarmSeverity kCritical = AlarmSeverity::kCritical;
// A thing that is over at once stays to be seen for so long.
constexpr Duration kSeen = minutes(1);
constexpr Duration kRounds = minutes(5);
constexpr Duration kDay = hours(24);

std::vector<AlarmKind> host_kinds() {
  return {
      {.kind = "host.lost",
       .severity = kWarning,
       .subject = "host",
       .state = true,
       .begins = {"host.lost"},
       .hold = kSeen,
       .cause = "Its agent has ended or hangs, its network is down, or it has lost its power.",
       .action = "Look at its console or BMC. Its VMs may well run on."},
      {.kind = "host.failed",
       .severity = kCritical,
       .subject = "host",
       .state = true,
       .begins = {"cluster.host_failed"},
       .hold = kSeen,
       .cause = "It lost its power, crashed or was fenced: its VMs do not run there.",
       .action = "Find out why it went off, then switch it on; it joins again by itself."},
      {.kind = "host.fence_failed",
       .severity = kCritical,
       .subject = "host",
       .begins = {"cluster.fence_failed"},
       .ends = {"cluster.host_failed", "cluster.host_back", "host.connected"},
       .hold = kDay,
       .cause = "Its BMC does not answer or does not obey, so nobody knows whether its VMs run.",
       .action = "Make sure that it is off, by hand if need be; its VMs wait for that."},
      {.kind = "host.wake_late",
       .severity = kInfo,
       .subject = "host",
       .state = true,
       .cause = "It has not answered in twice its usual time after it was switched on.",
       .action = "Nothing yet: it is switched on once more by itself."},
      {.kind = "host.wake_failed",
       .severity = kCritical,
       .subject = "host",
       .begins = {"cluster.wake_failed"},
       .ends = {"cluster.host_awake", "cluster.host_back", "host.connected"},
       .hold = kDay,
       .cause = "It was switched on and never answered: its hardware, boot or network is broken.",
       .action = "Look at its console. It is not counted on and others are woken in its place."},
      {.kind = "host.wake_test_failed",
       .severity = kWarning,
       .subject = "host",
       .state = true,
       .cause =
           "Its BMC or its network card did not bring it back, or its system hung on the way down "
           "or up.",
       .action =
           "Look at its console and its BMC, then: chorok host wake-test NAME. Until one passes "
           "it stays on; chorok host edit NAME --dpm excluded ends the alarm."},
      {.kind = "host.stop_late",
       .severity = kInfo,
       .subject = "host",
       .state = true,
       .cause = "It has not gone off in twice its usual time.",
       .action = "Nothing yet: it is told once more, the hard way. It has no VMs."},
      {.kind = "host.stop_failed",
       .severity = kWarning,
       .subject = "host",
       .begins = {"cluster.stop_failed"},
       .ends = {"cluster.host_asleep", "cluster.host_awake"},
       .hold = kDay,
       .cause = "Its system hangs while it shuts down, or its BMC says yes and does nothing.",
       .action = "Look at its console and its BMC's log. It draws power and is left alone."},
      {.kind = "host.bmc",
       .severity = kWarning,
       .subject = "host",
       .begins = {"host.bmc_failed", "host.bmc_silent"},
       .ends = {"host.bmc_answers"},
       .hold = hours(1),
       .cause = "Its BMC cannot be reached, refuses the account, or took too long.",
       .action = "Check address, account and network of the BMC: chorok host bmc."},
      {.kind = "host.energy_sum",
       .severity = kWarning,
       .subject = "host",
       .begins = {"host.energy_sum"},
       .hold = kDay,
       .cause = "A fault in Chorok: what VMs and the unused come to is not what the host drew.",
       .action = "Report it with the event's text; the bills of that host are off by that much."},
      {.kind = "host.standby_refused",
       .severity = kWarning,
       .subject = "host",
       .begins = {"host.standby_refused"},
       .ends = {"cluster.host_asleep"},
       .hold = hours(1),
       .cause =
           "It was to go off, and its agent stood against it (a guest runs there): the alarm says "
           "why.",
       .action = "Do what it says; the host is told again by itself. Until then it stays on."},
      {.kind = "host.agent_restarted",
       .severity = kInfo,
       .subject = "host",
       .begins = {"host.agent_restarted"},
       .hold = hours(1),
       .cause = "Its agent was killed, crashed or was upgraded. VMs run on without it.",
       .action = "If nobody upgraded it, read the journal of chorok-agent on the host."},
      {.kind = "host.libvirt",
       .severity = kCritical,
       .subject = "host",
       .state = true,
       .cause = "The host's agent is there and its libvirt is not.",
       .action = "On the host: systemctl status libvirtd virtqemud."},
      {.kind = "host.certificate",
       .severity = kWarning,
       .subject = "host",
       .state = true,
       .cause = "Agents renew their certificates by themselves; this one could not for weeks.",
       .action = "Let the host connect, or join it again, before the certificate ends."},
  };
}

std::vector<AlarmKind> vm_kinds() {
  return {
      {.kind = "vm.crashed",
       .severity = kCritical,
       .subject = "vm",
       .begins = {"vm.crashed"},
       .ends = {"vm.on", "vm.off", "vm.saved", "vm.paused", "vm.delete.succeeded"},
       .cause = "Its process on the host died, or the guest panicked.",
       .action = "Read the VM's log on its host (/var/log/libvirt/qemu), then start it."},
      {.kind = "vm.lost",
       .severity = kCritical,
       .subject = "vm",
       .begins = {"cluster.vm_lost", "cluster.cannot_restart"},
       .ends = {"cluster.vm_restarted", "vm.on", "vm.start.succeeded", "vm.delete.succeeded"},
       .hold = 7 * kDay,
       .cause = "Its host failed. It is to start elsewhere, or nothing else can take it.",
       .action = "chorok why vm NAME says what it waits for; free room or switch hosts on."},
      {.kind = "vm.move_failed",
       .severity = kWarning,
       .subject = "vm",
       .begins = {"vm.migrate.failed", "cluster.action_failed"},
       .ends = {"vm.migrate.succeeded", "vm.delete.succeeded"},
       .hold = hours(1),
       .cause = "A host or the network between two failed, or the guest writes memory too fast.",
       .action = "chorok task ls --field target_name=NAME has the error; the VM runs on."},
      {.kind = "vm.start_failed",
       .severity = kWarning,
       .subject = "vm",
       .begins = {"vm.start.failed"},
       .ends = {"vm.start.succeeded", "vm.on", "vm.delete.succeeded"},
       .hold = kDay,
       .cause = "A disk, network or the host's memory was not there for it.",
       .action = "Mend what the text names and start it again."},
      {.kind = "vm.leftover",
       .severity = kWarning,
       .subject = "vm",
       .begins = {"task.leftover"},
       .hold = 7 * kDay,
       .cause = "A task that was taken back could not undo all of it.",
       .action = "Remove by hand what the text names, then clear this."},
  };
}

std::vector<AlarmKind> other_kinds() {
  return {
      {.kind = "datastore.full",
       .severity = kWarning,
       .subject = "datastore",
       .state = true,
       .cause = "Images, snapshots and growing disks fill it; guests stop when it is full.",
       .action = "Delete snapshots and files, move VMs to another, or enlarge it."},
      {.kind = "datastore.unreachable",
       .severity = kCritical,
       .subject = "datastore",
       .state = true,
       .cause = "A shared datastore is not mounted, or its server or network is down.",
       .action = "On the hosts that are named: look at the mount. VMs with disks there hang."},
      {.kind = "cluster.reserve",
       .severity = kWarning,
       .subject = "cluster",
       .state = true,
       .hold = kRounds,
       .cause = "Too few hosts, or too full: VMs of failed hosts could not all start elsewhere.",
       .action = "Switch hosts on, end maintenance, or lower settings.ha.failures."},
      {.kind = "cluster.unmet",
       .severity = kWarning,
       .subject = "cluster",
       .state = true,
       .hold = kRounds,
       .cause = "A rule, a reservation or the load asks for more than any plan can give.",
       .action = "chorok cluster plan NAME says what stays wrong; change the rule or add hosts."},
      {.kind = "manager.away",
       .severity = kWarning,
       .subject = "manager",
       .begins = {"manager.away"},
       .hold = kDay,
       .cause = "The manager was killed or crashed, its machine went down, or it was stopped long.",
       .action = "Read the journal of chorok-manager; nothing was decided meanwhile."},
      {.kind = "manager.ca",
       .severity = kWarning,
       .subject = "manager",
       .state = true,
       .cause = "The CA of this cluster was made years ago and ends.",
       .action = "Make a new one and let every host join again: docs/threat-model.md."},
      {.kind = "manager.alarms",
       .severity = kCritical,
       .subject = "manager",
       .cause = "More things are wrong at once than there is room for.",
       .action = "Look at what they have in common; new ones are not kept until some clear."},
      {.kind = "webhook.failing",
       .severity = kWarning,
       .subject = "webhook",
       .state = true,
       .cause = "Its server is down, refuses what is sent, or its certificate is not trusted.",
       .action = "chorok webhook test NAME says what it answers. Nothing is lost: it catches up."},
  };
}

}  // namespace

std::span<const AlarmKind> alarm_kinds() {
  static const std::vector<AlarmKind> kKinds = [] {
    std::vector<AlarmKind> all = host_kinds();
    std::ranges::move(vm_kinds(), std::back_inserter(all));
    std::ranges::move(other_kinds(), std::back_inserter(all));
    return all;
  }();
  return kKinds;
}

const AlarmKind* find_alarm_kind(std::string_view kind) {
  const auto it = std::ranges::find(alarm_kinds(), kind, &AlarmKind::kind);
  return it == alarm_kinds().end() ? nullptr : &*it;
}

}  // namespace chorok::control
