// The disks of a FakeWorld: datastores, the files in them, and who has a file open. A shared
// datastore holds the same bytes on every host that reaches it; every other path is the host's own.
// Locks are QEMU's image locks: any number of readers, or one writer, across hosts that share.
//
// A file remembers which disk it is (lineage) and how often a guest has booted from it, so that a
// guest started from an older copy of its disk is found out.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/vm.h"

namespace chorok::sim {

using HostIndex = std::uint32_t;
using QemuId = std::uint64_t;  // of one QEMU process; 0: none

struct FakeFile {
  model::DiskFormat format = model::DiskFormat::kRaw;
  Mib capacity{};
  Mib allocated{};
  bool has_backing = false;
  std::string text;           // of small files (markers)
  std::uint64_t lineage = 0;  // kept when a disk is moved, new when one is made or reverted
  std::uint64_t boots = 0;
  QemuId writer = 0;
  std::set<QemuId> readers;
  std::set<QemuId> executing;  // writers whose guest executes: more than one destroys the disk
};

struct FakeDatastore {
  std::string path;
  bool shared = true;
  Mib capacity{1 << 20};
  std::set<HostIndex> cut_off;  // hosts that cannot reach it now
};

class FakeFiles {
 public:
  void add_datastore(FakeDatastore datastore);
  FakeDatastore* datastore(std::string_view path);  // by its own path or one beneath it

  bool reachable(HostIndex host, std::string_view path) const;
  FakeFile* find(HostIndex host, const std::string& path);
  const FakeFile* look(HostIndex host, const std::string& path) const;  // changes nothing
  // The same for one who has it open already: also when the host is cut off.
  FakeFile* peek(HostIndex host, const std::string& path);
  // kExhausted: the datastore is full; kUnavailable: this host is cut off from it.
  Result<FakeFile*> make(HostIndex host, const std::string& path, FakeFile file);
  bool remove(HostIndex host, const std::string& path);
  // Added up when something may have changed: a thousand hosts ask once a minute.
  Mib used(HostIndex host, std::string_view datastore) const;
  std::vector<std::string> list(HostIndex host, std::string_view beneath) const;

  // kFailedPrecondition, in QEMU's words, when another process holds it.
  Result<> lock(HostIndex host, const std::string& path, bool write, QemuId qemu);
  void unlock(QemuId qemu);
  void unlock_one(HostIndex host, const std::string& path, QemuId qemu);

  // Without locks the world is one in which only the manager stands between a VM and its double.
  void use_locks(bool on) { locks_ = on; }
  std::uint64_t new_lineage() { return ++lineage_; }

 private:
  std::string key(HostIndex host, std::string_view path) const;

  bool locks_ = true;
  std::uint64_t lineage_ = 0;
  std::vector<FakeDatastore> datastores_;
  std::map<std::string, FakeFile, std::less<>> files_;  // by key
  std::map<QemuId, std::set<std::string>> held_;
  mutable std::map<std::string, Mib, std::less<>> used_;  // by the key of a root; empty: not known
};

}  // namespace chorok::sim
