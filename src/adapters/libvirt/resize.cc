// Changing a domain's size and its share of the host, at once where that can be, else at the next
// boot.
#include <fmt/format.h>

#include "adapters/libvirt/calls.h"

namespace chorok::adapters::libvirt {

namespace {

constexpr unsigned kConfig = VIR_DOMAIN_AFFECT_CONFIG;
constexpr unsigned kLive = VIR_DOMAIN_AFFECT_LIVE;

// True when the running guest has as many from now on.
bool set_live_vcpus(const Session& session, virDomainPtr domain, const ParsedDomain& live,
                    std::int32_t vcpus) {
  if (vcpus == live.spec.vcpus) return true;
  // Emulated CPUs do not come out: libvirt would count wrong for seconds, then say no.
  bool emulated = session.facts.accelerator.accelerator == model::Accelerator::kTcg;
  if (vcpus < live.spec.vcpus && emulated) return false;
  return virDomainSetVcpusFlags(domain, static_cast<unsigned>(vcpus), kLive) == 0;
}

void note(ports::Applied& applied, bool at_once, const char* field) {
  (at_once ? applied.live : applied.next_boot).emplace_back(field);
}

}  // namespace

// Up to what it booted with by the balloon, above that by its virtio-mem device.
bool set_live_memory(virDomainPtr domain, const ParsedDomain& live, Mib memory) {
  if (memory == live.instance.memory) return true;
  Mib plugged = std::max(Mib{}, memory - live.spec.memory);
  if (plugged > Mib{} && live.memory_device_xml.empty()) return false;
  if (!live.memory_device_xml.empty()) {
    std::string device = with_requested_memory(live.memory_device_xml, plugged);
    if (device.empty() || virDomainUpdateDeviceFlags(domain, device.c_str(), kLive) < 0)
      return false;
  }
  Mib balloon = std::min(memory, live.spec.memory);
  bool at_boot_size = live.instance.memory >= live.spec.memory;
  if (balloon == live.spec.memory && at_boot_size) return true;
  return virDomainSetMemoryFlags(domain, static_cast<unsigned long>(balloon.value) * 1024, kLive) ==
         0;
}

Result<ports::Applied> resize_domain(const Session& session, const std::string& uuid,
                                     const ports::ResizeRequest& request) {
  Domain domain = TRY(find_domain(session, uuid));
  bool active = is_active(TRY(raw_state(domain.get())));
  std::string before =
      TRY(domain_text(domain.get(), VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE));
  std::string after = TRY(with_size(before, request.vcpus, request.memory));
  if (Domain(virDomainDefineXMLFlags(session.conn(), after.c_str(), 0)) == nullptr)
    return last_error([&] { return fmt::format("cannot resize '{}'", name_of(domain.get())); });
  ports::Applied applied;
  ParsedDomain live = TRY(read_domain(domain.get(), false));
  if (request.vcpus > 0)
    note(applied, !active || set_live_vcpus(session, domain.get(), live, request.vcpus), "vcpus");
  if (request.memory > Mib{})
    note(applied, !active || set_live_memory(domain.get(), live, request.memory), "memory");
  settle(domain.get());
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
  bool saved = set_cpu(kConfig);
  note(applied, saved && (!active || set_cpu(kLive)), "cpu");
  TypedParams limits;
  auto kib = memory.limit > Mib{} ? memory.limit.value * 1024
                                  : std::int64_t{VIR_DOMAIN_MEMORY_PARAM_UNLIMITED};
  limits.add_ullong(VIR_DOMAIN_MEMORY_SOFT_LIMIT, static_cast<unsigned long long>(kib));
  auto set_limit = [&](unsigned flags) {
    return virDomainSetMemoryParameters(domain.get(), limits.data(), limits.size(), flags) == 0;
  };
  saved = set_limit(kConfig);
  note(applied, saved && (!active || set_limit(kLive)), "memory_allocation");
  return applied;
}

}  // namespace chorok::adapters::libvirt
