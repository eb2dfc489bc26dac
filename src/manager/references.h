// Fields that name other things (model::references): names from people become ids in records, and
// records stop naming what goes away.
#pragma once

#include <string>
#include <string_view>

#include "manager/changes.h"
#include "manager/engine.h"
#include "manager/validate.h"

namespace chorok::manager {

// Every reference in `object` becomes an id. A name that means nothing is a problem at its field,
// with the nearest one that does; an id that stood there before (`before`, null for a new object)
// and means nothing any more is dropped.
Problems resolve_references(std::string_view kind, const Type& type, void* object,
                            const void* before, const Inventory& inventory);

// The VM or host goes with these changes: rules and other VMs' restart orders forget it, and an
// event says so. What does not fit into the transaction forgets it at its next change; it has no
// effect until then.
void forget_vm(Engine& engine, Changes& changes, const std::string& id, const std::string& name);
void forget_host(Engine& engine, Changes& changes, const std::string& id, const std::string& name);
// Names of the rules that a VM is in.
std::vector<std::string> rules_of(const Inventory& inventory, const std::string& vm);

}  // namespace chorok::manager
