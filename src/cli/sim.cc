// chorok sim: experiments of sim/datacenter from the command line.
#include <fmt/format.h>

#include "base/json.h"
#include "cli/bar.h"
#include "cli/handlers.h"
#include "cli/session.h"
#include "cli/sim.h"
#include "cli/text.h"
#include "cli/whole_file.h"
#include "sim/datacenter/experiment.h"
#include "sim/datacenter/html_report.h"

namespace chorok::cli {

namespace dc = sim::datacenter;

namespace {

// Figures to six digits: shares and bounds are compared with each other.
std::string report_text(const Value& report) {
  std::string out;
  for (const Field& field : dc::Report::type().fields) {
    const Value& value = report.get(field.name);
    if (value.is_null() || (value.is_string() && value.text().empty())) continue;
    out += fmt::format("{:<16}", field.name);
    out += value.is_string() ? std::string(value.text())
           : value.is_int()  ? std::to_string(value.integer())
                             : fmt::format("{:.6g}", value.number());
    if (field.name == "pue" && value.number() == 1) out += " (not applied)";
    out += "\n";
  }
  return out;
}

// Runs it under a bar on a terminal. Nothing is written before it is over, so that Ctrl-C needs
// only to say so.
Result<dc::Report> run_with_bar(Session& session, dc::ExperimentRequest request) {
  Bar bar(session, "stopped; nothing was written");
  bar.show(0, "reading the traces");
  if (bar.paints())
    request.progress = [&](double share) {
      bar.show(share, fmt::format("{:.0f} % of {}", 100 * share, printable(request.experiment)));
    };
  return dc::run_experiment(request);
}

}  // namespace

Result<dc::ExperimentRequest> experiment_request(const Invocation& call) {
  const std::string& name = call.args[0];
  dc::ExperimentRequest request{.experiment = name};
  auto known = dc::find_experiment(name);
  if (known)
    request.file = TRY(dc::parse_experiment((*known)->toml));
  else if (name.ends_with(".toml"))
    request.file = TRY(dc::read_experiment(name));
  else
    return std::unexpected(known.error());
  if (!call.has("traces") && request.file->traces.empty() && !request.file->synthetic)
    return usage_fail("say where the traces are: --traces FILE or FOLDER", "--traces");
  return request;
}

Result<std::pair<std::string, std::string>> split_setting(const std::string& setting) {
  const std::size_t equals = setting.find('=');
  if (equals == std::string::npos)
    return usage_fail(fmt::format("'{}': say --set NAME=VALUE", printable(setting)), "--set");
  return std::pair{setting.substr(0, equals), setting.substr(equals + 1)};
}

Result<int> run_sim(Session& session, const Invocation& call) {
  dc::ExperimentRequest request = TRY(experiment_request(call));
  request.traces = call.value("traces");
  request.policy = call.value("policy");
  for (const std::string& setting : call.values("set")) {
    const auto [name, value] = TRY(split_setting(setting));
    TRY(dc::set_field(*request.file, name, value));
  }
  std::string ticks;
  for (std::string_view flag : {"ticks", "report"})
    if (call.has(flag)) TRY(check_writable(std::string(call.value(flag))));
  if (call.has("ticks")) {
    ticks = fmt::format("{}\n", dc::csv_header());
    request.row = [&](const dc::TickRow& row) { ticks += dc::csv_line(row) + "\n"; };
  }
  dc::Recording recording;
  if (call.has("report")) request.recording = &recording;
  const dc::Report report = TRY(run_with_bar(session, std::move(request)));
  if (call.has("ticks")) TRY(write_whole(std::string(call.value("ticks")), ticks));
  if (call.has("report")) {
    TRY(write_whole(std::string(call.value("report")), dc::html_report(report, recording)));
    session.note(fmt::format("report: {}\n", call.value("report")));
  }
  const Value value = TRY(parse_json(json::encode(report)));
  if (session.is_structured())
    session.out_value(value);
  else
    session.out(report_text(value));
  return exit_code::kOk;
}

Result<int> run_sim_show(Session& session, const Invocation& call) {
  const dc::KnownExperiment& known = *TRY(dc::find_experiment(call.args[0]));
  if (session.is_structured())
    session.out_value(TRY(parse_json(json::encode(TRY(dc::parse_experiment(known.toml))))));
  else
    session.out(known.toml);
  return exit_code::kOk;
}

Result<int> run_sim_list(Session& session, const Invocation&) {
  Value list = Value::list();
  for (const dc::KnownExperiment& known : dc::known_experiments()) {
    Value policies = Value::list();
    for (std::string_view policy : known.policies) policies.push(policy);
    list.push(Value::object({{"name", known.name}, {"doc", known.doc}, {"policies", policies}}));
    if (session.is_structured()) continue;
    session.out(fmt::format("{}\n  {}\n  policies:", known.name, known.doc));
    for (std::string_view policy : known.policies) session.out(fmt::format(" {}", policy));
    session.out("\n");
  }
  if (session.is_structured()) session.out_value(list);
  return exit_code::kOk;
}

}  // namespace chorok::cli
