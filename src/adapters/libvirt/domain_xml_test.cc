#include "adapters/libvirt/domain_xml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace chorok::adapters::libvirt {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

HostFacts tcg_host() {
  HostFacts host;
  host.cpu_cgroup = CgroupVersion::kV1;
  host.memory_cgroup = CgroupVersion::kV1;
  host.core_mhz = Mhz(2000);
  host.usable_cores = 8;
  host.uefi = {"/fw/code.fd", "/fw/vars.fd"};
  return host;
}
HostFacts kvm_host() {
  HostFacts host = tcg_host();
  host.accelerator.accelerator = model::Accelerator::kKvm;
  return host;
}

model::DomainSpec web() {
  model::DomainSpec domain;
  domain.uuid = "11111111-2222-4333-8444-555555555555";
  domain.vm = "vm-1";
  domain.name = "web";
  domain.generation = 3;
  domain.spec.vcpus = 2;
  domain.spec.memory = Mib(1024);
  model::DomainDisk root;
  root.spec.name = "root";
  root.path = "/nowhere/ds1/vms/vm-1/root.qcow2";
  domain.disks.push_back(root);
  model::DomainCdrom cdrom;
  cdrom.spec.name = "iso";
  cdrom.path = "/nowhere/ds1/install.iso";
  domain.cdroms.push_back(cdrom);
  model::DomainNic nic;
  nic.spec.name = "eth0";
  nic.spec.mac = "52:54:00:01:02:03";
  nic.bridge = "br0";
  domain.nics.push_back(nic);
  return domain;
}

ParsedDomain parsed(const std::string& xml) {
  auto result = parse_domain_xml(xml);
  EXPECT_TRUE(result) << result.error().message << "\n" << xml;
  return result.value_or(ParsedDomain{});
}

TEST(DomainXml, TheBuilderWritesWhatASpecSays) {
  std::string xml = build_domain_xml(web(), tcg_host());
  EXPECT_THAT(xml, HasSubstr("<domain type=\"qemu\">"));
  EXPECT_THAT(xml, HasSubstr("<name>web</name>"));
  EXPECT_THAT(xml, HasSubstr("<chorok:vm xmlns:chorok=\"urn:chorok:1\" id=\"vm-1\" "
                             "generation=\"3\" />"));
  EXPECT_THAT(xml, HasSubstr("<memory unit=\"MiB\">1024</memory>"));
  EXPECT_THAT(xml, HasSubstr("<vcpu placement=\"static\">2</vcpu>"));
  EXPECT_THAT(xml, HasSubstr("machine=\"q35\""));
  EXPECT_THAT(xml, HasSubstr("<source file=\"/nowhere/ds1/vms/vm-1/root.qcow2\" />"));
  EXPECT_THAT(xml, HasSubstr("<target dev=\"vda\" bus=\"virtio\" />"));
  EXPECT_THAT(xml, HasSubstr("<alias name=\"ua-disk-root\" />"));
  EXPECT_THAT(xml, HasSubstr("<source bridge=\"br0\" />"));
  EXPECT_THAT(xml, HasSubstr("freePageReporting=\"on\""));
  EXPECT_THAT(xml, HasSubstr("<listen type=\"none\" />"));
  EXPECT_THAT(xml, Not(HasSubstr("maxMemory")));
  EXPECT_THAT(xml, Not(HasSubstr("global_quota")));
}

TEST(DomainXml, WhatIsBuiltReadsBack) {
  model::DomainSpec domain = web();
  domain.spec.max_vcpus = 4;
  domain.spec.max_memory = Mib(4096);
  domain.spec.firmware = model::Firmware::kUefi;
  domain.spec.tpm = true;
  domain.spec.boot.order = {"iso", "root"};
  ParsedDomain back = parsed(build_domain_xml(domain, tcg_host()));
  EXPECT_EQ(back.instance.vm, "vm-1");
  EXPECT_EQ(back.instance.generation, 3);
  EXPECT_EQ(back.instance.uuid, domain.uuid);
  EXPECT_EQ(back.spec.vcpus, 2);
  EXPECT_EQ(back.spec.max_vcpus, 4);
  EXPECT_EQ(back.spec.memory, Mib(1024));
  EXPECT_EQ(back.spec.max_memory, Mib(4096));
  EXPECT_EQ(back.spec.firmware, model::Firmware::kUefi);
  EXPECT_TRUE(back.spec.tpm);
  EXPECT_TRUE(back.spec.vnc);
  EXPECT_TRUE(back.spec.guest_agent);
  EXPECT_THAT(back.spec.boot.order, ElementsAre("iso", "root"));
  ASSERT_EQ(back.spec.disks.size(), 1);
  EXPECT_EQ(back.spec.disks[0].name, "root");
  EXPECT_EQ(back.spec.disks[0].format, model::DiskFormat::kQcow2);
  ASSERT_EQ(back.spec.cdroms.size(), 1);
  EXPECT_EQ(back.spec.cdroms[0].name, "iso");
  ASSERT_EQ(back.spec.nics.size(), 1);
  EXPECT_EQ(back.spec.nics[0].name, "eth0");
  EXPECT_EQ(back.spec.nics[0].mac, "52:54:00:01:02:03");
}

