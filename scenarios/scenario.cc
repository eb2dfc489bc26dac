#include "scenarios/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli/value.h"
#include "cli/yaml.h"
#include "model/snapshot_text.h"
#include "policy/admit.h"
#include "policy/check.h"
#include "policy/entitle.h"
#include "policy/explain.h"
#include "policy/planner.h"
#include "policy/restart.h"

namespace chorok::scenarios {
namespace {

using cli::Value;
using model::Index;
using model::kNone;
using model::Snapshot;
using policy::Action;
using policy::ActionKind;
using policy::Admission;
using policy::Plan;

constexpr std::int64_t kEventsMax = 1000;

// One line of a patch at a time: objects merge, everything else replaces.
void merge(Value& into, const Value& patch) {
  if (!patch.is_object() || !into.is_object()) {
    into = patch;
    return;
  }
  for (const cli::Member& member : patch.members()) merge(into.member(member.key), member.value);
}

class Player {
 public:
  explicit Player(Snapshot snapshot) : s_(std::move(snapshot)), start_(s_.now) {}

  Result<> event(const Value& event) {
    for (const cli::Member& member : event.members())
      if (!known(member.key))
        return fail(Code::kInvalid, fmt::format("there is no event '{}'", member.key));
    if (const Value* wait = event.find("wait")) {
      s_.now += from_seconds(wait->number());
      return {};
    }
    if (const Value* set = event.find("set")) return change(*set);
    if (const Value* ask = event.find("ask")) return this->ask(ask->text(), event);
    if (const Value* names = event.find("land")) return end_moves(*names, "land", true);
    if (const Value* names = event.find("fail")) return end_moves(*names, "fail", false);
    return fail(Code::kInvalid, "an event is wait, set, ask, land or fail");
  }

  std::string take_log() { return std::move(log_); }

 private:
  static bool known(std::string_view key) {
    constexpr std::string_view kKeys[] = {"wait",      "set",      "ask",   "lost",    "vm",
                                          "pool",      "to",       "why",   "cpu_mhz", "memory_mib",
                                          "carry_out", "failures", "begin", "land",    "fail"};
    return std::ranges::find(kKeys, key) != std::end(kKeys);
  }

  template <class... Args>
  void say(fmt::format_string<Args...> format, Args&&... args) {
    log_ += fmt::format(format, std::forward<Args>(args)...) + "\n";
  }
  void title(std::string_view text) {
    const auto passed = static_cast<std::int64_t>(seconds(s_.now - start_));
    say("{}{:02}:{:02}:{:02} {}", log_.empty() ? "" : "\n", passed / 3600, passed / 60 % 60,
        passed % 60, text);
  }

  // {hosts: {sol: {power: off}}}: fields of the snapshot's text form, by list and name. A new name
  // is added, null removes.
  Result<> change(const Value& change) {
    Value document = TRY(cli::parse_json(TRY(model::write_snapshot(s_))));
    std::string what;
    for (const cli::Member& list : change.members()) {
      if (list.key == "settings") {
        merge(document.member("settings"), list.value);
        what += fmt::format(" settings {}", cli::to_json(list.value));
        continue;
      }
      for (const cli::Member& entry : list.value.members()) {
        change_entry(document.member(list.key), entry);
        what += fmt::format(" {} {}", entry.key, cli::to_json(entry.value));
      }
    }
    title("set" + what);
    s_ = TRY(model::read_snapshot(cli::to_json(document)));
    return {};
  }

  static void change_entry(Value& list, const cli::Member& entry) {
    if (!list.is_list()) list = Value::list();
    auto& items = list.edit_items();
    auto it = std::ranges::find_if(
        items, [&](const Value& item) { return item.get("name").text() == entry.key; });
    if (entry.value.is_null()) {
      if (it != items.end()) items.erase(it);
      return;
    }
    if (it == items.end()) it = items.insert(items.end(), Value::object({{"name", entry.key}}));
    merge(*it, entry.value);
  }

