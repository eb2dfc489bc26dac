#include "adapters/redfish/redfish.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "adapters/power/text.h"
#include "adapters/redfish/https.h"
#include "adapters/redfish/resources.h"
#include "base/json.h"

namespace chorok::adapters::redfish {

namespace {

using Command = power::PowerDriver::Command;

constexpr const char* kRoot = "/redfish/v1/";

// A path that a service named: of itself, and nothing that would end a line or change the host.
Result<std::string> own_path(const std::string& path, std::string_view what) {
  const bool plain = std::ranges::all_of(path, [](char c) { return c > ' ' && c < 0x7f; });
  if (path.size() < 2 || path.size() > 512 || path[0] != '/' || path[1] == '/' || !plain)
    return fail(Code::kUnsupported, fmt::format("the service names no {}", what));
  return path;
}

Result<> check(const RedfishOptions& options) {
  TRY(power::check_address(options.address));
  if (options.port < 1 || options.port > 65535)
    return fail(Code::kInvalid, "a port is 1 to 65535", "/port");
  TRY(power::check_line(options.user, "/user", 128));
  TRY(power::check_line(options.password, "/password", 256));
  if (options.user.contains(':'))
    return fail(Code::kInvalid, "a user's name has no colon", "/user");
  if (!options.fingerprint.empty() && plain_fingerprint(options.fingerprint).empty())
    return fail(Code::kInvalid, "a fingerprint is 64 hexadecimal digits (SHA-256)", "/fingerprint");
  if (!options.system.empty() && !own_path(options.system, "system"))
    return fail(Code::kInvalid, "a system is a path such as /redfish/v1/Systems/1", "/system");
  if (!(options.meter_error > 0 && options.meter_error < 1))
    return fail(Code::kInvalid, "a meter's error is a fraction between 0 and 1", "/meter_error");
  return {};
}

// What a service says of a refusal: the first sentence of its extended information.
std::string said(const Reply& reply) {
  std::size_t at = reply.body.find("\"Message\"");
  if (at == std::string::npos) return fmt::format("HTTP status {}", reply.status);
  std::string text = reply.body.substr(at, 200);
  return fmt::format("HTTP status {}: {}", reply.status, power::last_line(text));
}

// One service: logs in, reads resources, finds the system.
class Service {
 public:
  explicit Service(RedfishOptions options) : https_(std::move(options)) {}

  template <class T>
  Result<T> get(const std::string& path) {
    Reply reply = TRY(ask({.path = path}));
    if (reply.status != 200) return refused(reply, path);
    auto decoded = json::decode<T>(reply.body, {.stored = true});
    if (!decoded)
      return fail(Code::kInvalid,
                  fmt::format("BMC at {}: what it says at {} is not Redfish: {}",
                              https_.options().address, path, decoded.error().message));
    return decoded;
  }

  // With the password, as most take it; with a session where that is refused.
  Result<Reply> ask(Request request) {
    request.token = token();
    auto reply = https_.send(request);
    // A question without an answer asks nothing of the world.
    if (!reply && reply.error().code == Code::kUnknown && request.method == "GET")
      return fail(Code::kUnavailable, reply.error().message);
    if (!reply || reply->status != 401) return reply;
    request.token = TRY(log_in());
    return https_.send(request);
  }

  Result<System> system() {
    System found = TRY(get<System>(TRY(system_path())));
    return found;
  }

  Unexpected refused(const Reply& reply, const std::string& path) const {
    Code code = reply.status == 401 || reply.status == 403   ? Code::kPermissionDenied
                : reply.status == 404 || reply.status == 405 ? Code::kUnsupported
                                                             : Code::kUnavailable;
    return fail(code,
                fmt::format("BMC at {}, {}: {}", https_.options().address, path, said(reply)));
  }
  void stop() { https_.stop(); }
  const RedfishOptions& options() const { return https_.options(); }

