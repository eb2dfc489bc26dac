#include "adapters/storage/qemu_img_storage.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>

#include "adapters/storage/resolve.h"
#include "adapters/work/process.h"

namespace chorok::adapters::storage {

namespace fs = std::filesystem;
using work::ProcessLimits;
using work::ProcessResult;
using work::run_process;
using work::StopFlag;

namespace {

constexpr const char* kMarker = ".chorok-datastore";
constexpr std::int64_t kMiB = 1 << 20;

Unexpected system_error(const std::string& what) {
  Code code = errno == ENOSPC || errno == EDQUOT  ? Code::kExhausted
              : errno == ENOENT                   ? Code::kNotFound
              : errno == EACCES || errno == EROFS ? Code::kPermissionDenied
                                                  : Code::kUnavailable;
  return fail(code, fmt::format("{}: {}", what, std::strerror(errno)));
}

const char* format_name(model::DiskFormat format) {
  return format == model::DiskFormat::kQcow2 ? "qcow2" : "raw";
}

// By the first bytes, never by what qemu-img guesses: a raw disk's owner can write any header into
// it, so whoever reads one later is always told its format.
Result<model::DiskFormat> sniff(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return system_error(fmt::format("cannot open {}", path));
  struct stat status{};
  std::array<char, 4> magic{};
  bool regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  ssize_t got = regular ? read(fd, magic.data(), magic.size()) : 0;
  close(fd);
  if (!regular) return fail(Code::kInvalid, fmt::format("{} is not a plain file", path));
  bool qcow2 = got == 4 && std::memcmp(magic.data(), "QFI\xfb", 4) == 0;
  return qcow2 ? model::DiskFormat::kQcow2 : model::DiskFormat::kRaw;
}

// A guest's disk is nobody's to read: the file is there, and private, before its bytes are.
// (qemu-img keeps the mode of a file that exists; libvirt gives it to QEMU's user.)
Result<> make_private(const std::string& path) {
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return system_error(fmt::format("cannot make {}", path));
  close(fd);
  return {};
}

// QEMU's user passes through the folders, and cannot list them.
Result<> make_folder(const fs::path& folder) {
  std::error_code error;
  if (fs::is_directory(folder, error)) return {};
  if (folder.has_parent_path() && folder.parent_path() != folder)
    TRY(make_folder(folder.parent_path()));
  if (mkdir(folder.c_str(), 0711) != 0 && errno != EEXIST)
    return system_error(fmt::format("cannot make the folder {}", folder.string()));
  return {};
}

// qemu-img does not wait for the disk; a file under its final name must be whole after a power
// cut, too.
Result<> sync_path(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fsync(fd) != 0) {
    Unexpected error = system_error(fmt::format("cannot write {} to its disk", path));
    if (fd >= 0) close(fd);
    return error;
  }
  close(fd);
  return {};
}

// The number in qemu-img's "    (12.34/100%)\r".
std::optional<double> last_percent(std::string_view text) {
  std::size_t slash = text.rfind("/100%");
  if (slash == std::string_view::npos) return std::nullopt;
  std::size_t open = text.rfind('(', slash);
  if (open == std::string_view::npos) return std::nullopt;
  return std::strtod(std::string(text.substr(open + 1, slash - open - 1)).c_str(), nullptr);
}

}  // namespace

struct QemuImgStorage::Impl : std::enable_shared_from_this<QemuImgStorage::Impl> {
  Impl(Loop& on, QemuImgOptions given) : loop(&on), options(std::move(given)) {}

  Loop* loop;  // null when the storage is gone; guarded by loop_mutex
  std::mutex loop_mutex;
  const QemuImgOptions options;
  StopFlag stop;

  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable gone;
  std::deque<Work> queue;
  std::size_t threads = 0;
  std::size_t idle = 0;
  std::set<std::string> making;  // files being made: two requests for one wait for each other
  std::condition_variable made;

  void post(Work work) {
    std::lock_guard lock(loop_mutex);
    if (loop == nullptr) return;
    loop->post([weak = weak_from_this(), work = std::move(work)]() mutable {
      auto self = weak.lock();
      if (self != nullptr && self->loop != nullptr) work();
    });
  }

