// What a host and its guests use: computed when somebody looks, or before it changes.
#include <algorithm>

#include "policy/divide.h"
#include "sim/fake_host.h"
#include "sim/fake_world.h"

namespace chorok::sim {
namespace {

constexpr double kOwnCores = 0.02;  // of the host itself
constexpr Mib kOwnMemory{512};
constexpr double kMibACpuSecond = 1;  // that a guest reads, writes, receives and sends

// In cores, if there were enough of them.
double demand_of(const FakeDomain& domain) {
  if (!domain.active() || !domain.guest.runs) return 0;
  const model::VmSpec& spec = domain.live->spec;
  return domain.guest.load.cpu * spec.vcpus;
}

// ... and with as much as it may have.
double limited(const FakeDomain& domain, double wanted, Mhz core) {
  if (wanted <= 0) return 0;
  const model::VmSpec& spec = domain.live->spec;
  const model::VmEnforcement* in_force = domain.in_force();
  for (const Mhz limit : {spec.cpu.limit, in_force != nullptr ? in_force->limit : Mhz{}})
    if (limit > Mhz{}) wanted = std::min(wanted, limit / core);
  return wanted;
}

double weight_of(const FakeDomain& domain) {
  const model::VmEnforcement* in_force = domain.in_force();
  if (in_force != nullptr && in_force->shares > 0) return static_cast<double>(in_force->shares);
  const model::VmSpec& spec = domain.spec().spec;
  return spec.cpu.shares > 0 ? static_cast<double>(spec.cpu.shares) : 1000.0 * spec.vcpus;
}

Mib part(Mib whole, double share) {
  return Mib(static_cast<std::int64_t>(static_cast<double>(whole.value) * share));
}

void fill_memory(model::VmSample& sample, const FakeDomain& domain, Time now) {
  Mib memory = domain.live->spec.memory;
  const model::VmEnforcement* in_force = domain.in_force();
  const bool has_balloon = domain.guest.has_balloon(now);
  if (has_balloon && in_force != nullptr && in_force->memory > Mib{})
    memory = std::min(memory, in_force->memory);
  const double idle = 1 - std::clamp(domain.guest.load.working_set, 0.0, 1.0);
  sample.memory = sample.memory_maximum = memory;
  sample.memory_resident = memory - part(memory, idle / 2);
  if (!has_balloon) return;
  sample.guest_available = memory;
  sample.guest_usable = part(memory, idle);
  sample.guest_unused = sample.guest_caches = part(memory, idle / 2);
}

void fill_traffic(model::VmSample& sample) {
  const double mib = seconds(sample.cpu_time) * kMibACpuSecond;
  const auto bytes = static_cast<std::int64_t>(mib * (1 << 20));
  sample.disk_read = sample.disk_written = Bytes(bytes);
  sample.net_received = sample.net_sent = Bytes(bytes);
  sample.disk_reads = sample.disk_writes = bytes / 4096;
}

}  // namespace

void FakeHost::account() {
  const Time now = world_.now();
  const double elapsed = seconds(now - accounted_);
  accounted_ = now;
  double wanted = 0;
  std::vector<double> demands;
  std::vector<policy::Claim> claims;
  for (const auto& [uuid, domain] : domains_) {
    demands.push_back(demand_of(domain));
    claims.push_back(
        {.shares = weight_of(domain), .ceiling = limited(domain, demands.back(), settings_.mhz)});
    wanted += claims.back().ceiling;
  }
  const double cores = std::max(settings_.cores - kOwnCores, 0.1);
  std::vector<double> granted(claims.size());
  policy::water_fill(claims, cores, granted);
  std::size_t at = 0;
  for (auto& [uuid, domain] : domains_) {
    if (domain.usage.qemu != domain.qemu) domain.usage = {.qemu = domain.qemu};
    domain.usage.cpu += from_seconds(granted[at] * elapsed);
    // Also what its limit keeps from it: the kernel counts a throttled thread as one that waits.
    domain.usage.ready += from_seconds(std::max(0.0, demands[at] - granted[at]) * elapsed);
    ++at;
  }
  if (powered_) busy_ += from_seconds((std::min(wanted, cores) + kOwnCores) * elapsed);
}

model::HostSample FakeHost::statistics() {
  account();
  model::HostSample sample;
  sample.uptime = world_.now() - booted_;
  sample.cpu_known = true;
  sample.cpu_busy = busy_;
  sample.memory_total = settings_.memory;
  sample.memory_available = settings_.memory - kOwnMemory;
  for (const auto& [uuid, domain] : domains_) {
    if (!domain.active()) continue;
    model::VmSample& vm = sample.vms.emplace_back();
    vm.uuid = uuid;
    vm.life = domain.qemu;
    vm.state = instance(domain).state;
    vm.vcpus = domain.live->spec.vcpus;
    vm.cpu_time = vm.cpu_user = domain.usage.cpu;
    vm.cpu_vcpus = vm.cpu_time;
    vm.cpu_ready = domain.usage.ready;
    fill_memory(vm, domain, world_.now());
    fill_traffic(vm);
    sample.memory_available -= vm.memory_resident;
  }
  sample.memory_available = std::max(sample.memory_available, Mib{});
  return sample;
}

}  // namespace chorok::sim
