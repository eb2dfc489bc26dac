// Who watches a store, kept on the loop's thread. A store adds a watcher when asked, starts it with
// what it knows of the past, and publishes every transaction once, in order; the hub sees to
// prefixes, to watchers that end in the middle of a delivery, and that nobody gets a revision
// twice.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "ports/store.h"

namespace chorok::ports {

// What a store knows since a revision: transactions in order, or that it has forgotten some.
struct Backlog {
  bool compacted = false;
  std::vector<Change> changes;
};

class WatchHub {
 public:
  class Watcher;

  std::shared_ptr<Watcher> add(std::string prefix, std::function<void(WatchEvent)> on_event);
  static std::unique_ptr<Watch> handle(std::shared_ptr<Watcher> watcher);
  // Gives the watcher the past (already filtered or not) up to `head`, and from then on what is
  // published above it.
  static void start(Watcher& watcher, Revision head, Backlog backlog);
  // The changes of one transaction.
  void publish(std::span<const Change> changes);

 private:
  std::vector<std::shared_ptr<Watcher>> watchers_;
  bool publishing_ = false;
};

}  // namespace chorok::ports
