#include "adapters/libvirt/host_facts.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include <fmt/format.h>

namespace chorok::adapters::libvirt {

namespace {

// Where distributions put OVMF without secure boot: Debian, Fedora, SUSE, Arch.
constexpr std::pair<const char*, const char*> kFirmware[] = {
    {"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
    {"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
    {"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},
    {"/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"},
    {"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"},
};

bool has_word(const std::string& line, const std::string& word) {
  std::string padded = line + " ";
  return padded.find(" " + word + " ") != std::string::npos;
}

bool file_has_word(const std::string& path, const std::string& word) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (has_word(" " + line, word)) return true;
  return false;
}

CgroupVersion cgroup_version(const std::string& controller) {
  if (file_has_word("/sys/fs/cgroup/cgroup.controllers", controller)) return CgroupVersion::kV2;
  std::error_code ignored;
  if (std::filesystem::is_directory("/sys/fs/cgroup/" + controller, ignored))
    return CgroupVersion::kV1;
  return CgroupVersion::kNone;
}

}  // namespace

AcceleratorChoice choose_accelerator(const std::string& cpuinfo_path, const std::string& kvm_path) {
  std::ifstream cpuinfo(cpuinfo_path);
  bool flagged = false;
  for (std::string line; !flagged && std::getline(cpuinfo, line);)
    flagged = line.starts_with("flags") && (has_word(line, "svm") || has_word(line, "vmx"));
  if (!flagged)
    return {model::Accelerator::kTcg,
            "the CPU shows neither svm nor vmx: hardware virtualization is off or not there, so "
            "guests are emulated (TCG)"};
  int fd = open(kvm_path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0)
    return {model::Accelerator::kTcg,
            fmt::format("{} does not open ({}), so guests are emulated (TCG)", kvm_path,
                        std::strerror(errno))};
  close(fd);
  return {model::Accelerator::kKvm, "the CPU shows svm or vmx and " + kvm_path + " opens"};
}

HostFacts read_host_facts() {
  HostFacts facts;
  facts.accelerator = choose_accelerator();
  facts.cpu_cgroup = cgroup_version("cpu");
  facts.memory_cgroup = cgroup_version("memory");
  for (const auto& [code, vars] : kFirmware) {
    if (access(code, R_OK) == 0 && access(vars, R_OK) == 0) {
      facts.uefi = {code, vars};
      break;
    }
  }
  return facts;
}

bool supports_direct_io(const std::string& path) {
  std::string probe = path;
  int fd = open(probe.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) {
    // The disk is not there yet: ask with a nameless file beside it.
    probe = std::filesystem::path(path).parent_path().string();
    fd = open(probe.c_str(), O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
  }
  if (fd < 0) return false;
  close(fd);
  return true;
}

std::string live_migration_warning(const model::HostInventory& host) {
  constexpr int kCorrected = 9;  // QEMU's first version without the fault
  int major = std::atoi(host.qemu_version.c_str());
  bool safe = host.accelerator == model::Accelerator::kKvm || host.hypervisor != "QEMU" ||
              major == 0 || major >= kCorrected;
  if (safe) return {};
  return fmt::format(
      "QEMU {} without KVM loses memory that a guest writes during a live migration, and the guest "
      "is corrupted: use KVM, or QEMU 9.0 or newer",
      host.qemu_version);
}

}  // namespace chorok::adapters::libvirt
