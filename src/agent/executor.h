// Runs operations side by side, those of one VM one after the other, and says what came of each. It
// keeps nothing: the journal does.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>

#include "agent/ops.h"

namespace chorok::agent {

// Lives on the loop's thread. Destroying it abandons what runs: the world goes on with the call
// that is under way.
class Executor {
 public:
  struct Events {
    std::function<void(const model::OpProgress&)> progress;
    std::function<void(model::OpDone)> done;  // never from inside start() or cancel()
  };

  Executor(OpWorld world, Events events) : world_(world), events_(std::move(events)) {}
  ~Executor() { *alive_ = false; }
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  void start(model::Operation operation, OpContext context);
  // Does nothing for an operation that does not run.
  void cancel(const std::string& id);
  // Something of this domain changed, or of any ("").
  void changed(const std::string& uuid);
  bool idle() const { return jobs_.empty(); }

 private:
  struct Job {
    std::unique_ptr<OpRun> run;
    FlowRoot flow;  // dies before the run it works on
    bool started = false;
  };
  using Jobs = std::list<Job>;

  bool must_wait(Jobs::iterator job);
  void begin(Job& job);
  void finished(const std::string& id, Result<model::TaskResult> result);
  void begin_waiting();
  Jobs::iterator find(const std::string& id);

  OpWorld world_;
  Events events_;
  Jobs jobs_;  // in order of arrival
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// An error as a result: what nobody can know from it is `unknown`.
model::OpDone done_of(const model::Operation& operation, Result<model::TaskResult> result);
model::Problem problem_of(const Error& error);

}  // namespace chorok::agent