TEST(DomainXml, TextIsNeverMarkup) {
  model::DomainSpec domain = web();
  domain.name = "a<b>&\"c'";
  domain.kernel = "/boot/k</kernel><x>";
  domain.spec.boot.cmdline = "a=\"b\" <init>";
  ParsedDomain back = parsed(build_domain_xml(domain, tcg_host()));
  EXPECT_EQ(back.instance.name, domain.name);
  EXPECT_EQ(back.spec.boot.kernel, domain.kernel);
  EXPECT_EQ(back.spec.boot.cmdline, domain.spec.boot.cmdline);
}

TEST(DomainXml, TheCpuFollowsTheAccelerator) {
  model::DomainSpec domain = web();
  EXPECT_THAT(build_domain_xml(domain, kvm_host()), HasSubstr("<cpu mode=\"host-model\">"));
  EXPECT_THAT(build_domain_xml(domain, tcg_host()), HasSubstr("fallback=\"forbid\">Nehalem"));
  domain.spec.cpu_model = "Westmere,+aes,-vmx";
  std::string xml = build_domain_xml(domain, kvm_host());
  EXPECT_THAT(xml, HasSubstr(">Westmere</model>"));
  EXPECT_THAT(xml, HasSubstr("<feature policy=\"require\" name=\"aes\" />"));
  EXPECT_THAT(xml, HasSubstr("<feature policy=\"disable\" name=\"vmx\" />"));
  domain.spec.cpu_model =
      "<cpu><model>Penryn</model><feature policy='require' name='x2apic'/><evil/></cpu>";
  xml = build_domain_xml(domain, kvm_host());
  EXPECT_THAT(xml, HasSubstr(">Penryn</model>"));
  EXPECT_THAT(xml, HasSubstr("name=\"x2apic\""));
  EXPECT_THAT(xml, Not(HasSubstr("evil")));
  domain.spec.cpu_model = "host-passthrough";
  EXPECT_THAT(build_domain_xml(domain, kvm_host()), HasSubstr("mode=\"host-passthrough\""));
  EXPECT_THAT(build_domain_xml(domain, tcg_host()), HasSubstr("Nehalem"));
}

TEST(DomainXml, ABaselineIsKeptWhileItIsTheSameAndTakenWhenItIsNot) {
  model::DomainSpec domain = web();
  domain.spec.cpu_model =
      "<cpu><model>Penryn</model><feature policy='require' name='x2apic'/></cpu>";
  std::string first = build_domain_xml(domain, kvm_host());
  // What libvirt fills in stays.
  first.insert(first.find("<feature"), "<vendor>Intel</vendor>");
  auto edited = edit_domain_xml(first, domain, kvm_host());
  ASSERT_TRUE(edited) << edited.error().message;
  EXPECT_THAT(*edited, HasSubstr("<vendor>Intel</vendor>"));
  domain.spec.cpu_model = "<cpu><model>Penryn</model></cpu>";
  edited = edit_domain_xml(first, domain, kvm_host());
  ASSERT_TRUE(edited) << edited.error().message;
  EXPECT_THAT(*edited, HasSubstr(">Penryn</model>"));
  EXPECT_THAT(*edited, Not(HasSubstr("x2apic")));
}

