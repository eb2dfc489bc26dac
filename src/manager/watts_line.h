// What a wall meter's readings make over time: a line through them, its integral, and accounts
// that are taken of it before the next reading is known.
//
// A reading stands for its moment; between two it is a straight line, before the first and after
// the last it is held. An account of [until, to] is taken when an agent tells what its VMs did, and
// then holds the last reading. What the next reading shows to have been different goes into the
// next account. So the sum of the accounts is the integral of the line, and none is taken twice.
//
// Pure.
#pragma once

#include <deque>
#include <optional>

#include "base/reflect.h"
#include "base/units.h"

namespace chorok::manager {

class WattsLine {
 public:
  struct Reading {
    Time at{};
    double watts = 0;
    double error = 0;  // fraction
  };
  struct Account {
    double joules = 0;
    double estimated = 0;  // of them, across a gap
    double error = 0;      // of them
  };
  // What must outlive the process for accounts to go on.
  struct Cursor {
    Time at{};  // of the last reading that was accounted
    double watts = 0;
    double error = 0;
    double ahead = 0;  // J that were accounted after it
    static const Type& type();
  };

  // Readings further apart make an estimate of what is between them.
  void set_gap(Duration gap) { gap_ = gap; }
  // Earlier than the last one it is passed over.
  void add(Reading reading);
  // Whether it says anything about `at`: a reading at most a gap before it, or one after it.
  bool covers(Time at) const;
  const Reading* last() const { return readings_.empty() ? nullptr : &readings_.back(); }

  // Takes the account up to `to`, which `covers` says; from where the one before ended, or `from`
  // where there was none.
  Account take(Time from, Time to);
  // What take() would answer.
  Account peek(Time from, Time to) const;
  // Somebody else accounted for the time up to `to`.
  void skip(Time to);

  Cursor cursor() const;
  void restore(const Cursor& cursor);

 private:
  struct Sum {
    double joules = 0;
    double estimated = 0;
    double error = 0;
  };
  Sum integral(Time from, Time to) const;
  double at(Time time) const;
  Time settled_of(Time to) const;

  Duration gap_ = std::chrono::minutes(1);
  std::deque<Reading> readings_;  // from the last that is settled on
  std::optional<Time> settled_;   // accounted for good up to here
  double ahead_ = 0;              // and so much of what comes after
};

}  // namespace chorok::manager
