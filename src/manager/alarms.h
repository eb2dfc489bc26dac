// Raises and clears alarms (control/alarms.h) of what is in the inventory: when something about it
// has changed, and twice a minute. Everything that must be remembered is in the records, so whoever
// leads next goes on from there: an event that was stored just before a death is read again.
//
// Bounded: so many alarms at once, so many cleared ones for so long. Writes the manager's beat, by
// which the next one knows how long nobody was there.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "control/alarms.h"
#include "manager/engine.h"

namespace chorok::manager {

struct AlarmsSettings {
  Duration settle = std::chrono::seconds(1);  // changes within it are looked at once
  // After its start hosts have so long to connect before they are missed.
  Duration grace = std::chrono::seconds(30);
  Duration beat = std::chrono::seconds(30);
  Duration away = std::chrono::minutes(10);     // stopped in good order for longer is an alarm
  Duration read_again = std::chrono::hours(1);  // events of before its start
  Duration quiet = std::chrono::minutes(5);     // between two tellings that it began once more
  std::size_t active_max = 1000;
  std::size_t cleared_max = 2000;
  Duration cleared_age = std::chrono::days(90);
};

struct AlarmSources {
  std::function<std::vector<control::Shortage>()> shortages;  // may be empty
  Time ca_expires{};
};

// Of the next change of an alarm: above all there were, also of those that are gone.
std::int64_t next_alarm_sequence(const Inventory& inventory);
// How many are not cleared, by severity.
std::map<model::AlarmSeverity, std::int64_t> alarms_up(const Inventory& inventory);

class Alarms {
 public:
  Alarms(Engine& engine, AlarmSources sources, AlarmsSettings settings = {});
  ~Alarms();
  Alarms(const Alarms&) = delete;
  Alarms& operator=(const Alarms&) = delete;

  // Says that this manager ends in good order.
  void stop(Done<Result<>> done);

 private:
  using Key = std::pair<std::string_view, std::string>;  // kind, subject
  struct Turn;

  void noticed(const Notice& notice);
  void look_in(Duration time);
  void look();
  void tick();
  void beat(bool stopped);
  void tell_of_absence();
  void read_past_events();
  void take_event(Turn& turn, const model::Event& event);
  void begin(Turn& turn, const control::AlarmKind& kind, const control::Condition& condition,
             Time at, bool again);
  void raise(Turn& turn, const control::AlarmKind& kind, const control::Condition& condition,
             Time at);
  void clear(Turn& turn, model::Alarm alarm);
  void look_at_state(Turn& turn);
  void end_what_is_over(Turn& turn);
  void trim(Changes& changes, std::size_t up) const;
  bool is_there(const model::Alarm& alarm) const;

  Engine& engine_;
  AlarmSources sources_;
  AlarmsSettings settings_;
  Log log_{"alarms"};
  Time started_;
  std::vector<std::shared_ptr<const model::Event>> events_;  // not looked at yet
  TimerId look_timer_ = 0;
  Time look_at_ = Time::max();
  TimerId beat_timer_ = 0;
  bool committing_ = false;
  std::uint64_t watcher_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chorok::manager
