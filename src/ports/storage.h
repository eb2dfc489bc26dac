// Files of VMs on one host's datastores. Paths are absolute and have been resolved beneath a
// registered datastore by the caller; calls never block the loop and complete on it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/result.h"
#include "model/host.h"

namespace chorok::ports {

struct ImageInfo {
  model::DiskFormat format = model::DiskFormat::kRaw;
  Mib capacity{};
  Mib allocated{};
  bool has_backing = false;  // refers to another file: refused before a guest first sees it
};

struct CreateDisk {
  std::string path;
  model::DiskFormat format = model::DiskFormat::kQcow2;
  Mib size{};
  std::string copy_of;  // absolute path of an image, or empty
};

class Storage {
 public:
  virtual ~Storage() = default;

  // The state of a datastore's directory; creates its marker file (`.chorok-datastore`, holding
  // `id`) where it has none, and fails with kConflict where the marker names another datastore:
  // that is not the same storage.
  virtual void probe(std::string id, std::string path,
                     Done<Result<model::DatastoreReach>> done) = 0;
  // Resolves `relative` beneath `root` without leaving it (no `..`, no symbolic link out of it).
  virtual Result<std::string> resolve(const std::string& root, const std::string& relative) = 0;

  // Made under a temporary name and renamed when complete: a file that exists is whole. Success
  // when it exists already with this capacity or more. The image's format is taken from its first
  // bytes, and must have no backing file.
  virtual void create(CreateDisk request, std::function<void(double percent)> progress,
                      Done<Result<ImageInfo>> done) = 0;
  virtual void info(std::string path, Done<Result<ImageInfo>> done) = 0;
  virtual void grow(std::string path, Mib size,
                    Done<Result<>> done) = 0;  // of a disk that is not in use
  // Success when there is no such file. kFailedPrecondition while anybody has the image open, on
  // whatever host, as far as the file system carries QEMU's image locks.
  virtual void remove(std::string path, Done<Result<>> done) = 0;
};

}  // namespace chorok::ports
