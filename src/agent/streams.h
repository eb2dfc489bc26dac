// The production Streams: consoles and screens pumped between a guest and a WebSocket of their own
// to the manager, files fetched into datastores. Whatever may hang on a disk or a network file
// system runs on a thread of its own.
#pragma once

#include <memory>

#include "agent/core.h"
#include "agent/dialer.h"

namespace chorok::agent {

struct StreamSettings {
  // A viewer that is so far behind has lost its network; closing it tells it so.
  std::size_t unsent_max = 4 * 1024 * 1024;
  int transfers_max = 2;  // more only share the disk
  Duration transfer_timeout = std::chrono::hours(12);
};

// Lives on the loop's thread. The hypervisor and the link outlive it.
class NetStreams final : public Streams {
 public:
  NetStreams(Loop& loop, net::Executor executor, ports::Hypervisor& hypervisor, ManagerLink& link,
             StreamSettings settings = {});
  ~NetStreams() override;

  void open(model::StreamRequest request, Done<Result<>> done) override;
  void receive(model::FileRequest request, std::string root,
               Done<Result<model::FileInfo>> done) override;
  void list(model::FileRequest request, std::string root,
            Done<Result<model::FileList>> done) override;
  void remove(model::FileRequest request, std::string root, Done<Result<>> done) override;

 private:
  struct State;
  template <class T, class Job>
  void run_apart(Job job, Done<Result<T>> done);
  std::shared_ptr<State> state_;
};

}  // namespace chorok::agent
