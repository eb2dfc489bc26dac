#include "model/host_watch.h"

namespace chorok::model {

const Type& enum_type(const HostPhase*) {
  using enum HostPhase;
  constexpr auto kNumber = [](HostPhase phase) { return static_cast<std::int64_t>(phase); };
  static const Type kType = describe_enum<HostPhase>(
      "HostPhase", "What is known of a host and done about it.",
      {{kNumber(kUnknown), "unknown", "not seen yet"},
       {kNumber(kUp), "up", "answers"},
       {kNumber(kSilent), "silent", "was up and does not answer"},
       {kNumber(kFencing), "fencing", "is being switched off, so that its VMs may start elsewhere"},
       {kNumber(kFailed), "failed", "does not answer, and its VMs do not run"},
       {kNumber(kDown), "down", "is off"},
       {kNumber(kWaking), "waking", "was told to switch on"},
       {kNumber(kStopping), "stopping", "was told to switch off"}});
  return kType;
}

const Type& enum_type(const HostOffBy*) {
  using enum HostOffBy;
  constexpr auto kNumber = [](HostOffBy by) { return static_cast<std::int64_t>(by); };
  static const Type kType = describe_enum<HostOffBy>(
      "HostOffBy", "Who wanted it off.",
      {{kNumber(kNobody), "nobody", "it was found off, or is on"},
       {kNumber(kDpm), "dpm", "DPM, by itself"},
       {kNumber(kApplied), "applied", "a person applied what DPM had recommended"},
       {kNumber(kPerson), "person", "by hand: DPM does not switch it on"},
       {kNumber(kTest), "test", "its wake test"}});
  return kType;
}

const Type& PowerByHand::type() {
  static const Type kType =
      describe<PowerByHand>("PowerByHand", "What a person has told it last.")
          .field("task", &PowerByHand::task, "")
          .field("on", &PowerByHand::on, "")
          .field("open", &PowerByHand::open, "It is under way.")
          .field("failure", &PowerByHand::failure, "Why it came to nothing.", {.max_length = 1024});
  return kType;
}

const Type& HostWatch::type() {
  static const Type kType =
      describe<HostWatch>("HostWatch", "What is known of a host and done about it.")
          .field("phase", &HostWatch::phase, "")
          .field("since", &HostWatch::since, "Of the phase.")
          .field("heard", &HostWatch::heard, "When its agent was connected last.")
          .field("until", &HostWatch::until, "What is waited for has failed then.")
          .field("tries", &HostWatch::tries, "")
          .field("told", &HostWatch::told, "An event has been made of its silence.")
          .field("rest_until", &HostWatch::rest_until, "It is not switched before.")
          .field("rest_why", &HostWatch::rest_why, "Why it is left alone until then.",
                 {.max_length = 1024})
          .field("failed_at", &HostWatch::failed_at, "Its newest failure.")
          .field("time_on", &HostWatch::time_on, "From the order to its agent, the last time.")
          .field("time_off", &HostWatch::time_off, "From the order to no power, the last time.")
          .field("bmc_proven", &HostWatch::bmc_proven,
                 "Its BMC said 'on' while its agent answered: it is the BMC of this host.")
          .field("test", &HostWatch::test, "Whether it has proved that it comes back.")
          .field("off_by", &HostWatch::off_by, "Who wanted it off.")
          .field("off_user", &HostWatch::off_user, "Which person.")
          .field("hand", &HostWatch::hand, "What a person has told it last.");
  return kType;
}

}  // namespace chorok::model
