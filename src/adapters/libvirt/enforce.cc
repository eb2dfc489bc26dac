// What a running domain gets of its host, by the cgroup of its scope and its balloon. Read first
// and set only where it differs: this is called again whenever something about the domain changed.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "adapters/libvirt/calls.h"

namespace chorok::adapters::libvirt {

namespace {

constexpr unsigned kLive = VIR_DOMAIN_AFFECT_LIVE;
// libvirt says a quota that is none in several ways: not above 0, or absurdly large.
constexpr long long kNoQuota = 1'000'000'000'000;

struct Running {
  unsigned long long shares = 0;
  unsigned long long period_us = 0;
  long long quota_us = -1;
};

Running read_running(virDomainPtr domain) {
  Running running;
  std::array<virTypedParameter, 16> params{};
  int count = params.size();
  if (virDomainGetSchedulerParametersFlags(domain, params.data(), &count, kLive) < 0)
    return running;
  virTypedParamsGetULLong(params.data(), count, VIR_DOMAIN_SCHEDULER_CPU_SHARES, &running.shares);
  virTypedParamsGetULLong(params.data(), count, VIR_DOMAIN_SCHEDULER_GLOBAL_PERIOD,
                          &running.period_us);
  virTypedParamsGetLLong(params.data(), count, VIR_DOMAIN_SCHEDULER_GLOBAL_QUOTA,
                         &running.quota_us);
  virTypedParamsClear(params.data(), count);
  if (running.quota_us <= 0 || running.quota_us >= kNoQuota) running.quota_us = -1;
  return running;
}

// The whole domain has one weight and one quota: a guest that uses one of its vCPUs may use all of
// its limit there.
Result<> enforce_cpu(virDomainPtr domain, const CpuTuning& tuning) {
  const Running running = read_running(domain);
  TypedParams params;
  if (running.shares != tuning.shares)
    params.add_ullong(VIR_DOMAIN_SCHEDULER_CPU_SHARES, tuning.shares);
  const bool same_quota = running.quota_us == tuning.quota_us &&
                          (tuning.quota_us < 0 || running.period_us == tuning.period_us);
  if (!same_quota) {
    params.add_ullong(VIR_DOMAIN_SCHEDULER_GLOBAL_PERIOD, tuning.period_us);
    params.add_llong(VIR_DOMAIN_SCHEDULER_GLOBAL_QUOTA, tuning.quota_us);
  }
  if (params.size() == 0) return {};
  if (virDomainSetSchedulerParametersFlags(domain, params.data(), params.size(), kLive) == 0)
    return {};
  return last_error([&] { return fmt::format("cannot weigh '{}'", name_of(domain)); });
}

// A change would wait for a migration's end, at either side, and hold up what comes after it. What
// arrives has no definition before the switch-over.
bool is_busy(virDomainPtr domain) {
  if (virDomainIsPersistent(domain) != 1) return true;
  int type = VIR_DOMAIN_JOB_NONE;
  TypedParams params;
  if (virDomainGetJobStats(domain, &type, params.out(), params.out_size(), 0) != 0) return false;
  return type != VIR_DOMAIN_JOB_NONE && type != VIR_DOMAIN_JOB_COMPLETED;
}

bool has_balloon(virDomainPtr domain) {
  std::array<virDomainMemoryStatStruct, VIR_DOMAIN_MEMORY_STAT_NR> stats{};
  const int count = virDomainMemoryStats(domain, stats.data(), stats.size(), 0);
  return std::any_of(stats.begin(), stats.begin() + std::max(0, count), [](const auto& stat) {
    return stat.tag == VIR_DOMAIN_MEMORY_STAT_AVAILABLE && stat.val > 0;
  });
}

}  // namespace

Result<std::vector<std::string>> enforce_on_domain(const Session& session, const std::string& uuid,
                                                   const model::VmEnforcement& wanted) {
  Domain domain = TRY(find_domain(session, uuid));
  if (!is_active(TRY(raw_state(domain.get()))))
    return fail(Code::kFailedPrecondition, "the domain does not run");
  if (is_busy(domain.get()))
    return fail(Code::kFailedPrecondition, "the domain is busy with a job");
  const ParsedDomain live = TRY(read_domain(domain.get(), false));
  const ParsedDomain defined = TRY(read_domain(domain.get(), true));
  std::vector<std::string> problems;
  const CpuTuning tuning =
      cpu_tuning({.shares = wanted.shares, .limit = wanted.limit}, live.spec.vcpus, session.facts);
  if (tuning.shares == 0)
    problems.emplace_back("this host has no cgroup for CPU: VMs share it as the kernel likes");
  else
    TRY(enforce_cpu(domain.get(), tuning));
  // A definition may want more than the guest can have before its next boot.
  Mib all = defined.instance.memory;
  if (live.memory_device_xml.empty()) all = std::min(all, live.spec.memory);
  const bool takes = wanted.memory > Mib{} && wanted.memory < all;
  if (!takes && live.instance.memory >= all) return problems;
  const bool set = set_live_memory(domain.get(), live, takes ? wanted.memory : all);
  if (takes && !(set && has_balloon(domain.get())))
    problems.emplace_back("its guest has no balloon driver that answers: it keeps its memory");
  return problems;
}

}  // namespace chorok::adapters::libvirt
