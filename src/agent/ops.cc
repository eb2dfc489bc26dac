#include "agent/ops.h"

#include <algorithm>

namespace chorok::agent {
namespace {

constexpr Duration kReportInterval = std::chrono::milliseconds(500);

}  // namespace

void OpRun::report(model::Progress progress) {
  const Time now = world_.loop.now();
  if (has_reported_ && now - last_report_ < kReportInterval) return;
  has_reported_ = true;
  last_report_ = now;
  report_(std::move(progress));
}

void OpRun::cancel() {
  cancelled_ = true;
  if (auto fn = std::exchange(on_cancel_, nullptr)) fn();
  wake(Wake::kCancelled);
}

void OpRun::changed() {
  has_changed_ = true;
  wake(Wake::kChanged);
}

void OpRun::begin_wait(Duration timeout, Done<Wake> done) {
  waiting_ = std::move(done);
  if (has_changed_ || cancelled_) timeout = {};
  timer_ = world_.loop.after(timeout, [this] {
    wake(cancelled_ ? Wake::kCancelled : has_changed_ ? Wake::kChanged : Wake::kTimer);
  });
}

void OpRun::wake(Wake why) {
  if (!waiting_) return;
  world_.loop.cancel(std::exchange(timer_, 0));
  has_changed_ = false;
  std::exchange(waiting_, nullptr)(why);
}

bool is_active(model::VmState state) {
  using model::VmState;
  return state == VmState::kOn || state == VmState::kPaused || state == VmState::kStarting ||
         state == VmState::kStopping;
}

Flow<Result<std::vector<model::Instance>>> look_at_all(OpRun& run) {
  co_return co_await callback<Result<std::vector<model::Instance>>>(
      [&](auto done) { run.hypervisor().list(std::move(done)); });
}

Flow<Result<std::optional<model::Instance>>> look(OpRun& run) {
  auto instances = CO_TRY(co_await look_at_all(run));
  auto found = std::ranges::find(instances, run.uuid(), &model::Instance::uuid);
  if (found == instances.end()) co_return std::optional<model::Instance>();
  co_return std::optional<model::Instance>(std::move(*found));
}

}  // namespace chorok::agent
