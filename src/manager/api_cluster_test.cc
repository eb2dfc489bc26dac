// Clusters, pools and rules over HTTP: the conventions of all kinds hold for them, and a living
// cluster can be carried to an offline plan.
#include <gmock/gmock.h>

#include "adapters/sqlite/sqlite_plan_log.h"
#include "manager/api_test_support.h"
#include "model/snapshot_text.h"
#include "policy/planner.h"

namespace chorok::manager {
namespace {

using testing::HasSubstr;

class ClusterApiTest : public ApiTest {
 protected:
  // Two hosts, one of which is to be emptied, and a VM on that one.
  void add_hosts() {
    Changes changes;
    model::Cluster cluster = service->engine().cluster();
    cluster.settings.balance.automation = model::Automation::kManual;  // nothing moves by itself
    changes.put(cluster);
    model::Datastore shared;
    shared.meta.id = "ds-shared";
    shared.meta.name = "shared";
    shared.shared = true;
    changes.put(shared);
    for (const char* name : {"sol", "luna"}) {
      model::Host host;
      host.meta.id = std::string("host-") + name;
      host.meta.name = name;
      host.cluster = service->engine().cluster().meta.id;
      host.link = model::HostLink::kConnected;
      host.inventory.cpu.online = 8;
      host.inventory.cpu.mhz = Mhz{2000};
      host.inventory.cpu.capacity = Mhz{16000};
      host.inventory.memory = Mib{16384};
      host.inventory.simulated = true;
      host.inventory.capabilities = {"live-migration"};
      host.datastores = {{.datastore = "ds-shared", .reachable = true}};
      changes.put(host);
    }
    model::Vm web = vm_record("vm-web", "web");
    web.host = web.status.host = "host-sol";
    web.status.state = model::VmState::kOn;
    web.power = model::VmPower::kOn;
    web.defined = true;
    web.spec.vcpus = 2;
    model::DiskSpec root;
    root.name = "root";
    root.datastore = "shared";
    root.size = Mib{1024};
    web.spec.disks = {root};
    changes.put(web);
    commit(std::move(changes));
    // No agents stand behind them; what runs there is said once.
    for (const char* id : {"host-sol", "host-luna"}) {
      model::Observation seen;
      seen.libvirt_connected = true;
      if (std::string_view(id) == "host-sol")
        seen.instances = {{.uuid = "uuid-web", .vm = "vm-web", .state = model::VmState::kOn}};
      service->world().observe(id, seen);
    }
  }
  void drain(const std::string& id) {
    model::Host host = *service->engine().inventory().hosts().find(id);
    host.admin = model::HostAdmin::kDraining;
    Changes changes;
    changes.put(host);
    commit(std::move(changes));
  }
};

TEST_F(ClusterApiTest, PoolsAndRulesFollowTheConventions) {
  add_hosts();
  const Reply made = post("/pools", R"({"meta":{"name":"gold"},"cpu":{"level":"high"}})");
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.headers.get("Location"), "/api/v1/pools/" + made.at("/meta/id"));
  EXPECT_EQ(post("/pools", R"({"meta":{"name":"gold"}})").status, 409);
  const Reply dry =
      post("/pools?dry_run=true", R"({"meta":{"name":"huge"},"memory":{"reservation":99999}})");
  EXPECT_EQ(dry.at("/ok"), "false");
  EXPECT_EQ(dry.at("/problems/0/field"), "/memory/reservation");
  EXPECT_EQ(get("/pools/huge").status, 404);
  EXPECT_EQ(post("/pools", R"({"meta":{"name":"x"},"cpu":{"level":"higher"}})").at("/field"),
            "/cpu/level");
  const std::string etag(get("/pools/gold").headers.get("ETag"));
  EXPECT_EQ(
      call("PATCH", "/pools/gold", R"({"cpu":{"reservation":1000}})", {{"If-Match", etag}}).status,
      200);
  EXPECT_EQ(
      call("PATCH", "/pools/gold", R"({"cpu":{"reservation":2000}})", {{"If-Match", etag}}).status,
      412);
  EXPECT_EQ(get("/pools?field=cpu/level%3Dhigh&fields=meta/name").at("/items/0/meta/name"), "gold");
  EXPECT_EQ(call("PATCH", "/vms/web", R"({"pool":"gold"})").at("/pool"), made.at("/meta/id"));
  EXPECT_EQ(call("DELETE", "/pools/gold").status, 409);
  EXPECT_EQ(call("DELETE", "/pools/gold?move_up=true").status, 204);
  const Reply rule = post("/rules", R"({"meta":{"name":"home"},"kind":"hosts_only",
                                        "vms":["web"],"hosts":["sol"]})");
  ASSERT_EQ(rule.status, 201) << rule.body;
  EXPECT_EQ(rule.at("/vms/0"), "vm-web");
  EXPECT_EQ(post("/rules", R"({"meta":{"name":"r"},"vms":["wob","web"]})").at("/field"), "/vms/0");
  EXPECT_EQ(call("DELETE", "/rules/home").status, 204);
}