  template <class T>
  void run(std::function<Result<T>(Impl&)> fn, Done<Result<T>> done) {
    submit([this, fn = std::move(fn), done = std::move(done)]() mutable {
      Result<T> result = fail(Code::kInternal, "not run");
      try {
        result = fn(*this);
      } catch (const std::exception& caught) {
        result = fail(Code::kInternal, std::string("storage: ") + caught.what());
      }
      post([done = std::move(done), result = std::move(result)]() mutable {
        done(std::move(result));
      });
    });
  }

  void submit(Work work) {
    std::lock_guard lock(mutex);
    queue.push_back(std::move(work));
    if (queue.size() > idle && threads < options.workers) {
      ++threads;
      std::thread([self = shared_from_this()] { self->work_on(); }).detach();
    }
    wake.notify_one();
  }

  void work_on() {
    std::unique_lock lock(mutex);
    while (true) {
      ++idle;
      wake.wait(lock, [&] { return stop.is_set() || !queue.empty(); });
      --idle;
      if (stop.is_set()) break;
      Work work = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      work();
      work = nullptr;
      lock.lock();
    }
    --threads;
    gone.notify_all();
  }

  void shut() {
    {
      std::lock_guard lock(loop_mutex);
      loop = nullptr;
    }
    stop.set();
    std::unique_lock lock(mutex);
    wake.notify_all();
    made.notify_all();
    // Children are killed at once; only a file system that hangs keeps a thread.
    gone.wait_for(lock, std::chrono::seconds(2), [&] { return threads == 0; });
  }

  Result<ProcessResult> qemu_img(std::vector<std::string> arguments, Duration silence,
                                 const std::function<void(std::string_view)>& on_output = {}) {
    std::string verb = arguments.front();
    arguments.insert(arguments.begin(), options.qemu_img);
    ProcessResult result =
        TRY(run_process(arguments, ProcessLimits{.silence = silence}, stop, on_output));
    if (result.exit_code == 0) return result;
    std::string why = result.errors.substr(0, result.errors.find('\n'));
    bool full = why.find("No space left") != std::string::npos;
    return fail(full ? Code::kExhausted : Code::kFailedPrecondition,
                fmt::format("qemu-img {} failed: {}", verb,
                            why.empty() ? fmt::format("exit code {}", result.exit_code) : why));
  }

  Result<ports::ImageInfo> info_of(const std::string& path) {
    model::DiskFormat format = TRY(sniff(path));
    // -U: also while a guest has it open; the numbers are a moment's then.
    ProcessResult result = TRY(qemu_img(
        {"info", "-U", "-f", format_name(format), "--output=json", path}, options.quick_timeout));
    boost::system::error_code error;
    boost::json::value parsed = boost::json::parse(result.output, error);
    const boost::json::object* fields = error ? nullptr : parsed.if_object();
    if (fields == nullptr) return fail(Code::kInternal, "qemu-img info answered what is no JSON");
    auto number = [&](const char* name) {
      const boost::json::value* found = fields->if_contains(name);
      return found == nullptr ? 0 : found->to_number<std::int64_t>(error);
    };
    ports::ImageInfo info;
    info.format = format;
    info.capacity = Mib((number("virtual-size") + kMiB - 1) / kMiB);
    info.allocated = Mib((number("actual-size") + kMiB - 1) / kMiB);
    info.has_backing = fields->contains("backing-filename") || has_data_file(*fields);
    return info;
  }

  // qcow2 can keep its data in another file: as dangerous as a backing file.
  static bool has_data_file(const boost::json::object& fields) {
    const auto* specific = fields.if_contains("format-specific");
    const auto* holder = specific == nullptr ? nullptr : specific->if_object();
    const auto* data = holder == nullptr ? nullptr : holder->if_contains("data");
    return data != nullptr && data->is_object() && data->as_object().contains("data-file");
  }

  Result<ports::ImageInfo> create_disk(const ports::CreateDisk& request,
                                       const std::function<void(double)>& progress);
  class Turn;
  Result<> make_whole(const ports::CreateDisk& request,
                      const std::function<void(double)>& progress);
  Result<> make_file(const ports::CreateDisk& request, const std::string& temporary,
                     const std::function<void(double)>& progress);
  Result<> copy_image(const ports::CreateDisk& request, const std::string& temporary,
                      const std::function<void(double)>& progress);
  Result<model::DatastoreReach> probe_folder(const std::string& id, const std::string& path);
};

