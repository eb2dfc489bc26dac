// A domain's life: define, start, stop, suspend, save, forget.
#include <fmt/format.h>

#include "adapters/libvirt/calls.h"

namespace chorok::adapters::libvirt {

namespace {

// "cannot start 'web1'"
std::string doing(const char* verb, virDomainPtr domain) {
  return fmt::format("cannot {} '{}'", verb, name_of(domain));
}

Unexpected refuse(virDomainPtr domain, const char* verb, const char* why) {
  return fail(Code::kFailedPrecondition,
              fmt::format("cannot {} '{}': {}", verb, name_of(domain), why));
}

Result<> done_or(int rc, const char* verb, virDomainPtr domain) {
  if (rc < 0) return last_error([&] { return doing(verb, domain); });
  return {};
}

bool is_incoming(const RawState& state) {
  return state.state == VIR_DOMAIN_PAUSED && state.reason == VIR_DOMAIN_PAUSED_MIGRATION;
}

}  // namespace

std::string name_of(virDomainPtr domain) {
  const char* name = virDomainGetName(domain);
  return name == nullptr ? "?" : name;
}

Result<RawState> raw_state(virDomainPtr domain) {
  RawState state;
  if (virDomainGetState(domain, &state.state, &state.reason, 0) < 0)
    return last_error([&] { return doing("read the state of", domain); });
  return state;
}

bool is_active(const RawState& state) {
  return state.state != VIR_DOMAIN_SHUTOFF && state.state != VIR_DOMAIN_NOSTATE &&
         state.state != VIR_DOMAIN_CRASHED;
}

Result<std::string> domain_text(virDomainPtr domain, unsigned flags) {
  char* text = virDomainGetXMLDesc(domain, flags);
  if (text == nullptr) return last_error([&] { return doing("read the definition of", domain); });
  return take_string(text);
}

Result<ParsedDomain> read_domain(virDomainPtr domain, bool inactive) {
  return parse_domain_xml(TRY(domain_text(domain, inactive ? VIR_DOMAIN_XML_INACTIVE : 0)));
}

void settle(virDomainPtr domain) {
  Result<ParsedDomain> live = read_domain(domain, false);
  Result<ParsedDomain> next = read_domain(domain, true);
  if (!live || !next || live->instance.generation == next->instance.generation) return;
  if (!differing_fields(*live, *next).empty()) return;
  virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT,
                       metadata_xml(next->instance.vm, next->instance.generation).c_str(),
                       kMetadataPrefix, kMetadataUri, VIR_DOMAIN_AFFECT_LIVE);
}

Result<> define_domain(const Session& session, const model::DomainSpec& domain) {
  if (domain.spec.firmware == model::Firmware::kUefi && session.facts.uefi.code.empty())
    return fail(Code::kUnsupported, "this host has no UEFI firmware: install the package ovmf",
                "/spec/firmware");
  Domain existing(virDomainLookupByUUIDString(session.conn(), domain.uuid.c_str()));
  std::string text;
  if (existing != nullptr) {
    std::string before =
        TRY(domain_text(existing.get(), VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE));
    text = TRY(edit_domain_xml(before, domain, session.facts));
  } else {
    text = build_domain_xml(domain, session.facts);
  }
  Domain defined(virDomainDefineXMLFlags(session.conn(), text.c_str(), 0));
  if (defined == nullptr) {
    Unexpected error = last_error(fmt::format("cannot define '{}'", domain.name));
    // Libvirt has one code for "the name is taken" and for any other refusal.
    if (error.error().message.find("already exists with uuid") != std::string::npos)
      error.error().code = Code::kAlreadyExists;
    return error;
  }
  if (TRY(raw_state(defined.get())).state != VIR_DOMAIN_SHUTOFF) settle(defined.get());
  return {};
}

Result<> undefine_domain(const Session& session, const std::string& uuid) {
  Result<Domain> found = find_domain(session, uuid);
  if (!found) {
    if (found.error().code == Code::kNotFound) return {};
    return Unexpected(found.error());
  }
  virDomainPtr domain = found->get();
  if (is_active(TRY(raw_state(domain)))) return refuse(domain, "remove", "it is running");
  unsigned flags = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                   VIR_DOMAIN_UNDEFINE_NVRAM | VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA |
                   VIR_DOMAIN_UNDEFINE_TPM;
  if (virDomainUndefineFlags(domain, flags) == 0) return {};
  // Drivers other than qemu know fewer flags, older libvirts too.
  if (last_error_number() == VIR_ERR_INVALID_ARG && virDomainUndefine(domain) == 0) return {};
  return last_error([&] { return doing("remove", domain); });
}

