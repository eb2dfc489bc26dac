// What is slow to find out or may never answer: a guest's addresses (its agent may hang), the sizes
// of its disks (their storage may). A listing takes what is known and asks for the rest; when an
// answer is news, the domain has changed. So one sick guest or datastore never holds back the list.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "adapters/libvirt/handle.h"
#include "model/vm.h"

namespace chorok::adapters::libvirt {

class Core;

// Belongs to Core; called from its workers.
class Lookups {
 public:
  explicit Lookups(Core& core) : core_(core) {}

  // What is known of a running domain's addresses; asks when that is old.
  std::vector<std::string> addresses(const std::string& uuid, bool agent_connected);
  // Fills in sizes that are known; asks for those that are not, or are old.
  void fill_sizes(const std::string& uuid, std::vector<model::DiskInfo>& disks);
  // Forgets domains that are not among these any more.
  void keep_only(const std::set<std::string>& running);

 private:
  using Clock = std::chrono::steady_clock;
  struct Addresses {
    std::vector<std::string> ips;
    bool agent_connected = false;
    bool asking = false;
    int tries = 0;
    Clock::time_point asked{};
  };
  struct Size {
    Mib capacity{};
    Mib allocated{};
    bool known = false;
    bool asking = false;
    Clock::time_point asked{};
  };

  void ask_addresses(const std::string& uuid, bool agent_connected);
  void got_addresses(const std::string& uuid, std::vector<std::string> ips);
  void ask_size(const std::string& uuid, const std::string& path);

  Core& core_;
  std::mutex mutex_;
  std::map<std::string, Addresses> addresses_;  // by UUID
  std::map<std::string, Size> sizes_;           // by path
};

}  // namespace chorok::adapters::libvirt
