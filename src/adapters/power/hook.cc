#include "adapters/power/hook.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "adapters/power/text.h"

namespace chorok::adapters::power {

namespace {

class HookSwitch final : public PowerDriver {
 public:
  explicit HookSwitch(HookSwitchOptions options) : options_(std::move(options)) {}

  Result<model::PowerCapabilities> capabilities() override {
    TRY(status());
    return model::PowerCapabilities{.status = true,
                                    .on = has("on"),
                                    .off = has("off"),
                                    .shutdown = has("shutdown"),
                                    .cycle = has("on") && has("off"),
                                    .driver = "hook",
                                    .device = options_.hooks.folder + "/" + options_.name};
  }

  Result<model::ChassisPower> status() override {
    auto said = run("status");
    if (!said) return fail(Code::kUnavailable, said.error().message);
    const std::string_view word = trimmed(*said);
    if (word == "on") return model::ChassisPower::kOn;
    if (word == "off") return model::ChassisPower::kOff;
    return fail(Code::kUnavailable, fmt::format("{}-status prints neither on nor off but '{}'",
                                                options_.name, word.substr(0, 40)));
  }

  Result<> send(Command command) override {
    if (command == Command::kSoftOff && !has("shutdown"))
      return fail(Code::kUnsupported, fmt::format("there is no {}-shutdown", options_.name));
    const std::string_view what = command == Command::kOn    ? "on"
                                  : command == Command::kOff ? "off"
                                                             : "shutdown";
    auto ended = run(what);
    if (ended) return {};
    // A script that ended with an error does not say how far it came.
    if (ended.error().code == Code::kFailedPrecondition)
      return fail(Code::kUnknown, ended.error().message);
    return Unexpected(ended.error());
  }

  void stop() override { stop_.set(); }

 private:
  bool has(std::string_view what) const {
    return ::access(fmt::format("{}/{}-{}", options_.hooks.folder, options_.name, what).c_str(),
                    X_OK) == 0;
  }
  Result<std::string> run(std::string_view what) {
    return run_hook(options_.hooks, fmt::format("{}-{}", options_.name, what), stop_);
  }

  HookSwitchOptions options_;
  work::StopFlag stop_;
};

}  // namespace

Result<std::unique_ptr<PowerDriver>> make_hook_switch(HookSwitchOptions options) {
  const bool named = !options.name.empty() && options.name.size() <= 64 &&
                     std::ranges::all_of(options.name, [](unsigned char c) {
                       return std::isalnum(c) != 0 || c == '-' || c == '_';
                     });
  if (!named)
    return fail(
        Code::kInvalid,
        "is the name that its scripts in the hooks' folder begin with: letters, digits, - _",
        "/bmc/address");
  return std::make_unique<HookSwitch>(std::move(options));
}

}  // namespace chorok::adapters::power