Result<> start_domain(const Session& session, const std::string& uuid, bool paused) {
  Domain domain = TRY(find_domain(session, uuid));
  RawState state = TRY(raw_state(domain.get()));
  if (is_incoming(state)) return refuse(domain.get(), "start", "it is being migrated");
  if (state.state == VIR_DOMAIN_PAUSED && !paused)
    return done_or(virDomainResume(domain.get()), "resume", domain.get());
  if (state.state == VIR_DOMAIN_PMSUSPENDED)
    return done_or(virDomainPMWakeup(domain.get(), 0), "wake", domain.get());
  if (is_active(state)) return {};
  int rc = virDomainCreateWithFlags(domain.get(), paused ? VIR_DOMAIN_START_PAUSED : 0);
  if (rc == 0) return {};
  Unexpected error = last_error([&] { return doing("start", domain.get()); });
  Result<RawState> now = raw_state(domain.get());  // somebody else may have been faster
  if (now && is_active(*now) && error.error().code == Code::kFailedPrecondition) return {};
  return error;
}

Result<> shutdown_domain(const Session& session, const std::string& uuid) {
  Domain domain = TRY(find_domain(session, uuid));
  RawState state = TRY(raw_state(domain.get()));
  if (!is_active(state)) return {};
  if (state.state == VIR_DOMAIN_PAUSED)
    return refuse(domain.get(), "shut down", "it is suspended and cannot hear; resume it first");
  // ACPI: answered at once. The agent would be asked first otherwise, and waited for.
  if (virDomainShutdownFlags(domain.get(), VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN) == 0) return {};
  return done_or(virDomainShutdown(domain.get()), "shut down", domain.get());
}

Result<> destroy_domain(const Session& session, const std::string& uuid) {
  Domain domain = TRY(find_domain(session, uuid));
  if (!is_active(TRY(raw_state(domain.get())))) return {};
  if (virDomainDestroy(domain.get()) == 0) return {};
  Unexpected error = last_error([&] { return doing("stop", domain.get()); });
  Result<RawState> now = raw_state(domain.get());
  if (now && !is_active(*now)) return {};
  return error;
}

Result<> reboot_domain(const Session& session, const std::string& uuid, bool hard) {
  Domain domain = TRY(find_domain(session, uuid));
  RawState state = TRY(raw_state(domain.get()));
  if (!is_active(state)) return refuse(domain.get(), "reboot", "it is not running");
  if (hard) return done_or(virDomainReset(domain.get(), 0), "reset", domain.get());
  if (virDomainReboot(domain.get(), VIR_DOMAIN_REBOOT_ACPI_POWER_BTN) == 0) return {};
  return done_or(virDomainReboot(domain.get(), 0), "reboot", domain.get());
}

Result<> suspend_domain(const Session& session, const std::string& uuid) {
  Domain domain = TRY(find_domain(session, uuid));
  RawState state = TRY(raw_state(domain.get()));
  if (state.state == VIR_DOMAIN_PAUSED) return {};
  if (!is_active(state)) return refuse(domain.get(), "suspend", "it is not running");
  return done_or(virDomainSuspend(domain.get()), "suspend", domain.get());
}

Result<> resume_domain(const Session& session, const std::string& uuid) {
  Domain domain = TRY(find_domain(session, uuid));
  RawState state = TRY(raw_state(domain.get()));
  if (state.state == VIR_DOMAIN_PMSUSPENDED)
    return done_or(virDomainPMWakeup(domain.get(), 0), "wake", domain.get());
  if (state.state == VIR_DOMAIN_RUNNING || state.state == VIR_DOMAIN_BLOCKED) return {};
  if (!is_active(state)) return refuse(domain.get(), "resume", "it is not running");
  return done_or(virDomainResume(domain.get()), "resume", domain.get());
}

Result<> save_domain(const Session& session, const std::string& uuid) {
  Domain domain = TRY(find_domain(session, uuid));
  if (!is_active(TRY(raw_state(domain.get())))) {
    if (virDomainHasManagedSaveImage(domain.get(), 0) == 1) return {};
    return refuse(domain.get(), "save", "it is not running");
  }
  return done_or(virDomainManagedSave(domain.get(), 0), "save", domain.get());
}

Result<model::VmSpec> adopt_domain(const Session& session, const std::string& uuid,
                                   const std::string& vm) {
  Domain domain = TRY(find_domain(session, uuid));
  ParsedDomain parsed = TRY(read_domain(domain.get(), true));
  if (!parsed.instance.vm.empty() && parsed.instance.vm != vm)
    return fail(Code::kAlreadyExists, fmt::format("'{}' belongs to Chorok already, as {}",
                                                  name_of(domain.get()), parsed.instance.vm));
  if (virDomainIsPersistent(domain.get()) != 1)
    return refuse(domain.get(), "adopt", "it is transient: libvirt forgets it when it stops");
  unsigned flags = VIR_DOMAIN_AFFECT_CONFIG;
  if (is_active(TRY(raw_state(domain.get())))) flags |= VIR_DOMAIN_AFFECT_LIVE;
  int rc = virDomainSetMetadata(domain.get(), VIR_DOMAIN_METADATA_ELEMENT,
                                metadata_xml(vm, parsed.instance.generation).c_str(),
                                kMetadataPrefix, kMetadataUri, flags);
  if (rc < 0) return last_error([&] { return doing("adopt", domain.get()); });
  return parsed.spec;
}

}  // namespace chorok::adapters::libvirt
