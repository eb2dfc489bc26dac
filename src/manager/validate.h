// The rules of a record that go beyond single fields: names that must exist or be unique, sizes
// that must fit each other. Every finding names its field by JSON pointer; all are found in one go.
#pragma once

#include <string>
#include <vector>

#include "control/view.h"
#include "manager/engine.h"
#include "model/vm.h"

namespace chorok::manager {

using Problems = std::vector<model::Problem>;

// `self` is the id of the VM that is changed, empty for a new one. Pointers are below `at`
// ("/spec").
Problems validate_vm_spec(const model::VmSpec& spec, const std::string& self,
                          const Inventory& inventory, std::string_view at);
// Also that it is no other VM's file: neither used nor copied nor, at the end, deleted by this one.
Problems validate_disk(const model::DiskSpec& disk, const std::string& self,
                       const Inventory& inventory, const std::string& at);
Problems validate_datastore(const model::Datastore& datastore);
Problems validate_network(const model::Network& network);

// Gives every NIC without one a MAC address that no other NIC of the inventory has (52:54:00,
// QEMU's prefix).
void assign_macs(model::VmSpec& spec, const Inventory& inventory,
                 const std::function<std::uint32_t()>& random);

// The first problem as an Error; its message counts the rest.
Error first_problem(const Problems& problems);

}  // namespace chorok::manager
