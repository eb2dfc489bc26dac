// A manager's whole state in one file, and back. The file is a tar archive: the store, the CA's
// certificate, the CA's key sealed (crypto/seal.h), the manager's names. The sealing key is not in
// it: who finds a backup cannot pose as the cluster.
#pragma once

#include <functional>
#include <string>

#include "manager/state_dir.h"

namespace chorok::manager {

// Writes a copy of the store to a path that does not exist.
using CopyStore = std::function<Result<>(const std::string& path)>;

// Blocks. kAlreadyExists: backups are never overwritten.
Result<> write_backup(const StateDir& state, const std::string& file, const CopyStore& copy);
// For a folder that no manager has open. kUnavailable: one has.
Result<> copy_closed_store(const StateDir& state, const std::string& path);

struct RestoreRequest {
  StateDir state;
  std::string file;      // a backup, or a store alone
  std::string seal_key;  // empty: that of the state folder
  bool keep_ca = false;  // use the folder's CA (or a new one) although the backup has another
};
// Blocks. Answers what was done, in words. What was there stays as chorok.db.before-restore.
Result<std::vector<std::string>> restore_backup(const RestoreRequest& request);

}  // namespace chorok::manager
