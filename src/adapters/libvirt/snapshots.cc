// Snapshots inside the qcow2 files, with memory when the domain runs.
#include <fmt/format.h>

#include <pugixml.hpp>

#include "adapters/libvirt/calls.h"
#include "adapters/libvirt/xml_util.h"

namespace chorok::adapters::libvirt {

namespace {

Result<Snapshot> find_snapshot(virDomainPtr domain, const std::string& name) {
  Snapshot snapshot(virDomainSnapshotLookupByName(domain, name.c_str(), 0));
  if (snapshot == nullptr) {
    if (last_error_number() == VIR_ERR_NO_DOMAIN_SNAPSHOT)
      return fail(Code::kNotFound, fmt::format("'{}' has no snapshot '{}'", name_of(domain), name));
    return last_error("cannot look up the snapshot");
  }
  return snapshot;
}

// Snapshots live in qcow2 files: a writable disk of another format stands against them.
Result<> check_formats(virDomainPtr domain) {
  ParsedDomain parsed = TRY(read_domain(domain, false));
  for (const model::DiskSpec& disk : parsed.spec.disks)
    if (disk.format != model::DiskFormat::kQcow2 && !disk.read_only)
      return fail(Code::kFailedPrecondition,
                  fmt::format("cannot take a snapshot of '{}': its disk '{}' is raw; only qcow2 "
                              "disks keep snapshots",
                              name_of(domain), disk.name));
  if (parsed.spec.disks.empty())
    return fail(Code::kFailedPrecondition,
                fmt::format("cannot take a snapshot of '{}': it has no qcow2 disk to keep it",
                            name_of(domain)));
  return {};
}

model::SnapshotInfo read_snapshot(virDomainSnapshotPtr snapshot) {
  model::SnapshotInfo info;
  info.name = virDomainSnapshotGetName(snapshot);
  info.current = virDomainSnapshotIsCurrent(snapshot, 0) == 1;
  std::string text =
      take_string(virDomainSnapshotGetXMLDesc(snapshot, VIR_DOMAIN_SNAPSHOT_XML_SECURE));
  pugi::xml_document document;
  document.load_buffer(text.data(), text.size());
  xml::Node root = document.child("domainsnapshot");
  info.parent = root.child("parent").child("name").text().get();
  info.created = Time(std::chrono::seconds(root.child("creationTime").text().as_llong()));
  info.with_memory = xml::is(root.child("memory"), "snapshot", "internal") ||
                     xml::is(root.child("memory"), "snapshot", "external");
  return info;
}

}  // namespace

std::vector<model::SnapshotInfo> list_snapshots(virDomainPtr domain) {
  virDomainSnapshotPtr* snapshots = nullptr;
  int count = virDomainListAllSnapshots(domain, &snapshots, VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL);
  std::vector<model::SnapshotInfo> all;
  for (int i = 0; i < count; ++i) {
    all.push_back(read_snapshot(snapshots[i]));
    virDomainSnapshotFree(snapshots[i]);
  }
  if (count >= 0) std::free(static_cast<void*>(snapshots));
  return all;
}

Result<> create_snapshot(const Session& session, const std::string& uuid, const std::string& name) {
  Domain domain = TRY(find_domain(session, uuid));
  if (Snapshot(virDomainSnapshotLookupByName(domain.get(), name.c_str(), 0)) != nullptr) return {};
  TRY(check_formats(domain.get()));
  pugi::xml_document document;
  xml::Node root = xml::add(document, "domainsnapshot");
  xml::add(root, "name", name);
  Snapshot made(virDomainSnapshotCreateXML(domain.get(), xml::print(root).c_str(), 0));
  if (made == nullptr)
    return last_error(
        [&] { return fmt::format("cannot take a snapshot of '{}'", name_of(domain.get())); });
  return {};
}

Result<> revert_snapshot(const Session& session, const std::string& uuid, const std::string& name) {
  Domain domain = TRY(find_domain(session, uuid));
  Snapshot snapshot = TRY(find_snapshot(domain.get(), name));
  if (virDomainRevertToSnapshot(snapshot.get(), 0) == 0) return {};
  // Risky: the running QEMU cannot load it and is replaced by a new one; that is what was asked.
  if (virDomainRevertToSnapshot(snapshot.get(), VIR_DOMAIN_SNAPSHOT_REVERT_FORCE) == 0) return {};
  return last_error(
      [&] { return fmt::format("cannot take '{}' back to '{}'", name_of(domain.get()), name); });
}

Result<> delete_snapshot(const Session& session, const std::string& uuid, const std::string& name) {
  Domain domain = TRY(find_domain(session, uuid));
  Result<Snapshot> snapshot = find_snapshot(domain.get(), name);
  if (!snapshot) {
    if (snapshot.error().code == Code::kNotFound) return {};
    return Unexpected(snapshot.error());
  }
  if (virDomainSnapshotDelete(snapshot->get(), 0) < 0)
    return last_error([&] {
      return fmt::format("cannot delete the snapshot '{}' of '{}'", name, name_of(domain.get()));
    });
  return {};
}

}  // namespace chorok::adapters::libvirt
