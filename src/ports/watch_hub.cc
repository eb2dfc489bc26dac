#include "ports/watch_hub.h"

#include <algorithm>

namespace chorok::ports {

class WatchHub::Watcher {
 public:
  Watcher(std::string prefix, std::function<void(WatchEvent)> on_event)
      : prefix_(std::move(prefix)), on_event_(std::move(on_event)) {}

  bool open() const { return open_; }

  // The callback may be what closes the watch: it is then destroyed after it has returned.
  void close() {
    open_ = false;
    if (!running_) on_event_ = nullptr;
  }

  void start(Revision head, Backlog backlog) {
    if (!open_) return;
    if (backlog.compacted) {
      deliver({.kind = WatchEvent::Kind::kCompacted});
      close();
      return;
    }
    std::span<const Change> rest = backlog.changes;
    while (!rest.empty()) {
      auto other = std::ranges::find_if(
          rest, [&](const Change& change) { return change.revision != rest.front().revision; });
      auto count = static_cast<std::size_t>(other - rest.begin());
      offer(rest.first(count));
      rest = rest.subspan(count);
    }
    delivered_ = std::max(delivered_, head);
    started_ = true;
  }

  void publish(std::span<const Change> changes) {
    if (started_) offer(changes);
  }

 private:
  void offer(std::span<const Change> changes) {
    if (changes.empty() || changes.front().revision <= delivered_) return;
    delivered_ = changes.front().revision;
    WatchEvent event;
    for (const Change& change : changes)
      if (change.key.starts_with(prefix_)) event.changes.push_back(change);
    if (!event.changes.empty()) deliver(std::move(event));
  }

  void deliver(WatchEvent event) {
    if (!open_) return;
    running_ = true;
    on_event_(std::move(event));
    running_ = false;
    if (!open_) on_event_ = nullptr;
  }

  std::string prefix_;
  std::function<void(WatchEvent)> on_event_;
  Revision delivered_ = 0;
  bool open_ = true;
  bool started_ = false;
  bool running_ = false;
};

namespace {

class Handle final : public Watch {
 public:
  explicit Handle(std::shared_ptr<WatchHub::Watcher> watcher) : watcher_(std::move(watcher)) {}
  ~Handle() override { watcher_->close(); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

 private:
  std::shared_ptr<WatchHub::Watcher> watcher_;
};

}  // namespace

std::shared_ptr<WatchHub::Watcher> WatchHub::add(std::string prefix,
                                                 std::function<void(WatchEvent)> on_event) {
  if (!publishing_) std::erase_if(watchers_, [](const auto& watcher) { return !watcher->open(); });
  watchers_.push_back(std::make_shared<Watcher>(std::move(prefix), std::move(on_event)));
  return watchers_.back();
}

std::unique_ptr<Watch> WatchHub::handle(std::shared_ptr<Watcher> watcher) {
  return std::make_unique<Handle>(std::move(watcher));
}

void WatchHub::start(Watcher& watcher, Revision head, Backlog backlog) {
  watcher.start(head, std::move(backlog));
}

void WatchHub::publish(std::span<const Change> changes) {
  // By index and by copy: a callback may add watchers, which moves the vector.
  publishing_ = true;
  for (std::size_t i = 0; i < watchers_.size(); ++i) {
    std::shared_ptr<Watcher> watcher = watchers_[i];
    watcher->publish(changes);
  }
  publishing_ = false;
}

}  // namespace chorok::ports
