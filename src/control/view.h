// What a controller may know: records (what is desired), sightings (what is observed), the time. It
// gets no event's payload; whatever woke it, it looks at everything again.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/host.h"
#include "model/task.h"
#include "model/vm.h"

namespace chorok::control {

// One host as the controllers see it.
struct HostView {
  const model::Host* host = nullptr;
  // Its agent is connected, libvirt answers, and a whole observation has come since: what is not in
  // it is not there.
  bool fresh = false;
};

// It has failed, for certain, and was not heard since: nothing runs there.
bool is_dead(const model::Host* host);

// An instance of a VM on some host.
struct Sighting {
  std::string host;  // id
  const model::Instance* instance = nullptr;
  bool fresh = false;  // false: seen before the host was lost
};

// Where a VM can start.
struct Placed {
  const model::Host* host = nullptr;  // null: nowhere now
  // Nowhere now, and its cluster brings it about by itself: it wakes a host, or others make room.
  bool later = false;
  const model::Host* waits_for = nullptr;  // of `later`, where one host is known
  std::string text;                        // why there, or what stands against it
};

// A rule that would not hold.
struct BrokenRule {
  std::string name;
  bool must = false;
  bool together = false;  // it would be without others, which may be on their way too
  std::string text;       // "rule 'spread' keeps it apart from 'web2', which is there"
};

// Looks things up by id or name. Answers nullptr where there is none.
class Lookup {
 public:
  virtual ~Lookup() = default;
  virtual const model::Host* host(std::string_view ref) const = 0;
  virtual const model::Datastore* datastore(std::string_view ref) const = 0;
  virtual const model::Network* network(std::string_view ref) const = 0;
  // Of a host; of none or one that is gone, the default one.
  virtual const model::Cluster& cluster_of(std::string_view host_id) const = 0;
  // Whether the VM may be given to this host: one of its own cluster, unless a person says
  // otherwise.
  virtual bool at_home(const model::Vm& vm, const model::Host& host) const = 0;
  // Whether the absence of an instance on this host is known.
  virtual bool fresh(std::string_view host_id) const = 0;
  virtual std::vector<const model::Host*> hosts() const = 0;
  // Memory promised to running VMs on this host (their configured size), and the reservations among
  // them.
  struct Committed {
    Mib memory{};
    Mib memory_reserved{};
    Mhz cpu_reserved{};
    std::int32_t vms = 0;
    std::int32_t migrations = 0;  // in and out
  };
  virtual Committed committed(std::string_view host_id) const = 0;
  // For a start that names no host. The VM need not have a record yet.
  virtual Placed place(const model::Vm& vm) const = 0;
  // The rules that the VM would break on this host, with the others where they are or go now.
  virtual std::vector<BrokenRule> broken_rules(const model::Vm& vm,
                                               const model::Host& host) const = 0;
};

struct VmView {
  Time now{};
  const model::Vm& vm;
  const model::Task* task = nullptr;            // the head of this VM's queue
  const model::Operation* operation = nullptr;  // of the task's step in hand, once requested
  std::vector<Sighting> sightings;
  const Lookup& world;

  const Sighting* on(std::string_view host_id) const;
};

// What a controller wants changed. The runtime stores records first; only then are commands sent.
struct Outcome {
  std::optional<model::Vm> vm;
  std::optional<model::Task> task;
  std::optional<model::Task> new_task;      // kind and args; the rest is the runtime's
  std::optional<model::Operation> request;  // new: to be stored, then sent
  std::string drop_operation;               // its result has been used
  std::string cancel_operation;             // ask the agent to stop it
  std::vector<model::Event> events;
  std::optional<Duration> wake;  // look again after this time even if nothing happens
  bool erase_vm = false;

  bool empty() const {
    return !vm && !task && !new_task && !request && drop_operation.empty() && events.empty() &&
           !erase_vm;
  }
};

}  // namespace chorok::control
