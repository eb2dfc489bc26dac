// Every bound of the SQLite store, with its default and the reason for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace chorok::sqlite {

enum class CheckOnOpen : std::uint8_t {
  kNever,
  kAfterCrash,  // when the last process left its write-ahead log behind: a crash or power cut
  kAlways,
};

struct SqliteSettings {
  std::string path;
  bool create = true;  // false: a missing file is an error, not a new cluster
  // Changes that a watch can go back: minutes of a busy cluster. The bytes bound what 10,000
  // transactions of up to 1 MiB would otherwise take.
  std::int64_t max_log_revisions = 10'000;
  std::int64_t max_log_bytes = 64 << 20;
  // One SQLite transaction, one fsync: more would make the first in the group wait too long.
  std::size_t max_group_jobs = 512;
  std::size_t max_group_bytes = 8 << 20;
  // Calls waiting for the disk. Beyond this, commits are refused: a slow disk must not eat memory.
  std::size_t max_queued = 50'000;
  std::size_t max_queued_bytes = 128 << 20;
  int backup_pages_per_step = 256;  // 1 MiB: commits wait at most that long for a backup
  // The manager holds all records itself and reads none of them again: what is kept of the file
  // serves the next writes, and the system's own cache has the rest.
  std::int64_t cache_kib = 2 << 10;
  // Pages in the write-ahead log before they move to the file: SQLite's own default, 4 MB.
  std::int64_t checkpoint_pages = 1000;
  std::int64_t max_pages = 0;  // of 4 KiB; 0: what the file system has
  CheckOnOpen check = CheckOnOpen::kAfterCrash;
  std::string
      vfs;  // SQLite's name of the file layer; empty: the system's. Tests cut the power here
};

struct SqliteStats {
  std::uint64_t transactions = 0;  // committed
  std::uint64_t groups = 0;        // SQLite transactions they took
  std::uint64_t failures = 0;      // refused by the disk
  std::size_t queued = 0;
};

}  // namespace chorok::sqlite
