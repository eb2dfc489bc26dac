// Files of a folder, of an archive, or of one compressed file, read whole into memory within stated
// bounds: traces come as a folder of small files, as that folder in a .tar.xz, or as one .xz.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace chorok::sim::datacenter {

// What a reader takes before it says that this cannot be a trace. The bounds hold after
// decompression, so that a small archive cannot unfold into all memory.
struct ReadLimits {
  std::uint64_t total_bytes_max = std::uint64_t{4} << 30;  // 100,000 VMs over a month: about 3 GiB
  std::uint64_t file_bytes_max = std::uint64_t{1} << 30;
  std::size_t files_max = 200'000;  // VMs, when a VM is a file
};

// Calls `take` with the path inside the folder or archive and the content of each regular file, in
// the order in which they are found. `take`'s error ends the reading and is returned. Hidden files
// (a leading dot) are skipped; links are not followed.
Result<void> for_each_file(
    const std::filesystem::path& source, const ReadLimits& limits,
    const std::function<Result<void>(std::string_view path, std::string_view content)>& take);

// One file, decompressed when it is compressed (xz, gzip, zstd, bzip2).
Result<std::string> read_file(const std::filesystem::path& path, const ReadLimits& limits);

}  // namespace chorok::sim::datacenter
