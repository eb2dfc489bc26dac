#include "adapters/libvirt/streams.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

namespace chorok::adapters::libvirt {

namespace {

constexpr std::size_t kMaxUnread = 64 << 10;
constexpr std::size_t kMaxUnsent = 1 << 20;  // a paste; more is dropped with the stream
constexpr std::size_t kChunk = 16 << 10;

enum class Io : std::uint8_t { kOk, kWait, kEnd };

// What a stream is made of: bytes in, bytes out, a watch. Called with the pump's mutex held.
class Source {
 public:
  virtual ~Source() = default;
  virtual Io receive(char* data, std::size_t size, std::size_t& got) = 0;
  virtual Io send(const char* data, std::size_t size, std::size_t& sent) = 0;
  virtual void watch(bool readable, bool writable) = 0;
  virtual void close() = 0;
};

// Moves bytes between a Source and the loop. Owned by the stream's handle and, while a callback
// runs or data is on its way, by that.
class Pump : public std::enable_shared_from_this<Pump> {
 public:
  explicit Pump(Core& core) : core_(core.weak_from_this()) {}

  void begin(std::unique_ptr<Source> source) {
    std::lock_guard lock(mutex_);
    source_ = std::move(source);
  }

  // libvirt's event thread: the source can be read or written.
  void ready(bool readable, bool writable) {
    std::lock_guard lock(mutex_);
    if (source_ == nullptr) return;
    if (writable) flush();
    if (readable) fill();
    rewatch();
  }

  // The loop's thread.
  void on_data(std::move_only_function<void(std::span<const char>)> callback) {
    on_data_ = std::move(callback);
    std::lock_guard lock(mutex_);
    wants_data_ = true;
    rewatch();
  }
  void on_close(std::move_only_function<void(Error)> callback) {
    on_close_ = std::move(callback);
    std::lock_guard lock(mutex_);
    if (ended_) schedule_close();
  }
  void write(const std::string& bytes) {
    std::lock_guard lock(mutex_);
    if (source_ == nullptr) return;
    if (unsent_.size() + bytes.size() > kMaxUnsent)
      return end("the guest does not read what is typed");
    unsent_ += bytes;
    flush();
    rewatch();
  }
  void drop() {
    on_data_ = nullptr;
    on_close_ = nullptr;
    std::lock_guard lock(mutex_);
    dropped_ = true;
    if (source_ != nullptr) source_->close();
    source_.reset();
  }

 private:
  void rewatch() {
    if (source_ != nullptr)
      source_->watch(wants_data_ && unread_.size() < kMaxUnread, !unsent_.empty());
  }

  void fill() {
    std::array<char, kChunk> chunk;
    while (source_ != nullptr && unread_.size() < kMaxUnread) {
      std::size_t got = 0;
      Io io = source_->receive(chunk.data(), chunk.size(), got);
      if (io == Io::kWait) break;
      if (io == Io::kEnd) {
        end("the guest's side was closed");
        break;
      }
      unread_.append(chunk.data(), got);
    }
    if (!unread_.empty()) schedule_delivery();
  }

  void flush() {
    while (source_ != nullptr && !unsent_.empty()) {
      std::size_t sent = 0;
      Io io = source_->send(unsent_.data(), unsent_.size(), sent);
      if (io == Io::kWait) return;
      if (io == Io::kEnd) return end("the guest's side was closed");
      unsent_.erase(0, sent);
    }
  }

  void end(const char* why) {
    if (source_ != nullptr) source_->close();
    source_.reset();
    ended_ = true;
    why_ = why;
    schedule_close();
  }

  void schedule_delivery() {
    if (delivering_) return;
    delivering_ = true;
    post([this] { deliver(); });
  }
  void schedule_close() {
    post([this] {
      deliver();
      if (on_close_ && !std::exchange(close_told_, true))
        on_close_(Error{Code::kUnavailable, why_, {}});
    });
  }
  void post(Work work) {
    if (auto core = core_.lock())
      core->post([self = shared_from_this(), work = std::move(work)]() mutable { work(); });
  }
  void deliver() {
    std::string data;
    {
      std::lock_guard lock(mutex_);
      delivering_ = false;
      if (dropped_) return;
      data.swap(unread_);
      rewatch();
    }
    if (!data.empty() && on_data_) on_data_(data);
  }

