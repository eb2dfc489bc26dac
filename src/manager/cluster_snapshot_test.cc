#include "manager/cluster_snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "control/compatibility.h"
#include "manager/cluster_records.h"
#include "model/snapshot_text.h"
#include "policy/planner.h"
#include "policy/whatif.h"

namespace chorok::manager {
namespace {

using model::kNone;
using model::VmRun;
using model::VmState;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

template <class T>
void put(Inventory& inventory, T record) {
  const std::string id = Record<T>::id(record);
  inventory.table<T>().exchange(id, std::make_shared<const T>(std::move(record)));
}

// Records as a store holds them, and control's questions answered from them.
class Records : public control::Lookup {
 public:
  Records() {
    model::Cluster cluster;
    cluster.meta = meta("cluster-a", "default");
    put(inventory, cluster);
    for (const bool shared : {true, false}) {
      model::Datastore datastore;
      datastore.meta = meta(shared ? "ds-shared" : "ds-local", shared ? "shared" : "local");
      datastore.shared = shared;
      put(inventory, datastore);
    }
    model::Network lan;
    lan.meta = meta("net-lan", "lan");
    put(inventory, lan);
  }

  static model::Meta meta(std::string id, std::string name) {
    model::Meta out;
    out.id = std::move(id);
    out.name = std::move(name);
    return out;
  }
  static model::Host host_record(const std::string& name) {
    model::Host host;
    host.meta = meta("host-" + name, name);
    host.cluster = "cluster-a";
    host.link = model::HostLink::kConnected;
    host.inventory.cpu = {.model = "Fake-v1",
                          .arch = "x86_64",
                          .sockets = 1,
                          .cores = 8,
                          .threads = 1,
                          .online = 8,
                          .mhz = Mhz{2000},
                          .capacity = Mhz{16000}};
    host.inventory.memory = Mib{16384};
    host.inventory.simulated = true;
    host.inventory.capabilities = {"live-migration", "uefi"};
    host.datastores = {{.datastore = "ds-shared", .reachable = true},
                       {.datastore = "ds-local", .reachable = true}};
    host.networks = {{.network = "net-lan", .reachable = true}};
    return host;
  }
  void add_host(const std::string& name) { put(inventory, host_record(name)); }
  static model::Vm vm_record(const std::string& name, const std::string& host) {
    model::Vm vm;
    vm.meta = meta("vm-" + name, name);
    vm.host = host.empty() ? "" : "host-" + host;
    vm.status.host = vm.host;
    vm.defined = true;
    vm.spec.memory = Mib{2048};
    model::DiskSpec root;
    root.name = "root";
    root.datastore = "shared";
    vm.spec.disks = {root};
    model::NicSpec nic;
    nic.name = "eth0";
    nic.network = "lan";
    vm.spec.nics = {nic};
    return vm;
  }
  static model::Vm running(const std::string& name, const std::string& host) {
    model::Vm vm = vm_record(name, host);
    vm.power = model::VmPower::kOn;
    vm.status.state = VmState::kOn;
    return vm;
  }
  ClusterSnapshot make(const SnapshotOptions& options = {}) const {
    ClusterSnapshot made = make_snapshot(inventory, "cluster-a", kNow, options);
    const auto checked = model::check(made.snapshot);
    EXPECT_TRUE(checked) << checked.error().field << ": " << checked.error().message;
    const model::Snapshot& s = made.snapshot;
    EXPECT_EQ(made.hosts.size(), s.hosts.size());
    EXPECT_EQ(made.vms.size(), s.vms.size());
    EXPECT_EQ(made.pools.size(), s.pools.size());
    EXPECT_EQ(made.rules.size(), s.rules.size());
    return made;
  }

  const model::Host* host(std::string_view ref) const override {
    return inventory.hosts().resolve(ref).get();
  }
  const model::Datastore* datastore(std::string_view ref) const override {
    return inventory.datastores().resolve(ref).get();
  }
  const model::Network* network(std::string_view ref) const override {
    return inventory.networks().resolve(ref).get();
  }
  const model::Cluster& cluster_of(std::string_view) const override {
    return inventory.default_cluster();
  }
  bool at_home(const model::Vm&, const model::Host&) const override { return true; }
  bool fresh(std::string_view id) const override { return id != stale; }
  std::vector<const model::Host*> hosts() const override { return {}; }
  Committed committed(std::string_view) const override { return {}; }
  control::Placed place(const model::Vm&) const override { return {}; }
  std::vector<control::BrokenRule> broken_rules(const model::Vm&,
                                                const model::Host&) const override {
    return {};
  }

