// Files of VMs by qemu-img, as a child process without a shell. Work runs on threads of its own, a
// few at a time; children are killed when they take too long and when the storage is destroyed, and
// what they had not finished lies under a temporary name that the next try removes.
#pragma once

#include <memory>
#include <string>

#include "ports/storage.h"

namespace chorok::adapters::storage {

struct QemuImgOptions {
  std::string qemu_img = "qemu-img";                  // looked up in PATH
  Duration quick_timeout = std::chrono::seconds(30);  // info, create empty, resize
  // Without a sign of progress for so long a copy is given up: a datastore that hangs.
  Duration stall_timeout = std::chrono::minutes(5);
  std::size_t workers = 4;  // copies saturate a disk with fewer
};

// Lives on the loop's thread and is destroyed there; what had not completed by then never does.
class QemuImgStorage final : public ports::Storage {
 public:
  explicit QemuImgStorage(Loop& loop, QemuImgOptions options = {});
  ~QemuImgStorage() override;

  void probe(std::string id, std::string path, Done<Result<model::DatastoreReach>> done) override;
  Result<std::string> resolve(const std::string& root, const std::string& relative) override;
  void create(ports::CreateDisk request, std::function<void(double percent)> progress,
              Done<Result<ports::ImageInfo>> done) override;
  void info(std::string path, Done<Result<ports::ImageInfo>> done) override;
  void grow(std::string path, Mib size, Done<Result<>> done) override;
  void remove(std::string path, Done<Result<>> done) override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace chorok::adapters::storage
