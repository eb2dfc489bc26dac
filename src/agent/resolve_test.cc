#include "agent/resolve.h"

#include "agent/test_support.h"

namespace chorok::agent {
namespace {

using namespace testing;

class ResolveTest : public AgentTest {
 protected:
  Resolved resolved(const model::VmTarget& target) { return resolve({config, *storage}, target); }
  std::vector<std::string> fields(const Resolved& result) {
    std::vector<std::string> all;
    for (const Error& problem : result.problems) all.push_back(problem.field);
    return all;
  }
  model::AgentConfig config = test_config();
};

TEST_F(ResolveTest, NamesBecomePathsAndBridges) {
  model::VmTarget web = vm("web");
  web.spec.disks.push_back({.name = "data", .datastore = "ds-local", .path = "x/data.raw"});
  web.spec.disks.back().format = model::DiskFormat::kRaw;
  web.spec.cdroms.push_back({.name = "cd", .datastore = "shared", .path = "iso/a.iso"});
  web.spec.cdroms.push_back({.name = "empty"});
  web.spec.nics.push_back({.name = "eth1", .network = "nat"});
  web.spec.boot = {.datastore = "shared", .kernel = "vmlinuz", .initrd = "initrd"};
  config.cluster.cpu_baseline = "Westmere";
  const Resolved result = resolved(web);
  EXPECT_TRUE(result.problems.empty());
  EXPECT_EQ(result.domain.disks[0].path, "/srv/shared/vms/vm-web/root.qcow2");
  EXPECT_EQ(result.domain.disks[1].path, "/srv/local/x/data.raw");
  EXPECT_EQ(result.domain.cdroms[0].path, "/srv/shared/iso/a.iso");
  EXPECT_EQ(result.domain.cdroms[1].path, "");
  EXPECT_EQ(result.domain.nics[0].bridge, "br0");
  EXPECT_EQ(result.domain.nics[1].libvirt_network, "default");
  EXPECT_EQ(result.domain.kernel, "/srv/shared/vmlinuz");
  EXPECT_EQ(result.domain.spec.cpu_model, "Westmere");
  web.spec.cpu_model = "qemu64";
  EXPECT_EQ(resolved(web).domain.spec.cpu_model, "qemu64");
}

TEST_F(ResolveTest, AVmWithoutACpuModelGetsTheClustersBaselineWithItsFeatures) {
  const std::string definition =
      "<cpu><model fallback='forbid'>Westmere</model><feature policy='disable' name='aes'/></cpu>";
  config.cluster.cpu_baseline = "Westmere";
  config.cluster.cpu_baseline_definition = definition;
  model::VmTarget web = vm("web");
  EXPECT_EQ(resolved(web).domain.spec.cpu_model, definition);
  config.cluster.cpu_baseline = "Penryn";  // set by hand since
  EXPECT_EQ(resolved(web).domain.spec.cpu_model, "Penryn");
  web.spec.cpu_model = "qemu64";
  EXPECT_EQ(resolved(web).domain.spec.cpu_model, "qemu64");
}

TEST_F(ResolveTest, AVlanIsABridgeWithATag) {
  config.networks[0].kind = model::NetworkKind::kVlan;
  config.networks[0].vlan = 42;
  const Resolved result = resolved(vm("web"));
  EXPECT_EQ(result.domain.nics[0].bridge, "br0");
  EXPECT_EQ(result.domain.nics[0].vlan, 42);
  config.networks[0].bridge.clear();
  EXPECT_EQ(fields(resolved(vm("web"))), std::vector<std::string>{"/spec/nics/0/network"});
}

TEST_F(ResolveTest, SaysEverythingAtOnce) {
  model::VmTarget web = vm("web");
  web.spec.disks[0].datastore.clear();
  web.spec.disks.push_back({.name = "", .datastore = "shared"});
  web.spec.cdroms.push_back({.name = "cd", .datastore = "shared", .path = "../a.iso"});
  web.spec.nics[0].network.clear();
  web.spec.boot = {.datastore = "gone", .kernel = "vmlinuz"};
  EXPECT_EQ(fields(resolved(web)),
            (std::vector<std::string>{"/spec/boot/datastore", "/spec/disks/0/datastore",
                                      "/spec/disks/1/name", "/spec/cdroms/0/path",
                                      "/spec/nics/0/network"}));
}

TEST_F(ResolveTest, ImagesAreNamedByDatastore) {
  const ResolveContext context{config, *storage};
  EXPECT_EQ(*resolve_image(context, "shared:a/b.qcow2", "/d"), "/srv/shared/a/b.qcow2");
  EXPECT_EQ(resolve_image(context, "b.qcow2", "/d").error().field, "/d/image");
  EXPECT_EQ(resolve_image(context, "gone:b.qcow2", "/d").error().field, "/d/image");
  EXPECT_EQ(resolve_image(context, "shared:../b", "/d").error().field, "/d/image");
}

TEST_F(ResolveTest, ForeignPathsAreNamedWhereADatastoreHoldsThem) {
  config.datastores[1].path = "/srv/shared/inner";
  model::VmSpec spec;
  spec.disks.push_back({.name = "a", .path = "/srv/shared/inner/a.qcow2"});
  spec.disks.push_back({.name = "b", .path = "/srv/shared/b.qcow2"});
  spec.disks.push_back({.name = "c", .path = "/srv/sharedish/c.qcow2"});
  spec.boot = {.kernel = "/srv/shared/vmlinuz", .initrd = "/srv/shared/initrd"};
  spec.nics.push_back({.name = "eth0", .network = "default"});
  name_places(config, spec);
  EXPECT_EQ(spec.disks[0].datastore, "ds-local");
  EXPECT_EQ(spec.disks[0].path, "a.qcow2");
  EXPECT_EQ(spec.disks[1].datastore, "ds-shared");
  EXPECT_EQ(spec.disks[2].datastore, "");
  EXPECT_EQ(spec.disks[2].path, "/srv/sharedish/c.qcow2");
  EXPECT_TRUE(spec.disks[2].keep);
  EXPECT_EQ(spec.boot.datastore, "ds-shared");
  EXPECT_EQ(spec.boot.initrd, "initrd");
  EXPECT_EQ(spec.nics[0].network, "net-2");
  spec.boot = {.kernel = "/boot/vmlinuz", .initrd = "/srv/shared/initrd"};
  name_places(config, spec);
  EXPECT_EQ(spec.boot.initrd, "/srv/shared/initrd");
}

}  // namespace
}  // namespace chorok::agent
