// Whether a domain could run here, and what CPU several hosts have in common.
#include <fmt/format.h>

#include <algorithm>
#include <pugixml.hpp>

#include "adapters/libvirt/calls.h"
#include "adapters/libvirt/xml_util.h"

namespace chorok::adapters::libvirt {

namespace {

const char* virt_type(const Session& session) {
  return session.facts.accelerator.accelerator == model::Accelerator::kKvm ? "kvm" : "qemu";
}

// What this host's QEMU says of itself for a machine type; empty when it does not have it.
std::string capabilities_for(const Session& session, const std::string& machine) {
  return take_string(virConnectGetDomainCapabilities(
      session.conn(), nullptr, session.facts.arch.c_str(), machine.c_str(), virt_type(session), 0));
}

std::string model_xml(const std::string& text) {
  if (text.starts_with("<")) return text;
  pugi::xml_document document;
  xml::Node cpu =
      xml::with(xml::with(xml::add(document, "cpu"), "mode", "custom"), "match", "exact");
  xml::add(cpu, "model", text.substr(0, text.find(',')));
  return xml::print(cpu);
}

void check_cpu(const Session& session, const std::string& machine, const std::string& cpu,
               std::vector<std::string>& reasons) {
  // Emulation gives every guest the same CPU, whatever the host's.
  if (cpu.empty() || session.facts.accelerator.accelerator != model::Accelerator::kKvm) return;
  int rc = virConnectCompareHypervisorCPU(
      session.conn(), nullptr, session.facts.arch.c_str(), machine.c_str(), virt_type(session),
      model_xml(cpu).c_str(), VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE);
  if (rc == VIR_CPU_COMPARE_SUPERSET || rc == VIR_CPU_COMPARE_IDENTICAL) return;
  if (rc == VIR_CPU_COMPARE_INCOMPATIBLE)
    reasons.emplace_back("the CPU of this host lacks features that the guest uses");
  else
    reasons.push_back(last_error("the CPU does not fit").error().message);
}

// A model that is asked for by name must be one that this host's QEMU has.
void check_model_known(xml::Node caps, const std::string& cpu_model,
                       std::vector<std::string>& reasons) {
  if (cpu_model.empty() || cpu_model.starts_with("<") || cpu_model.starts_with("host-")) return;
  std::string name = cpu_model.substr(0, cpu_model.find(','));
  xml::Node custom = caps.child("cpu").find_child_by_attribute("mode", "name", "custom");
  for (xml::Node model : custom.children("model"))
    if (name == model.text().get()) return;
  reasons.push_back(fmt::format("this host's QEMU has no CPU model '{}'", name));
}

void check_bridge(const model::DomainNic& nic, std::vector<std::string>& reasons) {
  if (nic.bridge.empty()) return;
  std::string path = "/sys/class/net/" + nic.bridge;
  if (access(path.c_str(), F_OK) != 0)
    reasons.push_back(fmt::format("the NIC '{}' needs the bridge '{}', which is not on this host",
                                  nic.spec.name, nic.bridge));
}

void check_network(const Session& session, const model::DomainNic& nic,
                   std::vector<std::string>& reasons) {
  if (nic.libvirt_network.empty()) return check_bridge(nic, reasons);
  virNetworkPtr network = virNetworkLookupByName(session.conn(), nic.libvirt_network.c_str());
  if (network == nullptr) {
    reasons.push_back(
        fmt::format("the NIC '{}' needs libvirt's network '{}', which is not on this "
                    "host",
                    nic.spec.name, nic.libvirt_network));
    return;
  }
  if (virNetworkIsActive(network) != 1)
    reasons.push_back(
        fmt::format("libvirt's network '{}' is not active on this host", nic.libvirt_network));
  virNetworkFree(network);
}

void check_files(const model::DomainSpec& domain, std::vector<std::string>& reasons) {
  auto check = [&](const std::string& what, const std::string& path) {
    if (!path.empty() && access(path.c_str(), R_OK) != 0)
      reasons.push_back(fmt::format("{} is not reachable on this host ({})", what, path));
  };
  for (const auto& disk : domain.disks)
    check(fmt::format("the disk '{}'", disk.spec.name), disk.path);
  for (const auto& cdrom : domain.cdroms)
    check(fmt::format("the medium of '{}'", cdrom.spec.name), cdrom.path);
  check("the kernel", domain.kernel);
  check("the initrd", domain.initrd);
}

void check_name(const Session& session, const model::DomainSpec& domain,
                std::vector<std::string>& reasons) {
  Domain other(virDomainLookupByName(session.conn(), domain.name.c_str()));
  char uuid[VIR_UUID_STRING_BUFLEN] = {};
  if (other == nullptr || virDomainGetUUIDString(other.get(), uuid) < 0) return;
  if (domain.uuid != uuid)
    reasons.push_back(fmt::format("this host has another domain named '{}'", domain.name));
}

}  // namespace

Result<std::vector<std::string>> compatibility(const Session& session,
                                               const model::DomainSpec& domain,
                                               const std::string& cpu_definition) {
  std::vector<std::string> reasons;
  std::string machine = domain.spec.machine.empty() ? "q35" : domain.spec.machine;
  std::string text = capabilities_for(session, machine);
  if (virConnectIsAlive(session.conn()) != 1)
    return fail(Code::kUnavailable, "libvirt cannot be asked now");
  if (text.empty())
    reasons.push_back(fmt::format("this host's QEMU has no machine type '{}'", machine));
  else
    check_cpu(session, machine,
              domain.spec.cpu_model.empty() || domain.spec.cpu_model.starts_with("host-")
                  ? cpu_definition
                  : domain.spec.cpu_model,
              reasons);
  pugi::xml_document caps;
  caps.load_buffer(text.data(), text.size());
  xml::Node devices = caps.child("domainCapabilities").child("devices");
  if (!text.empty())
    check_model_known(caps.child("domainCapabilities"), domain.spec.cpu_model, reasons);
  if (domain.spec.tpm && !text.empty() && !xml::is(devices.child("tpm"), "supported", "yes"))
    reasons.emplace_back("this host cannot emulate a TPM: install the package swtpm");
  if (domain.spec.firmware == model::Firmware::kUefi && session.facts.uefi.code.empty())
    reasons.emplace_back("this host has no UEFI firmware: install the package ovmf");
  check_name(session, domain, reasons);
  check_files(domain, reasons);
  for (const auto& nic : domain.nics) check_network(session, nic, reasons);
  return reasons;
}

Result<std::string> baseline(const Session& session, const std::vector<std::string>& definitions) {
  if (definitions.empty()) return fail(Code::kInvalid, "a baseline needs at least one host's CPU");
  std::vector<const char*> texts;
  for (const std::string& each : definitions) texts.push_back(each.c_str());
  char* text = virConnectBaselineHypervisorCPU(
      session.conn(), nullptr, session.facts.arch.c_str(), "q35", virt_type(session), texts.data(),
      static_cast<unsigned>(texts.size()), VIR_CONNECT_BASELINE_CPU_MIGRATABLE);
  if (text == nullptr) return last_error("these hosts' CPUs have no common baseline");
  return take_string(text);
}

}  // namespace chorok::adapters::libvirt
