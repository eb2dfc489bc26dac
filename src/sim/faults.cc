#include "sim/faults.h"

namespace chorok::sim {

std::string_view to_string(Fault fault) {
  static constexpr std::array<std::string_view, kFaultKinds> kNames = {
      "none",          "slow",        "error before", "unknown before",
      "unknown after", "error after", "lost answer",  "disconnect"};
  return kNames[static_cast<std::size_t>(fault)];
}

FaultRates FaultRates::vary(Random random) {
  static constexpr std::array<double, 4> kLevels = {0.001, 0.01, 0.03, 0.1};
  auto pick = [&] { return random.chance(1.0 / 3) ? kLevels[random.below(kLevels.size())] : 0.0; };
  FaultRates rates;
  for (std::size_t kind = 1; kind < kFaultKinds; ++kind) rates.rate[kind] = pick();
  // A daemon that dies at every tenth call never lets anything settle.
  rates[Fault::kDisconnect] = std::min(rates[Fault::kDisconnect], 0.01);
  rates.migration_breaks = pick();
  rates.max_slowness = random.between(2, 50);
  return rates;
}

FaultPlan::FaultPlan(Random random, FaultRates rates) : random_(random), rates_(rates) {}

bool FaultPlan::chance(double probability) {
  return enabled_ && random_.chance(probability);
}

void FaultPlan::script(std::string op, std::string host, Fault fault, std::uint32_t skip) {
  scripts_.push_back({std::move(op), std::move(host), fault, skip});
}

Fault FaultPlan::scripted(std::string_view op, std::string_view host) {
  for (std::size_t i = 0; i < scripts_.size(); ++i) {
    Script& script = scripts_[i];
    if (script.op != op || (!script.host.empty() && script.host != host)) continue;
    if (script.skip > 0) {
      --script.skip;
      continue;
    }
    Fault fault = script.fault;
    scripts_.erase(scripts_.begin() + static_cast<std::ptrdiff_t>(i));
    return fault;
  }
  return Fault::kNone;
}

Fault FaultPlan::drawn() {
  if (!enabled_) return Fault::kNone;
  for (std::size_t kind = 1; kind < kFaultKinds; ++kind)
    if (random_.chance(rates_.rate[kind])) return static_cast<Fault>(kind);
  return Fault::kNone;
}

Decision FaultPlan::decide(std::string_view op, std::string_view host) {
  Decision decision{scripted(op, host)};
  if (decision.fault == Fault::kNone) decision.fault = drawn();
  if (decision.fault == Fault::kSlow) decision.slowness = random_.between(1, rates_.max_slowness);
  ++counts_[static_cast<std::size_t>(decision.fault)];
  return decision;
}

}  // namespace chorok::sim
