// The commands of every kind and verb, made from the tables that the API is made from.
#include <algorithm>

#include "cli/command_parts.h"
#include "cli/field_flag.h"
#include "cli/handlers.h"
#include "cli/schema.h"
#include "model/pool.h"
#include "model/task.h"
#include "model/vm.h"

namespace chorok::cli {
namespace {

const FlagSpec kSelectorFlag = {.name = "selector",
                                .value = "LABELS",
                                .doc = "Instead of names: everything with these labels (a=b,c!=d).",
                                .letter = 'l'};

std::vector<FlagSpec> verb_flags(const model::Verb& verb) {
  std::vector<FlagSpec> flags;
  for (const Field& field : model::request_type(verb).fields)
    flags.push_back(field_flag(model::request_type(verb), field.name));
  for (FlagSpec& flag : flags) flag.negatable = false;
  flags.push_back(kSelectorFlag);
  if (verb.kind == "host" && verb.fields.empty())
    flags.push_back({.name = "all", .doc = "Instead of names: every host."});
  return flags;
}

struct FlagRow {
  std::string_view path;
  const char* name;
};

std::vector<FlagSpec> flags_of(const Type& type, std::initializer_list<FlagRow> rows) {
  std::vector<FlagSpec> flags;
  for (const FlagRow& row : rows) flags.push_back(field_flag(type, row.path, row.name));
  return flags;
}

// What people of DRS, DPM and HA look for; the rest is set by --set settings.balance.….
std::vector<FlagSpec> cluster_flags() {
  return flags_of(model::Cluster::type(), {
                                              {"settings/balance/automation", "drs"},
                                              {"settings/balance/level", "drs-level"},
                                              {"settings/power/automation", "dpm"},
                                              {"settings/ha/enabled", "ha"},
                                              {"settings/ha/failures", "ha-failures"},
                                              {"schedule/bands", "band"},
                                              {"schedule/utc_offset_h", "utc-offset"},
                                              {"cpu_baseline", ""},
                                          });
}

std::vector<FlagSpec> pool_flags() {
  return flags_of(
      model::Pool::type(),
      {{"cluster", ""}, {"parent", ""}, {"cpu", ""}, {"memory", ""}, {"scalable_shares", ""}});
}

std::vector<FlagSpec> vm_flags() {
  return flags_of(model::Vm::type(), {
                                         {"spec/vcpus", ""},
                                         {"spec/max_vcpus", ""},
                                         {"spec/memory", ""},
                                         {"spec/max_memory", ""},
                                         {"spec/disks", "disk"},
                                         {"spec/nics", "nic"},
                                         {"spec/cdroms", "cdrom"},
                                         {"spec/cpu", ""},
                                         {"spec/memory_allocation", ""},
                                         {"spec/firmware", ""},
                                         {"spec/tpm", ""},
                                         {"spec/machine", ""},
                                         {"spec/cpu_model", ""},
                                         {"spec/boot/kernel", ""},
                                         {"spec/boot/initrd", ""},
                                         {"spec/boot/cmdline", ""},
                                         {"spec/boot/datastore", "boot-datastore"},
                                         {"spec/boot/order", "boot-order"},
                                         {"spec/vnc", ""},
                                         {"spec/guest_agent", ""},
                                         {"spec/autostart/enabled", "autostart"},
                                         {"spec/autostart/order", "autostart-order"},
                                         {"spec/autostart/delay", "autostart-delay"},
                                         {"host", ""},
                                         {"pool", ""},
                                         {"automation", ""},
                                         {"restart/priority", "restart-priority"},
                                         {"restart/after", "restart-after"},
                                         {"restart/delay", "restart-delay"},
                                     });
}

// The fields of a kind that can be given as flags: its own scalars and what meta holds.
std::vector<FlagSpec> object_flags(const model::ResourceKind& kind) {
  const Type& type = kind.type();
  std::vector<FlagSpec> flags;
  if (kind.kind == "vm") {
    flags = vm_flags();
  } else if (kind.kind == "cluster") {
    flags = cluster_flags();
  } else if (kind.kind == "pool") {
    flags = pool_flags();
  } else if (kind.kind == "webhook") {
    // --url is the manager's own, for every command.
    flags = flags_of(type, {{"url", "to"}, {"min_severity", ""}, {"enabled", ""}, {"ca", ""}});
  } else {
    for (const Field& field : type.fields) {
      bool is_text = unwrap(field.type()).kind != Kind::kStruct;
      if (field.limits.read_only || field.limits.secret || !is_text || field.name == "grants")
        continue;
      flags.push_back(field_flag(type, field.name));
    }
  }
  if (kind.kind == "webhook") {
    flags.push_back(
        {.name = "ca-file", .value = "FILE", .doc = "The same, from a file.", .completes = "file"});
    flags.push_back({.name = "secret-file",
                     .value = "FILE",
                     .doc = "What signs the messages; kept sealed.",
                     .completes = "file"});
  }
  flags.push_back(field_flag(type, "meta/labels", "label"));
  flags.push_back(field_flag(type, "meta/folder"));
  flags.push_back(field_flag(type, "meta/notes"));
  for (FlagSpec& flag : flags)
    for (const model::Reference& reference : model::references())
      if (reference.kind == kind.kind && reference.path == flag.path)
        flag.completes = reference.target;
  return flags;
}

const FlagSpec kFileFlag = {.name = "file",
                            .value = "FILE",
                            .doc = "Spec in JSON or YAML; - is standard input. Flags go over it.",
                            .letter = 'f',
                            .completes = "file"};

CommandSpec list_command(const model::ResourceKind& kind) {
  CommandSpec spec{.group = std::string(kind.kind), .name = "ls", .doc = "List them."};
  spec.flags = {
      {.name = "selector",
       .value = "LABELS",
       .doc = "Only these labels (a=b,c!=d).",
       .letter = 'l'},
      {.name = "field",
       .value = "PATH=VALUE",
       .doc = "Only where a field is so: status/state=on.",
       .repeats = true},
      {.name = "name", .value = "PATTERN", .doc = "Only these names: web*."},
      {.name = "sort", .value = "PATH", .doc = "Order by a field; -PATH downwards."},
      {.name = "limit", .value = "N", .doc = "At most so many rows."},
      {.name = "columns", .value = "PATH,…", .doc = "These fields instead of the usual ones."},
      {.name = "no-headers", .doc = "Rows alone."},
  };
  if (kind.kind == "alarm")
    spec.flags.push_back({.name = "all", .doc = "Those that are over, too."});
  spec.handler = run_list;
  spec.kind = &kind;
  return spec;
}

CommandSpec show_command(const model::ResourceKind& kind) {
  CommandSpec spec{.group = std::string(kind.kind), .name = "show", .doc = "Show all of one."};
  spec.operands = kind.kind == "cluster" ? "[NAME]" : "NAME…";
  spec.args_min = kind.kind == "cluster" ? 0 : 1;
  spec.args_max = kMany;
  spec.completes = {std::string(kind.kind)};
  spec.handler = run_show;
  spec.kind = &kind;
  return spec;
}

CommandSpec create_command(const model::ResourceKind& kind) {
  CommandSpec spec{.group = std::string(kind.kind), .name = "create", .doc = "Make one."};
  spec.operands = "[NAME]";
  spec.args_max = 1;
  spec.flags = object_flags(kind);
  spec.flags.insert(spec.flags.begin(), kFileFlag);
  if (kind.kind == "vm") {
    spec.flags.push_back({.name = "start", .doc = "Start it when it is made."});
    spec.example =
        "chorok vm create web1 --vcpus 2 --memory 1G --disk "
        "name=root,size=10G,datastore=shared,image=shared:debian.qcow2 --nic network=lan --start";
  }
  spec.handler = kind.kind == "user" ? run_user_create : run_create;
  if (kind.kind == "user") {
    spec.flags.push_back({.name = "role",
                          .value = "ROLE",
                          .doc = "Role on everything.",
                          .choices = {"viewer", "operator", "admin"}});
    spec.flags.push_back(field_flag(kind.type(), "grants", "grant"));
    spec.flags.push_back({.name = "password-file",
                          .value = "FILE",
                          .doc = "Instead of asking for the password.",
                          .completes = "file"});
  }
  spec.kind = &kind;
  return spec;
}

CommandSpec edit_command(const model::ResourceKind& kind) {
  CommandSpec spec{.group = std::string(kind.kind),
                   .name = "edit",
                   .doc = "Change one: by flags, or in $EDITOR without any."};
  spec.operands = kind.kind == "cluster" ? "[NAME]" : "NAME";
  spec.args_min = kind.kind == "cluster" ? 0 : 1;
  spec.args_max = 1;
  spec.completes = {std::string(kind.kind)};
  spec.flags = {{.name = "set",
                 .value = "FIELD=VALUE",
                 .doc = "Set a field: spec.memory=2G; an empty value resets it.",
                 .repeats = true}};
  std::ranges::copy_if(object_flags(kind), std::back_inserter(spec.flags), [](const FlagSpec& f) {
    return f.path != "spec/disks" && f.path != "spec/nics" && f.path != "spec/cdroms";
  });
  spec.handler = run_edit;
  spec.kind = &kind;
  return spec;
}

CommandSpec delete_command(const model::ResourceKind& kind) {
  CommandSpec spec{.group = std::string(kind.kind),
                   .name = kind.kind == "host" ? "remove" : "delete",
                   .doc = kind.kind == "host" ? "Take it out of the inventory." : "Delete them."};
  spec.operands = "NAME…";
  spec.args_max = kMany;
  spec.completes = {std::string(kind.kind)};
  spec.flags = {kYesFlag, kSelectorFlag};
  if (kind.kind == "vm") {
    spec.flags.push_back({.name = "keep-disks", .doc = "Leave its disks where they are."});
    spec.flags.push_back({.name = "hard", .doc = "Stop it first if it runs."});
    spec.flags.push_back({.name = "force", .doc = "Even if its host cannot be asked."});
  }
  if (kind.kind == "host")
    spec.flags.push_back({.name = "force", .doc = "Even if VMs belong to it."});
  if (kind.kind == "pool")
    spec.flags.push_back({.name = "move-up", .doc = "What is in it moves up to its parent."});
  spec.handler = run_delete;
  spec.kind = &kind;
  return spec;
}

CommandSpec verb_command(const model::Verb& verb) {
  CommandSpec spec{.group = std::string(verb.kind), .name = std::string(verb.verb)};
  spec.doc = verb.doc;
  spec.operands = "NAME…";
  spec.args_max = kMany;
  spec.completes = {std::string(verb.kind)};
  if (!verb.positional.empty()) {
    std::string upper(verb.positional);
    std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
    spec.operands += std::ranges::find(verb.required, verb.positional) != verb.required.end()
                         ? " " + upper
                         : " [" + upper + "]";
    spec.completes.emplace_back(verb.positional == "host" ? "host" : "");
  }
  spec.flags = verb_flags(verb);
  spec.handler = run_verb;
  spec.kind = model::find_resource_kind(verb.kind);
  spec.verb = &verb;
  return spec;
}

}  // namespace

void add_resources(std::vector<CommandSpec>& all) {
  for (const model::ResourceKind& kind : model::resource_kinds()) {
    bool is_log = kind.kind == "event" || kind.kind == "audit";
    bool has_meta = kind.type().find("meta") != nullptr;
    all.push_back(list_command(kind));
    if (!is_log) all.push_back(show_command(kind));
    if (kind.creatable) all.push_back(create_command(kind));
    if (has_meta && kind.kind != "token") all.push_back(edit_command(kind));
    if (has_meta) all.push_back(delete_command(kind));
    for (const model::Verb& verb : model::verbs())
      if (verb.kind == kind.kind) all.push_back(verb_command(verb));
  }
}

}  // namespace chorok::cli
