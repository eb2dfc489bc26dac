// What each host is to do so that its VMs get what the tree of pools grants them: of each running
// VM a CPU weight, a CPU limit and a memory target. Hosts know nothing of pools; a VM's settings
// hold all that the tree says of it, so that pools may span hosts.
//
// Weights. On one host VMs count in proportion to what they are entitled to in the whole cluster,
// so a host shares out as the cluster would; where the host is shorter than the cluster, in
// proportion to what they would be entitled to in a cluster as short as that. A VM that asks for
// little now keeps the weight that it would have if everybody asked for all: a weight takes nothing
// from others while its owner sleeps, and it must not wake up to none.
//
// Limits. Only where the tree has one: the VM's own or that of a pool above it. It is what the tree
// would grant if hosts had no end, so it comes from limits alone and never from shortage: who has
// no limit above him may always use what is free. The parts of a pool's limit add up to it. A VM
// that sleeps keeps a part of what it could claim, to wake up with.
//
// Memory. Taken from guests only where it is short: the host's VMs hold more than it has, or those
// of a pool with a limit hold that. Never below what is reserved, nor below what a guest works with
// and a margin. Of a guest that says nothing of its memory, all counts as worked with.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/entitle.h"

namespace chorok::policy {

// What was in force of a VM when the snapshot was taken.
struct Before {
  double limit = 0;  // MHz; 0: none. Who used nearly all of it wants more: nobody knows how much
  double held_back = 0;  // MiB. A host is short for as long as it would be if they were given back
};

struct EnforceOptions {
  EntitleOptions entitle;
  double wake = 0.25;           // of its part of a limit, that a sleeping VM keeps
  double headroom = 0.1;        // of its demand, above it
  double limit_used = 0.95;     // from there on nearly all of a limit is used
  double memory_full = 0.95;    // of a host or a limit: from there on it is short
  double active_margin = 0.25;  // of what a guest works with, on top of it
  double active_margin_mib = 32;
  double memory_least = 64;        // MiB; no guest lives on less
  std::span<const Before> before;  // by VM; empty: nothing was
};

// Of one VM on one host. A VM that is moving has one on either side.
struct Setting {
  Index vm = kNone;
  Index host = kNone;
  double shares = 0;            // as of a VM: 1000 a vCPU is normal
  double limit = 0;             // MHz; 0: none
  Index limit_pool = kNone;     // whose limit that comes from; kNone: the VM's own
  double memory = 0;            // MiB that the guest may have; 0: all of its own
  bool memory_by_host = false;  // its host is short; else a limit is reached, of
  Index memory_pool = kNone;    // this pool; kNone: the VM's own
  friend bool operator==(const Setting&, const Setting&) = default;
};

struct Enforcement {
  std::vector<Setting> settings;  // by VM, where it runs before where it goes
  Entitlement granted;            // in the cluster, as things are
};

// O(n log n). The snapshot has passed model::check.
Enforcement enforce(const Snapshot& snapshot, const EnforceOptions& options = {});

// From when on a change is worth telling a host. Limits are told sooner downwards: a pool may be
// above its own by no more than this.
struct EnforceTolerance {
  double shares = 0.05;
  double limit_up = 0.05;
  double limit_down = 0.01;
  double memory = 0.05;
  double memory_mib = 32;
};
bool worth_telling(const Setting& told, const Setting& now, const EnforceTolerance& by = {});

// Two sentences without a subject, for people: "is limited to 500 MHz, its part of …".
std::string cpu_sentence(const Snapshot& snapshot, const Setting& setting);
std::string memory_sentence(const Snapshot& snapshot, const Setting& setting);
// The same of a setting without limit, of one that leaves a guest its memory.
std::string unlimited_cpu_sentence(const Setting& setting, std::string_view host);
inline constexpr std::string_view kKeepsMemory = "keeps all of its memory";

}  // namespace chorok::policy