Result<> QemuImgStorage::Impl::copy_image(const ports::CreateDisk& request,
                                          const std::string& temporary,
                                          const std::function<void(double)>& progress) {
  ports::ImageInfo image = TRY(info_of(request.copy_of));
  if (image.has_backing)
    return fail(Code::kInvalid,
                fmt::format("the image {} refers to another file; only whole images are taken",
                            request.copy_of));
  double told = -1;
  auto on_output = [&](std::string_view text) {
    auto percent = last_percent(text);
    if (!percent || *percent < told + 1) return;
    told = *percent;
    if (progress) post([progress, percent = *percent] { progress(percent); });
  };
  TRY(qemu_img({"convert", "-p", "-f", format_name(image.format), "-O", format_name(request.format),
                request.copy_of, temporary},
               options.stall_timeout, on_output));
  if (request.size > image.capacity)
    TRY(qemu_img({"resize", "-f", format_name(request.format), temporary,
                  fmt::format("{}M", request.size.value)},
                 options.quick_timeout));
  return {};
}

Result<> QemuImgStorage::Impl::make_file(const ports::CreateDisk& request,
                                         const std::string& temporary,
                                         const std::function<void(double)>& progress) {
  if (!request.copy_of.empty()) return copy_image(request, temporary, progress);
  if (request.size <= Mib{}) return fail(Code::kInvalid, "an empty disk needs a size", "/size");
  TRY(qemu_img({"create", "-q", "-f", format_name(request.format), temporary,
                fmt::format("{}M", request.size.value)},
               options.quick_timeout));
  return {};
}

// Under a temporary name until it is whole and on its disk.
Result<> QemuImgStorage::Impl::make_whole(const ports::CreateDisk& request,
                                          const std::function<void(double)>& progress) {
  fs::path folder = fs::path(request.path).parent_path();
  TRY(make_folder(folder));
  std::string temporary = request.path + ".part";
  unlink(temporary.c_str());  // of a try that did not end
  Result<> outcome = make_private(temporary);
  if (outcome) outcome = make_file(request, temporary, progress);
  if (outcome) outcome = sync_path(temporary);
  if (outcome && rename(temporary.c_str(), request.path.c_str()) != 0)
    outcome = system_error(fmt::format("cannot name the new disk {}", request.path));
  if (outcome) return sync_path(folder);
  unlink(temporary.c_str());
  return outcome;
}