TEST(DomainXml, SharesAndLimitsAreTheKernelsNumbers) {
  model::CpuAllocation cpu;
  EXPECT_EQ(cpu_tuning(cpu, 2, tcg_host()).shares, 2048);
  HostFacts v2 = tcg_host();
  v2.cpu_cgroup = CgroupVersion::kV2;
  EXPECT_EQ(cpu_tuning(cpu, 2, v2).shares, 200);
  cpu.shares = 1'000'000'000'000;
  EXPECT_EQ(cpu_tuning(cpu, 2, tcg_host()).shares, 262144);
  EXPECT_EQ(cpu_tuning(cpu, 2, v2).shares, 10000);
  cpu.limit = Mhz(1000);  // half a core of 2000 MHz
  EXPECT_EQ(cpu_tuning(cpu, 2, tcg_host()).quota_us, 50000);
  cpu.limit = Mhz(16000);  // the whole host
  EXPECT_EQ(cpu_tuning(cpu, 2, tcg_host()).quota_us, -1);
  cpu.limit = Mhz(1);
  EXPECT_EQ(cpu_tuning(cpu, 2, tcg_host()).quota_us, 1000);
  HostFacts none = tcg_host();
  none.cpu_cgroup = CgroupVersion::kNone;
  EXPECT_EQ(cpu_tuning(cpu, 2, none).shares, 0);
  EXPECT_THAT(build_domain_xml(web(), none), Not(HasSubstr("cputune")));
}

TEST(DomainXml, VlansTagOpenVswitchPorts) {
  model::DomainSpec domain = web();
  domain.nics[0].vlan = 42;
  std::string xml = build_domain_xml(domain, tcg_host());
  EXPECT_THAT(xml, HasSubstr("<tag id=\"42\" />"));
  EXPECT_THAT(xml, HasSubstr("<virtualport type=\"openvswitch\" />"));
}

TEST(DomainXml, AliasesCarryEveryName) {
  for (const char* name : {"root", "a.b", "a_b", "a__b", "a_.d", "x-1", "_d", "._."})
    EXPECT_EQ(name_of_alias("disk", alias_of("disk", name)), name);
  EXPECT_EQ(name_of_alias("disk", "virtio-disk0"), std::nullopt);
  EXPECT_EQ(name_of_alias("disk", "ua-nic-eth0"), std::nullopt);
}

// A domain that virt-manager made: everything that a spec does not say stays as it is.
constexpr const char* kForeign =
    R"(<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>legacy</name>
  <uuid>99999999-2222-4333-8444-555555555555</uuid>
  <title>An old one</title>
  <metadata><os:info xmlns:os="http://example.org/os"><os:id>debian</os:id></os:info></metadata>
  <memory unit='KiB'>2097152</memory>
  <currentMemory unit='KiB'>2097152</currentMemory>
  <vcpu placement='static' cpuset='0-3'>2</vcpu>
  <cputune><vcpupin vcpu='0' cpuset='1'/></cputune>
  <os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type><boot dev='hd'/></os>
  <features><acpi/><hyperv mode='custom'><relaxed state='on'/></hyperv></features>
  <cpu mode='host-passthrough'><cache mode='passthrough'/></cpu>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='raw' io='native'/>
      <source file='/old/disk.img'/><target dev='hda' bus='ide'/>
      <address type='drive' controller='0' bus='0' target='0' unit='0'/></disk>
    <disk type='block' device='disk'><driver name='qemu' type='raw'/>
      <source dev='/dev/vg/data'/><target dev='vda' bus='virtio'/></disk>
    <interface type='bridge'><mac address='52:54:00:aa:bb:cc'/><source bridge='br7'/>
      <bandwidth><inbound average='1000'/></bandwidth><model type='e1000'/></interface>
    <sound model='ich6'/>
    <watchdog model='i6300esb' action='reset'/>
  </devices>
  <qemu:commandline><qemu:arg value='-no-fd-bootchk'/></qemu:commandline>
</domain>)";

model::DomainSpec as_wanted(const ParsedDomain& domain) {
  model::DomainSpec wanted;
  wanted.uuid = domain.instance.uuid;
  wanted.name = domain.instance.name;
  wanted.vm = "vm-9";
  wanted.generation = 1;
  wanted.spec = domain.spec;
  for (const auto& disk : domain.spec.disks) wanted.disks.push_back({disk, disk.path});
  for (const auto& cdrom : domain.spec.cdroms) wanted.cdroms.push_back({cdrom, cdrom.path});
  for (const auto& nic : domain.spec.nics) wanted.nics.push_back({nic, nic.network, "", 0});
  wanted.kernel = domain.spec.boot.kernel;
  wanted.initrd = domain.spec.boot.initrd;
  return wanted;
}

