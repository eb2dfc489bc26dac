#include "manager/recommendation.h"

#include <fmt/format.h>

namespace chorok::manager {

Duration gain_over(const policy::Action& action, const model::PolicySettings& settings) {
  using policy::ActionKind;
  const bool is_of_power =
      action.kind == ActionKind::kPowerOn || action.kind == ActionKind::kPowerOff ||
      action.why == policy::Why::kConsolidate || action.why == policy::Why::kIdleHost;
  return is_of_power ? settings.power.judge_off : settings.balance.stability;
}

std::string title_of(const Recommendation& item) {
  switch (item.kind) {
    case policy::ActionKind::kMigrate:
      return fmt::format("migrate {} from {} to {}", item.vm, item.from, item.to);
    case policy::ActionKind::kStart:
      return fmt::format("start {} on {}", item.vm, item.to);
    case policy::ActionKind::kPowerOn:
      return fmt::format("switch {} on", item.to);
    case policy::ActionKind::kPowerOff:
      break;
  }
  return fmt::format("switch {} off", item.to);
}

bool is_same(const Recommendation& a, const Recommendation& b) {
  return a.kind == b.kind && a.vm == b.vm && a.from == b.from && a.to == b.to;
}

const Type& enum_type(const RecommendationState*) {
  constexpr auto kNumber = [](RecommendationState s) { return static_cast<std::int64_t>(s); };
  static const Type kType = describe_enum<RecommendationState>(
      "RecommendationState", "What became of a recommendation.",
      {{kNumber(RecommendationState::kOpen), "open", "a person decides"},
       {kNumber(RecommendationState::kIgnored), "ignored", "for an hour"},
       {kNumber(RecommendationState::kWaiting), "waiting", "applied; for others, or for room"},
       {kNumber(RecommendationState::kRunning), "running", ""},
       {kNumber(RecommendationState::kDone), "done", ""},
       {kNumber(RecommendationState::kFailed), "failed", "it ended without effect"},
       {kNumber(RecommendationState::kDropped), "dropped",
        "applied, and given up: the world has become another"}});
  return kType;
}
const Type& Recommendation::type() {
  static const Type kType =
      describe<Recommendation>("Recommendation", "What a round would do and leaves to a person.")
          .field("id", &Recommendation::id, "")
          .field("state", &Recommendation::state, "")
          .field("priority", &Recommendation::priority, "1 mandatory … 5 small gain.")
          .field("kind", &Recommendation::kind, "")
          .field("vm", &Recommendation::vm, "")
          .field("from", &Recommendation::from, "")
          .field("to", &Recommendation::to, "Also the host that is switched.")
          .field("why", &Recommendation::why, "")
          .field("reason", &Recommendation::reason, "", {.max_length = 4096})
          .field("gain_j", &Recommendation::gain_j,
                 "Joules over gain_over_s: of power, what is not drawn; of balance, what the CPU "
                 "time that VMs get more is worth.")
          .field("gain_over_s", &Recommendation::gain_over,
                 "Seconds that the gain is reckoned over.")
          .field("cost_j", &Recommendation::cost_j, "Joules.")
          .field("expires", &Recommendation::expires,
                 "Until then, if no round replaces it before; applied, it is given up then.")
          .field("after", &Recommendation::after, "Those that must have ended before.",
                 {.max_count = 100000})
          .field("applied_by", &Recommendation::applied_by, "")
          .field("waits_for", &Recommendation::waits_for,
                 "What was applied and waits: for what. What has come to nothing: why.",
                 {.max_length = 4096});
  return kType;
}

}  // namespace chorok::manager
