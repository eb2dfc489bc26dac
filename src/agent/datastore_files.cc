#include "agent/datastore_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "crypto/random.h"
#include "crypto/sha256.h"

namespace chorok::agent {
namespace {

constexpr int kDepthMax = 8;
constexpr std::size_t kListBytesMax = 200 * 1024;  // a message of the agent link is 256 KiB at most
constexpr std::size_t kEntryBytes = 160;           // of JSON beside the path

class Fd {
 public:
  Fd() = default;
  explicit Fd(int opened) : fd_(opened) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

Unexpected system_error(std::string_view what, std::string_view path) {
  const int error = errno;
  const Code code = error == ENOENT                      ? Code::kNotFound
                    : error == ENOSPC || error == EDQUOT ? Code::kExhausted
                    : error == ELOOP || error == ENOTDIR ? Code::kPermissionDenied
                                                         : Code::kUnavailable;
  return fail(code, fmt::format("cannot {} {}: {}", what, path, std::strerror(error)), "/path");
}

struct Place {
  Fd folder;
  std::string name;
};

Result<std::vector<std::string>> parts_of(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const auto slash = path.find('/');
    std::string_view part = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    if (part.empty() || part == ".") continue;
    if (part == ".." || part.starts_with('.') || part.find('\0') != std::string_view::npos)
      return fail(Code::kInvalid, fmt::format("'{}' may not be part of a path", part), "/path");
    parts.emplace_back(part);
  }
  return parts;
}

Result<Fd> open_folder(const std::string& root, std::span<const std::string> parts, bool create) {
  Fd folder(::open(root.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC));
  if (!folder) return system_error("open", root);
  for (const std::string& part : parts) {
    if (create && ::mkdirat(folder.get(), part.c_str(), 0755) != 0 && errno != EEXIST)
      return system_error("create", part);
    Fd next(::openat(folder.get(), part.c_str(), O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC));
    if (!next) return system_error("open", part);
    folder = std::move(next);
  }
  return folder;
}

Result<Place> find_place(const std::string& root, const std::string& path, bool create) {
  auto parts = TRY(parts_of(path));
  if (parts.empty()) return fail(Code::kInvalid, "the path names no file", "/path");
  std::string name = std::move(parts.back());
  parts.pop_back();
  return Place{TRY(open_folder(root, parts, create)), std::move(name)};
}

std::uint64_t big_endian(const char* bytes, int size) {
  std::uint64_t value = 0;
  for (int i = 0; i < size; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

// What a file is, by its first bytes: https://www.qemu.org/docs/master/interop/qcow2.html
Result<std::string> format_of(int fd) {
  char head[104] = {};
  const ssize_t n = ::pread(fd, head, sizeof head, 0);
  if (n >= 80 && std::memcmp(head, "QFI\xfb", 4) == 0) {
    const bool has_backing = big_endian(head + 8, 8) != 0;
    const bool has_data_file = big_endian(head + 4, 4) >= 3 && (big_endian(head + 72, 8) & 4) != 0;
    if (has_backing || has_data_file)
      return fail(Code::kInvalid,
                  "the image refers to another file; flatten it first (qemu-img convert)");
    return "qcow2";
  }
  char mark[5];
  const bool is_iso =
      ::pread(fd, mark, sizeof mark, 32769) == sizeof mark && !std::memcmp(mark, "CD001", 5);
  return is_iso ? "iso" : "raw";
}

model::FileInfo info_of(const struct stat& seen, std::string path, std::string format) {
  model::FileInfo info{.path = std::move(path), .size = static_cast<std::uint64_t>(seen.st_size)};
  info.format = std::move(format);
  info.modified = Time(std::chrono::seconds(seen.st_mtim.tv_sec));
  return info;
}

// What arrives, on its way to a temporary file.
class Download {
 public:
  explicit Download(int fd) : fd_(fd) {}

  bool head(int status) {
    status_ = status;
    return status == 200;
  }
  bool data(std::string_view bytes) {
    sum_.update(bytes);
    size_ += bytes.size();
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        failed_ = system_error("write", "the file").error();
        return false;
      }
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  // Answers the checksum when everything fits what was promised.
  Result<std::string> finish(const model::FileRequest& promised) {
    if (failed_) return Unexpected(*failed_);
    if (status_ != 200)
      return fail(net::code_from_http_status(status_),
                  fmt::format("the manager answered {} to the transfer", status_));
    if (promised.size != 0 && promised.size != size_)
      return fail(Code::kInvalid,
                  fmt::format("{} bytes arrived where {} were promised", size_, promised.size));
    std::string sum = sum_.finish_hex();
    if (!promised.sha256.empty() && promised.sha256 != sum)
      return fail(Code::kInvalid, fmt::format("its SHA-256 is {}, not {}", sum, promised.sha256));
    if (::fsync(fd_) != 0) return system_error("sync", "the file");
    return sum;
  }

 private:
  int fd_;
  int status_ = 0;
  std::uint64_t size_ = 0;
  crypto::Sha256 sum_;
  std::optional<Error> failed_;
};

Result<model::FileInfo> download(net::ClientRequest fetch,
                                 std::shared_ptr<net::TlsClientContext> tls,
                                 const model::FileRequest& request, int fd) {
  net::HttpClientSettings settings;
  settings.tls = std::move(tls);
  net::BlockingHttpClient client(std::move(settings));
  Download incoming(fd);
  auto streamed = client.stream(
      std::move(fetch), [&](int status, const net::Headers&) { return incoming.head(status); },
      [&](std::string_view bytes) { return incoming.data(bytes); });
  std::string sum = TRY(incoming.finish(request));
  TRY(std::move(streamed));
  std::string format = TRY(format_of(fd));
  struct stat seen{};
  if (::fstat(fd, &seen) != 0) return system_error("read", "the file");
  model::FileInfo info = info_of(seen, request.path, std::move(format));
  info.sha256 = std::move(sum);
  return info;
}

class Listing {
 public:
  explicit Listing(std::string prefix) : prefix_(std::move(prefix)) {}

  void walk(Fd folder, const std::string& path, int depth) {
    std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(folder.get()), ::closedir);
    if (!entries) return;
    const int fd = folder.release();  // closedir closes it
    while (const dirent* entry = ::readdir(entries.get())) {
      if (bytes_ > kListBytesMax) return;
      if (entry->d_name[0] != '.') take(fd, path, entry->d_name, depth);
    }
  }
  model::FileList finish() {
    std::ranges::sort(list_.items, {}, &model::FileInfo::path);
    return std::move(list_);
  }

 private:
  void take(int folder, const std::string& path, const char* name, int depth) {
    const std::string full = path.empty() ? name : path + "/" + name;
    Fd fd(::openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat seen{};
    if (!fd || ::fstat(fd.get(), &seen) != 0) return;
    if (S_ISDIR(seen.st_mode) && depth < kDepthMax &&
        (full.starts_with(prefix_) || prefix_.starts_with(full)))
      return walk(std::move(fd), full, depth + 1);
    if (!S_ISREG(seen.st_mode) || !full.starts_with(prefix_)) return;
    auto format = format_of(fd.get());
    bytes_ += full.size() + kEntryBytes;
    list_.items.push_back(info_of(seen, full, format ? *format : "qcow2"));
  }

  std::string prefix_;
  model::FileList list_;
  std::size_t bytes_ = 0;
};

}  // namespace

Result<model::FileInfo> fetch_file(net::ClientRequest fetch,
                                   std::shared_ptr<net::TlsClientContext> tls,
                                   const model::FileRequest& request, const std::string& root) {
  Place place = TRY(find_place(root, request.path, true));
  const std::string part = fmt::format(".upload-{}", crypto::random_text(12));
  Fd file(::openat(place.folder.get(), part.c_str(),
                   O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file) return system_error("create", request.path);
  auto info = download(std::move(fetch), std::move(tls), request, file.get());
  if (info &&
      ::renameat(place.folder.get(), part.c_str(), place.folder.get(), place.name.c_str()) != 0)
    info = system_error("rename", request.path);
  if (!info) {
    ::unlinkat(place.folder.get(), part.c_str(), 0);
    return info;
  }
  (void)::fsync(place.folder.get());
  return info;
}

Result<model::FileList> list_files(const std::string& root, const std::string& prefix) {
  Listing listing(prefix);
  listing.walk(TRY(open_folder(root, {}, false)), "", 0);
  return listing.finish();
}

Result<> remove_file_beneath(const std::string& root, const std::string& path) {
  auto place = find_place(root, path, false);
  if (!place && place.error().code == Code::kNotFound) return {};
  if (!place) return Unexpected(place.error());
  if (::unlinkat(place->folder.get(), place->name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno == EISDIR) return fail(Code::kInvalid, fmt::format("{} is a folder", path), "/path");
  return system_error("remove", path);
}

}  // namespace chorok::agent
