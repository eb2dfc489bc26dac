#include "model/verbs.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "base/result.h"
#include "model/alarm.h"
#include "model/host.h"
#include "model/pool.h"
#include "model/task.h"
#include "model/vm.h"

namespace chorok::model {

std::span<const Verb> verbs() {
  static const std::vector<Verb> kVerbs = {
      {"vm",
       "start",
       "Start it, or restore it if it was saved.",
       Role::kOperator,
       {"host", "paused"},
       {},
       ""},
      {"vm",
       "stop",
       "Ask the guest to shut down, or pull the plug.",
       Role::kOperator,
       {"hard", "timeout"},
       {},
       ""},
      {"vm", "reboot", "Ask the guest to reboot, or reset it.", Role::kOperator, {"hard"}, {}, ""},
      {"vm", "suspend", "Pause it in memory.", Role::kOperator, {}, {}, ""},
      {"vm", "resume", "Let a suspended VM go on.", Role::kOperator, {}, {}, ""},
      {"vm", "save", "Write its memory to disk and stop it.", Role::kOperator, {}, {}, ""},
      {"vm",
       "migrate",
       "Move it to another host, another datastore, or both.",
       Role::kOperator,
       {"host", "datastore", "cold", "post_copy", "plain", "bandwidth_mib_s", "timeout", "force"},
       {},
       "host"},
      {"vm",
       "resize",
       "Change vCPUs or memory; what can be done live is done live.",
       Role::kOperator,
       {"vcpus", "memory"},
       {},
       ""},
      {"vm",
       "tune",
       "Set shares, reservations and limits.",
       Role::kOperator,
       {"cpu", "memory_allocation"},
       {},
       ""},
      {"vm", "attach-disk", "Add a disk.", Role::kOperator, {"disk"}, {"disk"}, ""},
      {"vm", "attach-nic", "Add a network card.", Role::kOperator, {"nic"}, {"nic"}, ""},
      {"vm",
       "medium",
       "Insert, change or eject the medium of a CD-ROM drive.",
       Role::kOperator,
       {"cdrom"},
       {"cdrom"},
       ""},
      {"vm",
       "detach",
       "Remove a disk, NIC or CD-ROM drive.",
       Role::kOperator,
       {"device", "keep_disks"},
       {"device"},
       "device"},
      {"vm", "snapshot", "Take a snapshot.", Role::kOperator, {"name"}, {"name"}, "name"},
      {"vm", "revert", "Go back to a snapshot.", Role::kOperator, {"name"}, {"name"}, "name"},
      {"vm", "snapshot-delete", "Delete a snapshot.", Role::kOperator, {"name"}, {"name"}, "name"},
      {"host",
       "maintenance",
       "Move its VMs away and let it take none.",
       Role::kAdmin,
       {"force", "timeout"},
       {},
       ""},
      {"host", "enable", "Let it take VMs again.", Role::kAdmin, {}, {}, ""},
      {"host",
       "wake-test",
       "Switch it off and on, to prove that it comes back. It must be empty.",
       Role::kAdmin,
       {},
       {},
       ""},
      {"host", "power-on", "Switch it on, and leave it on for a while.", Role::kAdmin, {}, {}, ""},
      {"host",
       "power-off",
       "Switch it off until a person switches it on. It must be empty.",
       Role::kAdmin,
       {},
       {},
       ""},
      {"host",
       "adopt",
       "Take over a guest that Chorok did not make.",
       Role::kAdmin,
       {"uuid", "name"},
       {"uuid"},
       "uuid"},
  };
  return kVerbs;
}

const Verb* find_verb(std::string_view kind, std::string_view verb) {
  auto it = std::ranges::find_if(verbs(),
                                 [&](const Verb& v) { return v.kind == kind && v.verb == verb; });
  return it == verbs().end() ? nullptr : &*it;
}

namespace {

std::string type_name(const Verb& verb) {
  std::string out;
  bool upper = true;
  for (std::string_view part : {verb.kind, std::string_view("-"), verb.verb})
    for (char c : part) {
      if (c == '-') {
        upper = true;
        continue;
      }
      out += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
      upper = false;
    }
  return out;
}

// A field of TaskArgs that means something else to one verb than to the rest.
std::string_view doc_of(const Verb& verb, const Field& field) {
  if (verb.kind == "host" && verb.verb == "adopt" && field.name == "name")
    return "Name of the VM; empty: the guest's own.";
  return field.doc;
}

Type make_request_type(const Verb& verb) {
  Type type;
  type.kind = Kind::kStruct;
  type.name = type_name(verb);
  type.doc = verb.doc;
  type.prototype = TaskArgs::type().prototype;
  for (std::string_view name : verb.fields) {
    const Field* field = TaskArgs::type().find(name);
    CHOROK_ASSERT(field != nullptr);
    type.fields.push_back(*field);
    type.fields.back().doc = doc_of(verb, *field);
    type.fields.back().limits.required =
        std::ranges::find(verb.required, name) != verb.required.end();
  }
  return type;
}

}  // namespace

const Type& request_type(const Verb& verb) {
  static const std::vector<Type> kTypes = [] {
    std::vector<Type> types;
    for (const Verb& each : verbs()) types.push_back(make_request_type(each));
    return types;
  }();
  return kTypes[static_cast<std::size_t>(&verb - verbs().data())];
}

std::span<const ResourceKind> resource_kinds() {
  static const std::vector<ResourceKind> kKinds = {
      {"vm",
       "vms",
       &type_of<Vm>,
       {"meta/name", "status/state", "status/host_name", "spec/vcpus", "spec/memory", "status/ips",
        "status/task"},
       {"meta/id", "uuid", "spec/firmware", "pool", "meta/folder", "meta/labels", "status/since"},
       true,
       Role::kOperator},
      {"host",
       "hosts",
       &type_of<Host>,
       {"meta/name", "link", "power", "admin", "inventory/cpu/capacity", "inventory/memory",
        "inventory/accelerator", "address"},
       {"meta/id", "inventory/cpu/model", "inventory/qemu_version", "inventory/libvirt_version",
        "agent_version", "cluster", "dpm", "dpm_reason", "watch/off_by", "watch/test/standing",
        "meta/labels"}},
      {"datastore",
       "datastores",
       &type_of<Datastore>,
       {"meta/name", "kind", "path", "shared"},
       {"meta/id"},
       true},
      {"network",
       "networks",
       &type_of<Network>,
       {"meta/name", "kind", "bridge", "vlan"},
       {"meta/id", "libvirt_network"},
       true},
      {"cluster",
       "clusters",
       &type_of<Cluster>,
       {"meta/name", "settings/balance/automation", "settings/power/automation",
        "settings/ha/enabled", "cpu_baseline"},
       {"meta/id", "settings/balance/level", "settings/ha/failures", "meta/labels"},
       true},
      {"pool",
       "pools",
       &type_of<Pool>,
       {"meta/name", "cluster", "parent", "cpu/level", "cpu/reservation", "cpu/limit",
        "memory/reservation", "memory/limit"},
       {"meta/id", "cpu/shares", "memory/level", "memory/shares", "scalable_shares", "meta/folder"},
       true},
      {"rule",
       "rules",
       &type_of<Rule>,
       {"meta/name", "kind", "must", "enabled", "vms", "hosts"},
       {"meta/id", "cluster", "meta/folder"},
       true},
      {"task",
       "tasks",
       &type_of<Task>,
       {"id", "kind", "target_name", "state", "percent", "user", "created", "message"},
       {"finished", "parent"}},
      {"event",
       "events",
       &type_of<Event>,
       {"time", "severity", "kind", "subject_name", "message"},
       {"id", "user", "task"}},
      {"alarm",
       "alarms",
       &type_of<Alarm>,
       {"id", "severity", "state", "kind", "subject_name", "raised_at", "text"},
       {"count", "acknowledged_by", "acknowledged_at", "cleared_at", "cleared_by", "action"}},
      {"webhook",
       "webhooks",
       &type_of<Webhook>,
       {"meta/name", "url", "min_severity", "enabled", "delivered_at", "failures", "failure"},
       {"meta/id", "delivered", "failed_at"},
       true},
      {"audit",
       "audit",
       &type_of<AuditEntry>,
       {"time", "user", "method", "path", "status"},
       {"peer", "token", "task"}},
      {"user",
       "users",
       &type_of<User>,
       {"meta/name", "grants", "disabled"},
       {"meta/id", "meta/created"},
       true},
      {"token",
       "tokens",
       &type_of<Token>,
       {"meta/id", "user_name", "purpose", "most", "expires"},
       {"meta/notes"}},
  };
  return kKinds;
}

std::span<const Reference> references() {
  static constexpr Reference kReferences[] = {
      {"host", "cluster", "cluster"}, {"vm", "pool", "pool"},     {"vm", "restart/after", "vm"},
      {"pool", "cluster", "cluster"}, {"pool", "parent", "pool"}, {"rule", "cluster", "cluster"},
      {"rule", "vms", "vm"},          {"rule", "hosts", "host"},
  };
  return kReferences;
}

const ResourceKind* find_resource_kind(std::string_view kind) {
  auto it = std::ranges::find_if(
      resource_kinds(), [&](const ResourceKind& k) { return k.kind == kind || k.plural == kind; });
  return it == resource_kinds().end() ? nullptr : &*it;
}

}  // namespace chorok::model
