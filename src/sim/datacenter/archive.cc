#include "sim/datacenter/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace chorok::sim::datacenter {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kBlock = std::size_t{1} << 17;

struct CloseArchive {
  void operator()(archive* a) const { archive_read_free(a); }
};
using Archive = std::unique_ptr<archive, CloseArchive>;

Unexpected broken(const fs::path& path, archive* a) {
  const char* why = archive_error_string(a);
  return fail(Code::kInvalid, fmt::format("{}: {}; check that the file is complete", path.string(),
                                          why ? why : "cannot be read"));
}

Result<Archive> open(const fs::path& path, bool one_file) {
  std::error_code error;
  if (!fs::exists(path, error))
    return fail(
        Code::kNotFound,
        fmt::format("{}: no such file or folder; give the path of the traces", path.string()));
  Archive a(archive_read_new());
  CHOROK_ASSERT(a != nullptr);
  // Only what libarchive unpacks by itself: no program is started for a filter.
  archive_read_support_filter_xz(a.get());
  archive_read_support_filter_gzip(a.get());
  archive_read_support_filter_bzip2(a.get());
  archive_read_support_filter_zstd(a.get());
  if (one_file) {
    archive_read_support_format_raw(a.get());
    archive_read_support_format_empty(a.get());
  } else {
    archive_read_support_format_tar(a.get());
  }
  if (archive_read_open_filename(a.get(), path.c_str(), kBlock) != ARCHIVE_OK)
    return broken(path, a.get());
  return a;
}

class Budget {
 public:
  Budget(const fs::path& source, const ReadLimits& limits) : source_(source), limits_(limits) {}

  Result<void> take(std::string_view file, std::uint64_t file_bytes, std::uint64_t more) {
    total_ += more;
    if (file_bytes > limits_.file_bytes_max)
      return fail(Code::kExhausted,
                  fmt::format("{}: {}: larger than {} bytes, which is the limit of one file",
                              source_.string(), file, limits_.file_bytes_max));
    if (total_ > limits_.total_bytes_max)
      return fail(Code::kExhausted, fmt::format("{}: more than {} bytes in all; split the traces",
                                                source_.string(), limits_.total_bytes_max));
    return {};
  }
  Result<void> file() {
    if (++files_ <= limits_.files_max) return {};
    return fail(Code::kExhausted, fmt::format("{}: more than {} files; split the traces",
                                              source_.string(), limits_.files_max));
  }

 private:
  const fs::path& source_;
  const ReadLimits& limits_;
  std::uint64_t total_ = 0;
  std::size_t files_ = 0;
};

Result<void> read_entry(const fs::path& source, archive* a, std::string_view name, Budget& budget,
                        std::string& content) {
  content.clear();
  while (true) {
    const std::size_t before = content.size();
    content.resize(before + kBlock);
    const la_ssize_t got = archive_read_data(a, content.data() + before, kBlock);
    if (got < 0) return broken(source, a);
    content.resize(before + static_cast<std::size_t>(got));
    if (got == 0) return {};
    TRY(budget.take(name, content.size(), static_cast<std::uint64_t>(got)));
  }
}

bool is_hidden(std::string_view path) {
  return path.substr(path.find_last_of('/') + 1).starts_with('.');
}

Result<void> walk_folder(
    const fs::path& source, const ReadLimits& limits,
    const std::function<Result<void>(std::string_view, std::string_view)>& take) {
  std::error_code error;
  std::vector<fs::path> files;
  Budget budget(source, limits);
  for (auto it = fs::directory_iterator(source, error); it != fs::directory_iterator();
       it.increment(error)) {
    if (error) break;
    if (!it->is_regular_file(error) || it->is_symlink(error) || is_hidden(it->path().string()))
      continue;
    TRY(budget.file());
    files.push_back(it->path());
  }
  if (error) return fail(Code::kInvalid, fmt::format("{}: {}", source.string(), error.message()));
  std::ranges::sort(files);
  ReadLimits left = limits;
  for (const fs::path& file : files) {
    std::string content = TRY(read_file(file, left));
    left.total_bytes_max -= content.size();
    TRY(take(file.filename().string(), content));
  }
  return {};
}

}  // namespace

Result<void> for_each_file(
    const fs::path& source, const ReadLimits& limits,
    const std::function<Result<void>(std::string_view, std::string_view)>& take) {
  std::error_code error;
  if (fs::is_directory(source, error)) return walk_folder(source, limits, take);
  Archive a = TRY(open(source, false));
  Budget budget(source, limits);
  std::string content;
  archive_entry* entry = nullptr;
  while (true) {
    const int got = archive_read_next_header(a.get(), &entry);
    if (got == ARCHIVE_EOF) return {};
    if (got != ARCHIVE_OK && got != ARCHIVE_WARN) return broken(source, a.get());
    const char* path = archive_entry_pathname(entry);
    if (archive_entry_filetype(entry) != AE_IFREG || !path || is_hidden(path)) continue;
    const std::string name = path;
    TRY(budget.file());
    TRY(read_entry(source, a.get(), name, budget, content));
    TRY(take(name, content));
  }
}

Result<std::string> read_file(const fs::path& path, const ReadLimits& limits) {
  std::error_code error;
  if (fs::is_directory(path, error))
    return fail(Code::kInvalid, fmt::format("{}: is a folder; give a file", path.string()));
  Archive a = TRY(open(path, true));
  std::string content;
  archive_entry* entry = nullptr;
  const int got = archive_read_next_header(a.get(), &entry);
  if (got == ARCHIVE_EOF) return content;
  if (got != ARCHIVE_OK) return broken(path, a.get());
  Budget budget(path, limits);
  TRY(read_entry(path, a.get(), path.filename().string(), budget, content));
  return content;
}

}  // namespace chorok::sim::datacenter