  static constexpr Time kNow = Time{std::chrono::hours(500'000)};
  Inventory inventory;
  std::string stale;
};

TEST(ClusterSnapshot, CarriesWhatTheRecordsSay) {
  Records records;
  records.add_host("b");
  records.add_host("a");
  model::Vm web = Records::running("web", "b");
  web.spec.vcpus = 2;
  web.spec.cpu.reservation = Mhz{500};
  web.spec.memory_allocation.limit = Mib{1024};
  web.automation = model::Automation::kManual;
  web.restart = {.priority = 1, .after = {"vm-db", "vm-gone"}, .delay = std::chrono::seconds(5)};
  web.pool = "pool-gold";
  web.status.last_migration =
      model::MigrationStats{.from = "a", .to = "b", .finished = Records::kNow};
  put(records.inventory, web);
  put(records.inventory, Records::vm_record("db", "a"));
  model::Pool gold;
  gold.meta = Records::meta("pool-gold", "gold");
  gold.cluster = "cluster-a";
  gold.cpu.level = model::ShareLevel::kHigh;
  gold.memory.reservation = Mib{4096};
  put(records.inventory, gold);
  const ClusterSnapshot made = records.make();
  const model::Snapshot& s = made.snapshot;
  EXPECT_EQ(s.cluster, "default");
  EXPECT_THAT(made.hosts, ElementsAre("host-a", "host-b"));
  EXPECT_THAT(made.vms, ElementsAre("vm-db", "vm-web"));
  EXPECT_EQ(s.hosts[0].capacity, (model::Amounts{16000, 16384}));
  EXPECT_EQ(s.hosts[0].cores, 8);
  EXPECT_EQ(s.vms[0].run, VmRun::kOff);
  EXPECT_EQ(s.vms[0].host, kNone);
  const model::SnapshotVm& vm = s.vms[1];
  EXPECT_EQ(vm.run, VmRun::kOn);
  EXPECT_EQ(vm.host, 1U);
  EXPECT_EQ(vm.size, (model::Amounts{4000, 2048}));
  EXPECT_EQ(vm.cpu.reservation, 500);
  EXPECT_EQ(vm.cpu.limit, model::kUnlimited);
  EXPECT_EQ(vm.memory.limit, 1024);
  EXPECT_EQ(vm.automation, model::Automation::kManual);
  EXPECT_EQ(vm.restart_priority, 1);
  EXPECT_THAT(vm.restart_after, ElementsAre(0U));
  EXPECT_EQ(vm.restart_delay, std::chrono::seconds(5));
  EXPECT_EQ(vm.last_moved, Records::kNow);
  EXPECT_EQ(vm.moved_from, 0U);
  EXPECT_EQ(vm.gaps, 1);
  EXPECT_EQ(vm.cpu_demand.now, 1000);
  EXPECT_EQ(vm.pool, 0U);
  EXPECT_EQ(s.pools[0].cpu.shares, 8000);
  EXPECT_EQ(s.pools[0].memory.reservation, 4096);
  EXPECT_TRUE(s.pools[0].cpu.expandable);
}

TEST(ClusterSnapshot, AMigrationHasItsOwnLimitAndAHostThatOfAllOfThem) {
  Records records;
  records.add_host("a");
  EXPECT_EQ(records.make().snapshot.hosts[0].migration_bandwidth_each, 0);
  model::Cluster cluster = *records.inventory.clusters().find("cluster-a");
  cluster.migration.bandwidth_mib_s = 40;
  cluster.migration.parallel_per_host = 3;
  put(records.inventory, cluster);
  const model::SnapshotHost host = records.make().snapshot.hosts[0];
  EXPECT_EQ(host.migration_bandwidth, 120);
  EXPECT_EQ(host.migration_bandwidth_each, 40);
}

TEST(ClusterSnapshot, AHostCopiesAsFastAsItsLastMigrationsDid) {
  Records records;
  records.add_host("a");
  records.add_host("b");
  records.add_host("c");
  model::Vm vm = Records::vm_record("web", "b");
  vm.status.last_migration =
      model::MigrationStats{.from = "a",
                            .to = "b",
                            .kind = "live",
                            .total = std::chrono::seconds(20),
                            .transferred = Bytes(std::int64_t{2000} << 20),
                            .finished = Records::kNow - std::chrono::hours(1)};
  put(records.inventory, std::move(vm));
  const auto each = [&](std::int64_t limit) {
    model::Cluster cluster = *records.inventory.clusters().find("cluster-a");
    cluster.migration.bandwidth_mib_s = limit;
    put(records.inventory, cluster);
    std::vector<double> out;
    for (const auto& host : records.make().snapshot.hosts)
      out.push_back(host.migration_bandwidth_each);
    return out;
  };
  EXPECT_THAT(each(0), ElementsAre(100, 100, 0));
  each(2500);
  EXPECT_EQ(records.make().snapshot.hosts[2].migration_bandwidth, 2500) << "a fast network";
  EXPECT_THAT(each(40), ElementsAre(40, 40, 40));
  EXPECT_THAT(each(500), ElementsAre(100, 100, 500));
}

TEST(ClusterSnapshot, ReadsBackFromItsText) {
  Records records;
  records.add_host("a");
  put(records.inventory, Records::running("web", "a"));
  const ClusterSnapshot made = records.make();
  const auto text = model::write_snapshot(made.snapshot);
  ASSERT_TRUE(text) << text.error().field << text.error().message;
  const auto back = model::read_snapshot(*text);
  ASSERT_TRUE(back) << back.error().field << back.error().message;
  EXPECT_EQ(*model::write_snapshot(*back), *text);
}

TEST(ClusterSnapshot, CurvesOfTheirOwnHaveNamesOfTheirOwn) {
  Records records;
  for (const auto& [name, idle] : {std::pair{"a", 80.0}, {"b", 90.0}, {"c", 80.0}}) {
    model::Host host = Records::host_record(name);
    host.power_model.watts.assign(11, idle);
    put(records.inventory, host);
  }
  const ClusterSnapshot made = records.make();
  EXPECT_EQ(made.snapshot.curves.size(), 2U);
  EXPECT_EQ(made.snapshot.hosts[0].curve, made.snapshot.hosts[2].curve);
  EXPECT_EQ(made.snapshot.curves[made.snapshot.hosts[1].curve].at(0), 90);
  const auto text = model::write_snapshot(made.snapshot);
  ASSERT_TRUE(text) << text.error().message;
  const auto back = model::read_snapshot(*text);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->curves, made.snapshot.curves);
}

// Of what comes between, nothing is seen.
TEST(ClusterSnapshot, OfFrozenRecordsIsTheSameWhateverComesMeanwhile) {
  Records records;
  for (const char* host : {"a", "b", "c"}) records.add_host(host);
  records.stale = "host-c";
  put(records.inventory, Records::running("web", "a"));
  put(records.inventory, Records::running("db", "c"));
  model::Vm owed = Records::vm_record("owed", "b");
  owed.power = model::VmPower::kOn;
  owed.status.owed = true;
  put(records.inventory, owed);
  model::Task task;
  task.id = "task-1";
  task.kind = "vm.migrate";
  task.target_kind = "vm";
  task.target = "vm-web";
  task.args.host = "host-b";
  task.created = Records::kNow;
  put(records.inventory, task);
  const SnapshotOptions options{.world = &records, .revision = 7};
  const ClusterSnapshot now = records.make(options);
  ASSERT_EQ(now.snapshot.operations.size(), 1u);
  const FrozenCluster frozen(records.inventory, "cluster-a", Records::kNow, options);

  records.stale = "host-a";
  records.inventory.table<model::Vm>().exchange("vm-db", nullptr);
  put(records.inventory, Records::running("web", "b"));
  put(records.inventory, Records::running("new", "a"));
  records.inventory.table<model::Host>().exchange("host-b", nullptr);
  task.state = model::TaskState::kSucceeded;
  put(records.inventory, task);
  const ClusterSnapshot later = frozen.make();
  EXPECT_EQ(later.vms, now.vms);
  EXPECT_EQ(later.hosts, now.hosts);
  EXPECT_EQ(*model::write_snapshot(later.snapshot), *model::write_snapshot(now.snapshot));
}

TEST(ClusterSnapshot, HostsThatAreLostOrNotKnownTakeNothing) {
  Records records;
  records.add_host("good");
  model::Host lost = Records::host_record("lost");
  lost.link = model::HostLink::kLost;
  put(records.inventory, lost);
  model::Host mute = Records::host_record("mute");
  mute.libvirt_message = "connection refused";
  put(records.inventory, mute);
  records.add_host("stale");
  records.stale = "host-stale";
  put(records.inventory, Records::running("web", "stale"));
  const ClusterSnapshot made = records.make({.world = &records});
  const policy::WhatIf hosts(made.snapshot);
  EXPECT_TRUE(hosts.usable(index_of(made.hosts, "host-good")));
  for (const char* id : {"host-lost", "host-mute", "host-stale"}) {
    EXPECT_FALSE(hosts.usable(index_of(made.hosts, id))) << id;
    EXPECT_FALSE(hosts.could_run(index_of(made.hosts, id))) << id;
  }
  EXPECT_THAT(made.snapshot.vms[0].pinned, HasSubstr("not known"));
  EXPECT_THAT(policy::plan_cluster(made.snapshot).actions, IsEmpty());
}

TEST(ClusterSnapshot, AHostInMaintenanceIsEmptiedByThePlan) {
  Records records;
  records.add_host("a");
  records.add_host("b");
  model::Host leaving = Records::host_record("c");
  leaving.admin = model::HostAdmin::kDraining;
  put(records.inventory, leaving);
  put(records.inventory, Records::running("web", "c"));
  const ClusterSnapshot made = records.make();
  const policy::Plan plan = policy::plan_cluster(made.snapshot);
  ASSERT_EQ(plan.actions.size(), 1U);
  EXPECT_EQ(plan.actions[0].kind, policy::ActionKind::kMigrate);
  EXPECT_EQ(made.vms[plan.actions[0].vm], "vm-web");
  EXPECT_EQ(made.hosts[plan.actions[0].from], "host-c");
}

TEST(ClusterSnapshot, NoHostWithoutABmcIsSwitchedOff) {
  Records records;
  for (const char* name : {"a", "b", "c"}) records.add_host(name);
  model::Cluster cluster = records.inventory.default_cluster();
  cluster.settings.power.automation = model::Automation::kFull;
  put(records.inventory, cluster);
  for (const policy::Action& action : policy::plan_cluster(records.make().snapshot).actions)
    EXPECT_NE(action.kind, policy::ActionKind::kPowerOff);
}

TEST(ClusterSnapshot, WhatIsUnderWayIsCounted) {
  Records records;
  records.add_host("a");
  records.add_host("b");
  put(records.inventory, Records::running("moving", "a"));
  model::Vm starting = Records::vm_record("starting", "a");
  starting.power = model::VmPower::kOn;
  put(records.inventory, starting);
  model::Vm waiting = Records::vm_record("waiting", "");
  waiting.power = model::VmPower::kOn;
  put(records.inventory, waiting);
  model::Operation move{.id = "op-1",
                        .vm = "vm-moving",
                        .host = "host-a",
                        .kind = model::OpKind::kMigrate,
                        .phase = model::OpPhase::kRunning};
  move.args.migration = model::MigrationTarget{.host = "host-b"};
  put(records.inventory, move);
  put(records.inventory,
      model::Operation{
          .id = "op-2", .vm = "vm-starting", .host = "host-b", .kind = model::OpKind::kStart});
  put(records.inventory, model::Operation{.id = "op-3",
                                          .vm = "vm-moving",
                                          .host = "host-b",
                                          .kind = model::OpKind::kMigrate,
                                          .phase = model::OpPhase::kFailed});
  const ClusterSnapshot made = records.make();
  const model::Snapshot& s = made.snapshot;
  ASSERT_EQ(s.operations.size(), 2U);
  EXPECT_EQ(s.operations[0].kind, model::SnapshotOperation::Kind::kMigrate);
  EXPECT_EQ(s.operations[0].from, 0U);
  EXPECT_EQ(s.operations[0].to, 1U);
  EXPECT_EQ(s.operations[1].kind, model::SnapshotOperation::Kind::kStart);
  EXPECT_EQ(s.operations[1].to, 1U);
  EXPECT_EQ(s.vms[1].run, VmRun::kOn);  // starting: its memory counts where it starts
  EXPECT_EQ(s.vms[1].host, 1U);
  EXPECT_EQ(s.vms[2].run, VmRun::kWaiting);
  const policy::Plan plan = policy::plan_place(s);
  ASSERT_EQ(plan.actions.size(), 1U);
  EXPECT_EQ(made.vms[plan.actions[0].vm], "vm-waiting");
}

// As maintenance asks for it: where to is chosen when the move begins.
TEST(ClusterSnapshot, AVmThatIsToLeaveIsUnderWayBeforeItsTargetIsChosen) {
  Records records;
  model::Host leaving = Records::host_record("a");
  leaving.admin = model::HostAdmin::kDraining;
  put(records.inventory, leaving);
  records.add_host("b");
  model::Vm web = Records::running("web", "a");
  web.status.task = "task-1";
  put(records.inventory, web);
  model::Task task;
  task.id = "task-1";
  task.kind = "vm.migrate";
  task.target = "vm-web";
  put(records.inventory, task);
  const ClusterSnapshot made = records.make();
  ASSERT_EQ(made.snapshot.operations.size(), 1U);
  EXPECT_EQ(made.snapshot.operations[0].from, 0U);
  EXPECT_EQ(made.snapshot.operations[0].to, kNone);
  EXPECT_TRUE(model::check(made.snapshot));
  const policy::Plan plan = policy::plan_cluster(made.snapshot);
  EXPECT_THAT(plan.actions, IsEmpty());
  EXPECT_TRUE(plan.violations.empty()) << plan.violations[0].text;
  // One that only moves disks stays, and that is told.
  task.args.datastore = "nfs";
  put(records.inventory, task);
  EXPECT_EQ(policy::plan_cluster(records.make().snapshot).violations.size(), 1U);
}

TEST(ClusterSnapshot, HoldsItsOwnClusterAlone) {
  Records records;
  model::Cluster other;
  other.meta = Records::meta("cluster-0", "other");
  other.meta.created = Records::kNow;  // younger: not the default one
  put(records.inventory, other);
  model::Host old = Records::host_record("a");
  old.cluster.clear();  // of before there were several
  put(records.inventory, old);
  model::Host theirs = Records::host_record("b");
  theirs.cluster = "cluster-0";
  put(records.inventory, theirs);
  model::Vm web = Records::running("web", "b");
  web.pool = "pool-x";
  put(records.inventory, web);
  model::Pool pool;
  pool.meta = Records::meta("pool-x", "x");
  pool.cluster = "cluster-a";
  put(records.inventory, pool);
  EXPECT_THAT(records.make().hosts, ElementsAre("host-a"));
  EXPECT_THAT(records.make().vms, IsEmpty());
  const ClusterSnapshot made = make_snapshot(records.inventory, "cluster-0", Records::kNow);
  EXPECT_THAT(made.hosts, ElementsAre("host-b"));
  ASSERT_THAT(made.vms, ElementsAre("vm-web"));
  EXPECT_EQ(made.snapshot.vms[0].pool, kNone);  // of another cluster
}

TEST(ClusterSnapshot, PoolsStandBelowTheirParentsAndCirclesAreLeftOut) {
  Records records;
  for (auto [name, parent] : {std::pair{"a-leaf", "pool-z-root"},
                              {"z-root", ""},
                              {"c1", "pool-c2"},
                              {"c2", "pool-c1"},
                              {"orphan", "pool-gone"}}) {
    model::Pool pool;
    pool.meta = Records::meta(std::string("pool-") + name, name);
    pool.cluster = "cluster-a";
    pool.parent = parent;
    put(records.inventory, pool);
  }
  const ClusterSnapshot made = records.make();
  EXPECT_THAT(made.pools, ElementsAre("pool-orphan", "pool-z-root", "pool-a-leaf"));
  EXPECT_EQ(made.snapshot.pools[2].parent, 1U);
}

TEST(ClusterSnapshot, RulesAreThoseThatSaySomething) {
  Records records;
  records.add_host("a");
  put(records.inventory, Records::running("web1", "a"));
  put(records.inventory, Records::running("web2", "a"));
  model::Rule rule;
  rule.cluster = "cluster-a";
  rule.meta = Records::meta("rule-1", "apart");
  rule.vms = {"vm-web1", "vm-gone", "vm-web2"};
  put(records.inventory, rule);
  rule.meta = Records::meta("rule-2", "alone");
  rule.vms = {"vm-web1", "vm-gone"};
  put(records.inventory, rule);
  rule.meta = Records::meta("rule-3", "off");
  rule.vms = {"vm-web1", "vm-web2"};
  rule.enabled = false;
  put(records.inventory, rule);
  rule.meta = Records::meta("rule-4", "on-a");
  rule.enabled = true;
  rule.kind = model::RuleKind::kHostsOnly;
  rule.hosts = {"host-a", "host-gone"};
  put(records.inventory, rule);
  const ClusterSnapshot made = records.make();
  EXPECT_THAT(made.rules, ElementsAre("rule-1", "rule-4"));
  EXPECT_THAT(made.snapshot.rules[0].vms, ElementsAre(0U, 1U));
  EXPECT_THAT(made.snapshot.rules[1].hosts, ElementsAre(0U));
}

// Whatever the records are, the policies' word on a VM and a host is control's, room apart.
TEST(ClusterSnapshot, PoliciesAndControlAgree) {
  std::mt19937 random(7);
  auto chance = [&](int percent) { return static_cast<int>(random() % 100) < percent; };
  int compared = 0;
  int refused = 0;
  for (int round = 0; round < 300; ++round) {
    Records records;
    if (chance(30)) {
      model::Cluster cluster = records.inventory.default_cluster();
      cluster.cpu_baseline = "Base";
      put(records.inventory, cluster);
    }
    for (int h = 0; h < 4; ++h) {
      model::Host host = Records::host_record(std::string(1, static_cast<char>('a' + h)));
      if (chance(20)) host.inventory.accelerator = model::Accelerator::kKvm;
      if (chance(20)) host.inventory.cpu.arch = "aarch64";
      if (chance(20)) host.inventory.capabilities = {"tpm"};
      if (chance(30)) host.inventory.machines = {"q35", "pc"};
      if (chance(20)) host.datastores[0].reachable = false;
      if (chance(20)) host.datastores.pop_back();
      if (chance(20)) host.networks.clear();
      if (chance(10)) host.admin = model::HostAdmin::kMaintenance;
      if (chance(10)) host.link = model::HostLink::kLost;
      if (chance(10)) host.power = model::HostPower::kStandby;
      if (chance(10)) host.libvirt_message = "gone";
      if (chance(10)) records.stale = host.meta.id;
      put(records.inventory, host);
    }
    for (int v = 0; v < 6; ++v) {
      const std::string at(1, static_cast<char>('a' + static_cast<int>(random() % 4)));
      const std::string name = "vm" + std::to_string(v);
      model::Vm vm = chance(60) ? Records::running(name, at) : Records::vm_record(name, at);
      if (chance(20)) vm.spec.firmware = model::Firmware::kUefi;
      if (chance(20)) vm.spec.tpm = true;
      if (chance(20)) vm.spec.machine = chance(50) ? "q35" : "virt";
      if (chance(20)) vm.spec.disks[0].datastore = chance(80) ? "ds-local" : "nowhere";
      if (chance(10)) vm.spec.nics[0].network = "nowhere";
      if (chance(20)) vm.spec.cpu_model = "Own";
      if (chance(20)) vm.defined = false;
      if (chance(15))
        vm.spec.cdroms = {
            {.name = "cd", .datastore = chance(50) ? "local" : "shared", .path = "a.iso"}};
      if (chance(10)) vm.spec.boot = {.datastore = "local", .kernel = "vmlinuz"};
      put(records.inventory, vm);
    }
    const ClusterSnapshot made = records.make({.world = &records});
    const policy::WhatIf hosts(made.snapshot);
    for (model::Index v = 0; v < made.vms.size(); ++v)
      for (model::Index h = 0; h < made.hosts.size(); ++h) {
        const model::SnapshotVm& what = made.snapshot.vms[v];
        if (what.host == h) continue;
        const model::Vm& vm = *records.inventory.vms().find(made.vms[v]);
        const model::Host& host = *records.inventory.hosts().find(made.hosts[h]);
        const bool live = what.run == VmRun::kOn;
        const auto reasons = control::incompatibilities(
            vm, host, live ? control::Purpose::kLiveMigrate : control::Purpose::kStart, {},
            records);
        const bool fits = hosts.usable(h) && !hosts.compatible(v, h) && what.pinned.empty();
        ++compared;
        refused += fits ? 0 : 1;
        if (fits) {
          EXPECT_THAT(reasons, IsEmpty()) << vm.meta.name << " on " << host.meta.name;
          continue;
        }
        // The policies know two things more: local disks are not copied for their sake, and a guest
        // that has its host's CPU needs the same one.
        const model::Host* source = records.host(vm.host);
        const bool other_cpu = source->inventory.cpu.model != host.inventory.cpu.model;
        if (what.pinned.empty() && !other_cpu)
          EXPECT_FALSE(reasons.empty()) << vm.meta.name << " on " << host.meta.name;
      }
  }
  EXPECT_GT(refused, compared / 10);
  EXPECT_LT(refused, compared * 9 / 10);
}

}  // namespace
}  // namespace chorok::manager
