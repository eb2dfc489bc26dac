// Watches the guests of a FakeWorld over time, as a person who logs in to each now and then would:
// a guest's work never goes back, no guest boots from an older copy of its disk, no VM runs twice.
// What should run where is the caller's to say, when it says that things have settled.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/fake_world.h"

namespace chorok::sim {

// What the manager's records say of one VM.
struct Expected {
  std::string uuid;
  std::string name;
  bool runs = false;
  bool exists = true;  // some host has its definition
  std::string host;    // name; empty: any
};

class HistoryCheck {
 public:
  explicit HistoryCheck(FakeWorld& world) : world_(world) {}

  // At any moment, as often as wanted; finds what broke since the last time. What it finds becomes
  // a violation of the world.
  void tick();
  // When everything has settled: each VM as recorded, one definition each, and nothing of Chorok's
  // that no record knows. Answers what differs, in words; empty: all is well.
  std::vector<std::string> settled(const std::vector<Expected>& expected) const;

 private:
  struct Seen {
    std::uint64_t life = 0;
    std::uint64_t boots = 0;
    std::uint64_t root_lineage = 0;
    Duration counter{};
  };

  FakeWorld& world_;
  std::map<std::string, Seen> last_;  // by UUID
};

}  // namespace chorok::sim