  Result<Index> vm(const Value& event) const { return find(s_.vms, event.get("vm").text(), "VM"); }
  template <class T>
  static Result<Index> find(const std::vector<T>& things, std::string_view name,
                            std::string_view what) {
    auto it = std::ranges::find(things, name, &T::name);
    if (it == things.end()) return fail(Code::kNotFound, fmt::format("no {} '{}'", what, name));
    return static_cast<Index>(it - things.begin());
  }

  Result<> ask(std::string_view what, const Value& event) {
    if (what == "entitle") return entitle();
    if (what == "admit") return admit(event);
    if (what == "check") return check(event);
    if (what == "explain") return explain(event);
    Plan plan = TRY(plan_for(what, event));
    tell(plan);
    if (event.get("carry_out").boolean()) carry_out(plan);
    if (event.get("begin").boolean()) begin(plan);
    return {};
  }

  Result<Plan> plan_for(std::string_view what, const Value& event) {
    if (what == "restart") {
      std::vector<Index> lost;
      std::string names;
      for (const Value& name : event.get("lost").items()) {
        lost.push_back(TRY(find(s_.hosts, name.text(), "host")));
        names += fmt::format(" {}", name.text());
      }
      title(names.empty() ? "restart" : "restart, lost" + names);
      return policy::plan_restart(s_, lost);
    }
    title(what);
    if (what == "balance") return policy::plan_balance(s_);
    if (what == "power") return policy::plan_power(s_);
    if (what == "place") return policy::plan_place(s_);
    if (what == "all") return policy::plan_cluster(s_);
    return fail(Code::kInvalid, fmt::format("nobody answers '{}'", what));
  }

  void tell(const Plan& plan) {
    const policy::NamedPlan shown = named(plan, s_);
    for (std::size_t i = 0; i < shown.actions.size(); ++i) {
      const policy::NamedAction& a = shown.actions[i];
      std::string after;
      for (const std::uint32_t before : a.after) after += fmt::format(" {}", before + 1);
      say("  {}. {}{}{}{}{}{}: {}: {}", i + 1, a.recommended ? "recommended: " : "",
          name_of(a.kind), a.vm.empty() ? "" : " " + a.vm, a.from.empty() ? "" : " from " + a.from,
          a.to.empty() ? "" : " to " + a.to, after.empty() ? "" : ", after" + after, name_of(a.why),
          a.reason);
    }
    for (const policy::NamedViolation& v : shown.violations)
      say("  not mended: {}: {}", name_of(v.why), v.text);
    for (const policy::NamedTurnedDown& t : shown.turned_down)
      say("  turned down: {} x {}", t.count, name_of(t.why));
    if (shown.actions.empty()) say("  nothing: {}", shown.nothing);
  }

  void carry_out(const Plan& plan) {
    for (const Action& a : plan.actions) {
      if (a.recommended) continue;
      if (a.kind == ActionKind::kPowerOn || a.kind == ActionKind::kPowerOff) {
        s_.hosts[a.to].power =
            a.kind == ActionKind::kPowerOn ? model::HostPower::kOn : model::HostPower::kStandby;
        s_.hosts[a.to].power_since = s_.now;
        continue;
      }
      if (a.kind == ActionKind::kMigrate)
        moved(a.vm, a.to);
      else
        s_.vms[a.vm].host = a.to;
      s_.vms[a.vm].run = model::VmRun::kOn;
    }
    if (!std::ranges::all_of(plan.actions, &Action::recommended)) say("  carried out");
  }

  void moved(Index v, Index to) {
    model::SnapshotVm& vm = s_.vms[v];
    vm.last_moved = s_.now;
    vm.moved_from = vm.host;
    vm.cpu_when_moved = vm.cpu_demand.now;
    vm.host = to;
  }