TEST(DomainXml, AForeignDomainIsReadAsFarAsItGoes) {
  ParsedDomain domain = parsed(kForeign);
  EXPECT_EQ(domain.instance.vm, "");
  EXPECT_EQ(domain.spec.memory, Mib(2048));
  EXPECT_EQ(domain.spec.machine, "pc-i440fx-7.2");
  EXPECT_EQ(domain.spec.cpu_model, "host-passthrough");
  ASSERT_EQ(domain.spec.disks.size(), 2);
  EXPECT_EQ(domain.spec.disks[0].name, "hda");
  EXPECT_EQ(domain.spec.disks[1].path, "/dev/vg/data");
  ASSERT_EQ(domain.spec.nics.size(), 1);
  EXPECT_EQ(domain.spec.nics[0].name, "nic-525400aabbcc");
  EXPECT_EQ(domain.spec.nics[0].model, "e1000");
}

TEST(DomainXml, RedefiningAnAdoptedDomainKeepsWhatChorokDoesNotKnow) {
  model::DomainSpec wanted = as_wanted(parsed(kForeign));
  wanted.spec.memory = Mib(4096);
  wanted.spec.vcpus = 3;
  auto edited = edit_domain_xml(kForeign, wanted, kvm_host());
  ASSERT_TRUE(edited) << edited.error().message;
  for (const char* kept :
       {"<title>An old one</title>", "<os:id>debian</os:id>", "vcpupin",
        "machine=\"pc-i440fx-7.2\"", "<boot dev=\"hd\" />", "hyperv", "io=\"native\"",
        "<address type=\"drive\"", "<bandwidth>", "<sound model=\"ich6\" />", "watchdog",
        "-no-fd-bootchk", "dev=\"/dev/vg/data\"", "type=\"block\"", "cpuset=\"0-3\"",
        "<cache mode=\"passthrough\" />"})
    EXPECT_THAT(*edited, HasSubstr(kept));
  EXPECT_THAT(*edited, HasSubstr("<memory unit=\"MiB\">4096</memory>"));
  EXPECT_THAT(*edited, HasSubstr(">3</vcpu>"));
  EXPECT_THAT(*edited, HasSubstr("id=\"vm-9\""));
  EXPECT_THAT(*edited, Not(HasSubstr("2097152")));
}

TEST(DomainXml, AnEditAddsAndRemovesDevices) {
  model::DomainSpec wanted = as_wanted(parsed(kForeign));
  wanted.disks.erase(wanted.disks.begin());
  model::DomainDisk data;
  data.spec.name = "data";
  data.path = "/nowhere/data.qcow2";
  wanted.disks.push_back(data);
  wanted.nics[0].bridge = "br8";
  auto edited = edit_domain_xml(kForeign, wanted, kvm_host());
  ASSERT_TRUE(edited);
  EXPECT_THAT(*edited, Not(HasSubstr("/old/disk.img")));
  EXPECT_THAT(*edited, HasSubstr("<target dev=\"vdb\" bus=\"virtio\" />"));
  EXPECT_THAT(*edited, HasSubstr("<source bridge=\"br8\" />"));
  EXPECT_THAT(*edited, HasSubstr("<bandwidth>"));
  ParsedDomain back = parsed(*edited);
  EXPECT_EQ(back.spec.disks.size(), 2);
}

TEST(DomainXml, EditingWithTheSameSpecChangesNothingThatMatters) {
  model::DomainSpec domain = web();
  std::string built = build_domain_xml(domain, tcg_host());
  auto edited = edit_domain_xml(built, domain, tcg_host());
  ASSERT_TRUE(edited);
  EXPECT_THAT(differing_fields(parsed(*edited), parsed(built)), IsEmpty());
  auto again = edit_domain_xml(*edited, domain, tcg_host());
  EXPECT_EQ(*edited, *again);
}

