#include "sim/datacenter/account.h"

#include <fmt/format.h>

namespace chorok::sim::datacenter {

Result<> check(const AccountSettings& settings, double seconds_long) {
  for (const auto* calendar : {&settings.price, &settings.carbon}) {
    if (!*calendar || (*calendar)->is_constant()) continue;
    const char* const name = calendar == &settings.price ? "price" : "CO2";
    if (!settings.start)
      return fail(Code::kInvalid,
                  fmt::format("the {} goes by the hour: say when the trace begins, as in "
                              "2026-03-01T00:00:00+09:00",
                              name),
                  "/start");
    if (!(*calendar)->covers(*settings.start, *settings.start + from_seconds(seconds_long)))
      return fail(Code::kInvalid,
                  fmt::format("the {} has no figures for all of the {:.1f} days from there; give a "
                              "longer series or another start",
                              name, seconds_long / 86400),
                  "/start");
  }
  return {};
}

void EnergyAccount::take(double time_s, double energy_kwh) {
  const double kwh = energy_kwh - last_kwh_;
  const Time start = settings_.start.value_or(Time{});
  const Time from = start + from_seconds(last_s_);
  const Time to = start + from_seconds(time_s);
  last_s_ = time_s;
  last_kwh_ = energy_kwh;
  if (kwh == 0) return;
  if (settings_.price) cost_ += kwh * settings_.price->mean(from, to);
  if (settings_.carbon) co2_kg_ += kwh * settings_.carbon->mean(from, to);
}

}  // namespace chorok::sim::datacenter