  std::weak_ptr<Core> core_;
  std::move_only_function<void(std::span<const char>)> on_data_;  // loop's thread
  std::move_only_function<void(Error)> on_close_;                 // loop's thread
  bool close_told_ = false;                                       // loop's thread

  std::mutex mutex_;
  std::unique_ptr<Source> source_;
  std::string unread_;
  std::string unsent_;
  std::string why_;
  bool wants_data_ = false;
  bool delivering_ = false;
  bool ended_ = false;
  bool dropped_ = false;
};

// What libvirt is given to hand back in callbacks is a number, not a pointer: its remote streams
// never call the function that would free one, and may still call back while they are closed.
class Tickets {
 public:
  void* add(const std::shared_ptr<Pump>& pump) {
    std::lock_guard lock(mutex_);
    pumps_[++last_] = pump;
    return reinterpret_cast<void*>(last_);
  }
  std::shared_ptr<Pump> find(void* ticket) {
    std::lock_guard lock(mutex_);
    auto found = pumps_.find(reinterpret_cast<std::uintptr_t>(ticket));
    return found == pumps_.end() ? nullptr : found->second.lock();
  }
  void remove(void* ticket) {
    std::lock_guard lock(mutex_);
    pumps_.erase(reinterpret_cast<std::uintptr_t>(ticket));
  }

 private:
  std::mutex mutex_;
  std::uintptr_t last_ = 0;
  std::map<std::uintptr_t, std::weak_ptr<Pump>> pumps_;
};
// Of the process, as libvirt's event loop is.
Tickets& tickets() {
  static Tickets all;
  return all;
}

class LibvirtSource final : public Source {
 public:
  explicit LibvirtSource(Connection connection, Stream stream)
      : connection_(std::move(connection)), stream_(std::move(stream)) {}
  ~LibvirtSource() override { close(); }

  Result<> start(const std::shared_ptr<Pump>& pump) {
    ticket_ = tickets().add(pump);
    if (virStreamEventAddCallback(stream_.get(), kAlways, on_event, ticket_, nullptr) < 0)
      return last_error("cannot watch the console");
    return {};
  }
  Io receive(char* data, std::size_t size, std::size_t& got) override {
    int rc = virStreamRecv(stream_.get(), data, size);
    return outcome(rc, got);
  }
  Io send(const char* data, std::size_t size, std::size_t& sent) override {
    int rc = virStreamSend(stream_.get(), data, size);
    return outcome(rc, sent);
  }
  void watch(bool readable, bool writable) override {
    int events = kAlways | (readable ? int{VIR_STREAM_EVENT_READABLE} : 0) |
                 (writable ? int{VIR_STREAM_EVENT_WRITABLE} : 0);
    if (events == events_) return;
    events_ = events;
    virStreamEventUpdateCallback(stream_.get(), events);
  }
  void close() override {
    if (stream_ == nullptr) return;
    tickets().remove(ticket_);
    virStreamEventRemoveCallback(stream_.get());
    virStreamAbort(stream_.get());
    stream_.reset();
  }

 private:
  static constexpr int kAlways = VIR_STREAM_EVENT_HANGUP | VIR_STREAM_EVENT_ERROR;

  static Io outcome(int rc, std::size_t& count) {
    if (rc == -2) return Io::kWait;
    if (rc <= 0) return Io::kEnd;
    count = static_cast<std::size_t>(rc);
    return Io::kOk;
  }
  static void on_event(virStreamPtr, int events, void* opaque) {
    constexpr int kGone = VIR_STREAM_EVENT_HANGUP | VIR_STREAM_EVENT_ERROR;
    if (auto pump = tickets().find(opaque))
      pump->ready((events & (VIR_STREAM_EVENT_READABLE | kGone)) != 0,
                  (events & VIR_STREAM_EVENT_WRITABLE) != 0);
  }

  Connection connection_;
  Stream stream_;
  void* ticket_ = nullptr;
  int events_ = kAlways;
};

class SocketSource final : public Source {
 public:
  explicit SocketSource(int fd) : fd_(fd) {}
  ~SocketSource() override { close(); }

