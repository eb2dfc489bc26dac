#include "adapters/libvirt/lookups.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "adapters/libvirt/calls.h"

namespace chorok::adapters::libvirt {

namespace {

// A guest agent that does not answer at once is not waited for.
constexpr int kAgentTimeoutSeconds = 1;
constexpr auto kAddressAge = std::chrono::seconds(30);
constexpr auto kSizeAge = std::chrono::seconds(60);
// A guest gets its address some seconds after it or its agent is up, and no event says so.
constexpr auto kAddressPatience = std::chrono::minutes(3);
constexpr auto kAddressPauseLeast = std::chrono::seconds(1);
constexpr auto kAddressPauseMost = std::chrono::seconds(10);

void add_addresses(virDomainPtr domain, unsigned source, std::vector<std::string>& ips) {
  virDomainInterfacePtr* interfaces = nullptr;
  int count = virDomainInterfaceAddresses(domain, &interfaces, source, 0);
  for (int i = 0; i < count; ++i) {
    bool loopback = interfaces[i]->name != nullptr && std::strcmp(interfaces[i]->name, "lo") == 0;
    for (unsigned j = 0; !loopback && j < interfaces[i]->naddrs; ++j) {
      std::string address = interfaces[i]->addrs[j].addr;
      bool link_local = address.starts_with("fe80:") || address.starts_with("127.");
      if (!link_local && std::ranges::find(ips, address) == ips.end()) ips.push_back(address);
    }
    virDomainInterfaceFree(interfaces[i]);
  }
  std::free(static_cast<void*>(interfaces));
}

std::vector<std::string> read_addresses(const Session& session, const std::string& uuid,
                                        bool agent_connected) {
  std::vector<std::string> ips;
  Result<Domain> domain = find_domain(session, uuid);
  if (!domain) return ips;
  if (agent_connected) {
    virDomainAgentSetResponseTimeout(domain->get(), kAgentTimeoutSeconds, 0);
    add_addresses(domain->get(), VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT, ips);
  }
  if (ips.empty()) add_addresses(domain->get(), VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE, ips);
  if (ips.empty()) add_addresses(domain->get(), VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP, ips);
  std::ranges::sort(ips);
  return ips;
}

// Capacity and allocation in bytes, from the file itself: QEMU's monitor may be stuck.
std::optional<std::pair<std::int64_t, std::int64_t>> read_size(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return std::nullopt;
  struct stat status{};
  fstat(fd, &status);
  std::int64_t capacity = lseek(fd, 0, SEEK_END);
  std::array<unsigned char, 32> header{};
  bool whole = pread(fd, header.data(), header.size(), 0) == static_cast<ssize_t>(header.size());
  close(fd);
  if (whole && std::memcmp(header.data(), "QFI\xfb", 4) == 0) {
    capacity = 0;
    for (std::size_t i = 24; i < 32; ++i) capacity = capacity << 8 | header[i];
  }
  if (capacity < 0) return std::nullopt;
  return std::pair{capacity, static_cast<std::int64_t>(status.st_blocks) * 512};
}

}  // namespace

std::optional<std::chrono::nanoseconds> next_address_question(std::chrono::nanoseconds without) {
  if (without >= kAddressPatience) return std::nullopt;
  return std::clamp<std::chrono::nanoseconds>(without / 4, kAddressPauseLeast, kAddressPauseMost);
}

std::vector<std::string> Lookups::addresses(const std::string& uuid, bool agent_connected) {
  std::lock_guard lock(mutex_);
  Addresses& entry = addresses_[uuid];
  bool changed = entry.agent_connected != agent_connected;
  if (changed) entry.without_since = Clock::now();
  auto age = Clock::now() - entry.asked;
  auto most = entry.ips.empty() ? std::chrono::seconds(1) : kAddressAge;
  if (!entry.asking && (changed || age > most)) ask_addresses(uuid, agent_connected);
  return entry.ips;
}

void Lookups::ask_addresses(const std::string& uuid, bool agent_connected) {
  Addresses& entry = addresses_[uuid];
  entry.asking = true;
  entry.asked = Clock::now();
  entry.agent_connected = agent_connected;
  core_.run<std::vector<std::string>>(
      "addresses", Effect::kReads,
      [uuid, agent_connected](Session& session) -> Result<std::vector<std::string>> {
        return read_addresses(session, uuid, agent_connected);
      },
      [this, uuid](Result<std::vector<std::string>> ips) {
        got_addresses(uuid, ips.value_or(std::vector<std::string>{}));
      });
}

void Lookups::got_addresses(const std::string& uuid, std::vector<std::string> ips) {
  std::lock_guard lock(mutex_);
  auto found = addresses_.find(uuid);
  if (found == addresses_.end()) return;
  Addresses& entry = found->second;
  entry.asking = false;
  if (entry.ips != ips) {
    if (ips.empty()) entry.without_since = Clock::now();
    entry.ips = std::move(ips);
    core_.changed(uuid);
  }
  if (entry.ips.empty()) ask_again_later(uuid);
}

// On the loop's thread, with the lock held. One domain is asked, not all of them listed.
void Lookups::ask_again_later(const std::string& uuid) {
  Addresses& entry = addresses_[uuid];
  auto pause = next_address_question(Clock::now() - entry.without_since);
  if (!pause || entry.again) return;
  entry.again = true;
  core_.after(std::chrono::duration_cast<Duration>(*pause), [this, uuid] {
    std::lock_guard guard(mutex_);
    auto found = addresses_.find(uuid);
    if (found == addresses_.end()) return;
    found->second.again = false;
    if (found->second.asking || !found->second.ips.empty()) return;
    ask_addresses(uuid, found->second.agent_connected);
  });
}

void Lookups::fill_sizes(const std::string& uuid, std::vector<model::DiskInfo>& disks) {
  std::lock_guard lock(mutex_);
  for (model::DiskInfo& disk : disks) {
    if (disk.path.empty()) continue;
    Size& size = sizes_[disk.path];
    disk.capacity = size.capacity;
    disk.allocated = size.allocated;
    if (!size.asking && (!size.known || Clock::now() - size.asked > kSizeAge))
      ask_size(uuid, disk.path);
  }
}

void Lookups::ask_size(const std::string& uuid, const std::string& path) {
  Size& size = sizes_[path];
  if (size.asked != Clock::time_point{} && Clock::now() - size.asked < std::chrono::seconds(1))
    return;  // it is not there: not asked at each look
  size.asking = true;
  size.asked = Clock::now();
  // One file after the other: a datastore that hangs takes one worker with it.
  core_.submit("sizes", [this, uuid, path, keep = core_.shared_from_this()] {
    auto found = read_size(path);
    std::lock_guard lock(mutex_);
    Size& entry = sizes_[path];
    entry.asking = false;
    if (!found) return;
    auto mib = [](std::int64_t bytes) { return Mib((bytes + (1 << 20) - 1) >> 20); };
    bool news = !entry.known || entry.capacity != mib(found->first);
    entry.known = true;
    entry.capacity = mib(found->first);
    entry.allocated = mib(found->second);
    if (news) core_.changed(uuid);
  });
}

void Lookups::keep_only(const std::set<std::string>& running) {
  std::lock_guard lock(mutex_);
  std::erase_if(addresses_, [&](const auto& entry) { return !running.contains(entry.first); });
  // Paths of disks come and go rarely; a host with thousands of dead ones starts over.
  constexpr std::size_t kMostPaths = 10'000;
  if (sizes_.size() > kMostPaths)
    std::erase_if(sizes_, [](const auto& entry) { return !entry.second.asking; });
}

}  // namespace chorok::adapters::libvirt
