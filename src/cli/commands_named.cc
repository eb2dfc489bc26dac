// The commands that are no kind's or verb's own: written out, group by group.
#include "cli/command_parts.h"
#include "cli/field_flag.h"
#include "cli/handlers.h"

namespace chorok::cli {

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
                 .doc = "Where clusters' CPU and memory go, pool by pool.",
                 .operands = "[CLUSTER]",
                 .args_max = 1,
                 .flags = {{.name = "vms", .doc = "VMs too."}},
                 .completes = {"cluster"},
                 .handler = run_pool_tree});
  all.push_back(
      {.group = "host",
       .name = "bmc",
       .doc = "Say how its power is reached: the controller that switches it on and off, or magic "
              "packets; without flags, ask it.",
       .operands = "NAME",
       .args_min = 1,
       .args_max = 1,
       .flags = {{.name = "driver",
                  .value = "NAME",
                  .doc = "ipmi, redfish, hook, wol (Wake-on-LAN, off by its agent), or a fence "
                         "agent (fence_apc, …); empty: none."},
                 {.name = "address", .value = "ADDRESS", .doc = "Where it is."},
                 {.name = "port", .value = "PORT", .doc = "0: the driver's own."},
                 {.name = "user", .value = "NAME", .doc = "Whom it knows."},
                 {.name = "password-file",
                  .value = "FILE",
                  .doc = "The password; CHOROK_PASSWORD does too. Kept sealed.",
                  .completes = "file"},
                 {.name = "mac",
                  .value = "MAC",
                  .doc =
                      "Of wol and of standby suspend: a card that magic packets wake; repeatable.",
                  .repeats = true},
                 {.name = "broadcast",
                  .value = "ADDRESS",
                  .doc = "Where packets go; empty: 255.255.255.255."},
                 {.name = "interface",
                  .value = "NAME",
                  .doc = "The manager's, that packets leave through; empty: as it routes."},
                 {.name = "standby",
                  .value = "HOW",
                  .doc = "What it does when it is not needed; suspend: to RAM, by its agent.",
                  .choices = {"off", "suspend"}},
                 {.name = "wake-after",
                  .value = "TIME",
                  .doc = "A suspended host comes back by itself after so long; 12h."},
                 {.name = "cipher-suite", .value = "N", .doc = "Of IPMI; -1: the BMC is asked."},
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
                 .flags = {{.name = "at",
                            .value = "TIME",
                            .doc = "As of then: a time (2026-11-21T10:00), or how long ago (2h)."},
                           {.name = "last",
                            .value = "N",
                            .doc = "So many decisions, the newest; 20 if not said."}},
                 .completes = {"why", "its kind"},
                 .example = "chorok why vm web1 --at 2026-11-21T10:00",
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

}  // namespace chorok::cli
