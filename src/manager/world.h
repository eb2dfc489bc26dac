// What the hosts report, beside the records: sightings by VM, freshness, what is promised on each
// host. Volatile: lost with the manager and told anew by the agents. Answers the controllers'
// questions (control::Lookup).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/view.h"
#include "manager/engine.h"
#include "model/protocol.h"

namespace chorok::manager {

class ClusterEyes;
class Placer;

class World : public control::Lookup {
 public:
  explicit World(const Engine& engine);
  ~World() override;

  // A host's whole view. Answers the ids of the VMs whose sightings there changed.
  std::vector<std::string> observe(const std::string& host, const model::Observation& observation);
  // The host was lost: what was seen stays known, but no longer as fresh. Answers the VMs there.
  std::vector<std::string> lose(const std::string& host);
  void forget(const std::string& host);
  // Instances on this host that are no VM of the inventory.
  std::vector<model::Instance> foreign(const std::string& host) const;
  std::vector<control::Sighting> sightings(const std::string& vm) const;
  // Something that committed() is computed from may have changed.
  void stale() { committed_known_ = false; }

  const model::Host* host(std::string_view ref) const override;
  const model::Datastore* datastore(std::string_view ref) const override;
  const model::Network* network(std::string_view ref) const override;
  const model::Cluster& cluster_of(std::string_view host_id) const override;
  bool at_home(const model::Vm& vm, const model::Host& host) const override;
  bool fresh(std::string_view host_id) const override;
  std::vector<const model::Host*> hosts() const override;
  Committed committed(std::string_view host_id) const override;
  control::Placed place(const model::Vm& vm) const override;
  std::vector<control::BrokenRule> broken_rules(const model::Vm& vm,
                                                const model::Host& host) const override;
  // What the cluster's loops know is asked of these when a VM is placed; null: of nobody.
  void set_eyes(const std::string& cluster, const ClusterEyes* eyes);
  // What was made to place VMs is let go, where nobody was placed for a while.
  void forget_placing();

 private:
  struct Seen {
    bool fresh = false;
    std::vector<model::Instance> instances;
  };
  void count() const;
  const model::Task* task_of(const model::Vm& vm) const;
  std::vector<std::string> hosts_of(const model::Vm& vm) const;

  const Engine& engine_;
  std::unique_ptr<Placer> placer_;
  std::map<std::string, Seen, std::less<>> seen_;
  std::map<std::string, std::vector<std::string>, std::less<>> hosts_of_vm_;
  mutable bool committed_known_ = false;
  mutable std::map<std::string, Committed, std::less<>> committed_;
};

}  // namespace chorok::manager
