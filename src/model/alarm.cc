#include "model/alarm.h"

namespace chorok::model {

const Type& enum_type(const AlarmSeverity*) {
  static const Type kType =
      describe_enum<AlarmSeverity>("AlarmSeverity", "How soon a person should look.",
                                   {{0, "info", "when there is time"},
                                    {1, "warning", "today: something works no more as it should"},
                                    {2, "critical", "now: VMs are down, or will be"}});
  return kType;
}
const Type& enum_type(const AlarmState*) {
  static const Type kType =
      describe_enum<AlarmState>("AlarmState", "Where an alarm is in its life.",
                                {{0, "active", "nobody has taken it up"},
                                 {1, "acknowledged", "somebody knows; the condition still holds"},
                                 {2, "cleared", "over"}});
  return kType;
}
const Type& enum_type(const AlarmChange*) {
  static const Type kType = describe_enum<AlarmChange>("AlarmChange", "What happened to it last.",
                                                       {{0, "raised", ""},
                                                        {1, "changed", "worse, or once more"},
                                                        {2, "acknowledged", ""},
                                                        {3, "cleared", ""}});
  return kType;
}

const Type& Alarm::type() {
  static const Type kType =
      describe<Alarm>("Alarm", "A condition that wants a person.")
          .field("id", &Alarm::id, "Ascending.")
          .field("kind", &Alarm::kind, "As in docs/alarms.md.")
          .field("severity", &Alarm::severity, "")
          .field("state", &Alarm::state, "")
          .field("subject_kind", &Alarm::subject_kind, "")
          .field("subject", &Alarm::subject, "Id of what it is about.")
          .field("subject_name", &Alarm::subject_name, "")
          .field("text", &Alarm::text, "What is the case.", {.max_length = 4096})
          .field("cause", &Alarm::cause, "What it usually comes from.", {.max_length = 1024})
          .field("action", &Alarm::action, "What to do.", {.max_length = 1024})
          .field("count", &Alarm::count, "How often it began while it was not cleared.")
          .field("raised_at", &Alarm::raised_at, "")
          .field("seen_at", &Alarm::seen_at, "When it began last.")
          .field("acknowledged_at", &Alarm::acknowledged_at, "")
          .field("acknowledged_by", &Alarm::acknowledged_by, "")
          .field("cleared_at", &Alarm::cleared_at, "")
          .field("cleared_by", &Alarm::cleared_by, "Empty: the condition ended.")
          .field("change", &Alarm::change, "What happened to it last.")
          .field("changed_at", &Alarm::changed_at, "When.")
          .field("sequence", &Alarm::sequence, "Of that change, counted over all alarms.");
  return kType;
}

const Type& Webhook::type() {
  static const Type kType =
      describe<Webhook>("Webhook", "Where alarms are told: each change is posted as JSON.")
          .field("meta", &Webhook::meta, "Name, labels, notes.", {.required = true})
          .field("url", &Webhook::url, "https://… or http://…; a POST is sent there.",
                 {.max_length = 2048, .required = true})
          .field("min_severity", &Webhook::min_severity, "Alarms below it are not told.")
          .field("enabled", &Webhook::enabled, "False: nothing is sent; it catches up later.")
          .field("ca", &Webhook::ca, "PEM of whom to trust; empty: the system's CAs.",
                 {.max_length = 65536})
          .field("secret", &Webhook::secret,
                 "Signs what is sent (HMAC-SHA256); given, never shown; kept sealed.",
                 {.max_length = 255, .pattern = Pattern::kAny, .secret = true})
          .field("sealed", &Webhook::sealed, "",
                 {.max_length = 1024, .read_only = true, .secret = true})
          .field("delivered", &Webhook::delivered, "Sequence of the newest change it took.",
                 {.read_only = true})
          .field("delivered_at", &Webhook::delivered_at, "", {.read_only = true})
          .field("failures", &Webhook::failures, "In a row.", {.read_only = true})
          .field("failed_at", &Webhook::failed_at, "", {.read_only = true})
          .field("failure", &Webhook::failure, "Why the last one failed.",
                 {.max_length = 1024, .read_only = true});
  return kType;
}

const Type& WebhookMessage::type() {
  static const Type kType =
      describe<WebhookMessage>("WebhookMessage", "What a webhook gets.")
          .field("version", &WebhookMessage::version, "Of this form; 1.")
          .field("event", &WebhookMessage::event,
                 "raised, changed, acknowledged, cleared, or test.")
          .field("webhook", &WebhookMessage::webhook, "Its name.")
          .field("sequence", &WebhookMessage::sequence,
                 "Ascending; one that was seen before is the same message again.")
          .field("sent_at", &WebhookMessage::sent_at, "")
          .field("alarm", &WebhookMessage::alarm, "As it is now.");
  return kType;
}

const Type& Beat::type() {
  static const Type kType = describe<Beat>("Beat", "That a manager was here.")
                                .field("id", &Beat::id, "")
                                .field("at", &Beat::at, "")
                                .field("stopped", &Beat::stopped, "In good order.");
  return kType;
}

}  // namespace chorok::model