// Two requests for one file: the second waits, and finds it made.
class QemuImgStorage::Impl::Turn {
 public:
  Turn(Impl& impl, const std::string& path) : impl_(impl), path_(path) {
    std::unique_lock lock(impl_.mutex);
    impl_.made.wait(lock, [&] { return impl_.stop.is_set() || !impl_.making.contains(path_); });
    impl_.making.insert(path_);
  }
  ~Turn() {
    std::lock_guard lock(impl_.mutex);
    impl_.making.erase(path_);
    impl_.made.notify_all();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  Impl& impl_;
  const std::string& path_;
};

Result<ports::ImageInfo> QemuImgStorage::Impl::create_disk(
    const ports::CreateDisk& request, const std::function<void(double)>& progress) {
  Turn turn(*this, request.path);
  if (stop.is_set()) return fail(Code::kCancelled, "the program is stopping");
  std::error_code error;
  if (!fs::exists(request.path, error)) {
    TRY(make_whole(request, progress));
    return info_of(request.path);
  }
  ports::ImageInfo info = TRY(info_of(request.path));
  if (info.capacity >= request.size && info.format == request.format) return info;
  return fail(Code::kAlreadyExists, fmt::format("{} exists, as {} of {} MiB", request.path,
                                                format_name(info.format), info.capacity.value));
}

Result<model::DatastoreReach> QemuImgStorage::Impl::probe_folder(const std::string& id,
                                                                 const std::string& path) {
  model::DatastoreReach reach;
  reach.datastore = id;
  struct statvfs space{};
  if (statvfs(path.c_str(), &space) != 0) {
    reach.message = fmt::format("{} cannot be read: {}", path, std::strerror(errno));
    return reach;
  }
  std::string marker = path + "/" + kMarker;
  // Made whole or not at all, also when several hosts find a new datastore at once.
  if (access(marker.c_str(), F_OK) != 0) {
    std::string draft =
        fmt::format("{}.{}.{}", marker, getpid(), reinterpret_cast<std::uintptr_t>(&reach));
    std::ofstream(draft) << id << "\n";
    int rc = link(draft.c_str(), marker.c_str());
    int why = errno;
    unlink(draft.c_str());
    if (rc != 0 && why != EEXIST) {
      reach.message = fmt::format("{} cannot be written: {}", path, std::strerror(why));
      return reach;
    }
  }
  std::string found;
  std::ifstream file(marker);
  std::getline(file, found);
  if (found != id)
    return fail(Code::kConflict,
                fmt::format("{} holds the datastore '{}', not '{}': it is not the same storage. If "
                            "it should be, remove {}",
                            path, found.substr(0, 80), id, marker));
  reach.reachable = true;
  reach.capacity = Mib(static_cast<std::int64_t>(space.f_blocks * space.f_frsize / kMiB));
  reach.free = Mib(static_cast<std::int64_t>(space.f_bavail * space.f_frsize / kMiB));
  return reach;
}

QemuImgStorage::QemuImgStorage(Loop& loop, QemuImgOptions options)
    : impl_(std::make_shared<Impl>(loop, std::move(options))) {}

QemuImgStorage::~QemuImgStorage() {
  impl_->shut();
}

void QemuImgStorage::probe(std::string id, std::string path,
                           Done<Result<model::DatastoreReach>> done) {
  impl_->run<model::DatastoreReach>([id = std::move(id), path = std::move(path)](
                                        Impl& impl) { return impl.probe_folder(id, path); },
                                    std::move(done));
}

Result<std::string> QemuImgStorage::resolve(const std::string& root, const std::string& relative) {
  return resolve_beneath(root, relative);
}

void QemuImgStorage::create(ports::CreateDisk request, std::function<void(double)> progress,
                            Done<Result<ports::ImageInfo>> done) {
  impl_->run<ports::ImageInfo>([request = std::move(request), progress = std::move(progress)](
                                   Impl& impl) { return impl.create_disk(request, progress); },
                               std::move(done));
}

void QemuImgStorage::info(std::string path, Done<Result<ports::ImageInfo>> done) {
  impl_->run<ports::ImageInfo>([path = std::move(path)](Impl& impl) { return impl.info_of(path); },
                               std::move(done));
}

void QemuImgStorage::grow(std::string path, Mib size, Done<Result<>> done) {
  impl_->run<void>(
      [path = std::move(path), size](Impl& impl) -> Result<> {
        ports::ImageInfo info = TRY(impl.info_of(path));
        if (info.capacity >= size) return {};
        TRY(impl.qemu_img(
            {"resize", "-f", format_name(info.format), path, fmt::format("{}M", size.value)},
            impl.options.quick_timeout));
        return {};
      },
      std::move(done));
}

namespace {

// QEMU, and qemu-img while it writes, hold locks on bytes 100 to 299 of an image (file-posix.c:
// RAW_LOCK_PERM_BASE, RAW_LOCK_SHARED_BASE), on every host where the file system carries locks. To
// hold all of them for the moment of the removal is to know that nobody else holds any.
Result<> lock_unused(int fd, const std::string& path) {
  struct flock range{};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = 100;
  range.l_len = 200;
  if (fcntl(fd, F_OFD_SETLK, &range) == 0) return {};
  if (errno != EAGAIN && errno != EACCES) return {};  // no locks there: nothing can be known
  return fail(Code::kFailedPrecondition,
              fmt::format("{} is in use by a guest or a copy, here or on another host", path));
}

Result<> remove_unused(const std::string& path) {
  int fd = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
  Result<> unused = fd < 0 ? Result<>() : lock_unused(fd, path);
  Result<> removed;
  if (unused && unlink(path.c_str()) != 0 && errno != ENOENT)
    removed = system_error(fmt::format("cannot remove {}", path));
  if (fd >= 0) close(fd);
  return unused ? removed : unused;
}

}  // namespace

void QemuImgStorage::remove(std::string path, Done<Result<>> done) {
  impl_->run<void>(
      [path = std::move(path)](Impl&) -> Result<> {
        TRY(remove_unused(path));
        // A VM's folder goes with its last file.
        rmdir(fs::path(path).parent_path().c_str());
        return {};
      },
      std::move(done));
}

}  // namespace chorok::adapters::storage
