// What is slow to find out or may never answer: a guest's addresses (its agent may hang), the sizes
// of its disks (their storage may). A listing takes what is known and asks for the rest; when an
// answer is news, the domain has changed. So one sick guest or datastore never holds back the list.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "adapters/libvirt/handle.h"
#include "model/vm.h"

namespace chorok::adapters::libvirt {

class Core;

// How long to wait before a guest that has had no address for `without` is asked again; nothing:
// not any more, until it starts again or its agent comes or goes. A quarter of the time that it has
// taken so far, so that an address is known a quarter later than it could be, and a guest that
// never gets one costs about thirty questions in all.
std::optional<std::chrono::nanoseconds> next_address_question(std::chrono::nanoseconds without);

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
    bool again = false;  // a timer will ask
    Clock::time_point asked{};
    Clock::time_point without_since = Clock::now();
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
  void ask_again_later(const std::string& uuid);
  void ask_size(const std::string& uuid, const std::string& path);

  Core& core_;
  std::mutex mutex_;
  std::map<std::string, Addresses> addresses_;  // by UUID
  std::map<std::string, Size> sizes_;           // by path
};

}  // namespace chorok::adapters::libvirt
