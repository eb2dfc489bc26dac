#include "agent/telemetry.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/flow.h"
#include "agent/spread.h"
#include "base/expiring.h"
#include "base/json.h"

namespace chorok::agent {
namespace {

constexpr std::size_t kDirtyWaitMax = 8;  // of one VM, behind the one that is measured
// A beat that comes a moment early is not waited past.
constexpr Duration kSlack = std::chrono::milliseconds(500);

}  // namespace

Telemetry::Telemetry(Loop& loop, ports::Hypervisor& hypervisor, std::string boot_id,
                     TelemetrySettings settings, Send send, std::function<bool()> quiet)
    : loop_(loop),
      hypervisor_(hypervisor),
      boot_id_(std::move(boot_id)),
      settings_(settings),
      send_(std::move(send)),
      quiet_(std::move(quiet)),
      spool_(settings_.medium, settings_.spool) {
  changed();
}

Telemetry::~Telemetry() {
  *alive_ = false;
  loop_.cancel(alone_);
}

void Telemetry::begin(bool listens) {
  connected_ = true;
  listens_ = listens;
  sending_ = false;
  ++session_;
  last_try_.reset();
  loop_.cancel(std::exchange(alone_, 0));
  send();
}

void Telemetry::end() {
  connected_ = false;
  changed();
}

void Telemetry::changed() {
  if (connected_ || alone_ != 0 || interval_ <= Duration{}) return;
  alone_ = loop_.after(interval_, [this] { tick_alone(); });
}

void Telemetry::tick_alone() {
  alone_ = 0;
  measure();
  if (vms_run_) changed();
}

void Telemetry::on_beat(bool vms_run) {
  if (!listens_ || interval_ <= Duration{}) return;
  const Duration interval = vms_run ? interval_ : std::max(interval_, settings_.idle_interval);
  if (!last_try_) {
    measure();
    last_try_ = loop_.now() - place_in(interval, boot_id_);
  } else if (loop_.now() - *last_try_ + kSlack >= interval) {
    measure();
  } else {
    send();  // what was not taken the last time
  }
}

void Telemetry::measure() {
  if (measuring_) return;
  measuring_ = true;
  last_try_ = loop_.now();
  awaited_ = 1 + settings_.meters.size();
  statistics_.reset();
  readings_.clear();
  hypervisor_.statistics(
      expiring<model::HostSample>(loop_, settings_.timeout, "libvirt",
                                  [this, alive = alive_](Result<model::HostSample> sample) {
                                    if (!*alive) return;
                                    statistics_ = std::move(sample);
                                    gathered();
                                  }));
  read_meters();
}

// At the same time: a few files that the kernel makes up. One that cannot be read now is missing
// from the sample, and the manager goes by what else it has.
void Telemetry::read_meters() {
  for (ports::PowerMeter* meter : settings_.meters)
    meter->read(
        expiring<model::PowerReading>(loop_, settings_.timeout, "meter",
                                      [this, alive = alive_](Result<model::PowerReading> reading) {
                                        if (!*alive) return;
                                        if (reading) readings_.push_back(std::move(*reading));
                                        gathered();
                                      }));
}

void Telemetry::gathered() {
  if (--awaited_ > 0) return;
  Result<model::HostSample> sample = std::move(*statistics_);
  if (sample) sample->power = std::move(readings_);
  measured(std::move(sample));
  for (Done<Result<>>& done : std::exchange(flushing_, {})) done(spool_.keep());
}

void Telemetry::flush(Done<Result<>> done) {
  flushing_.push_back(std::move(done));
  measure();
}

void Telemetry::resumed() {
  resumed_ = true;
  dirty_.clear();
}

void Telemetry::measured(Result<model::HostSample> sample) {
  measuring_ = false;
  if (!sample) return log_.debug("no sample: {}", sample.error().message);
  last_sample_ = loop_.now();
  last_uptime_ = sample->uptime;
  vms_run_ = !sample->vms.empty();
  std::erase_if(dirty_, [&](const auto& entry) {
    return std::ranges::find(sample->vms, entry.first, &model::VmSample::uuid) == sample->vms.end();
  });
  lives_.clear();
  for (model::VmSample& vm : sample->vms) {
    lives_[vm.uuid] = vm.life;
    auto rate = dirty_.find(vm.uuid);
    if (rate == dirty_.end() || rate->second.life != vm.life) continue;
    vm.dirty_known = true;
    vm.dirty_mib_s = rate->second.mib_s;
  }
  sample->boot_id = boot_id_;
  sample->time = last_sample_;
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(sample->uptime).count();
  last_sequence_ = std::max(last_sequence_ + 1, static_cast<std::uint64_t>(milliseconds));
  sample->resumed = std::exchange(resumed_, false);
  std::vector<model::VmSample> rest = std::move(sample->vms);
  for (std::size_t at = 0;; at += settings_.vms_per_sample) {
    const std::size_t end = std::min(rest.size(), at + settings_.vms_per_sample);
    sample->vms.assign(rest.begin() + static_cast<std::ptrdiff_t>(at),
                       rest.begin() + static_cast<std::ptrdiff_t>(end));
    sample->more = end < rest.size();
    sample->sequence = last_sequence_;
    // Of the host as a whole, with the last part.
    std::vector<model::PowerReading> power;
    if (sample->more) power.swap(sample->power);
    spool_.add(*sample);
    if (sample->more) power.swap(sample->power);
    if (!sample->more) break;
    sample->resumed = false;
    ++last_sequence_;
  }
  send();
  sample->vms = std::move(rest);
  measure_next_dirty_rate(*sample);
}

// One VM after the other, one a sample.
void Telemetry::measure_next_dirty_rate(const model::HostSample& sample) {
  if (!dirty_measured_.empty() || !quiet_()) return;
  const model::VmSample* next = nullptr;
  const model::VmSample* first = nullptr;
  for (const model::VmSample& vm : sample.vms) {
    if (vm.state != model::VmState::kOn) continue;
    if (first == nullptr || vm.uuid < first->uuid) first = &vm;
    if (vm.uuid > last_dirty_ && (next == nullptr || vm.uuid < next->uuid)) next = &vm;
  }
  if (next == nullptr) next = first;
  if (next == nullptr) return;
  last_dirty_ = next->uuid;
  measure_dirty_rate(next->uuid, settings_.dirty_window, [](Result<double>) {});
}

void Telemetry::measure_dirty_rate(std::string uuid, Duration window, Done<Result<double>> done) {
  const auto [measured, is_first] = dirty_measured_.try_emplace(uuid);
  if (!is_first) {
    if (measured->second.size() >= kDirtyWaitMax)
      return done(fail(Code::kUnavailable, "many ask for its dirty rate at once; ask again"));
    return measured->second.push_back({window, std::move(done)});
  }
  const auto life = lives_.find(uuid);
  const std::uint64_t known = life == lives_.end() ? 0 : life->second;
  auto finish = [this, uuid, known, alive = alive_,
                 done = std::move(done)](Result<double> rate) mutable {
    if (!*alive) return;
    std::vector<DirtyAsk> waiting = std::exchange(dirty_measured_[uuid], {});
    dirty_measured_.erase(uuid);
    if (rate && known != 0) dirty_[uuid] = {known, *rate};
    done(std::move(rate));
    // The first of them measures anew, the others wait for that one.
    for (DirtyAsk& each : waiting) measure_dirty_rate(uuid, each.window, std::move(each.done));
  };
  hypervisor_.dirty_rate(
      uuid, window,
      expiring<double>(loop_, window + settings_.timeout, "libvirt", std::move(finish)));
}

void Telemetry::send() {
  if (!connected_ || !listens_ || sending_ || spool_.empty()) return;
  sending_ = true;
  Spool::Batch batch = spool_.batch();
  std::string params =
      fmt::format(R"({{"boot_id":{},"uptime":{},"samples":{}}})", json::quoted(boot_id_),
                  seconds(uptime()), std::exchange(batch.samples, {}));
  send_(std::move(params), [this, batch = std::move(batch), session = session_,
                            alive = alive_](const Result<std::string>& answer) {
    if (*alive && session == session_) answered(batch, answer);
  });
}

void Telemetry::answered(const Spool::Batch& batch, const Result<std::string>& answer) {
  sending_ = false;
  if (!answer) {
    const Code code = answer.error().code;
    if (code == Code::kUnsupported) listens_ = false;
    if (code != Code::kInvalid) return;  // again on the next beat
    // It will never be taken, and would hold up all that comes after it.
    log_.error("the manager does not understand a sample: {}", answer.error().message);
  }
  spool_.acknowledge(batch);
  send();
}

}  // namespace chorok::agent