TEST_F(ClusterApiTest, SettingsHaveTheirLimits) {
  const Reply level = call("PATCH", "/clusters/default", R"({"settings":{"balance":{"level":6}}})");
  EXPECT_EQ(level.status, 400);
  EXPECT_EQ(level.at("/field"), "/settings/balance/level");
  const Reply set = call("PATCH", "/clusters/default",
                         R"({"settings":{"balance":{"level":4,"automation":"manual"}}})");
  ASSERT_EQ(set.status, 200) << set.body;
  EXPECT_EQ(get("/clusters/default").at("/settings/balance/automation"), "manual");
  EXPECT_EQ(get("/clusters/default").at("/settings/ha/failures"), "1");
}

TEST_F(ClusterApiTest, ALivingClusterIsPlannedForOffline) {
  add_hosts();
  EXPECT_EQ(post("/pools", R"({"meta":{"name":"gold"},"cpu":{"reservation":4000}})").status, 201);
  const Reply put = call("PATCH", "/vms/web", R"({"pool":"gold"})");
  EXPECT_EQ(put.status, 200) << put.body;
  drain("host-sol");
  const Reply text = get("/clusters/default/snapshot");
  ASSERT_EQ(text.status, 200) << text.body;
  const auto snapshot = model::read_snapshot(text.body);
  ASSERT_TRUE(snapshot) << snapshot.error().field << ": " << snapshot.error().message;
  EXPECT_EQ(snapshot->pools[0].cpu.reservation, 4000);
  EXPECT_GT(snapshot->revision, 0);
  const policy::Plan plan = policy::plan_balance(*snapshot);
  ASSERT_EQ(plan.actions.size(), 1U);
  EXPECT_EQ(snapshot->vms[plan.actions[0].vm].name, "web");
  EXPECT_EQ(snapshot->hosts[plan.actions[0].to].name, "luna");

  const Reply use = get("/clusters/default/use?vms=true");
  ASSERT_EQ(use.status, 200) << use.body;
  EXPECT_EQ(use.at("/rows/0/kind"), "cluster");
  EXPECT_EQ(use.at("/rows/1/name"), "gold");
  EXPECT_EQ(use.at("/rows/1/cpu/reservation"), "4000");
  EXPECT_EQ(use.at("/rows/1/vms_on"), "1");
  EXPECT_EQ(use.at("/rows/2/kind"), "vm");
  EXPECT_EQ(use.at("/rows/2/depth"), "2");
  // All that is asked for is granted, and spare room on top, up to its size.
  EXPECT_EQ(use.at("/rows/2/cpu/entitled"), "4000");
  EXPECT_EQ(get("/clusters/nowhere/snapshot").status, 404);
  acting = make_user("ann", "lab", "operator");
  EXPECT_EQ(get("/clusters/default/snapshot").status, 404);  // of VMs she may not see
}

// Rounds follow at once, and are kept.
class PlansApiTest : public ClusterApiTest {
 protected:
  void SetUp() override {
    log = sqlite::SqlitePlanLog::open(loop, {.path = ":memory:"}).value();
    ClusterApiTest::SetUp();
  }
  void TearDown() override {
    ClusterApiTest::TearDown();
    log.reset();
  }
  ServiceSettings settings() const override {
    ServiceSettings with;
    with.plan_log = log.get();
    with.clusters.settle = std::chrono::milliseconds(5);
    with.clusters.loop.gap = std::chrono::milliseconds(50);
    return with;
  }
  void restart() {
    run([&]() -> net::awaitable<void> { co_await service->stop(); });
    client.reset();
    service.reset();
    ServiceSettings with = settings();
    with.engine.owner = "test again";
    service = std::make_unique<Service>(loop, store, *pki, std::move(with));
    auto own = pki->server_identity({{"localhost"}, {"127.0.0.1"}}, loop.now()).value();
    auto tls = net::TlsServerContext::create({own.certificate_pem, own.key_pem}, pki->ca_pem());
    run([&]() -> net::awaitable<void> { EXPECT_TRUE(co_await service->start()); });
    port = service->listen("127.0.0.1", 0, *tls).value();
    client = make_client(nullptr);
  }
  // Until the answer says so.
  Reply wait_for(const std::string& path, std::string_view text) {
    Reply reply;
    for (int i = 0; i < 200; ++i) {
      reply = get(path);
      if (reply.body.find(text) != std::string::npos) return reply;
      run([]() -> net::awaitable<void> { co_await net::sleep_for(std::chrono::milliseconds(20)); });
    }
    ADD_FAILURE() << path << " never said '" << text << "': " << reply.body;
    return reply;
  }
  std::unique_ptr<sqlite::SqlitePlanLog> log;
};

