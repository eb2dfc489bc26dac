// From the names in a VM's spec to what this host calls them. Paths only ever come from here: a
// registered datastore's folder and a relative path that Storage::resolve keeps beneath it. An
// error names the field of the spec that is at fault.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/domain.h"
#include "model/protocol.h"
#include "ports/storage.h"

namespace chorok::agent {

// By id or name; null when this host has not been told of it.
// The first <model …>NAME</model> of libvirt's CPU definition; empty: there is none.
std::string model_of(const std::string& definition);

const model::Datastore* find_datastore(const model::AgentConfig& config, std::string_view ref);
const model::Network* find_network(const model::AgentConfig& config, std::string_view ref);

// Beneath the datastore: DiskSpec::path, or vms/<vm>/<disk>.<format>.
std::string disk_path(const model::DiskSpec& disk, std::string_view vm);

// What every resolution needs.
struct ResolveContext {
  const model::AgentConfig& config;
  ports::Storage& storage;
};

// `field` is the pointer of the thing itself ("/spec/disks/0"); errors name a field beneath it.
Result<std::string> resolve_path(const ResolveContext& context, std::string_view datastore,
                                 const std::string& path, const std::string& field,
                                 std::string_view path_field = "path");
Result<model::DomainDisk> resolve_disk(const ResolveContext& context, const model::DiskSpec& disk,
                                       std::string_view vm, const std::string& field);
Result<model::DomainCdrom> resolve_cdrom(const ResolveContext& context,
                                         const model::CdromSpec& cdrom, const std::string& field);
Result<model::DomainNic> resolve_nic(const ResolveContext& context, const model::NicSpec& nic,
                                     const std::string& field);
// "datastore:path" -> absolute path.
Result<std::string> resolve_image(const ResolveContext& context, const std::string& image,
                                  const std::string& field);

struct Resolved {
  model::DomainSpec domain;     // complete only when there are no problems
  std::vector<Error> problems;  // all of them at once
};
Resolved resolve(const ResolveContext& context, const model::VmTarget& vm);

// The other way round, for a guest that Chorok did not make: absolute paths become datastore and
// path where a registered datastore holds them, bridges become networks. Its disks are marked as
// kept.
void name_places(const model::AgentConfig& config, model::VmSpec& spec);

}  // namespace chorok::agent
