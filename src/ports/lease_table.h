// Leases of a store that only one process can open: nobody else can hold one, so they live in
// memory and end with the process. Without this, a manager that restarts would wait for its own
// predecessor's lease.
#pragma once

#include <map>
#include <string>

#include "base/units.h"

namespace chorok::ports {

class LeaseTable {
 public:
  // True when `owner` holds the lease from now until now + ttl.
  bool acquire(const std::string& name, const std::string& owner, Time now, Duration ttl) {
    auto [found, fresh] = held_.try_emplace(name, Held{owner, now + ttl});
    if (fresh) return true;
    Held& held = found->second;
    if (held.owner != owner && held.ends > now) return false;
    held = Held{owner, now + ttl};
    return true;
  }

  void release(const std::string& name, const std::string& owner) {
    auto found = held_.find(name);
    if (found != held_.end() && found->second.owner == owner) held_.erase(found);
  }

 private:
  struct Held {
    std::string owner;
    Time ends;
  };
  std::map<std::string, Held> held_;
};

}  // namespace chorok::ports
