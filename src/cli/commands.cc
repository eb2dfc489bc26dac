#include "cli/commands.h"

#include <algorithm>

#include "cli/command_parts.h"
#include "cli/handlers.h"

namespace chorok::cli {

std::string_view Invocation::value(std::string_view flag, std::string_view otherwise) const {
  auto it = flags.find(flag);
  return it == flags.end() || it->second.empty() ? otherwise : std::string_view(it->second.back());
}

std::vector<std::string> Invocation::values(std::string_view flag) const {
  auto it = flags.find(flag);
  return it == flags.end() ? std::vector<std::string>{} : it->second;
}

bool Invocation::on(std::string_view flag, bool otherwise) const {
  std::string_view text = value(flag);
  return text.empty() ? otherwise : text == "true";
}

namespace {

std::vector<CommandSpec> make_commands() {
  std::vector<CommandSpec> all;
  add_resources(all);
  add_machines(all);
  add_files(all);
  add_accounts(all);
  add_usage(all);
  add_alarms(all);
  add_recommendations(all);
  add_energy(all);
  add_sim(all);
  std::ranges::move(plan_commands(), std::back_inserter(all));
  all.push_back(advise_command());
  add_general(all);
  return all;
}

}  // namespace

const std::vector<CommandSpec>& commands() {
  static const std::vector<CommandSpec> kCommands = make_commands();
  return kCommands;
}

const std::vector<FlagSpec>& global_flags() {
  static const std::vector<FlagSpec> kFlags = {
      {.name = "url", .value = "URL", .doc = "The manager (CHOROK_URL).", .letter = 'u'},
      {.name = "token", .value = "TOKEN", .doc = "Instead of a login (CHOROK_TOKEN)."},
      {.name = "ca", .value = "FILE", .doc = "The manager's CA (CHOROK_CA).", .completes = "file"},
      {.name = "context",
       .value = "NAME",
       .doc = "One of those that were logged in to (CHOROK_CONTEXT).",
       .completes = "context"},
      {.name = "output",
       .value = "FORMAT",
       .doc = "table, wide, json, yaml or csv.",
       .letter = 'o',
       .choices = {"table", "wide", "json", "yaml", "csv"}},
      {.name = "watch", .doc = "Go on showing what changes.", .letter = 'w'},
      {.name = "wait",
       .doc = "Wait for the work to end (so it is if not said).",
       .negatable = true},
      {.name = "dry-run", .doc = "Say what would happen and change nothing."},
      {.name = "quiet", .doc = "Results alone: names, ids, errors.", .letter = 'q'},
  };
  return kFlags;
}

const CommandSpec* find_command(std::string_view group, std::string_view name) {
  auto it = std::ranges::find_if(commands(), [&](const CommandSpec& command) {
    return command.group == group && command.name == name;
  });
  return it == commands().end() ? nullptr : &*it;
}

const std::vector<GroupSpec>& groups() {
  static const std::vector<GroupSpec> kGroups = {
      {"vm", "Virtual machines."},
      {"host", "Machines that run them."},
      {"datastore", "Where disks live."},
      {"network", "What NICs are plugged into."},
      {"cluster", "Hosts that share load, and how."},
      {"pool", "Parts of a cluster's CPU and memory."},
      {"rule", "Which VMs run together, apart, on which hosts."},
      {"energy", "Watts, kilowatt hours, money and CO2."},
      {"task", "Work in progress."},
      {"event", "What happened."},
      {"alarm", "What wants a person."},
      {"webhook", "Where alarms are told."},
      {"audit", "Who asked for what."},
      {"user", "Who may log in."},
      {"token", "What stands for a user, or lets a host join."},
      {"plan", "What the policies would do with a cluster from a file."},
      {"sim", "Data centres in virtual time."},
  };
  return kGroups;
}

std::string_view plural_of(const GroupSpec& group) {
  const auto* kind = model::find_resource_kind(group.name);
  return kind ? kind->plural : group.name;
}

const GroupSpec* find_group(std::string_view word) {
  auto it = std::ranges::find_if(groups(), [&](const GroupSpec& group) {
    return group.name == word || plural_of(group) == word;
  });
  return it == groups().end() ? nullptr : &*it;
}

}  // namespace chorok::cli
