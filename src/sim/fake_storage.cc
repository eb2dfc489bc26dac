#include "sim/fake_storage.h"

#include <fmt/format.h>

namespace chorok::sim {
namespace {

constexpr std::string_view kMarker = "/.chorok-datastore";
constexpr Mib kEmptyQcow2{1};

ports::ImageInfo info_of(const FakeFile& file) {
  return {file.format, file.capacity, file.allocated, file.has_backing};
}

Result<model::DatastoreReach> probe_now(FakeFiles& files, HostIndex host, const std::string& id,
                                        const std::string& path) {
  model::DatastoreReach reach;
  reach.datastore = id;
  const FakeDatastore* store = files.datastore(path);
  if (!store || !files.reachable(host, path)) {
    reach.message = fmt::format("{}: {}", path, store ? "Input/output error" : "no such folder");
    return reach;
  }
  const std::string marker = path + std::string(kMarker);
  const FakeFile* file = files.look(host, marker);
  if (file && file->text != id)
    return fail(Code::kConflict,
                fmt::format("{} belongs to datastore {}, not {}", path, file->text, id));
  if (!file) {
    FakeFile made;
    made.text = id;
    TRY(files.make(host, marker, made));
  }
  reach.reachable = true;
  reach.capacity = store->capacity;
  reach.free = store->capacity - files.used(host, store->path);
  return reach;
}

Result<ports::ImageInfo> create_now(FakeFiles& files, HostIndex host,
                                    const ports::CreateDisk& request) {
  if (!files.reachable(host, request.path))
    return fail(Code::kUnavailable, fmt::format("{}: Input/output error", request.path));
  if (const FakeFile* there = files.find(host, request.path)) {
    if (there->capacity >= request.size) return info_of(*there);
    return fail(Code::kAlreadyExists,
                fmt::format("{} exists and is smaller than was asked for", request.path));
  }
  FakeFile file;
  file.format = request.format;
  file.capacity = request.size;
  file.allocated = request.format == model::DiskFormat::kRaw ? Mib{} : kEmptyQcow2;
  file.lineage = files.new_lineage();
  if (!request.copy_of.empty()) {
    const FakeFile* image = files.find(host, request.copy_of);
    if (!image) return fail(Code::kNotFound, fmt::format("there is no image {}", request.copy_of));
    if (image->has_backing)
      return fail(Code::kFailedPrecondition,
                  fmt::format("{} refers to another file", request.copy_of));
    file.capacity = std::max(file.capacity, image->capacity);
    file.allocated = image->allocated;
  }
  return info_of(*TRY(files.make(host, request.path, file)));
}

}  // namespace

template <class T, class Effect>
void FakeStorage::run(const char* op, Duration takes, Effect effect, Done<Result<T>> done) {
  const std::string name = std::string("storage.") + op;
  const Decision decision = world_.faults().decide(name, world_.host(host_).settings().name);
  const bool happens =
      decision.fault != Fault::kErrorBefore && decision.fault != Fault::kUnknownBefore;
  // A file system has no connection to lose: what is unknown elsewhere is an error here.
  const bool fails = decision.fault != Fault::kNone && decision.fault != Fault::kSlow;
  Duration duration = from_seconds(seconds(takes) * decision.slowness);
  if (decision.fault == Fault::kLostAnswer) duration += world_.faults().rates().answer_lost_after;
  world_.later(duration, [connection = connection_, &world = world_, host = host_, happens, fails,
                          name, effect = std::move(effect), done = std::move(done)]() mutable {
    if (!connection->alive || !world.host(host).powered()) return;
    Result<T> result = fail(Code::kFailedPrecondition, name + ": Input/output error (injected)");
    if (happens) {
      Result<T> real = effect();
      if (!fails) result = std::move(real);
    }
    done(std::move(result));
  });
}

void FakeStorage::probe(std::string id, std::string path,
                        Done<Result<model::DatastoreReach>> done) {
  run<model::DatastoreReach>(
      "probe", world_.times().query,
      [&files = world_.files(), host = host_, id, path] {
        return probe_now(files, host, id, path);
      },
      std::move(done));
}

Result<std::string> FakeStorage::resolve(const std::string& root, const std::string& relative) {
  if (relative.empty() || relative.front() == '/')
    return fail(Code::kInvalid, "the path must be relative to its datastore");
  for (std::size_t at = 0; at <= relative.size();) {
    std::size_t end = std::min(relative.find('/', at), relative.size());
    std::string_view part(relative.data() + at, end - at);
    if (part.empty() || part == "." || part == "..")
      return fail(Code::kInvalid, fmt::format("the path '{}' leaves its datastore", relative));
    at = end + 1;
  }
  return root + "/" + relative;
}

void FakeStorage::create(ports::CreateDisk request, std::function<void(double)> progress,
                         Done<Result<ports::ImageInfo>> done) {
  Duration takes = world_.times().disk_create;
  if (!request.copy_of.empty())
    if (const FakeFile* image = world_.files().find(host_, request.copy_of))
      takes +=
          from_seconds(static_cast<double>(image->allocated.value) / world_.times().disk_mib_s);
  if (progress && !request.copy_of.empty())
    world_.later(takes / 2, [connection = connection_, progress = std::move(progress)] {
      if (connection->alive) progress(50);
    });
  run<ports::ImageInfo>(
      "create", takes,
      [&files = world_.files(), host = host_, request = std::move(request)] {
        return create_now(files, host, request);
      },
      std::move(done));
}

void FakeStorage::info(std::string path, Done<Result<ports::ImageInfo>> done) {
  run<ports::ImageInfo>(
      "info", world_.times().query,
      [&files = world_.files(), host = host_, path]() -> Result<ports::ImageInfo> {
        if (const FakeFile* file = files.find(host, path)) return info_of(*file);
        return fail(Code::kNotFound, fmt::format("there is no file {}", path));
      },
      std::move(done));
}

void FakeStorage::grow(std::string path, Mib size, Done<Result<>> done) {
  run<void>(
      "grow", world_.times().disk_create,
      [&files = world_.files(), host = host_, path, size]() -> Result<> {
        FakeFile* file = files.find(host, path);
        if (!file) return fail(Code::kNotFound, fmt::format("there is no file {}", path));
        if (file->writer != 0 || !file->readers.empty())
          return fail(Code::kFailedPrecondition, fmt::format("{} is in use", path));
        file->capacity = std::max(file->capacity, size);
        return {};
      },
      std::move(done));
}

void FakeStorage::remove(std::string path, Done<Result<>> done) {
  run<void>(
      "remove", world_.times().query,
      [&world = world_, host = host_, path]() -> Result<> {
        const FakeFile* file = world.files().find(host, path);
        if (!file) return {};
        // The port refuses, and yet nobody may have come to ask for it.
        if (!file->executing.empty())
          world.violate(fmt::format("the disk {} was to be removed under a running guest", path));
        if (file->writer != 0 || !file->readers.empty())
          return fail(
              Code::kFailedPrecondition,
              fmt::format("{} is in use by a guest or a copy, here or on another host", path));
        world.files().remove(host, path);
        return {};
      },
      std::move(done));
}

}  // namespace chorok::sim
