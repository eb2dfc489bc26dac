// Starting, stopping and pausing.
#include <fmt/format.h>

#include "agent/ops.h"

namespace chorok::agent {
namespace {

using model::VmState;

constexpr Duration kShutdownTimeout = std::chrono::seconds(60);
// A guest that was still booting when it was asked has not heard it.
constexpr Duration kAskAgain = std::chrono::seconds(10);

using Reached = bool (*)(VmState state);

// Does one thing whose success can be seen. An error is held against what is there afterwards:
// libvirt reports failures of calls that did what they should.
template <class Call>
OpFlow reach(OpRun& run, Reached reached, Call call) {
  Result<> done = co_await callback<Result<>>(std::move(call));
  if (done) co_return model::TaskResult{};
  auto seen = co_await look(run);
  if (seen && reached(*seen ? (*seen)->state : VmState::kOff))
    co_return model::TaskResult{.message = "done, although: " + done.error().message};
  Error error = std::move(done).error();
  if (error.code == Code::kTimeout) error.code = Code::kUnknown;
  co_return Unexpected(std::move(error));
}

Error not_here(const OpRun& run) {
  return {Code::kNotFound, fmt::format("this host has no VM '{}'", run.vm().name), {}};
}

Error takes_too_long(const OpRun& run, Duration timeout) {
  return {Code::kTimeout,
          fmt::format("the guest of '{}' did not shut down within {:.0f} s; it may ignore the "
                      "power button: use --hard to pull the plug",
                      run.vm().name, seconds(timeout)),
          {}};
}

}  // namespace

OpFlow run_start(OpRun& run) {
  auto runs = [](VmState state) { return state == VmState::kOn || state == VmState::kPaused; };
  return reach(run, runs, [&run](Done<Result<>> done) {
    run.hypervisor().start(run.uuid(), run.args().paused, std::move(done));
  });
}

namespace {

// QEMU writes UEFI's variables, which came with a guest that was held for its move, to their file
// only when it lets the guest go. So it does, until the next call ends it: the firmware's first
// instructions, long before it looks at a disk.
Flow<Result<>> let_firmware_be_written(OpRun& run) {
  const bool is_due = run.args().paused && run.vm().spec.firmware == model::Firmware::kUefi;
  if (!is_due) co_return Result<>();
  const auto seen = CO_TRY(co_await look(run));
  if (!seen || seen->state != VmState::kPaused) co_return Result<>();
  co_return co_await callback<Result<>>(
      [&](auto done) { run.hypervisor().resume(run.uuid(), std::move(done)); });
}

}  // namespace

OpFlow run_destroy(OpRun& run) {
  auto is_off = [](VmState state) { return !is_active(state) && state != VmState::kUnknown; };
  CO_TRY(co_await let_firmware_be_written(run));
  co_return co_await reach(run, is_off, [&run](Done<Result<>> done) {
    run.hypervisor().destroy(run.uuid(), std::move(done));
  });
}

OpFlow run_suspend(OpRun& run) {
  return reach(
      run, [](VmState state) { return state == VmState::kPaused; },
      [&run](Done<Result<>> done) { run.hypervisor().suspend(run.uuid(), std::move(done)); });
}

OpFlow run_resume(OpRun& run) {
  return reach(
      run, [](VmState state) { return state == VmState::kOn; },
      [&run](Done<Result<>> done) { run.hypervisor().resume(run.uuid(), std::move(done)); });
}

OpFlow run_save(OpRun& run) {
  return reach(
      run, [](VmState state) { return state == VmState::kSaved; },
      [&run](Done<Result<>> done) { run.hypervisor().save(run.uuid(), std::move(done)); });
}

OpFlow run_reboot(OpRun& run) {
  CO_TRY(co_await callback<Result<>>(
      [&](auto done) { run.hypervisor().reboot(run.uuid(), run.args().hard, std::move(done)); }));
  co_return model::TaskResult{};
}

OpFlow run_shutdown(OpRun& run) {
  if (run.args().hard) co_return co_await run_destroy(run);
  const Duration timeout = run.args().timeout > Duration{} ? run.args().timeout : kShutdownTimeout;
  const Time deadline = run.loop().now() + timeout;
  Time ask_at = run.loop().now();
  for (;;) {
    auto seen = co_await look(run);
    if (seen && !*seen) co_return Unexpected(not_here(run));
    if (seen && !is_active((*seen)->state) && (*seen)->state != VmState::kUnknown)
      co_return model::TaskResult{};
    if (seen && (*seen)->state == VmState::kPaused)
      co_return fail(Code::kFailedPrecondition,
                     fmt::format("'{}' is suspended, so its guest cannot hear: resume it first, or "
                                 "use --hard",
                                 run.vm().name));
    if (run.cancelled())
      co_return fail(Code::kCancelled,
                     "nobody waits for it any more; the guest was asked and may still shut down");
    const Time now = run.loop().now();
    if (now >= deadline) co_return Unexpected(takes_too_long(run, timeout));
    if (now >= ask_at) {
      ask_at = now + kAskAgain;
      auto asked = co_await callback<Result<>>(
          [&](auto done) { run.hypervisor().shutdown(run.uuid(), std::move(done)); });
      // What cannot be asked at all will not become so; everything else the next look shows.
      if (!asked && asked.error().code == Code::kUnsupported)
        co_return Unexpected(std::move(asked).error());
    }
    co_await run.wait(std::min(deadline, ask_at) - run.loop().now());
  }
}

}  // namespace chorok::agent
