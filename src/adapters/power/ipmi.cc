#include "adapters/power/ipmi.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "adapters/power/text.h"
#include "adapters/work/process.h"

namespace chorok::adapters::power {

namespace {

constexpr std::size_t kPasswordMax = 20;

Result<> check(const IpmiOptions& options) {
  TRY(check_address(options.address));
  if (options.port < 1 || options.port > 65535)
    return fail(Code::kInvalid, "a port is 1 to 65535", "/port");
  TRY(check_line(options.user, "/user", 16));
  TRY(check_line(options.password, "/password", kPasswordMax));
  if (options.cipher_suite < -1 || options.cipher_suite > 17)
    return fail(Code::kInvalid, "a cipher suite is 0 to 17, or -1", "/cipher_suite");
  // Suite 0 needs no password of anybody, 1 and 2 leave the session unprotected or unencrypted.
  if (options.cipher_suite >= 0 && options.cipher_suite < 3)
    return fail(Code::kInvalid, "cipher suites 0 to 2 protect nothing; 3 or 17", "/cipher_suite");
  return {};
}

// One BMC by ipmitool.
class IpmiTool {
 public:
  explicit IpmiTool(IpmiOptions options) : options_(std::move(options)) {}

  // What it printed. kUnavailable: no session, so nothing was sent. kUnknown: it may have been.
  Result<std::string> run(std::initializer_list<const char*> words) {
    std::vector<std::string> arguments = {options_.ipmitool,
                                          "-I",
                                          "lanplus",
                                          "-H",
                                          options_.address,
                                          "-p",
                                          std::to_string(options_.port),
                                          "-U",
                                          options_.user,
                                          "-f",
                                          "/dev/stdin",
                                          "-N",
                                          "1",
                                          "-R",
                                          "4"};
    if (options_.cipher_suite >= 0) {
      arguments.emplace_back("-C");
      arguments.push_back(std::to_string(options_.cipher_suite));
    }
    arguments.insert(arguments.end(), words.begin(), words.end());
    auto ended =
        work::run_process(arguments, {.total = options_.call_limit, .max_output = 16 << 10}, stop_,
                          {}, options_.password + "\n");
    if (!ended && ended.error().code == Code::kTimeout)
      return fail(Code::kUnknown, fmt::format("the BMC at {} did not answer within {:.0f} s",
                                              options_.address, seconds(options_.call_limit)));
    if (!ended) return Unexpected(ended.error());
    if (ended->exit_code == 0) return std::move(ended->output);
    return failure(ended->errors + ended->output);
  }

  void stop() { stop_.set(); }
  const IpmiOptions& options() const { return options_; }

 private:
  struct Meaning {
    std::string_view text;
    Code code;
    std::string_view words;
  };
  Unexpected failure(const std::string& said) const {
    // In this order: the first that fits.
    static constexpr std::array kMeanings = {
        Meaning{"Unable to establish", Code::kUnavailable,
                "no session: it does not answer there, or refuses the user, password or cipher "
                "suite"},
        Meaning{"Address lookup", Code::kUnavailable, "its name is not known"},
        Meaning{"nsufficient privilege", Code::kPermissionDenied, "the user may not do that"},
        Meaning{"nvalid command", Code::kUnsupported, "it does not know the command"},
        Meaning{"not supported", Code::kUnsupported, "it does not support that now"},
    };
    for (const Meaning& each : kMeanings)
      if (said.contains(each.text))
        return fail(each.code, fmt::format("BMC at {}: {} (\"{}\")", options_.address, each.words,
                                           last_line(said)));
    return fail(Code::kUnknown,
                fmt::format("BMC at {}: \"{}\"", options_.address, last_line(said)));
  }

  IpmiOptions options_;
  work::StopFlag stop_;
};

// "Label   : value" of a line that begins with the label.
std::string labelled(std::string_view text, std::string_view label) {
  for (std::string_view line : lines(text)) {
    line = trimmed(line);
    std::size_t colon = line.find(':');
    if (colon != std::string_view::npos && trimmed(line.substr(0, colon)) == label)
      return std::string(trimmed(line.substr(colon + 1)).substr(0, 80));
  }
  return {};
}

class IpmiSwitch final : public PowerDriver {
 public:
  explicit IpmiSwitch(IpmiOptions options) : tool_(std::move(options)) {}

