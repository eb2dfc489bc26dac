#include "adapters/libvirt/host_load.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>

namespace chorok::adapters::libvirt {

namespace {

constexpr std::int64_t kNanosecondsASecond = 1'000'000'000;

// The number after `name` and blanks, of the line that begins with it.
std::optional<std::int64_t> number_after(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string first;
    std::int64_t value = 0;
    if (words >> first && first == name && words >> value) return value;
  }
  return std::nullopt;
}

std::optional<std::int64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  std::int64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

void set_busy(model::HostSample& sample, std::int64_t nanoseconds) {
  sample.cpu_busy = Duration(nanoseconds);
  sample.cpu_known = true;
}

// /proc/stat: user nice system idle iowait irq softirq steal; guests are counted in user and nice.
void read_machine_cpu(model::HostSample& sample, const std::string& root) {
  std::ifstream file(root + "/proc/stat");
  std::string name;
  std::int64_t user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0;
  if (!(file >> name >> user >> nice >> system >> idle >> iowait >> irq >> softirq)) return;
  if (name != "cpu") return;
  const std::int64_t ticks = user + nice + system + irq + softirq;
  set_busy(sample, ticks * (kNanosecondsASecond / std::max(::sysconf(_SC_CLK_TCK), 1L)));
}

void read_machine_memory(model::HostSample& sample, const std::string& root) {
  const std::string path = root + "/proc/meminfo";
  sample.memory_total = Mib(number_after(path, "MemTotal:").value_or(0) / 1024);
  sample.memory_available = Mib(number_after(path, "MemAvailable:").value_or(0) / 1024);
}

void read_cgroup_cpu(model::HostSample& sample, const std::string& root) {
  const std::string folder = root + "/sys/fs/cgroup";
  if (auto used = number_after(folder + "/cpu.stat", "usage_usec"))
    return set_busy(sample, *used * 1000);
  for (const char* v1 : {"/cpuacct", "/cpu,cpuacct"})
    if (auto used = number_in(folder + v1 + "/cpuacct.usage")) return set_busy(sample, *used);
}

// What the cgroup holds and could not give back at once.
std::optional<Mib> cgroup_memory(const std::string& root) {
  const std::string folder = root + "/sys/fs/cgroup";
  auto used = number_in(folder + "/memory.current");
  auto cache = number_after(folder + "/memory.stat", "inactive_file");
  if (!used) {
    used = number_in(folder + "/memory/memory.usage_in_bytes");
    cache = number_after(folder + "/memory/memory.stat", "total_inactive_file");
  }
  if (!used) return std::nullopt;
  return Mib(std::max<std::int64_t>(*used - cache.value_or(0), 0) >> 20);
}

Duration uptime() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return Duration(now.tv_sec * kNanosecondsASecond + now.tv_nsec);
}

}  // namespace

model::HostSample read_host_load(HostSlice slice, const std::string& root) {
  model::HostSample sample;
  sample.uptime = uptime();
  read_machine_memory(sample, root);
  if (slice == HostSlice::kMachine) {
    read_machine_cpu(sample, root);
    return sample;
  }
  read_cgroup_cpu(sample, root);
  if (auto used = cgroup_memory(root))
    sample.memory_available = std::max(Mib{}, sample.memory_total - *used);
  return sample;
}

void limit_memory(model::HostSample& sample, Mib total) {
  if (total >= sample.memory_total) return;
  const Mib used = sample.memory_total - sample.memory_available;
  sample.memory_total = total;
  sample.memory_available = std::max(Mib{}, total - used);
}

}  // namespace chorok::adapters::libvirt
