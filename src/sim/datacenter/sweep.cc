#include "sim/datacenter/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "base/json.h"

namespace chorok::sim::datacenter {

namespace {

struct Job {
  ExperimentFile file;
  const TraceSet* traces = nullptr;
};

// What decides which demand an experiment has.
std::string demand_key(const ExperimentFile& file) {
  std::string key = fmt::format("{}|{}|{}|{}|{}", file.traces, file.interval_s, file.duration_s,
                                file.seed, file.mode == Mode::kHonest);
  return file.synthetic ? key + json::encode(*file.synthetic) : key;
}

Result<std::size_t> count_of(const SweepRequest& request) {
  std::size_t count = 1;
  for (const SweepAxis& axis : request.axes) {
    if (axis.values.empty())
      return fail(Code::kInvalid, fmt::format("{}: no values to try", axis.name));
    if (axis.values.size() > request.runs_max / count)
      return fail(Code::kInvalid,
                  fmt::format("more than {} combinations; vary less at once", request.runs_max));
    count *= axis.values.size();
  }
  return count;
}

// Workers take jobs in order; the thread that called waits, and tells how far they are.
class Crew {
 public:
  Crew(const std::vector<Job>& jobs, std::vector<SweepRun>& runs) : jobs_(jobs), runs_(runs) {}

  void work(unsigned threads, const std::function<void(std::size_t, std::size_t)>& progress) {
    if (progress) progress(0, jobs_.size());
    std::vector<std::jthread> workers;
    for (unsigned i = 0; i < threads; ++i) workers.emplace_back([this] { take_jobs(); });
    std::size_t told = 0;
    while (told < jobs_.size()) {
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return done_ > told; });
        told = done_;
      }
      if (progress) progress(told, jobs_.size());
    }
  }

 private:
  void take_jobs() {
    while (true) {
      std::size_t job = 0;
      {
        std::lock_guard lock(mutex_);
        if (next_ == jobs_.size()) return;
        job = next_++;
      }
      // Nobody else touches this run.
      auto report = run_experiment({.file = jobs_[job].file, .read_already = jobs_[job].traces});
      if (report)
        runs_[job].report = std::move(*report);
      else
        runs_[job].error = std::move(report).error();
      std::lock_guard lock(mutex_);
      ++done_;
      changed_.notify_one();
    }
  }

  const std::vector<Job>& jobs_;
  std::vector<SweepRun>& runs_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t next_ = 0;
  std::size_t done_ = 0;
};

}  // namespace

Result<std::vector<SweepRun>> run_sweep(const SweepRequest& request) {
  const std::size_t count = TRY(count_of(request));
  std::vector<SweepRun> runs(count);
  std::vector<Job> jobs(count);
  for (std::size_t i = 0; i < count; ++i) {
    jobs[i].file = request.base;
    std::size_t left = i;
    runs[i].values.resize(request.axes.size());
    for (std::size_t a = request.axes.size(); a-- > 0;) {
      const SweepAxis& axis = request.axes[a];
      runs[i].values[a] = axis.values[left % axis.values.size()];
      left /= axis.values.size();
    }
    for (std::size_t a = 0; a < request.axes.size(); ++a)
      TRY(set_field(jobs[i].file, request.axes[a].name, runs[i].values[a]));
  }
  std::map<std::string, TraceSet> demands;  // whose elements stay where they are
  for (Job& job : jobs) {
    const std::string key = demand_key(job.file);
    auto found = demands.find(key);
    if (found == demands.end())
      found = demands.emplace(key, TRY(open_traces(job.file, request.limits))).first;
    job.traces = &found->second;
  }
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  const unsigned threads = request.threads > 0 ? request.threads : cores;
  Crew(jobs, runs)
      .work(static_cast<unsigned>(std::min<std::size_t>(std::min(threads, 256U), count)),
            request.progress);
  return runs;
}

}  // namespace chorok::sim::datacenter
