// Alarms as people work with them, and where they are told.
#include "control/alarms.h"
#include "manager/alarms.h"
#include "manager/listing.h"
#include "manager/requests.h"
#include "manager/requests_internal.h"
#include "manager/webhooks.h"
#include "net/tls.h"
#include "net/uri.h"

namespace chorok::manager {

using model::Alarm;
using model::AlarmChange;
using model::AlarmState;
using model::Role;

namespace {

void refuse(Problems& problems, std::string_view field, std::string message) {
  problems.push_back({"invalid", std::move(message), std::string(field)});
}

}  // namespace

Result<> Requests::may_work_on(const Caller& caller, const Alarm& alarm) const {
  std::string folder;
  if (model::find_resource_kind(alarm.subject_kind) != nullptr)
    if (const auto object =
            table_of(alarm.subject_kind).resolve(engine_.inventory(), alarm.subject))
      folder = folder_of(alarm.subject_kind, object.get());
  if (caller.role_on(folder) >= Role::kOperator) return {};
  return denied(Role::kOperator, "this");
}

void Requests::commit_alarm(Alarm alarm, Answered done) {
  alarm.sequence = next_alarm_sequence(engine_.inventory());
  alarm.changed_at = engine_.now();
  const std::string id = alarm.id;
  Changes changes;
  changes.put(std::move(alarm));
  engine_.commit(std::move(changes),
                 [this, alive = alive_, id, done = std::move(done)](Result<> stored) mutable {
                   if (!*alive) return;
                   if (!stored) return done(Unexpected(stored.error()));
                   Answer answer;
                   answer.type = &type_of<Alarm>();
                   answer.object = engine_.inventory().alarms().find(id);
                   done(std::move(answer));
                 });
}

void Requests::acknowledge_alarm(const Caller& caller, std::string_view id, Conditions conditions,
                                 Answered done) {
  const auto alarm = engine_.inventory().alarms().find(id);
  if (alarm == nullptr) return done(missing("alarm", id));
  if (auto may = may_work_on(caller, *alarm); !may) return done(Unexpected(may.error()));
  if (alarm->state == AlarmState::kCleared)
    return done(fail(Code::kFailedPrecondition, "it is over already"));
  if (conditions.dry_run) return done(dry_answer(true, "it would be acknowledged"));
  if (alarm->state == AlarmState::kAcknowledged) {
    Answer answer;
    answer.type = &type_of<Alarm>();
    answer.object = alarm;
    return done(std::move(answer));
  }
  Alarm updated = *alarm;
  updated.state = AlarmState::kAcknowledged;
  updated.acknowledged_at = engine_.now();
  updated.acknowledged_by = caller.user_name;
  updated.change = AlarmChange::kAcknowledged;
  commit_alarm(std::move(updated), std::move(done));
}

void Requests::clear_alarm(const Caller& caller, std::string_view id, Conditions conditions,
                           Answered done) {
  const auto alarm = engine_.inventory().alarms().find(id);
  if (alarm == nullptr) return done(missing("alarm", id));
  if (auto may = may_work_on(caller, *alarm); !may) return done(Unexpected(may.error()));
  if (alarm->state == AlarmState::kCleared)
    return done(fail(Code::kFailedPrecondition, "it is over already"));
  const control::AlarmKind* kind = control::find_alarm_kind(alarm->kind);
  if (kind != nullptr && kind->state)
    return done(fail(Code::kFailedPrecondition,
                     "it clears by itself as soon as it is not so any more; acknowledge it"));
  if (conditions.dry_run) return done(dry_answer(true, "it would be cleared"));
  Alarm updated = *alarm;
  updated.state = AlarmState::kCleared;
  updated.cleared_at = engine_.now();
  updated.cleared_by = caller.user_name;
  updated.change = AlarmChange::kCleared;
  commit_alarm(std::move(updated), std::move(done));
}

// A new one is told what happens from now on.
Problems Requests::prepare(model::Webhook& object, const model::Webhook* before) const {
  Problems problems;
  const auto url = net::parse_url(object.url);
  if (!url || (url->scheme != "http" && url->scheme != "https"))
    refuse(problems, "/url", "write https://HOST/PATH or http://HOST/PATH");
  if (!object.ca.empty() && !net::TlsClientContext::with_ca(object.ca))
    refuse(problems, "/ca", "this is no certificate in PEM");
  if (before == nullptr) object.delivered = next_alarm_sequence(engine_.inventory()) - 1;
  if (object.secret.empty()) return problems;
  if (!identities_.seal)
    refuse(problems, "/secret", "this manager has nowhere to keep a secret");
  else
    object.sealed =
        identities_.seal(std::exchange(object.secret, {}), webhook_place(object.meta.id));
  return problems;
}

}  // namespace chorok::manager
