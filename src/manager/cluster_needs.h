// What VMs need of a host and what hosts offer, as names that either match or do not. Made so that
// they match exactly where control/compatibility has nothing to say (room apart, which policies
// judge by numbers). For manager/cluster_snapshot.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "manager/inventory.h"
#include "model/snapshot.h"

namespace chorok::manager {

class ClusterNeeds {
 public:
  ClusterNeeds(const Inventory& inventory, const model::Cluster& cluster)
      : inventory_(inventory), cluster_(cluster) {}

  // The index of what this VM needs. `source`: the host it runs on, which a live migration starts
  // from; null for one that does not run.
  // `at_home`: it can start on its own host only, whatever its disks are on.
  model::Index need(const model::Vm& vm, const model::Host* source, bool at_home = false);
  // Why a live migration is not to be planned, by its disks; empty: it may be.
  std::string pinned(const model::Vm& vm) const;
  // After all VMs: the index of what this host offers.
  model::Index offer(const model::Host& host);

  std::vector<model::Requirement> take_requirements() { return std::move(requirements_); }
  std::vector<model::Offer> take_offers() { return std::move(offers_); }

 private:
  // Of the machine below it.
  struct Hardware {
    std::string machine;
    bool uefi = false;
    bool tpm = false;
    bool live = false;  // the rest is compared then
    model::Accelerator accelerator = model::Accelerator::kTcg;
    std::string arch;
    std::string cpu;  // empty: the VM has a model or baseline of its own
    std::string name() const;
    bool holds(const model::HostInventory& inventory) const;
  };

  Hardware hardware(const model::Vm& vm, const model::Host* source) const;
  void add_disk(model::Requirement& needs, const model::Vm& vm, const model::DiskSpec& disk);
  // The name of the record that a reference means; one that means nothing is offered by nobody.
  template <class T>
  static std::string name_of(const Table<T>& table, const std::string& ref);

  const Inventory& inventory_;
  const model::Cluster& cluster_;
  std::vector<model::Requirement> requirements_;
  std::vector<model::Offer> offers_;
  std::unordered_map<std::string, model::Index> requirement_of_;  // by its text
  std::unordered_map<std::string, model::Index> offer_of_;
  std::map<std::string, Hardware> hardware_;  // asked for by some VM, by name
  bool home_ = false;                         // some VM can start at home only
  bool local_ = false;                        // some VM's disks are on one host alone
};

}  // namespace chorok::manager
