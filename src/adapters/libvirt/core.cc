#include "adapters/libvirt/core.h"

#include <fmt/format.h>
#include <libvirt/virterror.h>

#include <algorithm>
#include <array>

namespace chorok::adapters::libvirt {

namespace {

using CoreRef = std::weak_ptr<Core>;

void close_callback(virConnectPtr connection, int reason, void* opaque) {
  if (auto core = static_cast<CoreRef*>(opaque)->lock()) core->on_closed(connection, reason);
}
void free_ref(void* opaque) {
  delete static_cast<CoreRef*>(opaque);
}

// Libvirt keeps a connection alive for as long as a callback is registered on it.
void let_go(const Connection& connection, const std::vector<int>& events) {
  for (int id : events) virConnectDomainEventDeregisterAny(connection.get(), id);
  virConnectUnregisterCloseCallback(connection.get(), close_callback);
}

bool is_remote(const std::string& uri) {
  return std::ranges::any_of(std::array{"+tls:", "+tcp:", "+ssh:", "+libssh:", "+libssh2:"},
                             [&](const char* scheme) { return uri.find(scheme) < uri.find('/'); });
}

}  // namespace

const Log& Core::log() {
  static const Log kLog("libvirt");
  return kLog;
}

Result<Domain> find_domain(const Session& session, const std::string& uuid) {
  Domain domain(virDomainLookupByUUIDString(session.conn(), uuid.c_str()));
  if (domain == nullptr) {
    if (last_error_number() == VIR_ERR_NO_DOMAIN)
      return fail(Code::kNotFound, fmt::format("this host has no domain {}", uuid));
    return last_error("cannot look up the domain");
  }
  return domain;
}

Core::Core(Loop& loop, LibvirtOptions options)
    : options_(std::move(options)),
      facts_(read_host_facts()),
      loop_(&loop),
      backoff_(options_.reconnect_first),
      pool_(options_.workers) {}

void Core::begin() {
  pool_.submit("", [self = shared_from_this()] { self->try_connect(); });
}

void Core::shut() {
  cancel(retry_);
  {
    std::lock_guard lock(loop_mutex_);
    loop_ = nullptr;
  }
  changed_ = nullptr;
  pool_.stop();
  Connection last;
  std::vector<int> events;
  {
    std::lock_guard lock(mutex_);
    last.swap(connection_);
    events.swap(event_ids_);
    shut_ = true;
    tried_once_ = true;
    why_lost_ = Error{Code::kUnavailable, "the libvirt adapter is shutting down", {}};
    tried_.notify_all();
  }
  if (last != nullptr) let_go(last, events);
}

void Core::post(Work work) {
  std::lock_guard lock(loop_mutex_);
  if (loop_ == nullptr) return;
  loop_->post([weak = weak_from_this(), work = std::move(work)]() mutable {
    auto self = weak.lock();
    if (self != nullptr && self->loop_ != nullptr) work();  // loop_ changes on this thread only
  });
}

TimerId Core::after(Duration delay, Work work) {
  if (loop_ == nullptr) return 0;
  return loop_->after(delay, [weak = weak_from_this(), work = std::move(work)]() mutable {
    auto self = weak.lock();
    if (self != nullptr && self->loop_ != nullptr) work();
  });
}

void Core::cancel(TimerId timer) {
  if (loop_ != nullptr && timer != 0) loop_->cancel(timer);
}

void Core::subscribe(std::function<void(const std::string&, bool)> changed) {
  changed_ = std::move(changed);
}

void Core::notify(const std::string& uuid, bool connected) {
  if (changed_) changed_(uuid, connected);
}

void Core::changed(std::string uuid) {
  std::lock_guard lock(changes_mutex_);
  bool visit_due = changes_.empty();
  changes_.insert(std::move(uuid));
  if (!visit_due) return;
  post([this] {  // post() keeps us alive while it runs
    std::set<std::string> changes;
    {
      std::lock_guard guard(changes_mutex_);
      changes.swap(changes_);
    }
    for (const std::string& each : changes) notify(each, true);
  });
}

Result<Connection> Core::connection() {
  std::unique_lock lock(mutex_);
  tried_.wait(lock, [&] { return tried_once_; });
  if (connection_ == nullptr) return Unexpected(why_lost_);
  return connection_;
}

Result<Connection> Core::open() const {
  Connection fresh = own_connection(virConnectOpen(options_.uri.c_str()));
  if (fresh == nullptr) {
    bool no_driver = last_error_number() == VIR_ERR_NO_CONNECT;
    Unexpected error = last_error(fmt::format("libvirt at {} cannot be reached", options_.uri));
    if (no_driver) error.error().code = Code::kUnsupported;
    // A driver that this libvirt does not have will not come; all else may be better the next time.
    if (error.error().code != Code::kUnsupported) error.error().code = Code::kUnavailable;
    return error;
  }
  // Over a local socket a dead daemon is a closed socket, and asking would only wake both sides. A
  // host across the network can vanish without a word: 5 s, and three pings that go unanswered.
  if (is_remote(options_.uri)) virConnectSetKeepAlive(fresh.get(), 5, 3);
  return fresh;
}

Result<Connection> Core::open_another() const {
  return open();
}

void Core::try_connect() {
  Result<Connection> fresh = open();
  if (!fresh) return connect_failed(fresh.error());
  adopt_connection(std::move(*fresh));
}

void Core::adopt_connection(Connection fresh) {
  virNodeInfo node{};  // read once, before any worker may look at it
  if (facts_.core_mhz == Mhz{} && virNodeGetInfo(fresh.get(), &node) == 0) {
    facts_.core_mhz = Mhz(node.mhz);
    facts_.usable_cores = options_.simulated_cores.value_or(node.cpus);
  }
  auto* ref = new CoreRef(weak_from_this());
  if (virConnectRegisterCloseCallback(fresh.get(), close_callback, ref, free_ref) < 0) delete ref;
  std::vector<int> events = register_events(shared_from_this(), fresh.get());
  {
    std::lock_guard lock(mutex_);
    if (!shut_) {
      connection_ = std::move(fresh);
      event_ids_ = std::move(events);
    }
    tried_once_ = true;
    tried_.notify_all();
  }
  if (fresh != nullptr) return let_go(fresh, events);  // too late: nobody is left to use it
  post([this] {
    backoff_ = options_.reconnect_first;
    told_connected_ = true;
    log().info("connected uri={}", options_.uri);
    notify("", true);
  });
}

void Core::connect_failed(Error error) {
  {
    std::lock_guard lock(mutex_);
    why_lost_ = std::move(error);
    tried_once_ = true;
    tried_.notify_all();
  }
  post([this] { schedule_retry(); });
}

void Core::tell_lost() {
  if (!std::exchange(told_connected_, false)) return;
  std::string why;
  {
    std::lock_guard lock(mutex_);
    why = why_lost_.message;
  }
  log().warn("not connected uri={} reason=\"{}\"", options_.uri, why);
  notify("", false);
}

void Core::schedule_retry() {
  tell_lost();
  {
    std::lock_guard lock(mutex_);
    if (why_lost_.code == Code::kUnsupported) return;
  }
  retry_ = after(backoff_, [this] { begin(); });
  backoff_ = std::min(backoff_ * 2, options_.reconnect_most);
}

void Core::on_closed(virConnectPtr closed, int reason) {
  constexpr const char* kReasons[] = {"an I/O error", "end of stream", "keepalive timeout",
                                      "our own wish"};
  Connection lost;
  std::vector<int> events;
  {
    std::lock_guard lock(mutex_);
    if (connection_.get() != closed) return;
    lost.swap(connection_);
    events.swap(event_ids_);
    why_lost_ = Error{Code::kUnavailable,
                      fmt::format("the connection to libvirt at {} was lost ({}); it is being "
                                  "looked for",
                                  options_.uri, reason >= 0 && reason < 4 ? kReasons[reason] : "?"),
                      {}};
  }
  {
    std::lock_guard lock(news_mutex_);
    news_arrived_.notify_all();
  }
  post([this] { schedule_retry(); });
  // Not here: this is libvirt's callback for the very connection.
  pool_.submit("", [lost = std::move(lost), events = std::move(events)] { let_go(lost, events); });
}

void Core::judge_lost(const Connection& connection, Effect effect, Error& error) const {
  if (virConnectIsAlive(connection.get()) == 1) return;
  if (effect == Effect::kReads) {
    error.code = Code::kUnavailable;
    error.message = "the connection to libvirt was lost: " + error.message;
  } else {
    error.code = Code::kUnknown;
    error.message =
        "the connection to libvirt was lost during the call, so whether it happened is "
        "unknown: " +
        error.message;
  }
}

std::vector<std::string> Core::newly_silent(
    std::vector<std::pair<std::string, std::uint64_t>> silent) {
  std::ranges::sort(silent);
  std::vector<std::string> fresh;
  std::lock_guard lock(silent_mutex_);
  for (const auto& each : silent)
    if (!std::ranges::binary_search(silent_, each)) fresh.push_back(each.first);
  silent_ = std::move(silent);
  return fresh;
}

void Core::forget_news(const std::string& uuid) {
  std::lock_guard lock(news_mutex_);
  news_.erase(uuid);
}

}  // namespace chorok::adapters::libvirt
