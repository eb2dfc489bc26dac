#include "manager/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace chorok::manager {
namespace {

class Findings {
 public:
  explicit Findings(std::string at) : at_(std::move(at)) {}
  void add(std::string_view path, std::string message, Code code = Code::kInvalid) {
    out_.push_back({std::string(to_string(code)), std::move(message), at_ + std::string(path)});
  }
  void append(Problems other) { out_.insert(out_.end(), other.begin(), other.end()); }
  Problems take() { return std::move(out_); }
  const std::string& at() const { return at_; }

 private:
  std::string at_;
  Problems out_;
};

template <class T>
std::string known_names(const Table<T>& table) {
  std::vector<std::string> names;
  for (const auto& [id, record] : table.all()) {
    names.push_back(Record<T>::name(*record));
    if (names.size() >= 10) break;
  }
  return names.empty() ? "there is none yet" : fmt::format("there are: {}", fmt::join(names, ", "));
}

void check_file(const model::Datastore* datastore, std::string_view path, std::string_view field,
                const std::string& self, const Inventory& inventory, Findings& out);

// By a NIC of another VM. A set of all there are would cost more than this look.
bool is_taken(const std::string& mac, std::string_view self, const Inventory& inventory) {
  return std::ranges::any_of(inventory.vms().all(), [&](const auto& each) {
    return each.first != self &&
           std::ranges::find(each.second->spec.nics, mac, &model::NicSpec::mac) !=
               each.second->spec.nics.end();
  });
}

void check_sizes(const model::VmSpec& spec, Findings& out) {
  if (spec.max_vcpus > 0 && spec.max_vcpus < spec.vcpus)
    out.add("/max_vcpus", fmt::format("is {}, less than vcpus ({})", spec.max_vcpus, spec.vcpus));
  if (spec.max_memory > Mib{} && spec.max_memory < spec.memory)
    out.add("/max_memory", fmt::format("is {} MiB, less than memory ({})", spec.max_memory.value,
                                       spec.memory.value));
  if (spec.memory_allocation.reservation > spec.memory)
    out.add("/memory_allocation/reservation",
            fmt::format("is {} MiB, more than the memory it has ({})",
                        spec.memory_allocation.reservation.value, spec.memory.value));
  if (spec.cpu.limit > Mhz{} && spec.cpu.limit < spec.cpu.reservation)
    out.add("/cpu/limit", fmt::format("is {} MHz, less than the reservation ({})",
                                      spec.cpu.limit.value, spec.cpu.reservation.value));
  if (spec.memory_allocation.limit > Mib{} &&
      spec.memory_allocation.limit < spec.memory_allocation.reservation)
    out.add("/memory_allocation/limit", fmt::format("is {} MiB, less than the reservation ({})",
                                                    spec.memory_allocation.limit.value,
                                                    spec.memory_allocation.reservation.value));
}

void check_devices(const model::VmSpec& spec, const std::string& self, const Inventory& inventory,
                   Findings& out) {
  std::set<std::string> names;
  auto claim = [&](const std::string& name, const std::string& path) {
    if (!names.insert(name).second)
      out.add(path + "/name", fmt::format("'{}' is the name of another device of this VM", name));
  };
  for (std::size_t i = 0; i < spec.disks.size(); ++i) {
    std::string path = fmt::format("/disks/{}", i);
    claim(spec.disks[i].name, path);
    out.append(validate_disk(spec.disks[i], self, inventory, out.at() + path));
  }
  for (std::size_t i = 0; i < spec.cdroms.size(); ++i) {
    std::string path = fmt::format("/cdroms/{}", i);
    claim(spec.cdroms[i].name, path);
    if (spec.cdroms[i].path.empty()) continue;
    if (inventory.datastores().resolve(spec.cdroms[i].datastore) == nullptr)
      out.add(path + "/datastore",
              fmt::format("there is no datastore '{}'; {}", spec.cdroms[i].datastore,
                          known_names(inventory.datastores())));
  }
  std::set<std::string> macs;
  for (std::size_t i = 0; i < spec.nics.size(); ++i) {
    std::string path = fmt::format("/nics/{}", i);
    claim(spec.nics[i].name, path);
    if (inventory.networks().resolve(spec.nics[i].network) == nullptr)
      out.add(path + "/network", fmt::format("there is no network '{}'; {}", spec.nics[i].network,
                                             known_names(inventory.networks())));
    if (!spec.nics[i].mac.empty() &&
        (!macs.insert(spec.nics[i].mac).second || is_taken(spec.nics[i].mac, self, inventory)))
      out.add(path + "/mac", fmt::format("{} is used by another NIC", spec.nics[i].mac),
              Code::kAlreadyExists);
  }
  for (std::size_t i = 0; i < spec.boot.order.size(); ++i)
    if (!names.contains(spec.boot.order[i]))
      out.add(fmt::format("/boot/order/{}", i),
              fmt::format("the VM has no device '{}'", spec.boot.order[i]));
}

}  // namespace

