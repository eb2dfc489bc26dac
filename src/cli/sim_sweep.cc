// chorok sim sweep: an experiment in every combination of what is varied, as one table.
#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "cli/bar.h"
#include "cli/format.h"
#include "cli/handlers.h"
#include "cli/session.h"
#include "cli/sim.h"
#include "cli/table.h"
#include "sim/datacenter/sweep.h"

namespace chorok::cli {

namespace dc = sim::datacenter;

namespace {

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> out;
  while (true) {
    const std::size_t comma = text.find(',');
    out.emplace_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return out;
    text.remove_prefix(comma + 1);
  }
}

Result<std::vector<dc::SweepAxis>> axes_of(const Invocation& call) {
  std::vector<dc::SweepAxis> axes;
  if (call.has("traces")) axes.push_back({"traces", call.values("traces")});
  if (call.has("policy")) {
    axes.push_back({"policy", {}});
    for (const std::string& policies : call.values("policy"))
      std::ranges::move(split(policies), std::back_inserter(axes.back().values));
  }
  for (const std::string& setting : call.values("set")) {
    const auto [name, values] = TRY(split_setting(setting));
    axes.push_back({name, split(values)});
  }
  return axes;
}

Value row_of(const std::vector<dc::SweepAxis>& axes, const dc::SweepRun& run, const Value& report) {
  Value row = Value::object();
  Value set = Value::object();
  for (std::size_t a = 0; a < axes.size(); ++a) set.member(axes[a].name) = run.values[a];
  row.member("set") = set;
  if (run.error)
    row.member("error") = run.error->message;
  else
    row.member("report") = report;
  return row;
}

void show_table(Session& session, const std::vector<dc::SweepAxis>& axes,
                const std::vector<dc::SweepRun>& runs) {
  Table table;
  for (const dc::SweepAxis& axis : axes) table.columns.push_back({.title = printable(axis.name)});
  for (const char* title : {"KWH", "OVER BOUND", "UNMET", "OVERLOAD", "MIGRATIONS", "HOSTS ON"})
    table.columns.push_back({.title = title, .right_aligned = true});
  const auto priced =
      std::ranges::find_if(runs, [](const auto& r) { return r.report.cost.has_value(); });
  if (priced != runs.end())
    table.columns.push_back({.title = priced->report.currency, .right_aligned = true});
  const bool has_co2 =
      std::ranges::any_of(runs, [](const auto& r) { return r.report.co2_kg.has_value(); });
  if (has_co2) table.columns.push_back({.title = "KG CO2", .right_aligned = true});
  for (const dc::SweepRun& run : runs) {
    std::vector<Cell> row;
    for (const std::string& value : run.values) row.push_back({printable(value)});
    const dc::Report& r = run.report;
    if (run.error) {
      row.push_back({"failed", Tone::kBad});
      row.resize(table.columns.size());
    } else {
      row.push_back({fmt::format("{:.2f}", r.energy_kwh)});
      row.push_back({r.bound_kwh() > 0
                         ? fmt::format("{:+.1f} %", 100 * (r.energy_kwh / r.bound_kwh() - 1))
                         : ""});
      row.push_back({fmt::format("{:.4f} %", 100 * r.unmet_demand)});
      row.push_back({fmt::format("{:.4f} %", 100 * r.true_overload)});
      row.push_back({fmt::format("{}", r.migrations)});
      row.push_back({fmt::format("{}", r.host_on_count)});
      if (priced != runs.end()) row.push_back({r.cost ? fmt::format("{:.2f}", *r.cost) : ""});
      if (has_co2) row.push_back({r.co2_kg ? fmt::format("{:.2f}", *r.co2_kg) : ""});
    }
    table.rows.push_back(std::move(row));
  }
  const bool fits = session.terminal().out_is_terminal();
  session.out(render_table(
      table, {.width = fits ? session.terminal().width() : 0, .colours = session.colours()}));
}

Result<void> show_csv(Session& session, const std::vector<dc::SweepAxis>& axes,
                      const std::vector<dc::SweepRun>& runs) {
  std::vector<std::string> fields;
  for (const dc::SweepAxis& axis : axes) fields.push_back(axis.name);
  for (const Field& field : dc::Report::type().fields) fields.emplace_back(field.name);
  fields.emplace_back("error");
  session.out(csv_line(fields));
  for (const dc::SweepRun& run : runs) {
    fields = run.values;
    const Value report = TRY(parse_json(json::encode(run.report)));
    for (const Field& field : dc::Report::type().fields)
      fields.push_back(run.error ? "" : csv_field(report.get(field.name)));
    fields.push_back(run.error ? run.error->message : "");
    session.out(csv_line(fields));
  }
  return {};
}

}  // namespace

Result<int> run_sim_sweep(Session& session, const Invocation& call) {
  const dc::ExperimentRequest experiment = TRY(experiment_request(call));
  dc::SweepRequest request{.base = *experiment.file, .axes = TRY(axes_of(call))};
  const auto sweep = [&] {
    Bar bar(session, "stopped");
    if (bar.paints())
      request.progress = [&](std::size_t done, std::size_t of) {
        bar.show(static_cast<double>(done) / static_cast<double>(of),
                 fmt::format("{} of {} runs", done, of));
      };
    return dc::run_sweep(request);
  };
  const std::vector<dc::SweepRun> runs = TRY(sweep());
  if (session.is_structured()) {
    Value list = Value::list();
    for (const dc::SweepRun& run : runs)
      list.push(row_of(request.axes, run, TRY(parse_json(json::encode(run.report)))));
    session.out_value(list);
  } else if (session.options().output == Output::kCsv) {
    TRY(show_csv(session, request.axes, runs));
  } else {
    show_table(session, request.axes, runs);
  }
  const auto failed = std::ranges::find_if(runs, [](const auto& r) { return r.error.has_value(); });
  if (failed == runs.end()) return exit_code::kOk;
  return std::unexpected(failed->error->within(fmt::format("run {}", failed - runs.begin() + 1)));
}

}  // namespace chorok::cli
