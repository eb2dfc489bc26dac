#include "agent/resolve.h"

#include <fmt/format.h>

#include "base/reflect.h"

namespace chorok::agent {
namespace {

template <class T>
const T* find_by_id_or_name(const std::vector<T>& list, std::string_view ref) {
  for (const T& each : list)
    if (each.meta.id == ref) return &each;
  for (const T& each : list)
    if (each.meta.name == ref) return &each;
  return nullptr;
}

Unexpected no_datastore(std::string_view ref, std::string field) {
  if (ref.empty()) return fail(Code::kInvalid, "no datastore is named", std::move(field));
  return fail(Code::kNotFound, fmt::format("this host has no datastore '{}'", ref),
              std::move(field));
}

// Takes the value, or keeps the error among the problems.
template <class T>
void gather(Result<T> result, T& value, std::vector<Error>& problems) {
  if (result)
    value = std::move(*result);
  else
    problems.push_back(std::move(result).error());
}

template <class Spec, class Made, class Resolve>
void gather_all(const std::vector<Spec>& specs, std::string_view field, std::vector<Made>& made,
                std::vector<Error>& problems, Resolve one) {
  for (std::size_t i = 0; i < specs.size(); ++i)
    gather(one(specs[i], fmt::format("/spec/{}/{}", field, i)), made.emplace_back(), problems);
}

void resolve_boot(const ResolveContext& context, const model::BootSpec& boot, Resolved& resolved) {
  auto take = [&](const std::string& path, std::string_view field, std::string& into) {
    if (path.empty()) return;
    gather(resolve_path(context, boot.datastore, path, "/spec/boot", field), into,
           resolved.problems);
  };
  take(boot.kernel, "kernel", resolved.domain.kernel);
  take(boot.initrd, "initrd", resolved.domain.initrd);
}

bool is_beneath(std::string_view path, std::string_view root) {
  while (root.size() > 1 && root.ends_with('/')) root.remove_suffix(1);
  return path.size() > root.size() + 1 && path.starts_with(root) && path[root.size()] == '/';
}

void name_place(const model::AgentConfig& config, std::string& datastore, std::string& path) {
  if (!path.starts_with('/')) return;
  const model::Datastore* best = nullptr;
  for (const model::Datastore& each : config.datastores)
    if (is_beneath(path, each.path) && (!best || each.path.size() > best->path.size()))
      best = &each;
  if (!best) return;
  datastore = best->meta.id;
  std::string_view rest = std::string_view(path).substr(best->path.size());
  rest.remove_prefix(std::min(rest.find_first_not_of('/'), rest.size()));
  path = std::string(rest);
}

// Kernel and initrd share one datastore in a spec; where they do not, both stay as they are.
void name_boot_places(const model::AgentConfig& config, model::BootSpec& boot) {
  model::BootSpec named = boot;
  std::string initrd_datastore;
  name_place(config, named.datastore, named.kernel);
  name_place(config, initrd_datastore, named.initrd);
  if (named.kernel.starts_with('/') || named.initrd.starts_with('/')) return;
  if (named.initrd.empty() || initrd_datastore == named.datastore) boot = std::move(named);
}

// A model's name leaves out the features that one of the hosts lacks: the definition has them, as
// long as it is that of the model that is set (a person may have set another since).
std::string baseline_of(const model::Cluster& cluster) {
  bool is_its = !cluster.cpu_baseline.empty() &&
                model_of(cluster.cpu_baseline_definition) == cluster.cpu_baseline;
  return is_its ? cluster.cpu_baseline_definition : cluster.cpu_baseline;
}

}  // namespace

std::string model_of(const std::string& definition) {
  const std::size_t tag = definition.find("<model");
  const std::size_t begin = tag == std::string::npos ? tag : definition.find('>', tag);
  const std::size_t end = begin == std::string::npos ? begin : definition.find("</model>", begin);
  return end == std::string::npos ? "" : definition.substr(begin + 1, end - begin - 1);
}

const model::Datastore* find_datastore(const model::AgentConfig& config, std::string_view ref) {
  return find_by_id_or_name(config.datastores, ref);
}

const model::Network* find_network(const model::AgentConfig& config, std::string_view ref) {
  return find_by_id_or_name(config.networks, ref);
}

std::string disk_path(const model::DiskSpec& disk, std::string_view vm) {
  if (!disk.path.empty()) return disk.path;
  return fmt::format("vms/{}/{}.{}", vm, disk.name, name_of(disk.format));
}

Result<std::string> resolve_path(const ResolveContext& context, std::string_view datastore,
                                 const std::string& path, const std::string& field,
                                 std::string_view path_field) {
  const model::Datastore* store = find_datastore(context.config, datastore);
  if (!store) return no_datastore(datastore, field + "/datastore");
  auto resolved = context.storage.resolve(store->path, path);
  if (!resolved) {
    Error error = resolved.error().within(fmt::format("datastore '{}'", store->meta.name));
    error.field = fmt::format("{}/{}", field, path_field);
    return Unexpected(std::move(error));
  }
  return resolved;
}

Result<model::DomainDisk> resolve_disk(const ResolveContext& context, const model::DiskSpec& disk,
                                       std::string_view vm, const std::string& field) {
  if (disk.name.empty()) return fail(Code::kInvalid, "a disk needs a name", field + "/name");
  std::string path = TRY(resolve_path(context, disk.datastore, disk_path(disk, vm), field, "path"));
  return model::DomainDisk{disk, std::move(path)};
}

Result<model::DomainCdrom> resolve_cdrom(const ResolveContext& context,
                                         const model::CdromSpec& cdrom, const std::string& field) {
  if (cdrom.path.empty()) return model::DomainCdrom{cdrom, {}};
  std::string path = TRY(resolve_path(context, cdrom.datastore, cdrom.path, field));
  return model::DomainCdrom{cdrom, std::move(path)};
}

Result<model::DomainNic> resolve_nic(const ResolveContext& context, const model::NicSpec& nic,
                                     const std::string& field) {
  const model::Network* network = find_network(context.config, nic.network);
  if (!network)
    return fail(Code::kNotFound, fmt::format("this host has no network '{}'", nic.network),
                field + "/network");
  model::DomainNic made{.spec = nic};
  switch (network->kind) {
    case model::NetworkKind::kNat:
      made.libvirt_network =
          network->libvirt_network.empty() ? network->meta.name : network->libvirt_network;
      return made;
    case model::NetworkKind::kVlan:
      made.vlan = network->vlan;
      [[fallthrough]];
    case model::NetworkKind::kBridge:
      made.bridge = network->bridge;
      break;
  }
  if (made.bridge.empty())
    return fail(Code::kInvalid, fmt::format("network '{}' names no bridge", network->meta.name),
                field + "/network");
  return made;
}

Result<std::string> resolve_image(const ResolveContext& context, const std::string& image,
                                  const std::string& field) {
  const std::size_t colon = image.find(':');
  if (colon == std::string::npos)
    return fail(Code::kInvalid, fmt::format("'{}' is not datastore:path", image), field + "/image");
  const model::Datastore* store = find_datastore(context.config, image.substr(0, colon));
  if (!store) return no_datastore(image.substr(0, colon), field + "/image");
  return resolve_path(context, store->meta.id, image.substr(colon + 1), field, "image");
}

Resolved resolve(const ResolveContext& context, const model::VmTarget& vm) {
  Resolved resolved;
  model::DomainSpec& domain = resolved.domain;
  domain.uuid = vm.uuid;
  domain.vm = vm.id;
  domain.name = vm.name;
  domain.generation = vm.generation;
  domain.spec = vm.spec;
  if (domain.spec.cpu_model.empty()) domain.spec.cpu_model = baseline_of(context.config.cluster);
  resolve_boot(context, vm.spec.boot, resolved);
  gather_all(vm.spec.disks, "disks", domain.disks, resolved.problems,
             [&](const model::DiskSpec& disk, const std::string& field) {
               return resolve_disk(context, disk, vm.id, field);
             });
  gather_all(vm.spec.cdroms, "cdroms", domain.cdroms, resolved.problems,
             [&](const model::CdromSpec& cdrom, const std::string& field) {
               return resolve_cdrom(context, cdrom, field);
             });
  gather_all(vm.spec.nics, "nics", domain.nics, resolved.problems,
             [&](const model::NicSpec& nic, const std::string& field) {
               return resolve_nic(context, nic, field);
             });
  return resolved;
}

void name_places(const model::AgentConfig& config, model::VmSpec& spec) {
  name_boot_places(config, spec.boot);
  for (model::DiskSpec& disk : spec.disks) {
    name_place(config, disk.datastore, disk.path);
    disk.keep = true;
  }
  for (model::CdromSpec& cdrom : spec.cdroms) name_place(config, cdrom.datastore, cdrom.path);
  for (model::NicSpec& nic : spec.nics) {
    for (const model::Network& network : config.networks) {
      const bool same = network.kind == model::NetworkKind::kNat
                            ? network.libvirt_network == nic.network
                            : network.bridge == nic.network && network.vlan == 0;
      if (same) {
        nic.network = network.meta.id;
        break;
      }
    }
  }
}

}  // namespace chorok::agent
