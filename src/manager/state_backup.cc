#include "manager/state_backup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>

#include "adapters/sqlite/sqlite_store.h"
#include "crypto/random.h"
#include "crypto/seal.h"
#include "net/asio_loop.h"

namespace chorok::manager {
namespace {

constexpr std::string_view kStoreName = "store.db";
constexpr std::string_view kCaName = "ca.pem";
constexpr std::string_view kKeyName = "ca.key.sealed";
constexpr std::string_view kNamesName = "names";
constexpr std::string_view kSealPlace = "backup/ca.key";
constexpr std::size_t kBlock = 512;  // of tar

struct Fd {
  explicit Fd(int opened) : value(opened) {}
  ~Fd() {
    if (value >= 0) ::close(value);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int value;
};

// Removed with it, whatever happens.
struct TemporaryFile {
  explicit TemporaryFile(std::string at) : path(std::move(at)) {}
  ~TemporaryFile() { ::unlink(path.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  std::string path;
};

Unexpected cannot(std::string_view what, const std::string& path) {
  const int reason = errno;
  const Code code = reason == ENOENT   ? Code::kNotFound
                    : reason == EEXIST ? Code::kAlreadyExists
                    : reason == ENOSPC ? Code::kExhausted
                                       : Code::kFailedPrecondition;
  return fail(code, fmt::format("cannot {} {}: {}", what, path, std::strerror(reason)));
}

Result<> write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return cannot("write", path);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

// POSIX.1-1988 ustar, as much of it as four small names need.
std::string tar_header(std::string_view name, std::uint64_t size) {
  std::string block(kBlock, '\0');
  auto put = [&](std::size_t at, std::string_view text) { block.replace(at, text.size(), text); };
  put(0, name);
  put(100, "0000600");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", size));
  put(136, "00000000000");
  put(148, "        ");
  put(156, "0");
  put(257, "ustar");
  put(263, "00");
  unsigned sum = 0;
  for (char c : block) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum));
  block[154] = '\0';
  return block;
}

std::string padding(std::uint64_t size) {
  return std::string((kBlock - size % kBlock) % kBlock, '\0');
}

Result<> add_text(int fd, const std::string& path, std::string_view name, std::string_view text) {
  TRY(write_all(fd, tar_header(name, text.size()), path));
  TRY(write_all(fd, text, path));
  return write_all(fd, padding(text.size()), path);
}

// `size` bytes from one file to another.
Result<> copy_bytes(int from, int to, std::uint64_t size, const std::string& path) {
  std::string chunk(1 << 18, '\0');
  while (size > 0) {
    const ssize_t got = ::read(from, chunk.data(),
                               static_cast<std::size_t>(std::min<std::uint64_t>(size, 1 << 18)));
    if (got <= 0) return fail(Code::kInvalid, fmt::format("{} ends too early", path));
    TRY(write_all(to, std::string_view(chunk).substr(0, static_cast<std::size_t>(got)), path));
    size -= static_cast<std::uint64_t>(got);
  }
  return {};
}

Result<> add_file(int fd, const std::string& path, std::string_view name,
                  const std::string& source) {
  Fd in(::open(source.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info{};
  if (in.value < 0 || ::fstat(in.value, &info) != 0) return cannot("read", source);
  const auto size = static_cast<std::uint64_t>(info.st_size);
  TRY(write_all(fd, tar_header(name, size), path));
  TRY(copy_bytes(in.value, fd, size, path));
  return write_all(fd, padding(size), path);
}

struct Member {
  std::string name;
  std::uint64_t size = 0;
};

// Nothing at the end of the archive.
Result<std::optional<Member>> next_member(int fd, const std::string& path) {
  std::array<char, kBlock> block{};
  const ssize_t got = ::read(fd, block.data(), block.size());
  if (got < 0) return cannot("read", path);
  const bool is_end = got == 0 || (block[0] == '\0' && block[148] == '\0');
  if (is_end) return std::nullopt;
  const std::string_view magic(block.data() + 257, 5);
  if (got != static_cast<ssize_t>(kBlock) || magic != "ustar")
    return fail(Code::kInvalid, fmt::format("{} is no backup of a manager", path));
  Member member;
  member.name.assign(block.data(), ::strnlen(block.data(), 100));
  const std::string size(block.data() + 124, ::strnlen(block.data() + 124, 12));
  member.size = std::strtoull(size.c_str(), nullptr, 8);
  return member;
}

// What a backup holds: small members as text, the store as a file.
struct Contents {
  std::map<std::string, std::string, std::less<>> texts;
  bool has_store = false;
};

Result<Contents> unpack(const std::string& path, const std::string& store_to) {
  Fd in(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (in.value < 0) return cannot("read", path);
  Fd out(::open(store_to.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
  if (out.value < 0) return cannot("write", store_to);
  Contents contents;
  while (auto member = TRY(next_member(in.value, path))) {
    if (member->name == kStoreName) {
      TRY(copy_bytes(in.value, out.value, member->size, path));
      contents.has_store = true;
    } else {
      if (member->size > 1 << 20)
        return fail(Code::kInvalid, fmt::format("{} is no backup of a manager", path));
      std::string text(member->size, '\0');
      if (::read(in.value, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return fail(Code::kInvalid, fmt::format("{} ends too early", path));
      contents.texts[member->name] = std::move(text);
    }
    ::lseek(in.value, static_cast<off_t>((kBlock - member->size % kBlock) % kBlock), SEEK_CUR);
  }
  if (::fsync(out.value) != 0) return cannot("write", store_to);
  if (!contents.has_store) return fail(Code::kInvalid, fmt::format("{} holds no store", path));
  return contents;
}

Result<bool> is_store(const std::string& path) {
  Fd in(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (in.value < 0) return cannot("read", path);
  char head[16] = {};
  return ::read(in.value, head, sizeof head) == 16 && std::memcmp(head, "SQLite format 3", 16) == 0;
}

// The CA of the backup, where the folder has none; else what the folder has, if it is the same.
Result<std::string> restore_ca(const RestoreRequest& request, const Contents& contents) {
  const std::string ca_path = request.state.pki() + "/ca.pem";
  auto present = read_text_file(ca_path);
  auto ca = contents.texts.find(kCaName);
  auto sealed = contents.texts.find(kKeyName);
  if (ca == contents.texts.end() || request.keep_ca)
    return present ? "kept the folder's CA" : "run `chorok-manager init` to make a new CA";
  if (present && *present == ca->second) return "the CA is the same";
  if (present)
    return fail(Code::kFailedPrecondition,
                fmt::format("{} is another cluster's CA than the backup's; restore into an empty "
                            "folder, or use --keep-ca and join every host again",
                            ca_path));
  const std::string key_path =
      request.seal_key.empty() ? request.state.seal_key() : request.seal_key;
  auto key = crypto::SealingKey::load(key_path);
  if (!key || sealed == contents.texts.end())
    return fail(Code::kFailedPrecondition,
                fmt::format("the CA's key in the backup is sealed, and its sealing key is not in "
                            "{}; give it with --seal-key, or use --keep-ca and join every host "
                            "again",
                            key_path));
  const std::string ca_key = TRY(key->open(sealed->second, kSealPlace));
  TRY(write_text_file(request.state.pki() + "/ca.key", ca_key, 0600));
  TRY(write_text_file(ca_path, ca->second, 0644));
  if (key_path != request.state.seal_key())
    TRY(write_text_file(request.state.seal_key(), TRY(read_text_file(key_path)), 0600));
  return "restored the CA";
}

}  // namespace

Result<> write_backup(const StateDir& state, const std::string& file, const CopyStore& copy) {
  if (::access(file.c_str(), F_OK) == 0)
    return fail(Code::kAlreadyExists, fmt::format("{} exists; backups are not overwritten", file));
  const std::string key = TRY(read_text_file(state.pki() + "/ca.key"));
  const std::string ca = TRY(read_text_file(state.pki() + "/ca.pem"));
  const auto sealing = TRY(crypto::SealingKey::load_or_create(state.seal_key()));
  TemporaryFile store(fmt::format("{}.{}.store", file, crypto::random_text(6)));
  TRY(copy(store.path));
  TemporaryFile partial(file + ".partial");
  ::unlink(partial.path.c_str());
  Fd out(::open(partial.path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
  if (out.value < 0) return cannot("write", partial.path);
  TRY(add_file(out.value, partial.path, kStoreName, store.path));
  TRY(add_text(out.value, partial.path, kCaName, ca));
  TRY(add_text(out.value, partial.path, kKeyName, sealing.seal(key, kSealPlace)));
  if (auto names = read_text_file(state.names()))
    TRY(add_text(out.value, partial.path, kNamesName, *names));
  TRY(write_all(out.value, std::string(2 * kBlock, '\0'), partial.path));
  if (::fsync(out.value) != 0) return cannot("write", partial.path);
  // link, not rename: another backup of that name, made meanwhile, must stay.
  if (::link(partial.path.c_str(), file.c_str()) != 0) return cannot("write", file);
  return {};
}

Result<> copy_closed_store(const StateDir& state, const std::string& path) {
  net::AsioLoop loop;
  auto store = TRY(sqlite::SqliteStore::open(loop, {.path = state.store(), .create = false}));
  std::optional<Result<>> result;
  store->backup_to(path, [&](Result<> done) {
    result.emplace(std::move(done));
    loop.stop();
  });
  loop.run();
  store.reset();
  return result ? std::move(*result) : fail(Code::kInternal, "the copy was not made");
}

Result<std::vector<std::string>> restore_backup(const RestoreRequest& request) {
  std::vector<std::string> lines;
  TRY(request.state.make());
  TemporaryFile store(fmt::format("{}/restore-{}.db", request.state.path, crypto::random_text(6)));
  Contents contents;
  std::string source = request.file;
  if (!TRY(is_store(request.file))) {
    contents = TRY(unpack(request.file, store.path));
    source = store.path;
  }
  lines.push_back(TRY(restore_ca(request, contents)));
  TRY(sqlite::SqliteStore::restore(source, {.path = request.state.store()}));
  lines.push_back("restored the store");
  if (auto names = contents.texts.find(kNamesName);
      names != contents.texts.end() && ::access(request.state.names().c_str(), F_OK) != 0)
    TRY(write_text_file(request.state.names(), names->second, 0644));
  return lines;
}

}  // namespace chorok::manager