 private:
  std::string token() {
    std::lock_guard lock(mutex_);
    return token_;
  }

  Result<std::string> log_in() {
    auto root = https_.send({.path = kRoot, .basic = false});
    std::string path = "/redfish/v1/SessionService/Sessions";
    if (root && root->status == 200)
      if (auto known = json::decode<ServiceRoot>(root->body, {.stored = true}))
        if (auto sessions = own_path(known->links.sessions.path, "sessions")) path = *sessions;
    LoginRequest login{.user = options().user, .password = options().password};
    auto reply = https_.send({.method = "POST",
                              .path = path,
                              .body = json::encode(login, {.secrets = true}),
                              .basic = false});
    if (!reply) return fail(Code::kUnavailable, reply.error().message);
    const bool plain =
        std::ranges::all_of(reply->token, [](char c) { return c > ' ' && c < 0x7f; });
    if (reply->status / 100 != 2 || reply->token.empty() || !plain)
      return fail(Code::kPermissionDenied,
                  fmt::format("BMC at {} refuses the user or the password", options().address));
    std::lock_guard lock(mutex_);
    token_ = reply->token;
    return token_;
  }

  Result<std::string> system_path() {
    if (!options().system.empty()) return options().system;
    {
      std::lock_guard lock(mutex_);
      if (!system_.empty()) return system_;
    }
    ServiceRoot root = TRY(get<ServiceRoot>(kRoot));
    Collection all = TRY(get<Collection>(TRY(own_path(root.systems.path, "systems"))));
    if (all.members.size() != 1)
      return fail(
          Code::kInvalid,
          fmt::format("BMC at {} has {} systems: say which", options().address, all.members.size()),
          "/system");
    std::string path = TRY(own_path(all.members[0].path, "system"));
    std::lock_guard lock(mutex_);
    system_ = path;
    return path;
  }

  Https https_;
  std::mutex mutex_;
  std::string token_;
  std::string system_;
};

class RedfishSwitch final : public power::PowerDriver {
 public:
  explicit RedfishSwitch(RedfishOptions options) : service_(std::move(options)) {}

  Result<model::PowerCapabilities> capabilities() override {
    System system = TRY(service_.system());
    const auto allowed = allowed_resets(system.actions.reset);
    auto can = [&](Command command) { return !resets_for(command, allowed).empty(); };
    model::PowerCapabilities found{.status = !system.power_state.empty(),
                                   .on = can(Command::kOn),
                                   .off = can(Command::kOff),
                                   .shutdown = can(Command::kSoftOff),
                                   .driver = "redfish"};
    found.cycle = found.on && found.off;
    found.device = power::last_line(system.manufacturer + " " + system.model);
    if (allowed.empty())
      found.warnings.emplace_back(
          "it does not say which resets it takes: they are tried one after the other");
    if (service_.options().fingerprint.empty() && service_.options().ca_file.empty())
      found.warnings.emplace_back("any certificate that the system's CAs vouch for is trusted");
    return found;
  }

  Result<model::ChassisPower> status() override {
    const std::string state = TRY(service_.system()).power_state;
    if (state == "On" || state == "PoweringOff") return model::ChassisPower::kOn;
    if (state == "Off") return model::ChassisPower::kOff;
    return model::ChassisPower::kUnknown;  // PoweringOn, Paused, and what is yet to come
  }

  Result<> send(Command command) override {
    System system = TRY(service_.system());
    const std::string target = TRY(own_path(system.actions.reset.target, "reset action"));
    const auto chain = resets_for(command, allowed_resets(system.actions.reset));
    Error last{Code::kUnsupported, "the service offers no reset for that", {}};
    for (const std::string& kind : chain) {
      Reply reply = TRY(service_.ask(
          {.method = "POST", .path = target, .body = json::encode(ResetRequest{kind})}));
      if (reply.status / 100 == 2) return {};
      // Some list a reset and refuse it.
      if (reply.status != 400 && reply.status != 501) return not_taken(reply, target, kind);
      last = {Code::kUnsupported, fmt::format("{} refused: {}", kind, said(reply)), {}};
    }
    return Unexpected(std::move(last));
  }

