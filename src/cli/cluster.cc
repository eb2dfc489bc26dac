// What is asked of a cluster as a whole: its snapshot, and where its CPU and memory go.
#include "cli/cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "cli/handlers.h"
#include "cli/objects.h"
#include "cli/text.h"
#include "cli/whole_file.h"
#include "cli/yaml.h"

namespace chorok::cli {
namespace {

Result<std::string> which_cluster(Session& session, const Invocation& call) {
  if (!call.args.empty()) return call.args[0];
  return only_name(session, *model::find_resource_kind("cluster"));
}

std::string amount(const Value& of, std::string_view path) {
  return fmt::format("{:.0f}", of.get(path).number());
}

// "4000", "4000+" where more may come from above.
std::string reservation(const Value& row, std::string_view of) {
  return amount(row, fmt::format("{}/reservation", of)) +
         (row.get(fmt::format("{}/expandable", of)).boolean() ? "+" : "");
}

std::string limit(const Value& row, std::string_view of) {
  const std::string text = amount(row, fmt::format("{}/limit", of));
  return text == "0" ? "" : text;
}

// Of what hosts were told, in the table of one resource: a title and a field.
using Told = std::vector<std::pair<const char*, const char*>>;

Told told_of(const Value& use, std::string_view of) {
  const Value::List& rows = use.get("rows").items();
  const bool any = std::ranges::any_of(
      rows, [](const Value& row) { return !row.get("enforced/host").text().empty(); });
  if (!any) return {};
  if (of == "memory") return {{"TARGET", "enforced/memory"}};
  return {{"WEIGHT", "enforced/shares"}, {"CAP", "enforced/limit"}};
}

// One resource of all rows as a table: the names say which pool is in which.
std::string tree_table(const Value& use, std::string_view of, std::string_view title,
                       const TableStyle& style) {
  Table table;
  table.columns = {{.title = std::string(title)}};
  for (const char* name : {"VMS", "SHARES", "RESERVED", "PROMISED", "LIMIT", "DEMAND", "ENTITLED"})
    table.columns.push_back({.title = name, .right_aligned = true});
  const Told told = told_of(use, of);
  for (const auto& [name, path] : told)
    table.columns.push_back({.title = name, .right_aligned = true});
  for (const Value& row : use.get("rows").items()) {
    const std::string indent(static_cast<std::size_t>(2 * row.get("depth").integer()), ' ');
    const bool is_vm = row.get("kind").text() == "vm";
    const bool is_cluster = row.get("kind").text() == "cluster";
    const double demand = row.get(fmt::format("{}/demand", of)).number();
    const double entitled = row.get(fmt::format("{}/entitled", of)).number();
    const bool is_short = entitled + 0.5 < demand;
    auto field = [&](std::string_view name) { return amount(row, fmt::format("{}/{}", of, name)); };
    table.rows.push_back(
        {{indent + printable(row.get("name").text())},
         {is_vm ? std::string()
                : fmt::format("{}/{}", row.get("vms_on").integer(), row.get("vms").integer())},
         {is_cluster ? std::string() : field("shares")},
         {reservation(row, of)},
         {field("promised")},
         {is_cluster ? std::string() : limit(row, of)},
         {field("demand")},
         {field("entitled"), is_short ? Tone::kBad : Tone::kPlain}});
    for (const auto& [name, path] : told) {
      const std::int64_t number = row.get(path).integer();
      // What the host has not said yet, or could not do, is marked.
      const bool is_so =
          row.get("enforced/in_force").boolean() && row.get("enforced/problem").text().empty();
      table.rows.back().push_back(
          {number == 0 ? std::string() : fmt::format("{}{}", number, is_so ? "" : "?")});
    }
  }
  return render_table(table, style);
}

}  // namespace

std::string use_tables(const Value& use, const TableStyle& style) {
  return tree_table(use, "cpu", "CPU, MHz", style) + "\n" +
         tree_table(use, "memory", "MEMORY, MiB", style);
}

Result<int> run_cluster_snapshot(Session& session, const Invocation& call) {
  const std::string name = TRY(which_cluster(session, call));
  std::string text;
  TRY(TRY(session.api())
          ->download(ref_path("clusters", name, "snapshot"), [&](std::string_view bytes) {
            text += bytes;
            return true;
          }));
  if (session.options().output == Output::kYaml) text = to_yaml(TRY(parse_json(text)));
  if (!call.has("file")) {
    session.out(text);
    return exit_code::kOk;
  }
  const std::string file(call.value("file"));
  TRY(write_whole(file, text));
  session.note(fmt::format("cluster {} is in {}: chorok plan all -f {}\n", name, file, file));
  return exit_code::kOk;
}

// Of the cluster that is named, else of all.
Result<int> run_pool_tree(Session& session, const Invocation& call) {
  Api& api = *TRY(session.api());
  std::vector<std::string> names = call.args;
  if (names.empty()) {
    const Value all = TRY(api.list("clusters", {{"fields", "meta/name"}}));
    for (const Value& each : all.get("items").items()) names.emplace_back(name_of(each));
  }
  Query query;
  if (call.on("vms")) query.emplace_back("vms", "true");
  const bool fits = session.terminal().out_is_terminal();
  const TableStyle style = {.width = fits ? session.terminal().width() : 0,
                            .colours = session.colours()};
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Value use = TRY(api.get(ref_path("clusters", names[i], "use"), Query(query)));
    if (session.is_structured())
      session.out_value(use);
    else
      session.out((i > 0 ? "\n" : "") + use_tables(use, style));
  }
  return exit_code::kOk;
}

}  // namespace chorok::cli
