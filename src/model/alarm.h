// What wants a person: a condition that holds, of one thing, until it ends. And where to tell of
// it.
#pragma once

#include <cstdint>
#include <string>

#include "base/units.h"
#include "model/common.h"

namespace chorok::model {

enum class AlarmSeverity : std::uint8_t { kInfo, kWarning, kCritical };
enum class AlarmState : std::uint8_t { kActive, kAcknowledged, kCleared };
enum class AlarmChange : std::uint8_t { kRaised, kChanged, kAcknowledged, kCleared };

// At most one of a kind and subject is not cleared.
struct Alarm {
  std::string id;  // ascending
  std::string kind;
  AlarmSeverity severity = AlarmSeverity::kWarning;
  AlarmState state = AlarmState::kActive;
  std::string subject_kind;
  std::string subject;  // id
  std::string subject_name;
  std::string text;    // what is the case
  std::string cause;   // what it usually comes from
  std::string action;  // what to do
  std::int64_t count = 1;
  Time raised_at{};
  Time seen_at{};  // when it last began
  Time acknowledged_at{};
  std::string acknowledged_by;
  Time cleared_at{};
  std::string cleared_by;  // empty: the condition ended
  // What was told of it last. Sequences count over all alarms, so whoever knows one knows what is
  // new.
  AlarmChange change = AlarmChange::kRaised;
  Time changed_at{};
  std::int64_t sequence = 0;
  static const Type& type();
};

// Where alarms are told. What is not delivered yet is every alarm with a higher sequence than
// `delivered`: there is no queue that could be lost.
struct Webhook {
  Meta meta;
  std::string url;
  AlarmSeverity min_severity = AlarmSeverity::kWarning;
  bool enabled = true;
  std::string ca;      // PEM; empty: the system's CAs
  std::string secret;  // as given
  std::string sealed;  // as kept
  std::int64_t delivered = 0;
  Time delivered_at{};
  std::int64_t failures = 0;  // in a row
  Time failed_at{};
  std::string failure;
  static const Type& type();
};

// What is posted.
struct WebhookMessage {
  std::int64_t version = 1;
  std::string event;  // raised, changed, acknowledged, cleared, test
  std::string webhook;
  std::int64_t sequence = 0;
  Time sent_at{};
  Alarm alarm;
  static const Type& type();
};

// Says that a manager was here, so that the next one knows how long nobody was.
struct Beat {
  std::string id = "manager";
  Time at{};
  bool stopped = false;  // in good order
  static const Type& type();
};

const Type& enum_type(const AlarmSeverity*);
const Type& enum_type(const AlarmState*);
const Type& enum_type(const AlarmChange*);

}  // namespace chorok::model