  void stop() override { service_.stop(); }

 private:
  // 4xx: it was not done. 409 and 5xx: who knows; the status will say.
  Result<> not_taken(const Reply& reply, const std::string& target, const std::string& kind) const {
    if (reply.status == 409 || reply.status >= 500)
      return fail(Code::kUnknown, fmt::format("{}: {}", kind, said(reply)));
    return service_.refused(reply, target);
  }

  std::vector<std::string> allowed_resets(const ResetAction& action) {
    if (!action.allowed.empty() || action.info.empty()) return action.allowed;
    auto path = own_path(action.info, "action info");
    if (!path) return {};
    auto info = service_.get<ActionInfo>(*path);
    if (!info) return {};
    for (const ActionParameter& each : info->parameters)
      if (each.name == "ResetType") return each.allowed;
    return {};
  }

  Service service_;
};

class RedfishMeter final : public power::MeterDriver {
 public:
  explicit RedfishMeter(RedfishOptions options) : service_(std::move(options)) {}

  Result<model::PowerReading> read() override {
    System system = TRY(service_.system());
    if (system.links.chassis.empty())
      return fail(Code::kUnsupported, "the service says of no chassis that the system is in it");
    Chassis chassis =
        TRY(service_.get<Chassis>(TRY(own_path(system.links.chassis[0].path, "chassis"))));
    std::optional<double> watts = TRY(watts_of(chassis));
    if (!watts) return fail(Code::kUnavailable, "the service has no power reading now");
    model::PowerReading reading;
    reading.watts = Watts(*watts);
    reading.source = model::WattSource::kMeasured;
    reading.method = model::MeterMethod::kRedfish;
    reading.error = service_.options().meter_error;
    return reading;
  }
  void stop() override { service_.stop(); }

 private:
  // The newer resource where there is one; the older was deprecated in 2020 and is what most have.
  Result<std::optional<double>> watts_of(const Chassis& chassis) {
    if (auto path = own_path(chassis.environment.path, "metrics")) {
      auto metrics = TRY(service_.get<EnvironmentMetrics>(*path));
      if (metrics.watts.reading) return metrics.watts.reading;
    }
    auto power = TRY(service_.get<ChassisPower>(TRY(own_path(chassis.power.path, "power"))));
    if (power.controls.empty()) return std::nullopt;
    return power.controls[0].watts;
  }

  Service service_;
};

}  // namespace

std::vector<std::string> resets_for(Command command, const std::vector<std::string>& allowed) {
  // GracefulRestart and ForceRestart are in none: iDRAC 8 takes the first for the second.
  static const std::vector<std::string> kOn = {"On", "ForceOn", "PushPowerButton"};
  static const std::vector<std::string> kOff = {"ForceOff"};
  static const std::vector<std::string> kSoft = {"GracefulShutdown", "PushPowerButton"};
  const auto& chain = command == Command::kOn ? kOn : command == Command::kOff ? kOff : kSoft;
  if (allowed.empty()) return chain;
  std::vector<std::string> found;
  std::ranges::copy_if(chain, std::back_inserter(found), [&](const std::string& each) {
    return std::ranges::find(allowed, each) != allowed.end();
  });
  return found;
}

Result<std::unique_ptr<power::PowerDriver>> make_redfish_switch(RedfishOptions options) {
  TRY(check(options));
  return std::make_unique<RedfishSwitch>(std::move(options));
}

Result<std::unique_ptr<power::MeterDriver>> make_redfish_meter(RedfishOptions options) {
  TRY(check(options));
  return std::make_unique<RedfishMeter>(std::move(options));
}

}  // namespace chorok::adapters::redfish
