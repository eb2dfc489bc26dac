#include "policy/energy_share.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <utility>

namespace chorok::policy {

namespace {

bool is_amount(double value) {
  return std::isfinite(value) && value >= 0;
}

Result<> check(const HostEnergySample& sample) {
  const model::PowerReading& r = sample.reading;
  if (!is_amount(sample.cpu) || !is_amount(sample.memory) || !is_amount(sample.idle.value) ||
      (r.watts && !is_amount(r.watts->value)) || (r.energy && !is_amount(r.energy->value)))
    return fail(Code::kInvalid, "a host's energy sample holds what is no amount");
  for (const VmEnergySample& vm : sample.vms)
    if (!is_amount(vm.cpu) || !is_amount(vm.memory) || vm.cpu_time < Duration{})
      return fail(Code::kInvalid, "an energy sample of VM " + vm.vm + " holds what is no amount");
  return {};
}

// What the host drew. A counter that began within the time knows only its part; the watts of the
// later sample stand for the rest.
Result<Joules> host_energy(const HostEnergySample& before, const HostEnergySample& after) {
  const model::PowerReading& old = before.reading;
  const model::PowerReading& now = after.reading;
  const bool same_counter = old.energy && now.energy && old.energy_since == now.energy_since &&
                            before.boot == after.boot && now.energy->value >= old.energy->value;
  if (same_counter) return *now.energy - *old.energy;
  Duration all = after.at - before.at;
  std::optional<Watts> watts = now.watts ? now.watts : old.watts;
  if (now.energy && now.energy_since > before.at && now.energy_since < after.at) {
    Duration counted = after.at - now.energy_since;
    if (!watts) watts = Watts(now.energy->value / seconds(counted));
    return *now.energy + *watts * (all - counted);
  }
  if (!watts)
    return fail(Code::kUnavailable, "the meter gave neither watts nor two readings of a counter");
  return *watts * all;
}

// One VM's part in the time between the samples.
struct Use {
  const VmEnergySample* vm;
  double present = 0;  // share of the time, 0..1
  double cpu_s = 0;    // of CPU time
};

class Uses {
 public:
  Uses(const HostEnergySample& before, const HostEnergySample& after) : after_(after) {
    same_boot_ = before.boot == after.boot;
    for (const VmEnergySample& vm : before.vms) before_.emplace(vm.vm, &vm);
    from_ = before.at;
    all_ = seconds(after.at - before.at);
  }

  Result<std::vector<Use>> take() {
    std::vector<Use> uses;
    for (const VmEnergySample& vm : after_.vms) {
      if (!seen_.emplace(vm.vm, true).second)
        return fail(Code::kInvalid, "VM " + vm.vm + " is in one energy sample twice");
      uses.push_back({&vm, presence(vm), cpu_seconds(vm)});
    }
    return uses;
  }

 private:
  double presence(const VmEnergySample& vm) const {
    Time first = std::max(vm.since, from_);
    Time last = vm.until == Time{} ? after_.at : std::min(vm.until, after_.at);
    return std::clamp(seconds(last - first) / all_, 0.0, 1.0);
  }
  // A counter that went back is that of another QEMU, and began at 0.
  double cpu_seconds(const VmEnergySample& vm) const {
    auto known = before_.find(vm.vm);
    const bool goes_on = same_boot_ && known != before_.end() && known->second->since == vm.since &&
                         known->second->cpu_time <= vm.cpu_time;
    return seconds(goes_on ? vm.cpu_time - known->second->cpu_time : vm.cpu_time);
  }

  const HostEnergySample& after_;
  bool same_boot_;
  Time from_;
  double all_;
  std::map<std::string_view, const VmEnergySample*> before_;
  std::map<std::string_view, bool> seen_;
};

// Of the host, or of all claims where they exceed it.
double share_of(double claim, double capacity, double claimed) {
  double whole = std::max(capacity, claimed);
  return whole > 0 ? claim / whole : 0;
}

}  // namespace

Result<HostEnergy> share_energy(const HostEnergySample& before, const HostEnergySample& after) {
  if (after.at <= before.at) return fail(Code::kInvalid, "the later sample is not later");
  TRY(check(before));
  TRY(check(after));
  HostEnergy result{.from = before.at, .to = after.at};
  result.total = TRY(host_energy(before, after));
  result.source = after.reading.source;
  result.error = std::max(before.reading.error, after.reading.error);

  std::vector<Use> uses = TRY(Uses(before, after).take());
  double cpu_claimed = 0;
  double memory_claimed = 0;
  double vms_cpu_s = 0;
  for (const Use& use : uses) {
    cpu_claimed += use.vm->cpu * use.present;
    memory_claimed += use.vm->memory * use.present;
    vms_cpu_s += use.cpu_s;
  }
  const bool same_boot = before.boot == after.boot && after.cpu_time >= before.cpu_time;
  const double host_cpu_s = seconds(same_boot ? after.cpu_time - before.cpu_time : after.cpu_time);
  // The samples of VMs and host are not of the same instant: the VMs' may add up to more.
  const double all_cpu_s = std::max(host_cpu_s, vms_cpu_s);

  const Joules idle = std::min(after.idle * (after.at - before.at), result.total);
  const Joules active = result.total - idle;
  result.unused = {idle, active};
  for (const Use& use : uses) {
    const double claim = (share_of(use.vm->cpu * use.present, after.cpu, cpu_claimed) +
                          share_of(use.vm->memory * use.present, after.memory, memory_claimed)) /
                         2;
    const double work = all_cpu_s > 0 ? use.cpu_s / all_cpu_s : 0;
    EnergyPart part{idle * claim, active * work};
    result.unused.idle -= part.idle;
    result.unused.active -= part.active;
    result.vms.push_back({use.vm->vm, part});
  }
  // Subtraction leaves dust below zero where everything is claimed.
  for (Joules* rest : {&result.unused.idle, &result.unused.active})
    if (rest->value < 0) *rest = Joules(0);
  return result;
}

}  // namespace chorok::policy
