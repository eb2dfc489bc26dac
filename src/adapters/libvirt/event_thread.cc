#include "adapters/libvirt/event_thread.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <signal.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "adapters/libvirt/error.h"

namespace chorok::adapters::libvirt {

struct EventThread::Impl {
  std::atomic<bool> stop = false;
  std::thread thread;
};

namespace {

void ignore_error(void*, virErrorPtr) {}  // libvirt's own handler writes to stderr
void ignore_timer(int, void*) {}

Result<> initialize() {
  static std::once_flag once;
  static Result<> outcome;
  std::call_once(once, [] {
    // Libvirt's client writes to sockets that the daemon may just have closed: a dying libvirtd
    // would otherwise take this process with it. A handler that the program has set stays.
    struct sigaction now{};
    if (sigaction(SIGPIPE, nullptr, &now) == 0 && now.sa_handler == SIG_DFL)
      signal(SIGPIPE, SIG_IGN);
    virSetErrorFunc(nullptr, ignore_error);
    if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0)
      outcome = last_error("cannot start libvirt's client library");
  });
  return outcome;
}

}  // namespace

EventThread::EventThread() : impl_(std::make_unique<Impl>()) {
  impl_->thread = std::thread([impl = impl_.get()] {
    while (!impl->stop.load())
      if (virEventRunDefaultImpl() < 0)  // cannot happen; if it does, then not at full speed
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
  });
}

EventThread::~EventThread() {
  impl_->stop.store(true);
  // A timer that is due at once is what wakes the loop from another thread.
  int timer = virEventAddTimeout(0, ignore_timer, nullptr, nullptr);
  impl_->thread.join();
  if (timer >= 0) virEventRemoveTimeout(timer);
}

Result<std::shared_ptr<EventThread>> EventThread::acquire() {
  static std::mutex mutex;
  static std::weak_ptr<EventThread> current;
  TRY(initialize());
  std::lock_guard lock(mutex);
  std::shared_ptr<EventThread> thread = current.lock();
  if (thread == nullptr) {
    thread.reset(new EventThread());
    current = thread;
  }
  return thread;
}

}  // namespace chorok::adapters::libvirt
