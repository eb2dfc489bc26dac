// Sees to it that VMs get what the tree of pools says: in rounds, each cluster's entitlements
// become settings of its VMs (policy/enforce.h), and each host's agent is told all of its own in
// one message when one of them has changed by enough to matter. One way: records and loads in,
// messages out; what agents answer is shown and decides nothing.
//
// Nothing of it is stored. A new leader works it out anew and says it in its own term, which
// agents take in place of what they had. Lives on the loop's thread; at rest, without a VM that
// runs, it has no timer.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/log.h"
#include "manager/cluster_records.h"
#include "manager/enforced.h"
#include "manager/engine.h"
#include "model/enforce.h"
#include "policy/enforce.h"
#include "ports/channel.h"

namespace chorok::manager {

struct EnforcementSettings {
  Duration round = std::chrono::seconds(20);
  Duration settle = std::chrono::seconds(1);    // changes within it make one round
  Duration gap = std::chrono::seconds(4);       // between rounds that changes call for
  Duration timeout = std::chrono::seconds(60);  // of an agent that carries it out
};

class Enforcement {
 public:
  // Calls "enforce" of a host's agent.
  using Tell =
      std::function<void(const std::string& host, std::string params, ports::Channel::Reply reply)>;
  struct Sources {
    Engine& engine;
    const control::Lookup& world;
    const VmLoads* loads = nullptr;
    // Where rounds are worked out, so that the loop's thread answers meanwhile. Empty: within them.
    Offload offload = {};
  };

  Enforcement(Sources sources, Tell tell, EnforcementSettings settings = {});
  ~Enforcement();
  Enforcement(const Enforcement&) = delete;
  Enforcement& operator=(const Enforcement&) = delete;

  // What the VM's present host was told of it; none: nothing.
  std::optional<Enforced> find(const std::string& vm_id) const;
  void look_soon();

 private:
  // Of the few that are limited, or not well: of 20,000 VMs hardly one says more than its weight.
  struct Words {
    std::string cpu_why;
    std::string memory_why;
    std::string problem;
  };
  struct Entry {
    policy::Setting setting;  // its indices mean nothing any more
    std::unique_ptr<Words> words;
    bool in_force = false;

    bool has_problem() const { return words != nullptr && !words->problem.empty(); }
    void set_problem(std::string problem);
  };
  using Entries = std::map<std::string, Entry, std::less<>>;  // by VM
  struct HostState {
    Entries vms;
    std::vector<model::VmEnforcement> told;
    bool in_force = false;
    bool asking = false;
    bool too_old = false;  // its agent knows no such call
    Time link_since{};
  };

  // Of one host, as the policy wants it now; each VM once, by id.
  struct Wish {
    std::string vm;
    std::string uuid;
    const policy::Setting* setting = nullptr;
  };
  // By host and VM: those that were held back by something.
  using InForce = std::map<std::string, std::unordered_map<std::string, policy::Setting>>;
  // A round of one cluster, on its way.
  struct Share {
    std::unique_ptr<const FrozenCluster> records;
    InForce in_force;
    ClusterSnapshot made;
    policy::Enforcement enforced;
    std::vector<std::vector<Wish>> wishes;  // by host of `made`

    void work_out();
    std::vector<policy::Before> before() const;
    void wish();
  };

  void round();
  void begin(const std::string& cluster);
  void carry_out(const Share& share);
  void end_round();
  InForce in_force() const;
  static std::vector<model::VmEnforcement> keep(const model::Snapshot& snapshot,
                                                const std::vector<Wish>& wishes, Entries& entries);
  void tell(const model::Host& host, HostState& state, std::vector<model::VmEnforcement> wire);
  void answered(const std::string& host, Result<std::string> answer);
  void wake_at(Time at);

  Sources sources_;
  Tell tell_;
  EnforcementSettings settings_;
  Log log_{"entitlements"};
  std::map<std::string, HostState, std::less<>> hosts_;
  std::uint64_t sequence_ = 0;
  Time last_{};
  std::size_t open_ = 0;        // clusters of the round that is on its way
  bool again_ = false;          // another was called for meanwhile
  std::set<std::string> told_;  // hosts, in this round
  TimerId timer_ = 0;
  Time timer_at_ = Time::max();
  std::uint64_t watcher_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chorok::manager
