#include "cli/commands.h"

#include <algorithm>

#include "cli/field_flag.h"
#include "cli/handlers.h"
#include "cli/schema.h"
#include "model/pool.h"
#include "model/task.h"
#include "model/vm.h"

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
  } else {
    for (const Field& field : type.fields) {
      bool is_text = unwrap(field.type()).kind != Kind::kStruct;
      if (field.limits.read_only || field.limits.secret || !is_text || field.name == "grants")
        continue;
      flags.push_back(field_flag(type, field.name));
    }
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
const FlagSpec kYesFlag = {.name = "yes", .doc = "Do not ask.", .letter = 'y'};

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

void add_machines(std::vector<CommandSpec>& all) {
  all.push_back({.group = "cluster",
                 .name = "baseline",
                 .doc = "Set the CPU that all its hosts can offer as the one that VMs get.",
                 .operands = "[NAME]",
                 .args_max = 1,
                 .completes = {"cluster"},
                 .handler = run_baseline,
                 .kind = model::find_resource_kind("cluster")});
  all.push_back({.group = "cluster",
                 .name = "plan",
                 .doc = "What its loops have decided last, and what waits for a person.",
                 .operands = "[NAME]",
                 .args_max = 1,
                 .completes = {"cluster"},
                 .handler = run_cluster_plan,
                 .kind = model::find_resource_kind("cluster")});
  all.push_back(
      {.group = "cluster",
       .name = "snapshot",
       .doc = "Everything its policies know of it, for chorok plan -f.",
       .operands = "[NAME]",
       .args_max = 1,
       .flags = {{.name = "file",
                  .value = "FILE",
                  .doc = "Write it there.",
                  .letter = 'f',
                  .completes = "file"}},
       .completes = {"cluster"},
       .example = "chorok cluster snapshot -f now.json && chorok plan balance -f now.json",
       .handler = run_cluster_snapshot});
  all.push_back({.group = "pool",
                 .name = "tree",
                 .doc = "Where a cluster's CPU and memory go, pool by pool.",
                 .operands = "[CLUSTER]",
                 .args_max = 1,
                 .flags = {{.name = "vms", .doc = "VMs too."}},
                 .completes = {"cluster"},
                 .handler = run_pool_tree});
  all.push_back({.group = "host",
                 .name = "bmc",
                 .doc = "Say how its power is reached: the controller that switches it on and off.",
                 .operands = "NAME",
                 .args_min = 1,
                 .args_max = 1,
                 .flags = {{.name = "driver",
                            .value = "NAME",
                            .doc = "ipmi, redfish, or a fence agent (fence_apc, …); empty: none."},
                           {.name = "address", .value = "ADDRESS", .doc = "Where it is."},
                           {.name = "port", .value = "PORT", .doc = "0: the driver's own."},
                           {.name = "user", .value = "NAME", .doc = "Whom it knows."},
                           {.name = "password-file",
                            .value = "FILE",
                            .doc = "The password; CHOROK_PASSWORD does too. Kept sealed.",
                            .completes = "file"},
                           {.name = "cipher-suite",
                            .value = "N",
                            .doc = "Of IPMI; -1: the BMC is asked."},
                           {.name = "fingerprint",
                            .value = "SHA256",
                            .doc = "Of Redfish: its certificate; empty: a CA vouches for it."},
                           {.name = "option",
                            .value = "NAME=VALUE",
                            .doc = "Of a fence agent: what it takes besides; repeatable.",
                            .repeats = true}},
                 .completes = {"host"},
                 .handler = run_bmc,
                 .kind = model::find_resource_kind("host")});
  all.push_back({.group = "vm",
                 .name = "console",
                 .doc = "The serial console; ^] leaves it.",
                 .operands = "NAME",
                 .args_min = 1,
                 .args_max = 1,
                 .completes = {"vm"},
                 .handler = run_console});
  all.push_back({.group = "vm",
                 .name = "vnc",
                 .doc = "Opens a local port for a VNC viewer.",
                 .operands = "NAME",
                 .args_min = 1,
                 .args_max = 1,
                 .flags = {{.name = "port", .value = "PORT", .doc = "Local port; 0: a free one."}},
                 .completes = {"vm"},
                 .handler = run_vnc});
  all.push_back({.group = "task",
                 .name = "cancel",
                 .doc = "Stop it where that is possible.",
                 .operands = "ID…",
                 .args_min = 1,
                 .args_max = kMany,
                 .completes = {"task"},
                 .handler = run_task_cancel});
  all.push_back({.group = "task",
                 .name = "wait",
                 .doc = "Wait until it is over.",
                 .operands = "ID…",
                 .args_min = 1,
                 .args_max = kMany,
                 .completes = {"task"},
                 .handler = run_task_wait});
}

void add_files(std::vector<CommandSpec>& all) {
  const FlagSpec host = {.name = "host",
                         .value = "NAME",
                         .doc = "The host to go through; empty: chosen by Chorok.",
                         .completes = "host"};
  all.push_back({.group = "datastore",
                 .name = "upload",
                 .doc = "Put a local file into it.",
                 .operands = "NAME FILE [PATH]",
                 .args_min = 2,
                 .args_max = 3,
                 .flags = {host,
                           {.name = "sha256",
                            .value = "HEX",
                            .doc = "What the file must have; it is compared in any case."}},
                 .completes = {"datastore", "file", ""},
                 .handler = run_upload});
  all.push_back({.group = "datastore",
                 .name = "files",
                 .doc = "List the files in it.",
                 .operands = "NAME [PATH]",
                 .args_min = 1,
                 .args_max = 2,
                 .flags = {host},
                 .completes = {"datastore", ""},
                 .handler = run_files});
  all.push_back({.group = "datastore",
                 .name = "remove-file",
                 .doc = "Delete a file in it.",
                 .operands = "NAME PATH",
                 .args_min = 2,
                 .args_max = 2,
                 .flags = {host, kYesFlag},
                 .completes = {"datastore", ""},
                 .handler = run_remove_file});
}

void add_accounts(std::vector<CommandSpec>& all) {
  const FlagSpec password = {.name = "password-file",
                             .value = "FILE",
                             .doc = "Instead of asking for it; CHOROK_PASSWORD does too.",
                             .completes = "file"};
  all.push_back({.group = "user",
                 .name = "passwd",
                 .doc = "Change a password.",
                 .operands = "[NAME]",
                 .args_max = 1,
                 .flags = {password},
                 .completes = {"user"},
                 .handler = run_passwd});
  CommandSpec token{.group = "token",
                    .name = "create",
                    .doc = "Make one for a program (api), or to join a host (host).",
                    .handler = run_token_create};
  for (const Field& field : model::TokenRequest::type().fields)
    token.flags.push_back(field_flag(model::TokenRequest::type(), field.name));
  token.flags[0].choices = {"api", "host"};
  token.example = "chorok token create --purpose host";
  all.push_back(std::move(token));
  all.push_back({.name = "login",
                 .doc = "Log in to a manager and remember it.",
                 .operands = "URL",
                 .args_min = 1,
                 .args_max = 1,
                 .flags = {{.name = "user", .value = "NAME", .doc = "Who; admin if not said."},
                           password,
                           {.name = "fingerprint",
                            .value = "SHA256",
                            .doc = "Of the manager's CA, instead of being asked."}},
                 .example = "chorok login https://manager:8443 --user admin",
                 .handler = run_login});
  all.push_back(
      {.name = "logout", .doc = "Give the token back and forget it.", .handler = run_logout});
  all.push_back({.name = "context",
                 .doc = "List the managers that were logged in to, or choose one.",
                 .operands = "[NAME]",
                 .args_max = 1,
                 .completes = {"context"},
                 .handler = run_context});
}

void add_general(std::vector<CommandSpec>& all) {
  all.push_back({.name = "status", .doc = "The whole on one screen.", .handler = run_status});
  all.push_back({.name = "explain",
                 .doc = "What a kind, field or verb is: vm.spec.disks.size.",
                 .operands = "KIND[.FIELD…]",
                 .args_min = 1,
                 .args_max = 1,
                 .completes = {"explain"},
                 .example = "chorok explain vm.spec.memory",
                 .handler = run_explain});
  all.push_back({.name = "backup",
                 .doc = "Save the manager's state; - is standard output.",
                 .operands = "FILE",
                 .args_min = 1,
                 .args_max = 1,
                 .completes = {"file"},
                 .handler = run_backup});
  all.push_back({.name = "api",
                 .doc = "Call the API as it is; BODY is JSON, @FILE or - for standard input.",
                 .operands = "METHOD PATH [BODY]",
                 .args_min = 2,
                 .args_max = 3,
                 .completes = {"method", "", "file"},
                 .example = "chorok api GET /vms?limit=2",
                 .handler = run_api});
  all.push_back({.name = "completion",
                 .doc = "Print the completion script: source <(chorok completion bash).",
                 .operands = "bash|zsh",
                 .args_min = 1,
                 .args_max = 1,
                 .completes = {"shell"},
                 .handler = run_completion});
  all.push_back({.name = "why",
                 .doc = "Why a VM or host is where it is and as it is: as of the newest round, and "
                        "what earlier ones decided.",
                 .operands = "vm|host NAME",
                 .args_min = 2,
                 .args_max = 2,
                 .completes = {"", ""},
                 .example = "chorok why vm web1",
                 .handler = run_why});
  all.push_back(
      {.name = "version", .doc = "Of this program and of the manager.", .handler = run_version});
  all.push_back({.name = "__complete",
                 .doc = "For the completion scripts.",
                 .operands = "SHELL WORD…",
                 .args_min = 1,
                 .args_max = kMany,
                 .handler = run_complete,
                 .hidden = true});
}

void add_sim(std::vector<CommandSpec>& all) {
  all.push_back({.group = "sim",
                 .name = "run",
                 .doc = "Run an experiment in virtual time and report energy, migrations and pain.",
                 .operands = "EXPERIMENT|FILE.toml",
                 .args_min = 1,
                 .args_max = 1,
                 .flags = {{.name = "traces",
                            .value = "PATH",
                            .doc = "What VMs ask for: an archive, a folder or a file.",
                            .completes = "file"},
                           {.name = "policy",
                            .value = "NAME",
                            .doc = "Who decides, if not as the experiment says (chorok sim ls)."},
                           {.name = "set",
                            .value = "NAME=VALUE",
                            .doc = "Change a field of the experiment: power.deviations=2.5.",
                            .repeats = true},
                           {.name = "report",
                            .value = "FILE.html",
                            .doc = "Also write a page with charts; it needs no network.",
                            .completes = "file"},
                           {.name = "ticks",
                            .value = "FILE",
                            .doc = "Also write a CSV row for each update point.",
                            .completes = "file"}},
                 .completes = {"experiment"},
                 .example = "chorok sim run planetlab-compat --traces 20110303.tar.xz --policy "
                            "lr-mmt-1.2 -o json",
                 .handler = run_sim});
  all.push_back(
      {.group = "sim",
       .name = "sweep",
       .doc = "Run an experiment in every combination of what is varied, on all cores.",
       .operands = "EXPERIMENT|FILE.toml",
       .args_min = 1,
       .args_max = 1,
       .flags = {{.name = "set",
                  .value = "NAME=A,B,…",
                  .doc = "Values of a field: power.deviations=2,2.5,3.",
                  .repeats = true},
                 {.name = "traces",
                  .value = "PATH",
                  .doc = "What VMs ask for; once for each.",
                  .repeats = true,
                  .completes = "file"},
                 {.name = "policy", .value = "A,B,…", .doc = "Who decides.", .repeats = true}},
       .completes = {"experiment"},
       .example = "chorok sim sweep mine.toml --set power.deviations=2,2.5,3 -o csv",
       .handler = run_sim_sweep});
  all.push_back({.group = "sim",
                 .name = "show",
                 .doc = "Print an experiment that is built in, as TOML to copy and change.",
                 .operands = "NAME",
                 .args_min = 1,
                 .args_max = 1,
                 .completes = {"experiment"},
                 .example = "chorok sim show planetlab-honest > mine.toml",
                 .handler = run_sim_show});
  all.push_back({.group = "sim",
                 .name = "ls",
                 .doc = "List the experiments that are built in.",
                 .handler = run_sim_list});
}

std::vector<CommandSpec> make_commands() {
  std::vector<CommandSpec> all;
  add_resources(all);
  add_machines(all);
  add_files(all);
  add_accounts(all);
  add_usage(all);
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
      {"task", "Work in progress."},
      {"event", "What happened."},
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
