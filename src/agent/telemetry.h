// Measures the host and its VMs and tells the manager: one bulk call and one message at a time, on
// some of the agent's beats. Each sample is told until it is taken, also those of a time without a
// manager. A host without VMs is measured once a minute.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/spool.h"
#include "base/log.h"
#include "base/loop.h"
#include "ports/channel.h"
#include "ports/hypervisor.h"
#include "ports/power_meter.h"

namespace chorok::agent {

struct TelemetrySettings {
  Duration idle_interval = std::chrono::minutes(1);  // without a VM
  Duration timeout = std::chrono::seconds(10);
  Duration dirty_window = std::chrono::seconds(1);
  std::size_t vms_per_sample = 400;  // more are told as several: a message has a size
  JournalMedium* medium = nullptr;   // where samples wait; null: in memory only
  SpoolSettings spool;
  // The host's own; they are read with each sample. Each outlives the agent's core.
  std::vector<ports::PowerMeter*> meters;
};

// Lives on the loop's thread.
class Telemetry {
 public:
  using Send = std::function<void(std::string params, ports::Channel::Reply reply)>;

  // `quiet`: no operation is at work, so that measuring a dirty rate is in nobody's way.
  Telemetry(Loop& loop, ports::Hypervisor& hypervisor, std::string boot_id,
            TelemetrySettings settings, Send send, std::function<bool()> quiet);
  ~Telemetry();
  Telemetry(const Telemetry&) = delete;
  Telemetry& operator=(const Telemetry&) = delete;

  // As the manager wishes; 0: nothing is measured.
  void set_interval(Duration interval) { interval_ = interval; }
  // A manager is there (which may be too old to listen), or it is gone.
  void begin(bool listens);
  void end();
  void on_beat(bool vms_run);
  // Something about the host's VMs changed.
  void changed();
  // Measures once more, tells it, and has on the disk what was not taken by then: the host is about
  // to go. kExhausted: the disk is full.
  void flush(Done<Result<>> done);
  // The same of what was measured already, on return.
  Result<> keep() { return spool_.keep(); }
  // At once, or after the one that is measured now, for somebody who asks; the next sample tells it
  // too. kUnavailable: too many ask. Otherwise errors are the hypervisor's.
  void measure_dirty_rate(std::string uuid, Duration window, Done<Result<double>> done);
  // The host has slept: what it counts from here on says nothing of that time.
  void resumed();
  const Spool& spool() const { return spool_; }

 private:
  struct DirtyAsk {
    Duration window{};
    Done<Result<double>> done;
  };
  struct Dirty {
    std::uint64_t life = 0;
    double mib_s = 0;
  };

  void tick_alone();
  void measure();
  void read_meters();
  void gathered();
  void measured(Result<model::HostSample> sample);
  void measure_next_dirty_rate(const model::HostSample& sample);
  void send();
  void answered(const Spool::Batch& batch, const Result<std::string>& answer);
  Duration uptime() const { return last_uptime_ + (loop_.now() - last_sample_); }

  Loop& loop_;
  ports::Hypervisor& hypervisor_;
  const std::string boot_id_;
  TelemetrySettings settings_;
  Send send_;
  std::function<bool()> quiet_;
  Log log_{"telemetry"};
  Spool spool_;
  Duration interval_ = std::chrono::seconds(10);
  bool connected_ = false;
  bool listens_ = false;
  std::uint64_t session_ = 0;
  bool sending_ = false;
  bool measuring_ = false;
  bool resumed_ = false;  // and no sample has said so yet
  std::vector<Done<Result<>>> flushing_;
  // Of the sample that is being measured: what it waits for.
  std::size_t awaited_ = 0;
  std::optional<Result<model::HostSample>> statistics_;
  std::vector<model::PowerReading> readings_;
  bool vms_run_ = true;           // until it is known
  std::optional<Time> last_try_;  // in this connection
  Time last_sample_{};
  Duration last_uptime_{};
  std::uint64_t last_sequence_ = 0;
  TimerId alone_ = 0;  // without a manager there is no beat to ride on
  std::map<std::string, std::vector<DirtyAsk>> dirty_measured_;  // now, by UUID
  std::map<std::string, std::uint64_t> lives_;                   // of the VMs of the last sample
  std::string last_dirty_;                                       // UUID of the VM whose turn it was
  std::map<std::string, Dirty> dirty_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chorok::agent