TEST_F(PlansApiTest, WhyTellsWhereAStartWent) {
  add_hosts();
  drain("host-sol");
  wait_for("/vms/web/why", "migrate web");
  const auto start = [&](std::string id, std::string user, std::string reason) {
    model::Task task;
    task.id = std::move(id);
    task.kind = "vm.start";
    task.target = "vm-web";
    task.user = std::move(user);
    task.reason = std::move(reason);
    task.state = model::TaskState::kSucceeded;
    task.started = task.finished = loop.now() + std::chrono::seconds(1);
    Changes changes;
    changes.put(std::move(task));
    commit(std::move(changes));
  };
  start("task-9000000001", "kim", "luna: 12 % used there, 60 % on sol");
  start("task-9000000002", "chorok", "a restart is a round's own decision");
  const Reply why = get("/vms/web/why");
  ASSERT_EQ(why.status, 200) << why.body;
  EXPECT_THAT(why.body, HasSubstr("started: luna: 12 % used there, 60 % on sol"));
  EXPECT_EQ(why.body.find("a restart is a round's own"), std::string::npos);
  EXPECT_EQ(get("/hosts/luna/why").body.find("started: luna"), std::string::npos);
}

TEST_F(PlansApiTest, WhyIsAnsweredFromKeptPlansAfterARestart) {
  add_hosts();
  drain("host-sol");
  constexpr std::string_view kMove = "migrate web from sol to luna";
  const Reply now = wait_for("/vms/web/why", kMove);
  EXPECT_EQ(now.at("/now/kind"), "vm");
  const std::string then = now.at("/at");
  EXPECT_THAT(get("/hosts/luna/why").body, HasSubstr(std::string(kMove)));
  restart();
  const Reply past = get("/vms/web/why?at=" + then);
  ASSERT_EQ(past.status, 200) << past.body;
  EXPECT_EQ(past.at("/at"), then);
  EXPECT_EQ(past.at("/round"), now.at("/round"));
  EXPECT_EQ(past.at("/now/facts/0"), now.at("/now/facts/0"));
  EXPECT_EQ(past.at("/now/actions/0/to"), now.at("/now/actions/0/to"));
  EXPECT_THAT(past.at("/decisions/0/text"), HasSubstr(std::string(kMove)));
  EXPECT_THAT(get("/vms/web/why?last=1").at("/decisions/0/text"), testing::Ne("?"));
  EXPECT_EQ(get("/vms/web/why?last=1").at("/decisions/1/text"), "?");
  EXPECT_EQ(get("/vms/web/why?at=2020-01-01T00:00:00Z").status, 404);
  EXPECT_EQ(get("/vms/web/why?at=yesterday").at("/field"), "?at");
  EXPECT_EQ(get("/vms/web/why?last=0").at("/field"), "?last");
}

TEST_F(PlansApiTest, RecommendationsAreAskedForAndDecided) {
  add_hosts();
  const Reply list = wait_for("/clusters/default/recommendations", "\"round\":");
  ASSERT_EQ(list.status, 200) << list.body;
  EXPECT_EQ(list.at("/cluster"), "default");
  const std::string apply = "/clusters/default/recommendations/apply";
  EXPECT_EQ(post(apply, R"({"ids":["rec-1-1"]})").status, 404);
  EXPECT_EQ(post(apply, R"({})").at("/field"), "/ids");
  EXPECT_EQ(post(apply, R"({"ids":["rec-1-1"],"all":true})").status, 400);
  EXPECT_EQ(post(apply + "?dry_run=true", R"({"ids":["rec-1-1-9"]})").at("/ok"), "false");
  const Reply all = post(apply, R"({"all":true})", {{"Idempotency-Key", "once"}});
  EXPECT_EQ(all.status, 200) << all.body;
  EXPECT_EQ(post(apply, R"({"all":true})", {{"Idempotency-Key", "once"}})
                .headers.get("Idempotency-Replayed"),
            "true");
  EXPECT_EQ(post("/clusters/default/recommendations/ignore", R"({"all":true})").status, 200);
  acting = make_user("ann", "", "viewer");
  EXPECT_EQ(get("/clusters/default/recommendations").status, 200);
  EXPECT_EQ(post(apply, R"({"all":true})").status, 403);
  acting.clear();
  acting = make_user("bob", "lab", "operator");
  EXPECT_EQ(get("/clusters/default/recommendations").status, 404);
}

}  // namespace
}  // namespace chorok::manager
