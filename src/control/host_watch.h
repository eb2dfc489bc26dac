// One host over time: is it there, is it to be, and what is known of its VMs when it is not. Powers
// on and off with deadlines and retries; takes a silent host for failed only on evidence.
//
// Evidence that no VM runs on a silent host, any one of which is enough:
//   - its BMC says that it is off (by itself, or because it was fenced),
//   - its agent's lease has ended: an agent that has not heard from its manager for that long stops
//     the VMs itself. Slower, but it needs no BMC, and agents that keep leases.
//
// A host that its own agent puts to standby (HostSeen::by_link) is down when it was told to go and
// is not heard any more: what saves energy may believe that, what starts VMs elsewhere never does.
//
// docs/states.md draws the table.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/fleet.h"
#include "model/host_watch.h"

namespace chorok::control {

using model::HostPhase;
using model::HostWatch;

struct WatchSettings {
  bool restart = false;  // HA: silent hosts are fenced, so that their VMs may start elsewhere
  Duration silent_after = std::chrono::seconds(5);
  // What its BMC says counts as soon as it is silent. It is switched off only later, after its last
  // word and not before that moment: an agent may be restarted, or dial again.
  Duration fence_after{};
  Time fence_not_before{};
  bool leases = true;                         // agents stop their VMs when their lease has ended
  Duration lease = std::chrono::seconds(30);  // from the last contact; longer than the agent's own
  Duration fence_again = std::chrono::seconds(15);
  Duration fence_pace_max = std::chrono::minutes(5);  // without leases it is tried ever more seldom
  std::int32_t tries = 2;                             // to switch a host on or off
  Duration margin = std::chrono::seconds(60);         // above twice its usual time
  Duration rest = std::chrono::hours(1);              // a host that did not obey is left alone
  Duration failure_window = std::chrono::hours(1);    // a failure counts against it so long
  Duration standby = std::chrono::seconds(30);        // a wake test reads what it draws after this
  // Longer than meters of a thousand hosts take to come round, and never scaled, as they are not.
  Duration standby_read = std::chrono::seconds(60);  // how long it waits for such a reading
};

struct WatchStep {
  std::optional<Command> command;
  std::vector<LoopEvent> events;
  Time wake = Time::max();  // look again then, if nothing is heard before
  bool lost_vms = false;    // this step made certain that its VMs do not run
};

// One look at a host. `about`: its names and times (time_on, time_off). Looking twice at the same
// moment changes nothing more.
WatchStep look(Index index, const model::SnapshotHost& about, const HostSeen& seen, Time now,
               const WatchSettings& settings, HostWatch& watch);

// A plan wants it on or off. The command, unless it is on its way already or rests.
std::optional<Command> switch_host(Index index, const model::SnapshotHost& about, bool on, Time now,
                                   const WatchSettings& settings, HostWatch& watch);

// Within WatchSettings::failure_window.
bool failed_lately(const HostWatch& watch, Time now, const WatchSettings& settings);

// It is off on purpose, or on its way there or back, and does as it is told: that it does not
// answer is as it should be.
bool is_asleep(const HostWatch& watch);

// Writes into the snapshot's host what is known here and cannot be seen.
void mark(const HostWatch& watch, Time now, const WatchSettings& settings,
          model::SnapshotHost& host);

}  // namespace chorok::control
