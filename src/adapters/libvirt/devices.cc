// Disks, NICs and media of a domain: into the definition, and into the running guest where it can
// be.
#include <fmt/format.h>
#include <libvirt/virterror.h>

#include "adapters/libvirt/calls.h"

namespace chorok::adapters::libvirt {

namespace {

// A guest that is up answers an unplug within this; one that does not may never.
constexpr auto kUnplugPatience = std::chrono::seconds(10);

Unexpected cannot(const char* verb, const std::string& name, virDomainPtr domain) {
  return last_error(
      [&] { return fmt::format("cannot {} '{}' of '{}'", verb, name, name_of(domain)); });
}

struct Target {
  Domain domain;
  bool active = false;
  ParsedDomain next;  // its definition
};
Result<Target> open_target(const Session& session, const std::string& uuid) {
  Target target;
  target.domain = TRY(find_domain(session, uuid));
  target.active = is_active(TRY(raw_state(target.domain.get())));
  target.next = TRY(read_domain(target.domain.get(), true));
  return target;
}

Result<ports::Applied> attach(const Target& target, const std::string& xml, const char* field,
                              const std::string& name) {
  virDomainPtr domain = target.domain.get();
  ports::Applied applied;
  if (virDomainAttachDeviceFlags(domain, xml.c_str(), VIR_DOMAIN_AFFECT_CONFIG) < 0)
    return cannot("attach", name, domain);
  bool live = !target.active ||
              virDomainAttachDeviceFlags(domain, xml.c_str(), VIR_DOMAIN_AFFECT_LIVE) == 0;
  if (!live)
    Core::log().info("attach waits for the next boot domain={} device={} reason=\"{}\"",
                     name_of(domain), name, last_error("live").error().message);
  (live ? applied.live : applied.next_boot).emplace_back(field);
  settle(domain);
  return applied;
}

// Unplugging is asked of the guest and confirmed by an event. True when it is out.
bool unplug(const Session& session, const std::string& uuid, virDomainPtr domain,
            const DeviceRef& device) {
  Core& core = session.core;
  {
    std::lock_guard lock(core.news_mutex());
    core.news(uuid) = JobNews{};
  }
  Result<ParsedDomain> live = read_domain(domain, false);
  const DeviceRef* found = live ? find_device(*live, device.name) : nullptr;
  bool out = live && found == nullptr;
  if (found != nullptr &&
      virDomainDetachDeviceFlags(domain, found->xml.c_str(), VIR_DOMAIN_AFFECT_LIVE) == 0) {
    std::unique_lock lock(core.news_mutex());
    out = core.news_arrived().wait_for(lock, kUnplugPatience,
                                       [&] { return !core.news(uuid).removed_devices.empty(); });
  }
  core.forget_news(uuid);
  return out;
}

const char* field_of(DeviceRef::Kind kind) {
  return kind == DeviceRef::Kind::kNic    ? "nics"
         : kind == DeviceRef::Kind::kDisk ? "disks"
                                          : "cdroms";
}

}  // namespace

Result<ports::Applied> attach_domain_disk(const Session& session, const std::string& uuid,
                                          const model::DomainDisk& disk) {
  Target target = TRY(open_target(session, uuid));
  if (const DeviceRef* found = find_device(target.next, disk.spec.name)) {
    if (found->path == disk.path) return ports::Applied{{"disks"}, {}};
    return fail(Code::kAlreadyExists, fmt::format("'{}' has another disk '{}'",
                                                  name_of(target.domain.get()), disk.spec.name));
  }
  std::string name = free_target(target.next, disk.spec.bus);
  return attach(target, disk_xml(disk, name), "disks", disk.spec.name);
}

Result<ports::Applied> attach_domain_nic(const Session& session, const std::string& uuid,
                                         const model::DomainNic& nic) {
  Target target = TRY(open_target(session, uuid));
  if (find_device(target.next, nic.spec.name) != nullptr) return ports::Applied{{"nics"}, {}};
  return attach(target, nic_xml(nic), "nics", nic.spec.name);
}

Result<ports::Applied> change_domain_medium(const Session& session, const std::string& uuid,
                                            const model::DomainCdrom& cdrom) {
  Target target = TRY(open_target(session, uuid));
  virDomainPtr domain = target.domain.get();
  const DeviceRef* found = find_device(target.next, cdrom.spec.name);
  if (found == nullptr || found->kind != DeviceRef::Kind::kCdrom)
    return fail(Code::kNotFound,
                fmt::format("'{}' has no CD-ROM '{}'", name_of(domain), cdrom.spec.name));
  std::string xml = cdrom_xml(cdrom, found->target);
  // Forced: also out of a drive that the guest has locked.
  constexpr unsigned kForce = VIR_DOMAIN_DEVICE_MODIFY_FORCE;
  if (virDomainUpdateDeviceFlags(domain, xml.c_str(), VIR_DOMAIN_AFFECT_CONFIG | kForce) < 0)
    return cannot("change the medium of", cdrom.spec.name, domain);
  if (target.active &&
      virDomainUpdateDeviceFlags(domain, xml.c_str(), VIR_DOMAIN_AFFECT_LIVE | kForce) < 0)
    return cannot("change the medium of", cdrom.spec.name, domain);
  settle(domain);
  return ports::Applied{{"cdroms"}, {}};
}

Result<ports::Applied> detach_device(const Session& session, const std::string& uuid,
                                     const std::string& name) {
  Target target = TRY(open_target(session, uuid));
  virDomainPtr domain = target.domain.get();
  ports::Applied applied;
  const DeviceRef* found = find_device(target.next, name);
  const char* field = found == nullptr ? "disks" : field_of(found->kind);
  DeviceRef device;
  device.name = name;
  if (found != nullptr) {
    device = *found;
    if (virDomainDetachDeviceFlags(domain, device.xml.c_str(), VIR_DOMAIN_AFFECT_CONFIG) < 0)
      return cannot("detach", name, domain);
  }
  bool out = !target.active || unplug(session, uuid, domain, device);
  (out ? applied.live : applied.next_boot).emplace_back(field);
  settle(domain);
  return applied;
}

}  // namespace chorok::adapters::libvirt
