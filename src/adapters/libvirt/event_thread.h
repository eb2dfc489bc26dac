// The thread that runs libvirt's event loop. Libvirt keeps one loop for the whole process, so there
// is one such thread however many connections there are; it sleeps in poll() until libvirtd says
// something. It is started by the first holder and ends with the last.
#pragma once

#include <memory>

#include "base/result.h"

namespace chorok::adapters::libvirt {

class EventThread {
 public:
  static Result<std::shared_ptr<EventThread>> acquire();
  ~EventThread();
  EventThread(const EventThread&) = delete;
  EventThread& operator=(const EventThread&) = delete;

 private:
  EventThread();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace chorok::adapters::libvirt
