// Every call of the port as a blocking function, one file an idea. They run on a worker and know
// neither loop nor threads.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "adapters/libvirt/core.h"
#include "adapters/libvirt/domain_xml.h"
#include "model/domain.h"
#include "ports/hypervisor.h"

namespace chorok::adapters::libvirt {

// lifecycle.cc
Result<> define_domain(const Session& session, const model::DomainSpec& domain);
Result<> undefine_domain(const Session& session, const std::string& uuid);
Result<> start_domain(const Session& session, const std::string& uuid, bool paused);
Result<> shutdown_domain(const Session& session, const std::string& uuid);
Result<> destroy_domain(const Session& session, const std::string& uuid);
Result<> reboot_domain(const Session& session, const std::string& uuid, bool hard);
Result<> suspend_domain(const Session& session, const std::string& uuid);
Result<> resume_domain(const Session& session, const std::string& uuid);
Result<> save_domain(const Session& session, const std::string& uuid);
Result<model::VmSpec> adopt_domain(const Session& session, const std::string& uuid,
                                   const std::string& vm);

struct RawState {
  int state = 0;  // virDomainState
  int reason = 0;
};
Result<RawState> raw_state(virDomainPtr domain);
bool is_active(const RawState& state);
Result<ParsedDomain> read_domain(virDomainPtr domain, bool inactive);
Result<std::string> domain_text(virDomainPtr domain, unsigned flags);
std::string name_of(virDomainPtr domain);
// When what runs has all that its definition wants, says so: it waits for no boot.
void settle(virDomainPtr domain);

// listing.cc
Result<std::vector<model::Instance>> list_instances(const Session& session);
model::VmState vm_state(const RawState& state, bool saved);

// statistics.cc
Result<model::HostSample> read_statistics(const Session& session);
Result<> start_dirty_rate(const Session& session, const std::string& uuid, Duration window);
// Nothing while it is still being measured.
Result<std::optional<double>> read_dirty_rate(const Session& session, const std::string& uuid);

// inventory.cc
Result<model::HostInventory> read_inventory(const Session& session);

// compatibility.cc
Result<std::vector<std::string>> compatibility(const Session& session,
                                               const model::DomainSpec& domain,
                                               const std::string& cpu_definition);
Result<std::string> baseline(const Session& session, const std::vector<std::string>& definitions);

// resize.cc
Result<ports::Applied> resize_domain(const Session& session, const std::string& uuid,
                                     const ports::ResizeRequest& request);
Result<ports::Applied> tune_domain(const Session& session, const std::string& uuid,
                                   const model::CpuAllocation& cpu,
                                   const model::MemoryAllocation& memory);
// True when the running guest has so much from now on, or is on its way there.
bool set_live_memory(virDomainPtr domain, const ParsedDomain& live, Mib memory);

// enforce.cc
Result<std::vector<std::string>> enforce_on_domain(const Session& session, const std::string& uuid,
                                                   const model::VmEnforcement& wanted);

// devices.cc
Result<ports::Applied> attach_domain_disk(const Session& session, const std::string& uuid,
                                          const model::DomainDisk& disk);
Result<ports::Applied> attach_domain_nic(const Session& session, const std::string& uuid,
                                         const model::DomainNic& nic);
Result<ports::Applied> change_domain_medium(const Session& session, const std::string& uuid,
                                            const model::DomainCdrom& cdrom);
Result<ports::Applied> detach_device(const Session& session, const std::string& uuid,
                                     const std::string& name);

// snapshots.cc
Result<> create_snapshot(const Session& session, const std::string& uuid, const std::string& name);
Result<> revert_snapshot(const Session& session, const std::string& uuid, const std::string& name);
Result<> delete_snapshot(const Session& session, const std::string& uuid, const std::string& name);
std::vector<model::SnapshotInfo> list_snapshots(virDomainPtr domain);

// snapshot_carry.cc
Result<> pack_snapshots(virDomainPtr domain);
bool has_packed_snapshots(std::string_view domain_xml);
Result<> unpack_snapshots(const Session& session, const std::string& uuid);

}  // namespace chorok::adapters::libvirt
