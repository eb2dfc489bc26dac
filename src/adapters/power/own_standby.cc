#include "adapters/power/own_standby.h"

#include <fmt/format.h>
#include <unistd.h>

#include "adapters/power/text.h"

namespace chorok::adapters::power {

namespace {

constexpr std::string_view kHook = "poweroff";

bool has_hook(const HookOptions& hooks) {
  return ::access(fmt::format("{}/{}", hooks.folder, kHook).c_str(), F_OK) == 0;
}

Result<> power_off(const OwnStandbyOptions& options, const work::StopFlag& stop) {
  if (has_hook(options.hooks)) {
    TRY(run_hook(options.hooks, kHook, stop));
    return {};
  }
  if (options.power_off.empty())
    return fail(Code::kUnsupported, "there is no hook to switch it off");
  auto ended = work::run_process(options.power_off,
                                 {.total = options.hooks.limit, .max_output = 64 << 10}, stop);
  if (!ended) return Unexpected(ended.error());
  if (ended->exit_code == 0) return {};
  return fail(Code::kFailedPrecondition,
              fmt::format("{} ended with {}: {}", fmt::join(options.power_off, " "),
                          ended->exit_code, last_line(ended->errors + ended->output)));
}

}  // namespace

OwnStandby::OwnStandby(Loop& loop, work::WorkerPool& pool, OwnStandbyOptions options)
    : options_(std::move(options)), blocking_(loop, pool) {}

OwnStandby::~OwnStandby() {
  stop_->set();
}

Result<> OwnStandby::can(model::Standby how) {
  if (how == model::Standby::kSuspend) {
    if (options_.suspend.state.empty())
      return fail(Code::kUnsupported, "this host is a slice of a machine: it cannot be suspended");
    return can_suspend(options_.suspend);
  }
  if (options_.power_off.empty() && !has_hook(options_.hooks))
    return fail(Code::kUnsupported, fmt::format("this host is a slice of a machine, and there is "
                                                "no {}/{} to switch it off",
                                                options_.hooks.folder, kHook));
  return {};
}

void OwnStandby::go(model::Standby how, Duration wake_after, Done<Result<>> done) {
  if (how == model::Standby::kSuspend)
    return blocking_.run<void>(
        "", [options = options_.suspend, wake_after] { return suspend(options, wake_after); },
        std::move(done));
  blocking_.run<void>(
      "", [options = options_, stop = stop_] { return power_off(options, *stop); },
      std::move(done));
}

}  // namespace chorok::adapters::power
