// A file layer for SQLite in memory that can lose power, run out of space and fail a sync. When
// power goes, what was synced stays; of what was written since, each 512-byte sector is lost or
// kept as the dice fall, which is what disks do. It shows that a commit is durable when it answers,
// where kill -9 only shows that the kernel keeps what it was given. Only tests include this.
#pragma once

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <utility>

namespace chorok::sqlite {

class PowerVfs {
 public:
  explicit PowerVfs(std::uint64_t seed) : random_(seed), name_("power-" + std::to_string(seed)) {
    system_ = sqlite3_vfs_find(nullptr);
    vfs_ = *system_;
    vfs_.iVersion = 2;  // without the system calls of version 3
    vfs_.szOsFile = sizeof(Handle);
    vfs_.pNext = nullptr;
    vfs_.zName = name_.c_str();
    vfs_.pAppData = this;
    vfs_.xOpen = open;
    vfs_.xDelete = remove;
    vfs_.xAccess = access;
    vfs_.xFullPathname = full_path;
    sqlite3_vfs_register(&vfs_, 0);
  }
  ~PowerVfs() { sqlite3_vfs_unregister(&vfs_); }
  PowerVfs(const PowerVfs&) = delete;
  PowerVfs& operator=(const PowerVfs&) = delete;
  const std::string& name() const { return name_; }

  // After `operations` more writes and syncs everything fails, as if the machine was off.
  void cut_after(std::uint64_t operations) {
    std::lock_guard lock(mutex_);
    operations_left_ = operations;
  }
  bool is_off() const {
    std::lock_guard lock(mutex_);
    return off_;
  }
  // Power is back, and with it what the disk has kept.
  void restore_power() {
    std::lock_guard lock(mutex_);
    off_ = false;
    operations_left_ = std::numeric_limits<std::uint64_t>::max();
    std::erase_if(files_, [&](auto& file) { return !file.second->survive(random_); });
  }
  // Growing the files beyond this many bytes in sum fails: disk full.
  void set_capacity(std::uint64_t bytes) {
    std::lock_guard lock(mutex_);
    capacity_ = bytes;
  }
  std::uint64_t used() const {
    std::lock_guard lock(mutex_);
    return used_locked();
  }
  void fail_next_sync() {
    std::lock_guard lock(mutex_);
    fail_sync_ = true;
  }
  std::uint64_t syncs() const {
    std::lock_guard lock(mutex_);
    return syncs_;
  }

 private:
  static constexpr std::size_t kSector = 512;

  struct File {
    std::string durable, current;
    bool name_durable = false;
    std::set<std::size_t> dirty;  // sectors written since the last sync

    void write(std::string_view bytes, std::size_t at) {
      if (current.size() < at + bytes.size()) current.resize(at + bytes.size());
      std::memcpy(current.data() + at, bytes.data(), bytes.size());
      for (std::size_t s = at / kSector; s <= (at + bytes.size() - 1) / kSector; ++s)
        dirty.insert(s);
    }
    void sync() {
      durable = current;
      name_durable = true;
      dirty.clear();
    }
    // False: the file itself is gone.
    bool survive(std::mt19937_64& random) {
      if (!name_durable && random() % 2) return false;
      std::string kept = durable;
      for (std::size_t sector : dirty) {
        const std::size_t begin = sector * kSector;
        if (random() % 2 || begin >= current.size()) continue;
        const std::size_t size = std::min(kSector, current.size() - begin);
        if (kept.size() < begin + size) kept.resize(begin + size);
        std::memcpy(kept.data() + begin, current.data() + begin, size);
      }
      current = kept;
      sync();
      return true;
    }
  };

  struct Handle {
    sqlite3_file base;
    PowerVfs* vfs;
    std::shared_ptr<File>* file;
  };

