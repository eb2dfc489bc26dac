#include "adapters/power/fence.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <pugixml.hpp>
#include <utility>

#include "adapters/power/text.h"
#include "adapters/work/process.h"

namespace chorok::adapters::power {

namespace {

constexpr std::size_t kOptionsMax = 64;
constexpr std::size_t kValueMax = 1024;
constexpr std::size_t kMetadataMax = 256 << 10;

bool is_word(std::string_view text, bool dashes) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || (dashes && c == '-');
  });
}

// Options by which an agent would start a program, or read or write a file, of the caller's choice.
bool reaches_this_machine(std::string_view key) {
  static constexpr std::array kEndings = {"script", "path", "file", "options", "exec", "debug"};
  return std::ranges::any_of(kEndings, [&](std::string_view end) { return key.ends_with(end); });
}

Result<> check(const FenceOptions& fence) {
  if (!fence.agent.starts_with("fence_") || !is_word(fence.agent, false))
    return fail(Code::kInvalid, "a fence agent's name is fence_ and small letters", "/agent");
  if (fence.options.size() + fence.local_options.size() > kOptionsMax)
    return fail(Code::kInvalid, fmt::format("at most {} options", kOptionsMax), "/options");
  for (const auto* each : {&fence.options, &fence.local_options})
    for (const auto& [key, value] : *each) {
      const std::string field = "/options/" + key;
      if (!is_word(key, true)) return fail(Code::kInvalid, "no option's name", field);
      TRY(check_line(value, field, kValueMax));
      if (key == "action" || key == "method")
        return fail(Code::kInvalid, "Chorok chooses the action itself", field);
    }
  for (const auto& [key, value] : fence.options)
    if (reaches_this_machine(key))
      return fail(Code::kPermissionDenied,
                  "this option reaches programs or files of the manager's machine: it can only be "
                  "set there",
                  "/options/" + key);
  return {};
}

class FenceSwitch final : public PowerDriver {
 public:
  explicit FenceSwitch(FenceOptions options) : options_(std::move(options)) {}

  Result<model::PowerCapabilities> capabilities() override {
    auto ended = TRY(work::run_process({path(), "-o", "metadata"}, limits(kMetadataMax), stop_));
    if (ended.exit_code != 0)
      return fail(Code::kUnavailable, fmt::format("{} does not say what it can: {}", options_.agent,
                                                  last_line(ended.errors)));
    model::PowerCapabilities can = TRY(parse_fence_metadata(ended.output));
    can.driver = options_.agent;
    // That the agent can is not that this device answers.
    TRY(status());
    return can;
  }

  Result<model::ChassisPower> status() override {
    auto ended = run("status");
    if (!ended && ended.error().code == Code::kTimeout)
      return fail(Code::kUnavailable, ended.error().message);
    work::ProcessResult result = TRY(std::move(ended));
    if (result.output.contains("Status: ON")) return model::ChassisPower::kOn;
    if (result.output.contains("Status: OFF")) return model::ChassisPower::kOff;
    return fail(Code::kUnavailable,
                fmt::format("{}: {}", options_.agent, last_line(result.output + result.errors)));
  }

  Result<> send(Command command) override {
    if (command == Command::kSoftOff)
      return fail(Code::kUnsupported, fmt::format("{} cannot ask the operating system to stop: "
                                                  "stop it from inside, then switch off",
                                                  options_.agent));
    auto ended = run(command == Command::kOn ? "on" : "off");
    if (!ended && ended.error().code == Code::kTimeout)
      return fail(Code::kUnknown, ended.error().message);
    work::ProcessResult result = TRY(std::move(ended));
    if (result.exit_code == 0) return {};
    // It was taken and has not worked yet; the status says the rest.
    if ((result.output + result.errors).contains("Timed out waiting to power")) return {};
    // An agent's failure does not say how far it came.
    return fail(Code::kUnknown,
                fmt::format("{}: {}", options_.agent, last_line(result.output + result.errors)));
  }

  void stop() override { stop_.set(); }

 private:
  std::string path() const { return options_.folder + "/" + options_.agent; }
  work::ProcessLimits limits(std::size_t output) const {
    return {.total = options_.call_limit, .max_output = output};
  }
  Result<work::ProcessResult> run(std::string_view action) {
    std::string input;
    for (const auto* each : {&options_.options, &options_.local_options})
      for (const auto& [key, value] : *each) input += fmt::format("{}={}\n", key, value);
    input += fmt::format("action={}\n", action);
    return work::run_process({path()}, limits(16 << 10), stop_, {}, input);
  }

  FenceOptions options_;
  work::StopFlag stop_;
};

}  // namespace

Result<model::PowerCapabilities> parse_fence_metadata(std::string_view xml) {
  pugi::xml_document document;
  if (xml.size() > kMetadataMax || !document.load_buffer(xml.data(), xml.size()))
    return fail(Code::kInvalid, "the agent's description is no XML");
  pugi::xml_node agent = document.child("resource-agent");
  if (!agent) return fail(Code::kInvalid, "the agent's description describes no agent");
  model::PowerCapabilities can;
  can.device = std::string(std::string_view(agent.attribute("shortdesc").value()).substr(0, 80));
  for (pugi::xml_node action : agent.child("actions").children("action")) {
    const std::string_view name = action.attribute("name").value();
    if (name == "status") can.status = true;
    if (name == "on") can.on = true;
    if (name == "off") can.off = true;
  }
  can.cycle = can.on && can.off;
  return can;
}

bool has_fence_agent(const std::string& agent, const std::string& folder) {
  return is_word(agent, false) && ::access((folder + "/" + agent).c_str(), X_OK) == 0;
}

Result<std::unique_ptr<PowerDriver>> make_fence_switch(FenceOptions options) {
  TRY(check(options));
  return std::make_unique<FenceSwitch>(std::move(options));
}

}  // namespace chorok::adapters::power