  // Moves that wait for nothing are under way from now on.
  void begin(const Plan& plan) {
    for (const Action& a : plan.actions)
      if (a.kind == ActionKind::kMigrate && a.after.empty() && !a.recommended)
        s_.operations.push_back({.vm = a.vm, .from = a.from, .to = a.to, .since = s_.now});
    if (!plan.actions.empty()) say("  begun");
  }

  // [web1, web2]: their moves end; [] is all of them.
  Result<> end_moves(const Value& names, std::string_view how, bool arrive) {
    std::string ended;
    std::vector<Index> vms;
    for (const Value& name : names.items()) vms.push_back(TRY(find(s_.vms, name.text(), "VM")));
    std::erase_if(s_.operations, [&](const model::SnapshotOperation& op) {
      const bool asked = vms.empty() || std::ranges::find(vms, op.vm) != vms.end();
      if (op.kind != model::SnapshotOperation::Kind::kMigrate || !asked) return false;
      ended += " " + s_.vms[op.vm].name;
      if (arrive) moved(op.vm, op.to);
      return true;
    });
    if (ended.empty()) return fail(Code::kInvalid, fmt::format("no move to {}", how));
    title(fmt::format("{}{}", how, ended));
    return {};
  }

  Result<> entitle() {
    title("entitle");
    const policy::Entitlement e = policy::entitle(s_);
    say("  {:.0f} MHz of {:.0f} wanted, {:.0f} MiB of {:.0f} wanted", e.given.cpu, e.wanted.cpu,
        e.given.memory, e.wanted.memory);
    for (std::size_t p = 0; p < s_.pools.size(); ++p)
      say("  pool {}: {:.0f} MHz, {:.0f} MiB", s_.pools[p].name, e.pools[p].cpu, e.pools[p].memory);
    for (std::size_t v = 0; v < s_.vms.size(); ++v) {
      const model::SnapshotVm& vm = s_.vms[v];
      say("  {}: {:.0f} MHz for {:.0f} asked, {:.0f} MiB for {:.0f} asked", vm.name, e.vms[v].cpu,
          policy::demand_of(vm, model::Resource::kCpu, {}), e.vms[v].memory,
          policy::demand_of(vm, model::Resource::kMemory, {}));
    }
    return {};
  }

  // {ask: admit, vm: web1}: power-on, carried out if admitted and asked for; with cpu_mhz and
  // memory_mib a reservation, of a VM or a pool; with `to` a move to another pool ("" is none).
  Result<> admit(const Value& event) {
    title("admit");
    const model::Amounts amounts = {event.get("cpu_mhz").number(),
                                    event.get("memory_mib").number()};
    const bool reserves = event.find("cpu_mhz") != nullptr || event.find("memory_mib") != nullptr;
    Index to = kNone;
    if (!event.get("to").text().empty()) to = TRY(find(s_.pools, event.get("to").text(), "pool"));
    const bool moves = event.find("to") != nullptr;
    Admission a;
    if (event.find("pool") != nullptr) {
      const Index pool = TRY(find(s_.pools, event.get("pool").text(), "pool"));
      a = moves ? policy::admit_pool_to_pool(s_, pool, to)
                : policy::admit_pool_reservation(s_, pool, amounts);
    } else {
      const Index v = TRY(vm(event));
      a = moves      ? policy::admit_vm_to_pool(s_, v, to)
          : reserves ? policy::admit_vm_reservation(s_, v, amounts)
                     : policy::admit_power_on(s_, v);
      if (a.admitted && !moves && !reserves && event.get("carry_out").boolean()) {
        s_.vms[v].run = model::VmRun::kOn;
        s_.vms[v].host = a.host;
      }
    }
    say("  {}", a.text);
    return {};
  }