  Result<> start(const std::shared_ptr<Pump>& pump) {
    ticket_ = tickets().add(pump);
    watch_ = virEventAddHandle(fd_, 0, on_event, ticket_, nullptr);
    if (watch_ >= 0) return {};
    return last_error("cannot watch the screen");
  }
  Io receive(char* data, std::size_t size, std::size_t& got) override {
    return outcome(recv(fd_, data, size, MSG_DONTWAIT), got);
  }
  Io send(const char* data, std::size_t size, std::size_t& sent) override {
    return outcome(::send(fd_, data, size, MSG_DONTWAIT | MSG_NOSIGNAL), sent);
  }
  void watch(bool readable, bool writable) override {
    int events = (readable ? int{VIR_EVENT_HANDLE_READABLE} : 0) |
                 (writable ? int{VIR_EVENT_HANDLE_WRITABLE} : 0);
    if (watch_ >= 0) virEventUpdateHandle(watch_, events);
  }
  void close() override {
    tickets().remove(ticket_);
    if (watch_ >= 0) virEventRemoveHandle(watch_);
    watch_ = -1;
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  static Io outcome(ssize_t rc, std::size_t& count) {
    if (rc < 0 && (errno == EAGAIN || errno == EINTR)) return Io::kWait;
    if (rc <= 0) return Io::kEnd;
    count = static_cast<std::size_t>(rc);
    return Io::kOk;
  }
  static void on_event(int, int, int events, void* opaque) {
    if (auto pump = tickets().find(opaque))
      pump->ready((events & ~VIR_EVENT_HANDLE_WRITABLE) != 0,
                  (events & VIR_EVENT_HANDLE_WRITABLE) != 0);
  }

  int fd_;
  int watch_ = -1;
  void* ticket_ = nullptr;
};

class PumpStream final : public ports::ConsoleStream {
 public:
  explicit PumpStream(std::shared_ptr<Pump> pump) : pump_(std::move(pump)) {}
  ~PumpStream() override { pump_->drop(); }
  void on_data(std::move_only_function<void(std::span<const char>)> callback) override {
    pump_->on_data(std::move(callback));
  }
  void on_close(std::move_only_function<void(Error)> callback) override {
    pump_->on_close(std::move(callback));
  }
  void write(std::string bytes) override { pump_->write(bytes); }

 private:
  std::shared_ptr<Pump> pump_;
};

Result<> require_active(virDomainPtr domain, const char* what) {
  if (is_active(TRY(raw_state(domain)))) return {};
  return fail(Code::kFailedPrecondition,
              fmt::format("'{}' is not running: it has no {}", name_of(domain), what));
}

}  // namespace

Result<std::unique_ptr<ports::ConsoleStream>> open_console(const Session& session,
                                                           const std::string& uuid) {
  Domain domain = TRY(find_domain(session, uuid));
  TRY(require_active(domain.get(), "console"));
  Stream stream(virStreamNew(session.conn(), VIR_STREAM_NONBLOCK));
  if (stream == nullptr) return last_error("cannot make a stream");
  // Forced: the newest viewer takes the console, so that one who went away does not keep it.
  if (virDomainOpenConsole(domain.get(), nullptr, stream.get(), VIR_DOMAIN_CONSOLE_FORCE) < 0)
    return last_error(
        [&] { return fmt::format("cannot open the console of '{}'", name_of(domain.get())); });
  auto pump = std::make_shared<Pump>(session.core);
  auto source = std::make_unique<LibvirtSource>(session.connection, std::move(stream));
  TRY(source->start(pump));
  pump->begin(std::move(source));
  return std::make_unique<PumpStream>(std::move(pump));
}

Result<std::unique_ptr<ports::ConsoleStream>> open_vnc(const Session& session,
                                                       const std::string& uuid) {
  Domain domain = TRY(find_domain(session, uuid));
  TRY(require_active(domain.get(), "screen"));
  int fd = virDomainOpenGraphicsFD(domain.get(), 0, VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH);
  if (fd < 0)
    return last_error(
        [&] { return fmt::format("cannot open the screen of '{}'", name_of(domain.get())); });
  auto pump = std::make_shared<Pump>(session.core);
  auto source = std::make_unique<SocketSource>(fd);
  TRY(source->start(pump));
  pump->begin(std::move(source));
  return std::make_unique<PumpStream>(std::move(pump));
}

}  // namespace chorok::adapters::libvirt