namespace {

// Where Chorok puts a VM's disks. Whoever may make VMs in one folder has no business with those of
// another.
constexpr std::string_view kVmFiles = "vms/";

// The VM that has this file as a disk, or null. Datastores are compared by record, paths as they
// are written: they have neither `..` nor links (Pattern::kPath, Storage::resolve).
const model::Vm* owner_of(const model::Datastore* datastore, std::string_view path,
                          const std::string& self, const Inventory& inventory) {
  for (const auto& [id, vm] : inventory.vms().all()) {
    if (id == self) continue;
    for (const model::DiskSpec& disk : vm->spec.disks)
      if (!disk.path.empty() && disk.path == path &&
          inventory.datastores().resolve(disk.datastore).get() == datastore)
        return vm.get();
  }
  return nullptr;
}

void check_file(const model::Datastore* datastore, std::string_view path, std::string_view field,
                const std::string& self, const Inventory& inventory, Findings& out) {
  if (datastore == nullptr || path.empty()) return;
  bool own = !self.empty() && path.starts_with(fmt::format("{}{}/", kVmFiles, self));
  if (path.starts_with(kVmFiles) && !own) {
    out.add(field,
            fmt::format("'{}' is where Chorok keeps the disks of VMs; name a file outside '{}'",
                        path, kVmFiles));
  } else if (owner_of(datastore, path, self, inventory) != nullptr) {
    out.add(field, fmt::format("'{}' is a disk of another VM", path), Code::kAlreadyExists);
  }
}

}  // namespace

Problems validate_disk(const model::DiskSpec& disk, const std::string& self,
                       const Inventory& inventory, const std::string& at) {
  Findings out(at);
  auto check_datastore = [&](std::string_view ref, std::string_view path) {
    if (inventory.datastores().resolve(ref) == nullptr)
      out.add(path, fmt::format("there is no datastore '{}'; {}", ref,
                                known_names(inventory.datastores())));
  };
  check_datastore(disk.datastore, "/datastore");
  if (!disk.image.empty()) {
    auto colon = disk.image.find(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == disk.image.size()) {
      out.add("/image", "is written DATASTORE:PATH, as in shared:images/debian-12.qcow2");
    } else {
      std::string_view image = disk.image;
      check_datastore(image.substr(0, colon), "/image");
      check_file(inventory.datastores().resolve(image.substr(0, colon)).get(),
                 image.substr(colon + 1), "/image", self, inventory, out);
    }
  }
  check_file(inventory.datastores().resolve(disk.datastore).get(), disk.path, "/path", self,
             inventory, out);
  if (disk.size == Mib{} && disk.image.empty() && disk.path.empty())
    out.add("/size", "is 0; give a size, or an image to copy, or the path of an existing disk");
  return out.take();
}

Problems validate_vm_spec(const model::VmSpec& spec, const std::string& self,
                          const Inventory& inventory, std::string_view at) {
  Findings out{std::string(at)};
  check_sizes(spec, out);
  check_devices(spec, self, inventory, out);
  bool has_kernel = !spec.boot.kernel.empty();
  if (!has_kernel && !spec.boot.initrd.empty()) out.add("/boot/initrd", "an initrd needs a kernel");
  if (has_kernel && inventory.datastores().resolve(spec.boot.datastore) == nullptr)
    out.add("/boot/datastore", fmt::format("there is no datastore '{}'; {}", spec.boot.datastore,
                                           known_names(inventory.datastores())));
  return out.take();
}

Problems validate_datastore(const model::Datastore& datastore) {
  Findings out("");
  const std::string& path = datastore.path;
  bool clean = path.starts_with('/') && path.size() > 1 && path.find("/../") == std::string::npos &&
               !path.ends_with("/..") && path.find('\n') == std::string::npos;
  if (!clean) out.add("/path", fmt::format("'{}' is not an absolute path without '..'", path));
  return out.take();
}

Problems validate_network(const model::Network& network) {
  Findings out("");
  if (network.kind == model::NetworkKind::kNat) {
    if (network.libvirt_network.empty())
      out.add("/libvirt_network", "a NAT network needs the name of libvirt's network");
  } else if (network.bridge.empty()) {
    out.add("/bridge", "is missing: the name of the hosts' bridge, as in br0");
  }
  if (network.kind == model::NetworkKind::kVlan && network.vlan == 0)
    out.add("/vlan", "is missing: a tag from 1 to 4094");
  return out.take();
}

void assign_macs(model::VmSpec& spec, const Inventory& inventory,
                 const std::function<std::uint32_t()>& random) {
  std::set<std::string> taken;
  for (const model::NicSpec& nic : spec.nics) taken.insert(nic.mac);
  for (model::NicSpec& nic : spec.nics) {
    while (nic.mac.empty()) {
      std::uint32_t r = random();
      std::string mac =
          fmt::format("52:54:00:{:02x}:{:02x}:{:02x}", r & 0xff, (r >> 8) & 0xff, (r >> 16) & 0xff);
      if (!is_taken(mac, {}, inventory) && taken.insert(mac).second) nic.mac = mac;
    }
  }
}

Error first_problem(const Problems& problems) {
  CHOROK_ASSERT(!problems.empty());
  Error error{code_from_string(problems[0].code), problems[0].message, problems[0].field};
  // All of them, so that they are mended at once; of many the first.
  constexpr std::size_t kTold = 4;
  for (std::size_t i = 1; i < std::min(problems.size(), kTold); ++i)
    error.message += fmt::format("; {}: {}", problems[i].field, problems[i].message);
  if (problems.size() > kTold)
    error.message += fmt::format(" (and {} more)", problems.size() - kTold);
  return error;
}

}  // namespace chorok::manager
