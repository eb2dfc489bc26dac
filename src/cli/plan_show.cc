#include "cli/plan_show.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/quantity.h"
#include "cli/table.h"

namespace chorok::cli {
namespace {

constexpr std::size_t kHostsShown = 8;  // of a verdict, for people

Cell plain(std::string text, Tone tone = Tone::kPlain) {
  return {printable(text), tone};
}

TableStyle style(Session& session) {
  const bool fits = session.terminal().out_is_terminal();
  return {.width = fits ? session.terminal().width() : 0, .colours = session.colours()};
}

void show_actions(Session& session, const std::vector<policy::NamedAction>& actions) {
  Table table;
  table.columns = {{.title = "#", .right_aligned = true},
                   {.title = "DO"},
                   {.title = "VM"},
                   {.title = "FROM"},
                   {.title = "TO"},
                   {.title = "AFTER"},
                   {.title = "WHY"},
                   {.title = "REASON", .shrinks = true}};
  for (std::size_t i = 0; i < actions.size(); ++i) {
    const policy::NamedAction& a = actions[i];
    std::string after;
    for (const std::uint32_t before : a.after)
      after += fmt::format("{}{}", after.empty() ? "" : ",", before + 1);
    table.rows.push_back({plain(fmt::format("{}", i + 1)),
                          plain(std::string(::chorok::name_of(a.kind))), plain(a.vm), plain(a.from),
                          plain(a.to), plain(after), plain(std::string(::chorok::name_of(a.why))),
                          plain(a.reason)});
  }
  session.out(render_table(table, style(session)));
}

}  // namespace

void show_violations(Session& session, const std::vector<policy::NamedViolation>& violations) {
  for (const policy::NamedViolation& v : violations)
    session.out(fmt::format(
        "{}: {}\n", coloured(std::string(::chorok::name_of(v.why)), Tone::kBad, session.colours()),
        printable(v.text)));
}

void show_plan(Session& session, const policy::NamedPlan& plan) {
  if (!plan.actions.empty()) show_actions(session, plan.actions);
  if (plan.actions.empty())
    session.out(fmt::format("nothing to do: {}\n", plan.nothing.empty() ? "no action is worth it"
                                                                        : printable(plan.nothing)));
  if (!plan.violations.empty()) {
    session.out("\nnot mended:\n");
    show_violations(session, plan.violations);
  }
  if (plan.turned_down.empty()) return;
  session.note("\nturned down:\n");
  for (const policy::NamedTurnedDown& t : plan.turned_down)
    session.note(fmt::format("{:>8} × {} ({})\n", t.count, ::chorok::name_of(t.why), t.sentence));
}

std::string some_hosts(const std::vector<std::string>& hosts) {
  std::string out;
  for (std::size_t i = 0; i < std::min(hosts.size(), kHostsShown); ++i)
    out += (i == 0 ? "" : ", ") + printable(hosts[i]);
  if (hosts.size() > kHostsShown) out += fmt::format(" and {} more", hosts.size() - kHostsShown);
  return out;
}

void show_explanation(Session& session, const policy::Explanation& why) {
  session.out(fmt::format("{} {}\n", why.kind, printable(why.name)));
  for (const std::string& fact : why.facts) session.out(fmt::format("  {}\n", printable(fact)));
  for (const policy::NamedAction& a : why.actions) {
    session.out(fmt::format("\n{}{} {}{}{}\n  {}: {}\n", a.recommended ? "recommended: " : "",
                            ::chorok::name_of(a.kind), printable(a.vm),
                            a.from.empty() ? "" : " from " + printable(a.from),
                            a.to.empty() ? "" : " to " + printable(a.to), ::chorok::name_of(a.why),
                            printable(a.reason)));
    if (a.gain_j != 0 || a.cost_j != 0)
      session.out(fmt::format("  gains {} over the horizon, costs {}\n", human_joules(a.gain_j),
                              human_joules(a.cost_j)));
    for (const policy::NamedAlternative& other : a.alternatives)
      session.out(fmt::format("  rather not {}: {} ({:.4g})\n", printable(other.host),
                              policy::sentence(other.why), other.value));
  }
  if (!why.verdicts.empty()) session.out("\nother hosts\n");
  for (const policy::HostVerdict& verdict : why.verdicts)
    session.out(fmt::format("  {}: {}\n", verdict.sentence, some_hosts(verdict.hosts)));
}

}  // namespace chorok::cli
