// Every alarm there is, as one table, and which of them hold: a pure function of what is known.
//
// Some hold because of how things are (a host is lost, a datastore is full); they are looked at
// again and again. Others begin with an event (a VM crashed, a host did not wake) and end with
// another, or when nothing has been heard of it for a while. Some are both: a link that was lost
// for a second has been an alarm, too.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/alarm.h"
#include "model/host.h"

namespace chorok::control {

struct AlarmKind {
  std::string_view kind;
  model::AlarmSeverity severity;  // as it begins; the text may say more
  std::string_view subject;       // kind of what it is about
  bool state = false;             // conditions() says whether it holds
  // Events that begin and end it. Of those that begin it only the first counts again.
  std::vector<std::string_view> begins;
  std::vector<std::string_view> ends;
  Duration hold{};  // after the last event it is over; 0: only what ends it ends it
  std::string_view cause;
  std::string_view action;
};
std::span<const AlarmKind> alarm_kinds();
const AlarmKind* find_alarm_kind(std::string_view kind);

// One that holds now.
struct Condition {
  std::string_view kind;
  model::AlarmSeverity severity = model::AlarmSeverity::kWarning;
  std::string subject_kind;
  std::string subject;
  std::string subject_name;
  std::string text;
};

// A cluster that cannot do what its settings promise.
struct Shortage {
  std::string_view kind;  // cluster.reserve, cluster.unmet
  std::string cluster;    // id
  std::string name;
  std::string text;
};

struct AlarmView {
  Time now{};
  std::vector<const model::Host*> hosts;
  std::vector<const model::Datastore*> datastores;
  std::vector<const model::Webhook*> webhooks;
  std::vector<Shortage> shortages;
  Time ca_expires{};  // epoch: not known
  // Of a kind and a subject's id: whether that alarm is up. What has begun ends later than it
  // began, so that nothing flutters.
  std::function<bool(std::string_view kind, const std::string& subject)> is_up;
};

// O(hosts × datastores).
std::vector<Condition> conditions(const AlarmView& view);

}  // namespace chorok::control
