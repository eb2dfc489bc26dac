// What the manager last said this host's VMs are to get (model/enforce.h), kept and carried out: as
// soon as it comes, and again for every VM that starts, arrives, or was changed by something else.
// It survives the agent, so that a guest which starts while no manager is there gets it as well.
//
// Lives on the loop's thread. Nothing ticks: it works when it is told something, when libvirt says
// that something changed, and again a little later where it could not.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "agent/journal.h"
#include "base/log.h"
#include "base/loop.h"
#include "model/enforce.h"
#include "ports/hypervisor.h"

namespace chorok::agent {

struct EntitlementsSettings {
  Duration settle = std::chrono::milliseconds(200);  // changes within it are one
  Duration timeout = std::chrono::seconds(30);       // of one VM
  Duration retry = std::chrono::seconds(5);          // of one that could not be seen to
  int side_by_side = 4;             // so that operations find a free worker of libvirt's
  JournalMedium* medium = nullptr;  // where it is kept; null: in memory only
};

class Entitlements {
 public:
  Entitlements(Loop& loop, ports::Hypervisor& hypervisor, EntitlementsSettings settings);
  ~Entitlements();
  Entitlements(const Entitlements&) = delete;
  Entitlements& operator=(const Entitlements&) = delete;

  // Answers when it is kept and carried out. kConflict: what is in force is newer.
  void take(model::EnforceRequest request, Done<Result<model::EnforceAnswer>> done);
  // Something about this VM changed; of "" anything may have.
  void changed(const std::string& uuid);

  std::uint64_t term() const { return term_; }
  std::uint64_t sequence() const { return sequence_; }

 private:
  // One call of take(), until all its VMs have been seen to.
  struct Round {
    model::EnforceAnswer answer;
    std::size_t open = 0;
    Done<Result<model::EnforceAnswer>> done;
  };
  using RoundPtr = std::shared_ptr<Round>;
  struct Job {
    std::string uuid;
    RoundPtr round;  // null: nobody waits
  };

  void load();
  void keep(const model::EnforceRequest& request);
  void set(model::EnforceRequest request);
  void begin_changed();
  void pump();
  void finished(const Job& job, Result<std::vector<std::string>> result);

  Loop& loop_;
  ports::Hypervisor& hypervisor_;
  EntitlementsSettings settings_;
  Log log_{"entitlements"};
  std::uint64_t term_ = 0;
  std::uint64_t sequence_ = 0;
  std::map<std::string, model::VmEnforcement, std::less<>> vms_;  // by UUID
  std::deque<Job> jobs_;
  int running_ = 0;
  std::set<std::string, std::less<>> changed_;
  TimerId timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chorok::agent
