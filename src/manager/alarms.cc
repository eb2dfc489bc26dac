#include "manager/alarms.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace chorok::manager {

namespace {

using control::AlarmKind;
using control::Condition;
using model::Alarm;
using model::AlarmChange;
using model::AlarmSeverity;
using model::AlarmState;

// Of a transaction's 100 keys; the rest comes with the next look.
constexpr std::size_t kChangesAtOnce = 60;
constexpr std::size_t kTrimmedAtOnce = 20;
constexpr std::string_view kManager = "manager";

// Numbers that drift are no news.
std::string without_numbers(std::string text) {
  std::erase_if(text, [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
  return text;
}

}  // namespace

std::int64_t next_alarm_sequence(const Inventory& inventory) {
  std::int64_t most = 0;
  for (const auto& [id, alarm] : inventory.alarms().all()) most = std::max(most, alarm->sequence);
  for (const auto& [id, hook] : inventory.webhooks().all()) most = std::max(most, hook->delivered);
  return most + 1;
}

std::map<AlarmSeverity, std::int64_t> alarms_up(const Inventory& inventory) {
  std::map<AlarmSeverity, std::int64_t> up;
  for (const auto& [id, alarm] : inventory.alarms().all())
    if (alarm->state != AlarmState::kCleared) ++up[alarm->severity];
  return up;
}

// What one look changes.
struct Alarms::Turn {
  std::map<Key, Alarm> up;      // as it will be
  std::map<Key, Time> cleared;  // when a person cleared it last
  std::map<std::string, Alarm> changed;
  std::int64_t sequence = 0;

  explicit Turn(const Inventory& inventory) : sequence(next_alarm_sequence(inventory)) {
    for (const auto& [id, alarm] : inventory.alarms().all()) {
      const AlarmKind* kind = control::find_alarm_kind(alarm->kind);
      if (kind == nullptr) continue;
      const Key key{kind->kind, alarm->subject};
      if (alarm->state != AlarmState::kCleared)
        up[key] = *alarm;
      else
        cleared[key] = std::max(cleared[key], alarm->cleared_at);
    }
  }
  void put(Alarm alarm, AlarmChange change, Time now, bool tell = true) {
    if (tell) {
      alarm.change = change;
      alarm.changed_at = now;
      alarm.sequence = sequence++;
    }
    const Key key{control::find_alarm_kind(alarm.kind)->kind, alarm.subject};
    if (alarm.state == AlarmState::kCleared)
      up.erase(key);
    else
      up[key] = alarm;
    std::string id = alarm.id;
    changed[std::move(id)] = std::move(alarm);
  }
  bool is_full() const { return changed.size() >= kChangesAtOnce; }
};

Alarms::Alarms(Engine& engine, AlarmSources sources, AlarmsSettings settings)
    : engine_(engine), sources_(std::move(sources)), settings_(settings), started_(engine.now()) {
  read_past_events();
  auto watching =
      engine_.watch(engine_.revision(), [this](const Notice& notice) { noticed(notice); });
  CHOROK_ASSERT(watching.has_value());  // from now on is never too long ago
  watcher_ = *watching;
  tell_of_absence();
  tick();
  look_in(settings_.settle);
}

Alarms::~Alarms() {
  *alive_ = false;
  engine_.unwatch(watcher_);
  engine_.loop().cancel(look_timer_);
  engine_.loop().cancel(beat_timer_);
}

void Alarms::noticed(const Notice& notice) {
  if (notice.kind == "event" && notice.object != nullptr) {
    events_.push_back(std::static_pointer_cast<const model::Event>(notice.object));
    look_in({});
  } else if (notice.kind == "host" || notice.kind == "datastore" || notice.kind == "webhook") {
    look_in(settings_.settle);
  }
}

void Alarms::look_in(Duration time) {
  const Time at = engine_.now() + time;
  if (look_timer_ != 0 && look_at_ <= at) return;
  engine_.loop().cancel(look_timer_);
  look_at_ = at;
  look_timer_ = engine_.loop().after(time, [this] {
    look_timer_ = 0;
    look();
  });
}

void Alarms::tick() {
  beat(false);
  beat_timer_ = engine_.loop().after(settings_.beat, [this] {
    look_in({});
    tick();
  });
}

void Alarms::beat(bool stopped) {
  Changes changes;
  changes.put(model::Beat{.at = engine_.now(), .stopped = stopped});
  engine_.commit(std::move(changes), [](Result<>) {});
}

void Alarms::stop(Done<Result<>> done) {
  engine_.loop().cancel(std::exchange(beat_timer_, 0));
  engine_.loop().cancel(std::exchange(look_timer_, 0));
  committing_ = true;  // nothing more is looked at
  Changes changes;
  changes.put(model::Beat{.at = engine_.now(), .stopped = true});
  engine_.commit(std::move(changes), std::move(done));
}

// The beat of whoever led before.
void Alarms::tell_of_absence() {
  const auto last = engine_.inventory().beats().find(kManager);
  if (last == nullptr) return;
  const Duration gap = engine_.now() - last->at;
  if (last->stopped && gap < settings_.away) return;
  model::Event event;
  event.kind = "manager.away";
  event.severity = model::Severity::kWarning;
  event.subject_kind = event.subject = event.subject_name = kManager;
  event.user = "chorok";
  event.message = last->stopped
                      ? fmt::format("was stopped for {:.0f} s", seconds(gap))
                      : fmt::format("ended without being told to and was away for at most {:.0f} s",
                                    seconds(gap));
  Changes changes;
  engine_.add_event(changes, std::move(event));
  engine_.commit(std::move(changes), [](Result<>) {});
}

// Events that were stored, and whose alarm was not any more.
void Alarms::read_past_events() {
  for (const auto& [id, event] : engine_.inventory().events().all())
    if (started_ - event->time <= settings_.read_again) events_.push_back(event);
}

void Alarms::look() {
  if (committing_) return;  // again when that is stored
  Turn turn(engine_.inventory());
  const auto events = std::exchange(events_, {});
  std::size_t taken = 0;
  for (; taken < events.size() && !turn.is_full(); ++taken) take_event(turn, *events[taken]);
  events_.assign(events.begin() + static_cast<std::ptrdiff_t>(taken), events.end());
  if (engine_.now() - started_ >= settings_.grace) look_at_state(turn);
  end_what_is_over(turn);
  Changes changes;
  for (auto& [id, alarm] : turn.changed) changes.put(std::move(alarm));
  trim(changes, turn.up.size());
  if (changes.empty()) return;
  committing_ = true;
  engine_.commit(std::move(changes), [this, alive = alive_](Result<> stored) {
    if (!*alive) return;
    committing_ = false;
    // What was not stored is seen again; of events, those of the last hour.
    if (!stored) {
      log_.warn("alarms were not stored: {}", stored.error().message);
      read_past_events();
    }
    look_in(settings_.settle);
  });
}

// The oldest of those that are over.
void Alarms::trim(Changes& changes, std::size_t up) const {
  const auto& all = engine_.inventory().alarms().all();
  std::size_t cleared = all.size() - std::min(all.size(), up);
  std::size_t dropped = 0;
  for (auto it = all.begin(); it != all.end() && dropped < kTrimmedAtOnce; ++it) {
    if (it->second->state != AlarmState::kCleared) continue;
    const bool is_old = engine_.now() - it->second->cleared_at > settings_.cleared_age;
    if (!is_old && cleared <= settings_.cleared_max) break;
    changes.erase<Alarm>(it->first);
    --cleared;
    ++dropped;
  }
}

void Alarms::take_event(Turn& turn, const model::Event& event) {
  for (const AlarmKind& kind : control::alarm_kinds()) {
    const Key key{kind.kind, event.subject};
    const auto up = turn.up.find(key);
    if (std::ranges::find(kind.ends, event.kind) != kind.ends.end() && up != turn.up.end() &&
        event.time >= up->second.seen_at)
      clear(turn, up->second);
    const auto begins = std::ranges::find(kind.begins, event.kind);
    // A host that goes off as it was told begins nothing.
    if (begins == kind.begins.end() || event.severity == model::Severity::kInfo) continue;
    const auto cleared = turn.cleared.find(key);
    if (cleared != turn.cleared.end() && event.time <= cleared->second) continue;
    // What only an event ends has not begun again before that, however often it is said.
    const bool again =
        begins == kind.begins.begin() && (kind.hold > Duration{} || kind.ends.empty());
    begin(turn, kind,
          {kind.kind, kind.severity, event.subject_kind, event.subject, event.subject_name,
           event.message.empty() ? std::string(kind.cause) : event.message},
          event.time, again);
  }
}

void Alarms::begin(Turn& turn, const AlarmKind& kind, const Condition& condition, Time at,
                   bool again) {
  const auto up = turn.up.find({kind.kind, condition.subject});
  if (up == turn.up.end()) return raise(turn, kind, condition, at);
  Alarm alarm = up->second;
  const bool is_worse = condition.severity > alarm.severity;
  const bool is_new = again && at > alarm.seen_at;
  // What only its state says is said as it is now: another rule may be broken than at first.
  const bool is_other = kind.state && kind.begins.empty() && alarm.text != condition.text;
  if (!is_worse && !is_new && !is_other) return;
  const bool is_news = is_new || without_numbers(alarm.text) != without_numbers(condition.text);
  if (is_other) alarm.text = condition.text;
  if (is_new) {
    ++alarm.count;
    alarm.seen_at = at;
    alarm.text = condition.text;
  }
  if (is_worse) {
    alarm.severity = condition.severity;
    alarm.text = condition.text;
    alarm.state = AlarmState::kActive;
  }
  const bool tell = is_worse || (is_news && engine_.now() - alarm.changed_at >= settings_.quiet);
  turn.put(std::move(alarm), AlarmChange::kChanged, engine_.now(), tell);
}

void Alarms::raise(Turn& turn, const AlarmKind& kind, const Condition& condition, Time at) {
  const bool is_last = kind.kind == "manager.alarms";
  if (turn.up.size() >= settings_.active_max && !is_last) {
    const AlarmKind& full = *control::find_alarm_kind("manager.alarms");
    if (!turn.up.contains({full.kind, std::string(kManager)}))
      raise(turn, full,
            {full.kind, full.severity, std::string(kManager), std::string(kManager),
             std::string(kManager),
             fmt::format("there are {} alarms; new ones are not kept", turn.up.size())},
            at);
    return;
  }
  Alarm alarm;
  alarm.id = fmt::format("alarm-{:010}", turn.sequence);
  alarm.kind = kind.kind;
  alarm.severity = condition.severity;
  alarm.subject_kind = condition.subject_kind;
  alarm.subject = condition.subject;
  alarm.subject_name = condition.subject_name;
  alarm.text = condition.text;
  alarm.cause = kind.cause;
  alarm.action = kind.action;
  alarm.raised_at = alarm.seen_at = at;
  log_.warn("{} {} {}: {}", alarm.kind, alarm.subject_kind, alarm.subject_name, alarm.text);
  turn.put(std::move(alarm), AlarmChange::kRaised, engine_.now());
}

void Alarms::clear(Turn& turn, Alarm alarm) {
  alarm.state = AlarmState::kCleared;
  alarm.cleared_at = engine_.now();
  turn.put(std::move(alarm), AlarmChange::kCleared, engine_.now());
}

void Alarms::look_at_state(Turn& turn) {
  const Inventory& inventory = engine_.inventory();
  control::AlarmView view{.now = engine_.now(), .ca_expires = sources_.ca_expires};
  for (const auto& [id, host] : inventory.hosts().all()) view.hosts.push_back(host.get());
  for (const auto& [id, store] : inventory.datastores().all())
    view.datastores.push_back(store.get());
  for (const auto& [id, hook] : inventory.webhooks().all()) view.webhooks.push_back(hook.get());
  if (sources_.shortages) view.shortages = sources_.shortages();
  view.is_up = [&](std::string_view kind, const std::string& subject) {
    return turn.up.contains({kind, subject});
  };
  std::set<Key> holds;
  for (const Condition& condition : control::conditions(view)) {
    holds.emplace(condition.kind, condition.subject);
    if (!turn.is_full())
      begin(turn, *control::find_alarm_kind(condition.kind), condition, engine_.now(), false);
  }
  std::vector<Alarm> over;
  for (const auto& [key, alarm] : turn.up) {
    const AlarmKind& kind = *control::find_alarm_kind(alarm.kind);
    if (!kind.state || holds.contains(key)) continue;
    if (engine_.now() - alarm.seen_at >= kind.hold)
      over.push_back(alarm);
    else
      look_in(kind.hold - (engine_.now() - alarm.seen_at));
  }
  for (Alarm& alarm : over)
    if (!turn.is_full()) clear(turn, std::move(alarm));
}

// Those that begin with an event: their time is over, or what they are about is gone.
void Alarms::end_what_is_over(Turn& turn) {
  std::vector<Alarm> over;
  for (const auto& [key, alarm] : turn.up) {
    const AlarmKind& kind = *control::find_alarm_kind(alarm.kind);
    if (kind.state) continue;
    const bool has_aged = kind.hold > Duration{} && engine_.now() - alarm.seen_at >= kind.hold;
    const bool has_room = alarm.kind == "manager.alarms" &&
                          turn.up.size() < settings_.active_max - (settings_.active_max / 10);
    if (has_aged || has_room || !is_there(alarm)) over.push_back(alarm);
  }
  for (Alarm& alarm : over)
    if (!turn.is_full()) clear(turn, std::move(alarm));
}

bool Alarms::is_there(const Alarm& alarm) const {
  const Inventory& inventory = engine_.inventory();
  if (alarm.subject_kind == "host") return inventory.hosts().find(alarm.subject) != nullptr;
  if (alarm.subject_kind == "vm") return inventory.vms().find(alarm.subject) != nullptr;
  return true;
}

}  // namespace chorok::manager
