#include "model/policy_settings.h"

namespace chorok::model {
namespace {

constexpr double kYear = 366 * 86400.0;  // seconds: longer than any of these is a mistake
constexpr Limits kSeconds = {.min = 0, .max = kYear};
constexpr Limits kFraction = {.min = 0, .max = 1};

// Whoever adds a setting gives it its row below, a check in snapshot.cc and a line in
// docs/snapshot.md, and then its size here.
static_assert(sizeof(BalanceSettings) == 80);
static_assert(sizeof(PowerSettings) == 88);
static_assert(sizeof(HaSettings) == 8);
static_assert(sizeof(PolicySettings) == 192);

}  // namespace

const Type& enum_type(const Automation*) {
  static const Type kType = describe_enum<Automation>(
      "Automation", "How far the cluster acts by itself.",
      {{0, "off", "not at all: such a VM stays where it is"},
       {1, "manual", "recommends; a person decides"},
       {2, "partial", "places what starts by itself, recommends the rest"},
       {3, "full", "acts"}});
  return kType;
}
const Type& enum_type(const RuleKind*) {
  static const Type kType =
      describe_enum<RuleKind>("RuleKind", "What a rule asks for.",
                              {{0, "together", "its VMs share a host"},
                               {1, "apart", "no two of its VMs share a host"},
                               {2, "hosts_only", "its VMs run on these hosts"},
                               {3, "hosts_never", "and not on these"}});
  return kType;
}
const Type& BalanceSettings::type() {
  static const Type kType =
      describe<BalanceSettings>("BalanceSettings", "How load is spread over hosts (DRS).")
          .field("automation", &BalanceSettings::automation, "How far it acts by itself.")
          .field("level", &BalanceSettings::level,
                 "1 only repairs what is broken … 5 takes any gain that pays for its move.",
                 {.min = 1, .max = 5})
          .field("moves_max", &BalanceSettings::moves_max, "Moves a round; 0 is any number.",
                 {.min = 0, .max = 100000})
          .field("moves_per_host", &BalanceSettings::moves_per_host,
                 "The same in and out of one host.", {.min = 0, .max = 1000})
          .field("work_max", &BalanceSettings::work_max, "Candidate moves weighed a round.",
                 {.min = 0, .max = 1e12})
          .field("stability_s", &BalanceSettings::stability,
                 "A VM does not move back within it, unless its demand changed (changed_load).",
                 kSeconds)
          .field("changed_load", &BalanceSettings::changed_load,
                 "A VM may move back early when its demand changed by this factor.",
                 {.min = 1, .max = 1000})
          .field("swaps", &BalanceSettings::swaps, "Two VMs may change places.")
          .field("deviations", &BalanceSettings::deviations,
                 "A target has room for its demand and this many standard deviations of it.",
                 {.min = 0, .max = 100})
          .field("performance_worth", &BalanceSettings::performance_worth,
                 "CPU not delivered counts as this many times the energy to deliver it.",
                 {.min = 0, .max = 1e6})
          .field("evenness", &BalanceSettings::evenness,
                 "How much mere unevenness counts: 0 not at all … 1.", kFraction)
          .field("memory_by_consumed", &BalanceSettings::memory_by_consumed,
                 "Memory counts as consumed; otherwise as active and overhead.");
  return kType;
}

const Type& PowerSettings::type() {
  static const Type kType =
      describe<PowerSettings>("PowerSettings", "Which hosts run (DPM).")
          .field("automation", &PowerSettings::automation, "How far it acts by itself.")
          .field("target", &PowerSettings::target,
                 "Part of its CPU that a running host may carry, by its VMs' demand and a margin "
                 "(deviations).",
                 kFraction)
          .field("deviations", &PowerSettings::deviations,
                 "Of that margin: this many standard deviations of the demand.",
                 {.min = 0, .max = 100})
          .field("memory_target", &PowerSettings::memory_target, "Part of its memory.", kFraction)
          .field("memory_overcommit", &PowerSettings::memory_overcommit,
                 "Configured memory over real memory; 1 is no overcommitment.",
                 {.min = 1, .max = 100})
          .field("judge_off_s", &PowerSettings::judge_off, "Switching off is judged over this.",
                 kSeconds)
          .field("uptime_min_s", &PowerSettings::uptime_min, "A host that was woken stays on.",
                 kSeconds)
          .field("break_even_factor", &PowerSettings::break_even_factor,
                 "A host stays off at least this often its break-even time.",
                 {.min = 0, .max = 1000})
          .field("hosts_on_min", &PowerSettings::hosts_on_min, "Hosts that always run.",
                 {.min = 0, .max = 100000})
          .field("changes_max", &PowerSettings::changes_max,
                 "Hosts switched a round, each way; 0 is any number.", {.min = 0, .max = 100000})
          .field("require_wake_test", &PowerSettings::require_wake_test,
                 "A living host is switched off only after it has passed a wake test.")
          .field("wake_test_every_s", &PowerSettings::wake_test_every,
                 "A wake test is due again after it.", {.min = 3600, .max = 10 * kYear});
  return kType;
}

const Type& HaSettings::type() {
  static const Type kType =
      describe<HaSettings>("HaSettings", "What happens when hosts fail (HA).")
          .field("enabled", &HaSettings::enabled, "VMs of a lost host start elsewhere.")
          .field("failures", &HaSettings::failures,
                 "Hosts that may fail at once: room for their VMs is kept.",
                 {.min = 0, .max = 1000});
  return kType;
}

const Type& PolicySettings::type() {
  static const Type kType =
      describe<PolicySettings>("PolicySettings", "What the cluster's policies go by.")
          .field("balance", &PolicySettings::balance, "Spreading load (DRS).")
          .field("power", &PolicySettings::power, "Which hosts run (DPM).")
          .field("ha", &PolicySettings::ha, "When hosts fail (HA).")
          .field("forecast_quantile", &PolicySettings::forecast_quantile,
                 "Of demand over the horizon.", kFraction)
          .field("horizon_s", &PolicySettings::horizon, "How far ahead plans look.", kSeconds);
  return kType;
}

}  // namespace chorok::model
