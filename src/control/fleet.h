// A cluster as its loops see it between rounds, and what they ask of the world. Manager and
// simulator each implement Fleet over what they know; a loop cannot tell which.
//
// Hosts and VMs are known by their index in the snapshot that Fleet::snapshot() gave last.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "model/snapshot.h"
#include "policy/plan.h"

namespace chorok::control {

using model::Index;
using model::kNone;

// What a host's BMC says of it. kSilent: it has none, or it does not answer.
enum class BmcSays : std::uint8_t { kSilent, kOn, kOff };

// Two witnesses, who may disagree.
struct HostSeen {
  bool connected = false;  // its agent answers, and what runs there is known
  bool answers = false;    // its agent does, though libvirt there may not
  BmcSays bmc = BmcSays::kSilent;
  Time heard{};  // when its agent was heard last, if that is known; epoch: it is not
  // Its BMC is known to be its own: what it says of the host is evidence, and it may be told.
  bool bmc_proven = true;
  // Its agent puts it to standby, and nothing else needs to say that it is there: once it was told
  // to and is not heard any more, it is. That is no evidence of anything about VMs.
  bool by_link = false;
  // Others are heard, so that the silence is this host's and not that of whoever listens.
  bool others_heard = true;
};

// What is said of a host beside what is seen: whether its wake test is asked for.
struct TestWish {
  Time asked{};                 // epoch: it is not
  Time bmc_changed{};           // epoch: never
  bool switchable = false;      // there is something that switches it
  std::optional<double> draws;  // W, as its BMC said last; none: not known
  Time drew_at{};               // and when it did
};

// What people want of a host's power beside what DPM does.
struct PowerWish {
  std::string task;  // that switches it by hand, and runs; empty: there is none
  bool on = false;
  std::string user;         // who asked for it
  bool switchable = false;  // there is something that switches it
  bool enabled = true;      // neither in maintenance nor on its way there
  bool excluded = false;    // from DPM
  std::string excluded_why;
};

class Fleet {
 public:
  virtual ~Fleet() = default;

  virtual Time now() const = 0;
  virtual Index hosts() const = 0;
  virtual Index vms() const = 0;
  virtual HostSeen host(Index host) const = 0;
  // Where the VM runs, by the newest report of the hosts; kNone: nowhere. A host that is not
  // connected keeps what it had.
  virtual Index host_of(Index vm) const = 0;
  virtual bool busy(Index vm) const = 0;                  // migrates or starts
  virtual bool owed(Index) const { return false; }        // was lost before, and is not back
  virtual std::int32_t migrations(Index host) const = 0;  // in and out
  virtual bool empty(Index host) const = 0;               // no VM there or on its way
  virtual double free_memory(Index host) const = 0;       // MiB not promised to a VM there
  virtual double needed_memory(Index vm) const = 0;       // MiB that a host must have free for it

  virtual TestWish test_wish(Index) const { return {}; }
  virtual PowerWish power_wish(Index) const { return {}; }

  // Members are looked at, or have to be before anything is planned of them: rounds and restarts
  // wait for it.
  virtual bool is_looking() const { return false; }

  // Everything, demands included, as of now. Valid until the next call; the loop writes into it
  // what it knows beyond what can be seen, and the forecasts. Where it finds other members than
  // the indices stand for it answers what was seen last, and is_looking() from then on.
  virtual model::Snapshot& snapshot() = 0;
  // The same for a round: where its look was made elsewhere, of when that began.
  virtual model::Snapshot& looked_at() { return snapshot(); }
};

struct Command {
  enum class Kind : std::uint8_t {
    kMigrate,
    kStart,
    kPowerOn,
    kPowerOff,  // an orderly stop of a host without VMs
    kFence,     // off at once, whatever runs there
  };
  Kind kind = Kind::kMigrate;
  Index vm = kNone;
  Index host = kNone;  // to where; which
  policy::Why why = policy::Why::kBalance;
  std::string reason;
  bool again = false;  // a host did not obey at first: harder
};

// Something a person should be able to read later. Warnings and errors are alarms until an event
// of the same host says otherwise.
struct LoopEvent {
  enum class Kind : std::uint8_t {
    kHostSilent,   // its agent has not answered for a while
    kHostFailed,   // it is certain that its VMs do not run any more
    kHostBack,     // answers again
    kHostAwake,    // was switched on and answers
    kHostAsleep,   // was switched off and is
    kWakeFailed,   // does not answer, however often it was switched on
    kStopFailed,   // does not go off
    kFenceFailed,  // whether its VMs run is not known, and nothing can be done about it yet
    kVmLost,       // ran on a failed host and is to be restarted
    kVmRestarted,
    kCannotRestart,
    kActionFailed,  // a migration or start ended without effect
    kWakeTestPassed,
    kWakeTestFailed,
  };
  Kind kind = Kind::kHostSilent;
  Index host = kNone;
  Index vm = kNone;
  std::string text;
};
const Type& enum_type(const LoopEvent::Kind*);
const Type& enum_type(const Command::Kind*);

}  // namespace chorok::control