  std::uint64_t used_locked() const {
    std::uint64_t sum = 0;
    for (const auto& [name, file] : files_) sum += file->current.size();
    return sum;
  }
  // Counts an operation on the disk; false when the machine is off.
  bool powered() {
    if (!off_ && operations_left_-- == 0) off_ = true;
    return !off_;
  }
  static PowerVfs& self(sqlite3_vfs* vfs) { return *static_cast<PowerVfs*>(vfs->pAppData); }
  static Handle& handle(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file); }

  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
    PowerVfs& me = self(vfs);
    std::lock_guard lock(me.mutex_);
    file->pMethods = nullptr;
    if (me.off_) return SQLITE_IOERR;
    const std::string key = name ? name : "temporary";
    auto found = me.files_.find(key);
    if (found == me.files_.end()) {
      if (!(flags & SQLITE_OPEN_CREATE)) return SQLITE_CANTOPEN;
      found = me.files_.emplace(key, std::make_shared<File>()).first;
    }
    handle(file).vfs = &me;
    handle(file).file = new std::shared_ptr<File>(found->second);
    file->pMethods = methods();
    if (out) *out = flags;
    return SQLITE_OK;
  }
  static int remove(sqlite3_vfs* vfs, const char* name, int) {
    PowerVfs& me = self(vfs);
    std::lock_guard lock(me.mutex_);
    if (!me.powered()) return SQLITE_IOERR_DELETE;
    return me.files_.erase(name) ? SQLITE_OK : SQLITE_IOERR_DELETE_NOENT;
  }
  static int access(sqlite3_vfs* vfs, const char* name, int, int* out) {
    PowerVfs& me = self(vfs);
    std::lock_guard lock(me.mutex_);
    *out = me.files_.contains(name);
    return SQLITE_OK;
  }
  static int full_path(sqlite3_vfs*, const char* name, int size, char* out) {
    sqlite3_snprintf(size, out, "%s", name);
    return SQLITE_OK;
  }

  static int close(sqlite3_file* file) {
    delete handle(file).file;
    return SQLITE_OK;
  }
  static int read(sqlite3_file* file, void* out, int size, sqlite3_int64 at) {
    std::lock_guard lock(handle(file).vfs->mutex_);
    if (handle(file).vfs->off_) return SQLITE_IOERR_READ;
    const std::string& content = (*handle(file).file)->current;
    const auto begin = std::min(static_cast<std::size_t>(at), content.size());
    const auto count = std::min(static_cast<std::size_t>(size), content.size() - begin);
    std::memset(out, 0, static_cast<std::size_t>(size));
    std::memcpy(out, content.data() + begin, count);
    return count == static_cast<std::size_t>(size) ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
  }
  static int write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 at) {
    PowerVfs& me = *handle(file).vfs;
    std::lock_guard lock(me.mutex_);
    if (!me.powered()) return SQLITE_IOERR_WRITE;
    File& target = **handle(file).file;
    const auto end = static_cast<std::size_t>(at) + static_cast<std::size_t>(size);
    const auto growth = end > target.current.size() ? end - target.current.size() : 0;
    if (growth > 0 && me.used_locked() + growth > me.capacity_) return SQLITE_FULL;
    target.write({static_cast<const char*>(bytes), static_cast<std::size_t>(size)},
                 static_cast<std::size_t>(at));
    return SQLITE_OK;
  }
  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    std::lock_guard lock(handle(file).vfs->mutex_);
    if (!handle(file).vfs->powered()) return SQLITE_IOERR_TRUNCATE;
    (*handle(file).file)->current.resize(static_cast<std::size_t>(size));
    return SQLITE_OK;
  }
  static int sync(sqlite3_file* file, int) {
    PowerVfs& me = *handle(file).vfs;
    std::lock_guard lock(me.mutex_);
    if (!me.powered() || std::exchange(me.fail_sync_, false)) return SQLITE_IOERR_FSYNC;
    ++me.syncs_;
    (*handle(file).file)->sync();
    return SQLITE_OK;
  }
  static int size(sqlite3_file* file, sqlite3_int64* out) {
    std::lock_guard lock(handle(file).vfs->mutex_);
    *out = static_cast<sqlite3_int64>((*handle(file).file)->current.size());
    return SQLITE_OK;
  }
  static int ok_lock(sqlite3_file*, int) { return SQLITE_OK; }
  static int no_lock(sqlite3_file*, int* out) {
    *out = 0;
    return SQLITE_OK;
  }
  static int control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
  static int sector(sqlite3_file*) { return kSector; }
  static int no_promises(sqlite3_file*) { return 0; }

  static const sqlite3_io_methods* methods() {
    static const sqlite3_io_methods kMethods = {1,       close,   read,        write,   truncate,
                                                sync,    size,    ok_lock,     ok_lock, no_lock,
                                                control, sector,  no_promises, nullptr, nullptr,
                                                nullptr, nullptr, nullptr,     nullptr};
    return &kMethods;
  }

  mutable std::mutex mutex_;
  std::mt19937_64 random_;
  std::string name_;
  sqlite3_vfs vfs_{};
  sqlite3_vfs* system_ = nullptr;
  std::map<std::string, std::shared_ptr<File>> files_;
  std::uint64_t operations_left_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t capacity_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t syncs_ = 0;
  bool off_ = false;
  bool fail_sync_ = false;
};

}  // namespace chorok::sqlite