TEST(DomainXml, ResizingKeepsTheRest) {
  model::DomainSpec domain = web();
  domain.spec.max_memory = Mib(4096);
  std::string built = build_domain_xml(domain, tcg_host());
  EXPECT_THAT(built, HasSubstr("<size unit=\"MiB\">3072</size>"));
  auto resized = with_size(built, 3, Mib(2048));
  ASSERT_TRUE(resized);
  ParsedDomain back = parsed(*resized);
  EXPECT_EQ(back.spec.vcpus, 3);
  EXPECT_EQ(back.spec.memory, Mib(2048));
  EXPECT_EQ(back.spec.max_memory, Mib(4096));
  EXPECT_THAT(*resized, HasSubstr("<size unit=\"MiB\">2048</size>"));
  EXPECT_THAT(*resized, HasSubstr("cpus=\"0-2\""));
  EXPECT_THAT(differing_fields(parsed(built), back), ElementsAre("vcpus", "max_vcpus", "memory"));
  EXPECT_THAT(with_requested_memory(back.memory_device_xml, Mib(101)),
              HasSubstr("<requested unit=\"MiB\">102</requested>"));
  EXPECT_EQ(with_requested_memory(back.memory_device_xml, Mib(2049)), "");
}

TEST(DomainXml, DisksMoveToOtherPaths) {
  std::string built = build_domain_xml(web(), tcg_host());
  auto moved = with_disk_paths(built, {{"root", "/other/root.qcow2"}});
  ASSERT_TRUE(moved);
  EXPECT_EQ(parsed(*moved).spec.disks[0].path, "/other/root.qcow2");
  EXPECT_EQ(with_disk_paths(built, {{"nope", "/x"}}).error().code, Code::kNotFound);
}

TEST(DomainXml, GarbageIsAnError) {
  for (std::string text : {"", "<", "<domain", "<network/>", "not xml", "<domain></domain"})
    EXPECT_FALSE(parse_domain_xml(text)) << text;
  auto hostile = parse_domain_xml(
      "<domain><vcpu current='-5'>99999999999999999999</vcpu><memory unit='TiB'>-1</memory>"
      "<maxMemory unit='TiB'>9223372036854775807</maxMemory><devices><disk/><interface/></devices>"
      "<metadata><a:vm xmlns:a='urn:chorok:1' generation='-9'/></metadata></domain>");
  ASSERT_TRUE(hostile);
  EXPECT_GE(hostile->spec.vcpus, 1);
  EXPECT_GE(hostile->spec.memory, Mib{});
  EXPECT_EQ(hostile->instance.generation, 0);
  std::string deep = "<domain>";
  for (int i = 0; i < 5000; ++i) deep += "<a>";
  EXPECT_FALSE(parse_domain_xml(deep));
}

TEST(DomainXml, DamagedXmlNeverBreaksTheParser) {
  std::mt19937 random(7);
  std::string built = build_domain_xml(web(), tcg_host());
  for (int i = 0; i < 2000; ++i) {
    std::string damaged = built;
    for (int j = 0; j < 4; ++j)
      damaged[random() % damaged.size()] = static_cast<char>(random() % 256);
    if (random() % 3 == 0) damaged.resize(random() % damaged.size());
    auto domain = parse_domain_xml(damaged);
    if (domain) (void)edit_domain_xml(damaged, web(), tcg_host());
  }
}

TEST(HostFacts, EmulationThatLosesMemoryInALiveMigrationIsSaid) {
  model::HostInventory host;
  host.hypervisor = "QEMU";
  host.qemu_version = "7.2.22";
  EXPECT_THAT(live_migration_warning(host), HasSubstr("QEMU 7.2.22 without KVM"));
  host.qemu_version = "9.0.0";
  EXPECT_EQ(live_migration_warning(host), "");
  host.qemu_version = "10.1.2";
  EXPECT_EQ(live_migration_warning(host), "");
  host.qemu_version = "7.2.22";
  host.accelerator = model::Accelerator::kKvm;
  EXPECT_EQ(live_migration_warning(host), "");
}

TEST(HostFacts, KvmNeedsTheFlagsAndTheDevice) {
  auto choice = choose_accelerator("/dev/null", "/dev/null");
  EXPECT_EQ(choice.accelerator, model::Accelerator::kTcg);
  EXPECT_THAT(choice.reason, HasSubstr("neither svm nor vmx"));
  std::string path = testing::TempDir() + "cpuinfo";
  FILE* file = std::fopen(path.c_str(), "w");
  std::fputs("processor : 0\nflags\t\t: fpu vme svm_lock svm\n", file);
  std::fclose(file);
  EXPECT_EQ(choose_accelerator(path, "/dev/null").accelerator, model::Accelerator::kKvm);
  choice = choose_accelerator(path, "/nowhere/kvm");
  EXPECT_EQ(choice.accelerator, model::Accelerator::kTcg);
  EXPECT_THAT(choice.reason, HasSubstr("does not open"));
}

}  // namespace
}  // namespace chorok::adapters::libvirt
