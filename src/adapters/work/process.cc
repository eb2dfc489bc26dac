#include "adapters/work/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

namespace chorok::adapters::work {

namespace {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() { close(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    close();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

struct Pipe {
  Fd read;
  Fd write;
};
Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0)
    return fail(Code::kExhausted, fmt::format("cannot make a pipe: {}", std::strerror(errno)));
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

struct SpawnSetup {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  SpawnSetup() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;
};

// What a child reads: a file in memory, so that nobody waits for a child that does not read.
Result<Fd> make_input(std::string_view text) {
  Fd file(memfd_create("input", MFD_CLOEXEC));
  if (file.get() < 0 ||
      write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return fail(Code::kExhausted, fmt::format("no memory for input: {}", std::strerror(errno)));
  lseek(file.get(), 0, SEEK_SET);
  return file;
}

Result<pid_t> spawn(const std::vector<std::string>& arguments, int in, int out, int err) {
  SpawnSetup setup;
  if (in < 0)
    posix_spawn_file_actions_addopen(&setup.actions, 0, "/dev/null", O_RDONLY, 0);
  else
    posix_spawn_file_actions_adddup2(&setup.actions, in, 0);
  posix_spawn_file_actions_adddup2(&setup.actions, out, 1);
  posix_spawn_file_actions_adddup2(&setup.actions, err, 2);
  // Libraries may have left descriptors without close-on-exec.
  posix_spawn_file_actions_addclosefrom_np(&setup.actions, 3);
  sigset_t none;
  sigemptyset(&none);
  sigset_t defaults;
  sigemptyset(&defaults);
  for (int signal : {SIGTERM, SIGINT, SIGPIPE, SIGCHLD}) sigaddset(&defaults, signal);
  posix_spawnattr_setsigmask(&setup.attributes, &none);
  posix_spawnattr_setsigdefault(&setup.attributes, &defaults);
  posix_spawnattr_setpgroup(&setup.attributes, 0);
  posix_spawnattr_setflags(&setup.attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::vector<char*> argv;
  for (const std::string& each : arguments) argv.push_back(const_cast<char*>(each.c_str()));
  argv.push_back(nullptr);
  pid_t pid = 0;
  int rc = posix_spawnp(&pid, argv[0], &setup.actions, &setup.attributes, argv.data(), environ);
  if (rc != 0)
    return fail(Code::kUnavailable,
                fmt::format("cannot start {}: {}", arguments[0], std::strerror(rc)));
  return pid;
}

// Reads what is there. False at the end of the stream.
bool drain(const Fd& fd, std::string& into, std::size_t most,
           const std::function<void(std::string_view)>& on_output) {
  std::array<char, 4096> chunk;
  ssize_t got = read(fd.get(), chunk.data(), chunk.size());
  if (got < 0) return errno == EINTR || errno == EAGAIN;
  if (got == 0) return false;
  std::string_view text(chunk.data(), static_cast<std::size_t>(got));
  if (on_output) on_output(text);
  into.append(text.substr(0, most - std::min(most, into.size())));
  return true;
}

enum class Ending : std::uint8_t { kClosed, kSilent, kOverdue, kStopped };

using Clock = std::chrono::steady_clock;

Ending read_all(Pipe& out, Pipe& err, const ProcessLimits& limits, const StopFlag& stop,
                const std::function<void(std::string_view)>& on_output, ProcessResult& result) {
  bool out_open = true;
  bool err_open = true;
  const bool bounded = limits.total > Duration{};
  const auto end = Clock::now() + limits.total;
  while (out_open || err_open) {
    std::array<pollfd, 3> watched = {{{out_open ? out.read.get() : -1, POLLIN, 0},
                                      {err_open ? err.read.get() : -1, POLLIN, 0},
                                      {stop.descriptor(), POLLIN, 0}}};
    Duration left = bounded ? std::max(Duration(end - Clock::now()), Duration{}) : limits.silence;
    if (bounded && left == Duration{}) return Ending::kOverdue;  // also of one that never is silent
    bool overdue_first = bounded && (limits.silence <= Duration{} || left <= limits.silence);
    Duration most = overdue_first ? left : limits.silence;
    auto most_ms = std::chrono::ceil<std::chrono::milliseconds>(most).count();
    int rc = poll(watched.data(), watched.size(), static_cast<int>(most_ms));
    if (rc < 0 && errno == EINTR) continue;
    if (rc == 0) return overdue_first ? Ending::kOverdue : Ending::kSilent;
    if (watched[2].revents != 0) return Ending::kStopped;
    if (watched[0].revents != 0)
      out_open = drain(out.read, result.output, limits.max_output, on_output);
    if (watched[1].revents != 0) err_open = drain(err.read, result.errors, limits.max_output, {});
  }
  return Ending::kClosed;
}

// A child may close its output and live on.
Ending await_end(pid_t pid, Clock::time_point end, const StopFlag& stop) {
  Fd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));  // glibc 2.36 has it for C only
  while (process.get() >= 0) {
    Duration left = std::max(Duration(end - Clock::now()), Duration{});
    std::array<pollfd, 2> watched = {{{process.get(), POLLIN, 0}, {stop.descriptor(), POLLIN, 0}}};
    int rc = poll(watched.data(), watched.size(),
                  static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count()));
    if (rc < 0 && errno == EINTR) continue;
    if (rc == 0) return Ending::kOverdue;
    return watched[0].revents != 0 ? Ending::kClosed : Ending::kStopped;
  }
  return Ending::kClosed;
}

}  // namespace

StopFlag::StopFlag() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
StopFlag::~StopFlag() {
  close(event_);
}
void StopFlag::set() {
  set_ = true;
  eventfd_write(event_, 1);
}

Result<ProcessResult> run_process(const std::vector<std::string>& arguments,
                                  const ProcessLimits& limits, const StopFlag& stop,
                                  const std::function<void(std::string_view)>& on_output,
                                  std::string_view input) {
  CHOROK_ASSERT(limits.silence > Duration{} || limits.total > Duration{});
  if (stop.is_set()) return fail(Code::kCancelled, "the program is stopping");
  Pipe out = TRY(make_pipe());
  Pipe err = TRY(make_pipe());
  Fd in = input.empty() ? Fd() : TRY(make_input(input));
  pid_t pid = TRY(spawn(arguments, in.get(), out.write.get(), err.write.get()));
  out.write.close();
  err.write.close();
  ProcessResult result;
  const auto end = Clock::now() + limits.total;
  Ending ending = read_all(out, err, limits, stop, on_output, result);
  if (ending == Ending::kClosed)
    ending = await_end(pid, limits.total > Duration{} ? end : Clock::now() + limits.silence, stop);
  if (ending != Ending::kClosed) kill(-pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (ending == Ending::kStopped) return fail(Code::kCancelled, "the program is stopping");
  if (ending == Ending::kOverdue)
    return fail(Code::kTimeout, fmt::format("{} took longer than {:.0f} s and was killed",
                                            arguments[0], seconds(limits.total)));
  if (ending == Ending::kSilent)
    return fail(Code::kTimeout, fmt::format("{} said nothing for {:.0f} s and was killed",
                                            arguments[0], seconds(limits.silence)));
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace chorok::adapters::work
