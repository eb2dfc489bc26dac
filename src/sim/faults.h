// What goes wrong, and when. A FaultPlan is asked once for every call that crosses a port and
// answers with at most one fault. Chance comes from rates that vary per seed (FoundationDB's
// BUGGIFY: most seeds have most faults off and a few often, so that rare combinations are met);
// scripts put a fault on exactly the n-th call of a kind, for a test that needs that one.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "sim/random.h"

namespace chorok::sim {

enum class Fault : std::uint8_t {
  kNone,
  kSlow,           // takes Decision::slowness times as long
  kErrorBefore,    // a definite error, nothing happened
  kUnknownBefore,  // kUnknown, nothing happened
  kUnknownAfter,   // kUnknown, it happened
  kErrorAfter,     // an error that reads as definite, and yet it happened (libvirt does that)
  kLostAnswer,     // it happened; the caller hears kTimeout after FaultRates::answer_lost_after
  kDisconnect,     // the daemon dies under the call and comes back
};
inline constexpr std::size_t kFaultKinds = 8;
std::string_view to_string(Fault fault);

// Probabilities a call, by kind of fault.
struct FaultRates {
  std::array<double, kFaultKinds> rate{};  // indexed by Fault; kNone's is not used
  double migration_breaks = 0;             // a migration's stream breaks on the way
  double max_slowness = 20;
  Duration answer_lost_after = std::chrono::seconds(30);

  double& operator[](Fault fault) { return rate[static_cast<std::size_t>(fault)]; }
  double operator[](Fault fault) const { return rate[static_cast<std::size_t>(fault)]; }
  // Every kind is on in one seed of three, at 0.1 to 10 %.
  static FaultRates vary(Random random);
};

struct Decision {
  Fault fault = Fault::kNone;
  double slowness = 1;
};

class FaultPlan {
 public:
  explicit FaultPlan(Random random, FaultRates rates = {});

  // `op` is "port.method", "hypervisor.start"; `host` the host's name.
  Decision decide(std::string_view op, std::string_view host);
  // Chance that stands outside calls (FaultRates::migration_breaks). False while disabled.
  bool chance(double probability);

  // The next calls of `op` on `host` ("" stands for any): `skip` pass, the one after gets `fault`.
  // Scripts work also while chance is disabled.
  void script(std::string op, std::string host, Fault fault, std::uint32_t skip = 0);
  // Off: chance does nothing, so that a test can let the world settle.
  void enable(bool on) { enabled_ = on; }
  FaultRates& rates() { return rates_; }
  // How often each kind has struck; a run in which none did has shown little.
  std::uint64_t count(Fault fault) const { return counts_[static_cast<std::size_t>(fault)]; }

 private:
  struct Script {
    std::string op;
    std::string host;
    Fault fault;
    std::uint32_t skip;
  };
  Fault scripted(std::string_view op, std::string_view host);
  Fault drawn();

  Random random_;
  FaultRates rates_;
  bool enabled_ = true;
  std::vector<Script> scripts_;
  std::array<std::uint64_t, kFaultKinds> counts_{};
};

}  // namespace chorok::sim