  Result<model::PowerCapabilities> capabilities() override {
    std::string about = TRY(tool_.run({"mc", "info"}));
    model::PowerCapabilities can{
        .status = true, .on = true, .off = true, .shutdown = true, .cycle = true, .driver = "ipmi"};
    can.device = fmt::format("{} firmware {}", labelled(about, "Manufacturer Name"),
                             labelled(about, "Firmware Revision"));
    if (tool_.options().cipher_suite == 3)
      can.warnings.emplace_back(
          "cipher suite 3 rests on SHA-1 and gives a hash of the password to whoever asks: keep "
          "BMCs on a network of their own");
    return can;
  }

  Result<model::ChassisPower> status() override {
    auto said = tool_.run({"chassis", "power", "status"});
    // A question that was lost changes nothing.
    if (!said && said.error().code == Code::kUnknown)
      return fail(Code::kUnavailable, said.error().message);
    std::string text = TRY(std::move(said));
    if (text.contains("Chassis Power is on")) return model::ChassisPower::kOn;
    if (text.contains("Chassis Power is off")) return model::ChassisPower::kOff;
    return model::ChassisPower::kUnknown;
  }

  Result<> send(Command command) override {
    const char* word = command == Command::kOn ? "on" : command == Command::kOff ? "off" : "soft";
    TRY(tool_.run({"chassis", "power", word}));
    return {};
  }

  void stop() override { tool_.stop(); }

 private:
  IpmiTool tool_;
};

class IpmiMeter final : public MeterDriver {
 public:
  explicit IpmiMeter(IpmiOptions options) : tool_(std::move(options)) {}

  Result<model::PowerReading> read() override {
    auto said = tool_.run({"dcmi", "power", "reading"});
    if (!said && said.error().code == Code::kUnknown)
      return fail(Code::kUnavailable, said.error().message);
    model::PowerReading reading = TRY(parse_dcmi_reading(TRY(std::move(said))));
    reading.error = tool_.options().meter_error;
    return reading;
  }
  void stop() override { tool_.stop(); }

 private:
  IpmiTool tool_;
};

// The number before `unit` in "123 Watts".
std::optional<double> number_of(std::string_view value, std::string_view unit) {
  double number = 0;
  auto [rest, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc()) return std::nullopt;
  if (trimmed(value.substr(static_cast<std::size_t>(rest - value.data()))) != unit)
    return std::nullopt;
  return number;
}

}  // namespace

Result<model::PowerReading> parse_dcmi_reading(std::string_view text) {
  auto watts = number_of(labelled(text, "Instantaneous power reading"), "Watts");
  if (!watts || *watts < 0)
    return fail(Code::kInvalid,
                fmt::format("the BMC's answer has no power reading: \"{}\"", last_line(text)));
  std::string state = labelled(text, "Power reading state is");
  if (state != "activated")
    return fail(Code::kUnavailable, fmt::format("the BMC's power reading is '{}'", state));
  model::PowerReading reading;
  reading.watts = Watts(*watts);
  reading.source = model::WattSource::kMeasured;
  reading.method = model::MeterMethod::kIpmiDcmi;
  return reading;
}

Result<std::unique_ptr<PowerDriver>> make_ipmi_switch(IpmiOptions options) {
  TRY(check(options));
  return std::make_unique<IpmiSwitch>(std::move(options));
}

Result<std::unique_ptr<MeterDriver>> make_ipmi_meter(IpmiOptions options) {
  TRY(check(options));
  if (!(options.meter_error > 0 && options.meter_error < 1))
    return fail(Code::kInvalid, "a meter's error is a fraction between 0 and 1", "/meter_error");
  return std::make_unique<IpmiMeter>(std::move(options));
}

}  // namespace chorok::adapters::power
