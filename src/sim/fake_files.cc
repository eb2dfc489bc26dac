#include "sim/fake_files.h"

#include <fmt/format.h>

namespace chorok::sim {
namespace {

bool beneath(std::string_view path, std::string_view root) {
  return path.starts_with(root) && (path.size() == root.size() || path[root.size()] == '/');
}

}  // namespace

void FakeFiles::add_datastore(FakeDatastore datastore) {
  datastores_.push_back(std::move(datastore));
}

FakeDatastore* FakeFiles::datastore(std::string_view path) {
  for (FakeDatastore& each : datastores_)
    if (beneath(path, each.path)) return &each;
  return nullptr;
}

std::string FakeFiles::key(HostIndex host, std::string_view path) const {
  for (const FakeDatastore& each : datastores_)
    if (each.shared && beneath(path, each.path)) return fmt::format("*:{}", path);
  return fmt::format("{}:{}", host, path);
}

bool FakeFiles::reachable(HostIndex host, std::string_view path) const {
  for (const FakeDatastore& each : datastores_)
    if (beneath(path, each.path)) return !each.cut_off.contains(host);
  return true;
}

const FakeFile* FakeFiles::look(HostIndex host, const std::string& path) const {
  const auto found = files_.find(key(host, path));
  return reachable(host, path) && found != files_.end() ? &found->second : nullptr;
}

FakeFile* FakeFiles::find(HostIndex host, const std::string& path) {
  return reachable(host, path) ? peek(host, path) : nullptr;
}

FakeFile* FakeFiles::peek(HostIndex host, const std::string& path) {
  used_.clear();  // who asks so may change it
  auto found = files_.find(key(host, path));
  return found == files_.end() ? nullptr : &found->second;
}

Mib FakeFiles::used(HostIndex host, std::string_view root) const {
  std::string prefix = key(host, root);
  if (const auto known = used_.find(prefix); known != used_.end()) return known->second;
  Mib sum{};
  for (auto it = files_.lower_bound(prefix); it != files_.end() && it->first.starts_with(prefix);
       ++it)
    if (beneath(it->first, prefix)) sum += it->second.allocated;
  return used_[prefix] = sum;
}

std::vector<std::string> FakeFiles::list(HostIndex host, std::string_view root) const {
  std::vector<std::string> paths;
  std::string prefix = key(host, root);
  for (auto it = files_.lower_bound(prefix); it != files_.end() && it->first.starts_with(prefix);
       ++it)
    if (beneath(it->first, prefix)) paths.push_back(it->first.substr(it->first.find(':') + 1));
  return paths;
}

Result<FakeFile*> FakeFiles::make(HostIndex host, const std::string& path, FakeFile file) {
  FakeDatastore* store = datastore(path);
  if (store && store->cut_off.contains(host))
    return fail(Code::kUnavailable, fmt::format("{}: Input/output error", path));
  if (store && used(host, store->path) + file.allocated > store->capacity)
    return fail(Code::kExhausted, fmt::format("{}: No space left on device", path));
  used_.clear();
  return &files_.insert_or_assign(key(host, path), std::move(file)).first->second;
}

bool FakeFiles::remove(HostIndex host, const std::string& path) {
  used_.clear();
  return reachable(host, path) && files_.erase(key(host, path)) > 0;
}

Result<> FakeFiles::lock(HostIndex host, const std::string& path, bool write, QemuId qemu) {
  FakeFile* file = find(host, path);
  if (!file)
    return fail(Code::kFailedPrecondition,
                fmt::format("Cannot access storage file '{}': No such file or directory", path));
  bool foreign_writer = file->writer != 0 && file->writer != qemu;
  bool foreign_reader =
      !file->readers.empty() && !(file->readers.size() == 1 && file->readers.contains(qemu));
  if (locks_ && (foreign_writer || (write && foreign_reader)))
    return fail(Code::kFailedPrecondition,
                fmt::format("Failed to get \"{}\" lock on {}: is another process using the image?",
                            write ? "write" : "shared \"write\"", path));
  if (write)
    file->writer = qemu;
  else
    file->readers.insert(qemu);
  held_[qemu].insert(key(host, path));
  return {};
}

void FakeFiles::unlock(QemuId qemu) {
  auto held = held_.find(qemu);
  if (held == held_.end()) return;
  for (const std::string& name : held->second) {
    auto file = files_.find(name);
    if (file == files_.end()) continue;
    if (file->second.writer == qemu) file->second.writer = 0;
    file->second.readers.erase(qemu);
    file->second.executing.erase(qemu);
  }
  held_.erase(held);
}

void FakeFiles::unlock_one(HostIndex host, const std::string& path, QemuId qemu) {
  if (FakeFile* file = peek(host, path)) {
    if (file->writer == qemu) file->writer = 0;
    file->readers.erase(qemu);
    file->executing.erase(qemu);
  }
  auto held = held_.find(qemu);
  if (held != held_.end()) held->second.erase(key(host, path));
}

}  // namespace chorok::sim
