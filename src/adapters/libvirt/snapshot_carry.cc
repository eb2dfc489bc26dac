// Libvirt does not move a domain that has snapshots, although they lie inside its disks: what it
// knows of them would stay behind. So that knowledge travels in the domain's own metadata. Whoever
// next lists the domain (the target, or this host when the move failed, or after a crash) gives it
// back to libvirt and clears the metadata; nothing else has to be remembered anywhere.
#include <fmt/format.h>

#include <pugixml.hpp>

#include "adapters/libvirt/calls.h"
#include "adapters/libvirt/xml_util.h"

namespace chorok::adapters::libvirt {

namespace {

constexpr const char* kUri = "urn:chorok:snapshots:1";
constexpr const char* kPrefix = "chorok-snapshots";
// Each is about 10 KiB; libvirt's messages end at 32 MiB.
constexpr int kMostSnapshots = 500;

class SnapshotList {
 public:
  explicit SnapshotList(virDomainPtr domain)
      : count_(virDomainListAllSnapshots(domain, &all_, VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL)) {}
  ~SnapshotList() {
    for (int i = 0; i < count_; ++i) virDomainSnapshotFree(all_[i]);
    if (count_ >= 0) std::free(static_cast<void*>(all_));
  }
  SnapshotList(const SnapshotList&) = delete;
  SnapshotList& operator=(const SnapshotList&) = delete;
  int count() const { return count_; }
  virDomainSnapshotPtr at(int i) const { return all_[i]; }

 private:
  virDomainSnapshotPtr* all_ = nullptr;
  int count_;
};

Result<> set_metadata(virDomainPtr domain, const char* text) {
  unsigned flags = 0;
  if (virDomainIsPersistent(domain) == 1) flags |= VIR_DOMAIN_AFFECT_CONFIG;
  if (is_active(TRY(raw_state(domain)))) flags |= VIR_DOMAIN_AFFECT_LIVE;
  if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, text, kPrefix, kUri, flags) < 0)
    return last_error(
        [&] { return fmt::format("cannot note the snapshots of '{}'", name_of(domain)); });
  return {};
}

// The snapshots as text, parents first.
Result<std::string> pack(const SnapshotList& snapshots) {
  pugi::xml_document document;
  xml::Node root = xml::add(document, "snapshots");
  for (int i = 0; i < snapshots.count(); ++i) {
    std::string text =
        take_string(virDomainSnapshotGetXMLDesc(snapshots.at(i), VIR_DOMAIN_SNAPSHOT_XML_SECURE));
    if (text.empty()) return last_error("cannot read a snapshot");
    xml::Node each = xml::add(root, "snapshot", text);
    if (virDomainSnapshotIsCurrent(snapshots.at(i), 0) == 1) xml::with(each, "current", "yes");
  }
  return xml::print(root);
}

}  // namespace

Result<> pack_snapshots(virDomainPtr domain) {
  SnapshotList snapshots(domain);
  if (snapshots.count() <= 0) return {};
  if (snapshots.count() > kMostSnapshots)
    return fail(Code::kFailedPrecondition,
                fmt::format("'{}' has more than {} snapshots: delete some before it moves",
                            name_of(domain), kMostSnapshots));
  TRY(set_metadata(domain, TRY(pack(snapshots)).c_str()));
  for (int i = snapshots.count() - 1; i >= 0; --i)
    if (virDomainSnapshotDelete(snapshots.at(i), VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY) < 0)
      return last_error(
          [&] { return fmt::format("cannot set the snapshots of '{}' aside", name_of(domain)); });
  return {};
}

bool has_packed_snapshots(std::string_view domain_xml) {
  return domain_xml.find(kUri) != std::string_view::npos;
}

Result<> unpack_snapshots(const Session& session, const std::string& uuid) {
  Domain domain = TRY(find_domain(session, uuid));
  char* raw = virDomainGetMetadata(domain.get(), VIR_DOMAIN_METADATA_ELEMENT, kUri, 0);
  if (raw == nullptr) return {};
  std::string text = take_string(raw);
  pugi::xml_document document;
  document.load_buffer(text.data(), text.size());
  for (xml::Node each : document.first_child().children()) {
    unsigned flags = VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE;
    if (xml::is(each, "current", "yes")) flags |= VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT;
    if (Snapshot(virDomainSnapshotCreateXML(domain.get(), each.text().get(), flags)) == nullptr)
      return last_error([&] {
        return fmt::format("cannot give '{}' its snapshots back", name_of(domain.get()));
      });
  }
  return set_metadata(domain.get(), nullptr);
}

}  // namespace chorok::adapters::libvirt
