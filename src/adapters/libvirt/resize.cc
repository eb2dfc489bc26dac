// Changing a domain's size and its share of the host, at once where that can be, else at the next
// boot.
#include <fmt/format.h>
#include <libvirt/virterror.h>

#include "adapters/libvirt/calls.h"

namespace chorok::adapters::libvirt {

namespace {

constexpr unsigned kConfig = VIR_DOMAIN_AFFECT_CONFIG;

Unexpected cannot(const char* verb, virDomainPtr domain) {
  return last_error(fmt::format("cannot {} '{}'", verb, name_of(domain)));
}

Result<> set_vcpus(virDomainPtr domain, bool active, std::int32_t vcpus, ports::Applied& applied) {
  ParsedDomain next = TRY(read_domain(domain, true));
  auto count = static_cast<unsigned>(vcpus);
  std::int32_t most = std::max(next.spec.vcpus, next.spec.max_vcpus);
  if (vcpus > most && virDomainSetVcpusFlags(domain, count, kConfig | VIR_DOMAIN_VCPU_MAXIMUM) < 0)
    return cannot("raise the vCPU limit of", domain);
  if (virDomainSetVcpusFlags(domain, count, VIR_DOMAIN_AFFECT_CONFIG) < 0)
    return cannot("set the vCPUs of", domain);
  bool live = active && virDomainSetVcpusFlags(domain, count, VIR_DOMAIN_AFFECT_LIVE) == 0;
  (live || !active ? applied.live : applied.next_boot).emplace_back("vcpus");
  return {};
}

Result<> set_memory(virDomainPtr domain, bool active, Mib memory, ports::Applied& applied) {
  ParsedDomain next = TRY(read_domain(domain, true));
  auto kib = static_cast<unsigned long>(memory.value) * 1024;
  // The definition's memory is what the guest boots with; its balloon starts full.
  if (memory != next.spec.memory && next.spec.max_memory == Mib{} &&
      virDomainSetMemoryFlags(domain, kib, kConfig | VIR_DOMAIN_MEM_MAXIMUM) < 0)
    return cannot("set the memory of", domain);
  if (virDomainSetMemoryFlags(domain, kib, VIR_DOMAIN_AFFECT_CONFIG) < 0)
    return cannot("set the memory of", domain);
  bool live = active && virDomainSetMemoryFlags(domain, kib, VIR_DOMAIN_AFFECT_LIVE) == 0;
  (live || !active ? applied.live : applied.next_boot).emplace_back("memory");
  return {};
}

}  // namespace

Result<ports::Applied> resize_domain(const Session& session, const std::string& uuid,
                                     const ports::ResizeRequest& request) {
  Domain domain = TRY(find_domain(session, uuid));
  bool active = is_active(TRY(raw_state(domain.get())));
  ports::Applied applied;
  if (request.vcpus > 0) TRY(set_vcpus(domain.get(), active, request.vcpus, applied));
  if (request.memory > Mib{}) TRY(set_memory(domain.get(), active, request.memory, applied));
  return applied;
}

Result<ports::Applied> tune_domain(const Session& session, const std::string& uuid,
                                   const model::CpuAllocation& cpu,
                                   const model::MemoryAllocation& memory) {
  Domain domain = TRY(find_domain(session, uuid));
  bool active = is_active(TRY(raw_state(domain.get())));
  ParsedDomain parsed = TRY(read_domain(domain.get(), !active));
  ports::Applied applied;
  CpuTuning tuning = cpu_tuning(cpu, parsed.spec.vcpus, session.facts);
  TypedParams params;
  params.add_ullong(VIR_DOMAIN_SCHEDULER_CPU_SHARES, tuning.shares);
  params.add_ullong(VIR_DOMAIN_SCHEDULER_GLOBAL_PERIOD, tuning.period_us);
  params.add_llong(VIR_DOMAIN_SCHEDULER_GLOBAL_QUOTA, tuning.quota_us);
  auto set_cpu = [&](unsigned flags) {
    return tuning.shares != 0 && virDomainSetSchedulerParametersFlags(domain.get(), params.data(),
                                                                      params.size(), flags) == 0;
  };
  bool saved = set_cpu(VIR_DOMAIN_AFFECT_CONFIG);
  bool live = !active || set_cpu(VIR_DOMAIN_AFFECT_LIVE);
  (saved && live ? applied.live : applied.next_boot).emplace_back("cpu");
  TypedParams limits;
  constexpr auto kNoLimit = VIR_DOMAIN_MEMORY_PARAM_UNLIMITED;
  limits.add_ullong(VIR_DOMAIN_MEMORY_SOFT_LIMIT,
                    memory.limit > Mib{}
                        ? static_cast<unsigned long long>(memory.limit.value) * 1024
                        : static_cast<unsigned long long>(kNoLimit));
  auto set_memory_limit = [&](unsigned flags) {
    return virDomainSetMemoryParameters(domain.get(), limits.data(), limits.size(), flags) == 0;
  };
  saved = set_memory_limit(VIR_DOMAIN_AFFECT_CONFIG);
  live = !active || set_memory_limit(VIR_DOMAIN_AFFECT_LIVE);
  (saved && live ? applied.live : applied.next_boot).emplace_back("memory_allocation");
  return applied;
}

}  // namespace chorok::adapters::libvirt
