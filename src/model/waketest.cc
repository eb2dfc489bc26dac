#include "model/waketest.h"

namespace chorok::model {

const Type& enum_type(const WakeStanding*) {
  static const Type kType =
      describe_enum<WakeStanding>("WakeStanding", "Whether a host is known to come back.",
                                  {{0, "due", "it is to be tried"},
                                   {1, "passed", "it was switched off and came back"},
                                   {2, "failed", "it did not go off, or did not come back"}});
  return kType;
}

const Type& enum_type(const WakeStage*) {
  static const Type kType = describe_enum<WakeStage>("WakeStage", "How far a wake test is.",
                                                     {{0, "none", "none is under way"},
                                                      {1, "stopping", "it is being switched off"},
                                                      {2, "standby", "it is off"},
                                                      {3, "waking", "it is being switched on"}});
  return kType;
}

const Type& WakeTest::type() {
  static const Type kType =
      describe<WakeTest>("WakeTest", "Whether a host has proved that it comes back.")
          .field("standing", &WakeTest::standing, "")
          .field("why", &WakeTest::why, "Why it failed, or is due.", {.max_length = 1024})
          .field("at", &WakeTest::at, "When the newest test ended.")
          .field("time_off", &WakeTest::time_off, "From the order to no power.")
          .field("time_on", &WakeTest::time_on, "From the order to its agent.")
          .field("standby_watts", &WakeTest::standby_watts,
                 "What it drew while it was off, by its BMC's meter; none: nobody has measured it.",
                 {.min = 0})
          .field("stage", &WakeTest::stage, "Of a test that is under way.")
          .field("begun", &WakeTest::begun, "When the newest test began.");
  return kType;
}

}  // namespace chorok::model