  Result<> check(const Value& event) {
    title("check");
    const std::int64_t failures = event.get("failures").integer(-1);
    const policy::ClusterCheck c = policy::check_cluster(s_, static_cast<std::int32_t>(failures));
    say("  {}", c.sound ? "sound" : "not sound");
    for (const policy::NamedViolation& v : c.violations) say("  {}: {}", name_of(v.why), v.text);
    say("  {} may fail at once: {}{}; by slots: {}; by percentage: {}", c.failover.failures,
        c.failover.survives ? "yes" : "no",
        c.failover.exhaustive ? "" : " (not all sets of hosts were tried)",
        c.failover.slots_enough ? "yes" : "no", c.failover.percent_enough ? "yes" : "no");
    for (const policy::UncoveredFailure& u : c.failover.uncovered)
      say("  {} lost: {}", fmt::join(u.hosts, " and "), u.text);
    return {};
  }

  // {ask: explain, why: web1}
  Result<> explain(const Value& event) {
    const std::string why(event.get("why").text());
    title("why " + why);
    const policy::Explanation e = TRY(policy::explain(s_, policy::plan_cluster(s_), why));
    for (const std::string& fact : e.facts) say("  {}", fact);
    for (const policy::NamedAction& a : e.actions)
      say("  {}{} to {}: {}", a.recommended ? "recommended: " : "", name_of(a.kind), a.to,
          a.reason);
    for (const policy::HostVerdict& v : e.verdicts)
      say("  {}: {}", fmt::join(v.hosts, " "), v.sentence);
    return {};
  }

  Snapshot s_;
  Time start_;
  std::string log_;
};

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace

Result<std::string> play(std::string_view cluster, std::string_view events) {
  auto document = cli::parse_yaml(cluster);
  if (!document) return std::unexpected(document.error().within("cluster"));
  auto snapshot = model::read_snapshot(cli::to_json(*document));
  if (!snapshot) return std::unexpected(snapshot.error().within("cluster"));
  auto list = cli::parse_yaml(events);
  if (!list) return std::unexpected(list.error().within("events"));
  if (!list->is_list() || std::cmp_greater(list->items().size(), kEventsMax))
    return fail(Code::kInvalid, fmt::format("events are a list of at most {}", kEventsMax));
  Player player(std::move(*snapshot));
  for (std::size_t i = 0; i < list->items().size(); ++i)
    if (auto done = player.event(list->items()[i]); !done)
      return std::unexpected(done.error().within(fmt::format("event {}", i + 1)));
  return player.take_log();
}

std::string difference(std::string_view expected, std::string_view actual) {
  const auto a = lines_of(expected);
  const auto b = lines_of(actual);
  // Longest common subsequence from the ends: logs are some hundred lines.
  std::vector<std::vector<std::uint32_t>> common(a.size() + 1,
                                                 std::vector<std::uint32_t>(b.size() + 1));
  for (std::size_t i = a.size(); i-- > 0;)
    for (std::size_t j = b.size(); j-- > 0;)
      common[i][j] =
          a[i] == b[j] ? common[i + 1][j + 1] + 1 : std::max(common[i + 1][j], common[i][j + 1]);
  std::vector<std::pair<char, std::string_view>> all;
  for (std::size_t i = 0, j = 0; i < a.size() || j < b.size();) {
    if (i < a.size() && j < b.size() && a[i] == b[j]) {
      all.emplace_back(' ', a[i]);
      ++i, ++j;
    } else if (i < a.size() && (j == b.size() || common[i + 1][j] >= common[i][j + 1])) {
      all.emplace_back('-', a[i++]);
    } else {
      all.emplace_back('+', b[j++]);
    }
  }
  constexpr std::size_t kAround = 3;
  std::string out;
  for (std::size_t k = 0; k < all.size(); ++k) {
    const std::size_t from = k > kAround ? k - kAround : 0;
    const std::size_t to = std::min(all.size(), k + kAround + 1);
    const bool near = std::any_of(all.begin() + static_cast<std::ptrdiff_t>(from),
                                  all.begin() + static_cast<std::ptrdiff_t>(to),
                                  [](const auto& line) { return line.first != ' '; });
    if (near) out += fmt::format("{} {}\n", all[k].first, all[k].second);
  }
  return out;
}

}  // namespace chorok::scenarios
