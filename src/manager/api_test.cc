#include "manager/api_test_support.h"

namespace chorok::manager {
namespace {

TEST_F(ApiTest, WhoOneIs) {
  net::Headers nobody = {{"Authorization", "none"}};
  Reply version = call("GET", "/version", "", nobody);
  EXPECT_EQ(version.status, 200);
  EXPECT_EQ(version.at("/simulated"), "false");
  Reply refused = call("GET", "/vms", "", nobody);
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.headers.get("WWW-Authenticate"), "Bearer realm=\"chorok\"");
  EXPECT_EQ(refused.headers.get("Content-Type"), "application/problem+json");
  EXPECT_EQ(call("GET", "/vms", "", {{"Authorization", "Bearer chk_x_y"}}).status, 401);
  EXPECT_EQ(post("/login", R"({"user":"admin","password":"wrong"})").status, 401);
  EXPECT_EQ(post("/login", R"({"user":"nobody","password":"wrong"})").status, 401);
  EXPECT_EQ(get("/vms").status, 200);
}

TEST_F(ApiTest, PathsAndMethodsThatAreNotThere) {
  Reply near = get("/networkz");
  EXPECT_EQ(near.status, 404);
  EXPECT_NE(near.body.find("did you mean /api/v1/networks?"), std::string::npos) << near.body;
  EXPECT_EQ(get("/vms/web1").status, 404);
  Reply method = call("PUT", "/networks");
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.headers.get("Allow"), "GET, POST, HEAD, OPTIONS");
  Reply options = call("OPTIONS", "/networks");
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.headers.get("Allow"), "GET, POST, HEAD, OPTIONS");
  Reply head = call("HEAD", "/networks");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(get("/api/v2/x").status, 404);
}

TEST_F(ApiTest, BadInputNamesItsPlace) {
  Reply typo = post("/vms", R"({"meta":{"name":"a"},"spec":{"vcpuz":2}})");
  EXPECT_EQ(typo.status, 400);
  EXPECT_EQ(typo.at("/field"), "/spec/vcpuz");
  EXPECT_NE(typo.body.find("did you mean 'vcpus'?"), std::string::npos) << typo.body;
  EXPECT_EQ(post("/vms", R"({"meta":{"name":"a"},"spec":{"vcpus":"2"}})").at("/field"),
            "/spec/vcpus");
  EXPECT_EQ(post("/networks", "{").status, 400);
  EXPECT_EQ(post("/networks", "{}", {{"Content-Type", "text/plain"}}).status, 415);
  EXPECT_EQ(get("/vms?limt=1").at("/field"), "?limt");
  EXPECT_EQ(get("/vms?limit=x").status, 400);
  EXPECT_EQ(get("/vms?fields=meta/nam").at("/field"), "?fields");
  EXPECT_EQ(get("/vms?sort=oops").at("/field"), "?sort");
  EXPECT_EQ(get("/vms?field=status/state%3Dup").at("/field"), "?field");
  EXPECT_EQ(get("/users?fields=password_hash").status, 400) << "secrets cannot be selected";
  EXPECT_EQ(post("/networks?dry_run=perhaps", "{}").at("/field"), "?dry_run");
  const std::string huge = R"({"meta":{"name":"a","notes":")" + std::string(1 << 20, 'x') + "\"}}";
  EXPECT_EQ(post("/networks", huge).status, 413);
}

TEST_F(ApiTest, ObjectsComeAndGo) {
  Reply made = make_network("lan");
  ASSERT_EQ(made.status, 201) << made.body;
  const std::string id = made.at("/meta/id");
  EXPECT_EQ(made.headers.get("Location"), "/api/v1/networks/" + id);
  EXPECT_EQ(made.headers.get("ETag"), "\"1\"");
  EXPECT_EQ(make_network("lan").status, 409);
  EXPECT_EQ(get("/networks/lan").at("/meta/id"), id);
  EXPECT_EQ(get("/networks/lan?fields=bridge").body, R"({"bridge":"br0"})");

  Reply changed =
      call("PATCH", "/networks/lan", R"({"meta":{"notes":"hello"}})", {{"If-Match", "\"1\""}});
  EXPECT_EQ(changed.status, 200) << changed.body;
  EXPECT_EQ(changed.headers.get("ETag"), "\"2\"");
  EXPECT_EQ(changed.at("/bridge"), "br0");
  Reply late =
      call("PATCH", "/networks/lan", R"({"meta":{"notes":"no"}})", {{"If-Match", "\"1\""}});
  EXPECT_EQ(late.status, 412) << late.body;
  EXPECT_EQ(late.at("/code"), "conflict");
  EXPECT_EQ(call("PATCH", "/networks/lan", "{}", {{"If-Match", "yesterday"}}).status, 400);
  EXPECT_EQ(get("/networks/lan").at("/meta/notes"), "hello");
  EXPECT_EQ(call("DELETE", "/networks/lan", "", {{"If-Match", "\"1\""}}).status, 412);
  EXPECT_EQ(call("DELETE", "/networks/lan").status, 204);
  EXPECT_EQ(get("/networks/" + id).status, 404);
}

TEST_F(ApiTest, DryRunsChangeNothing) {
  Reply dry = post("/networks?dry_run=true", R"({"meta":{"name":"x"},"bridge":"br0"})");
  EXPECT_EQ(dry.status, 200);
  EXPECT_EQ(dry.at("/ok"), "true");
  EXPECT_EQ(get("/networks").at("/total"), "0");
  EXPECT_EQ(post("/tokens?dry_run=true", "{}").at("/ok"), "true");
  EXPECT_EQ(get("/tokens").at("/total"), "1");
  EXPECT_EQ(get("/audit?field=method%3DPOST,path!%3D/api/v1/login").at("/total"), "0");
}

TEST_F(ApiTest, TheSameKeyGivesTheSameAnswer) {
  const std::string body = R"({"meta":{"name":"once"},"bridge":"br0"})";
  net::Headers key = {{"Idempotency-Key", "k1"}};
  Reply first = post("/networks", body, key);
  Reply again = post("/networks", body, key);
  EXPECT_EQ(first.status, 201);
  EXPECT_EQ(again.status, 201);
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(again.headers.get("ETag"), first.headers.get("ETag"));
  EXPECT_EQ(again.headers.get("Idempotency-Replayed"), "true");
  EXPECT_EQ(get("/networks").at("/total"), "1");
  EXPECT_EQ(post("/networks", R"({"meta":{"name":"two"},"bridge":"br0"})", key).status, 422);
  // What failed may be tried again.
  net::Headers other = {{"Idempotency-Key", "k2"}};
  EXPECT_EQ(post("/networks", body, other).status, 409);
  EXPECT_EQ(call("DELETE", "/networks/once").status, 204);
  EXPECT_EQ(post("/networks", body, other).status, 201);
  // Another user's key is another key.
  acting = make_user("eve", "", "admin");
  EXPECT_EQ(post("/networks", body, other).status, 409);
}

TEST_F(ApiTest, TheSameKeyGivesTheSameAnswerAfterARestart) {
  const std::string body = R"({"meta":{"name":"once"},"bridge":"br0"})";
  net::Headers key = {{"Idempotency-Key", "k1"}};
  net::Headers secret = {{"Idempotency-Key", "k2"}};
  Reply first = post("/networks", body, key);
  Reply token = post("/tokens", "{}", secret);
  EXPECT_EQ(token.status, 201);
  EXPECT_EQ(post("/tokens", "{}", secret).body, token.body);
  for (const auto& [id, answer] : service->engine().inventory().answers().all())
    EXPECT_EQ(answer->body.find(token.at("/token")), std::string::npos) << "stored in the clear";
  client.reset();
  run([&]() -> net::awaitable<void> { co_await service->stop(); });
  make_service(settings());
  admin = login("admin");
  Reply again = post("/networks", body, key);
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(again.headers.get("Location"), first.headers.get("Location"));
  EXPECT_EQ(again.headers.get("Idempotency-Replayed"), "true");
  EXPECT_EQ(post("/networks", R"({"meta":{"name":"two"},"bridge":"br0"})", key).status, 422);
  EXPECT_NE(post("/tokens", "{}", secret).body, token.body) << "a secret is not kept";
}

TEST_F(ApiTest, ANewPasswordEndsTheUsersSessions) {
  std::string eve = make_user("eve", "", "viewer");
  acting = eve;
  Reply api_token = post("/tokens", "{}");
  EXPECT_EQ(api_token.status, 201);
  acting.clear();
  EXPECT_EQ(call("PATCH", "/users/eve", R"({"meta":{"notes":"x"}})").status, 200);
  acting = eve;
  EXPECT_EQ(get("/networks").status, 200) << "another change does not";
  acting.clear();
  EXPECT_EQ(call("PATCH", "/users/eve", R"({"password":"a new one 1"})").status, 200);
  acting = eve;
  EXPECT_EQ(get("/networks").status, 401);
  acting = api_token.at("/token");
  EXPECT_EQ(get("/networks").status, 200) << "what was not made by login goes on";
  acting = login("eve", "a new one 1");
  EXPECT_EQ(get("/networks").status, 200);
}

TEST_F(ApiTest, ChangesAreAudited) {
  make_network("lan");
  acting = make_user("vera", "", "viewer");
  EXPECT_EQ(make_network("other").status, 403);
  acting.clear();
  Reply audit = get("/audit?sort=-id&fields=user,method,path,status");
  EXPECT_EQ(audit.at("/items/0"),
            R"({"user":"vera","method":"POST","path":"/api/v1/networks","status":403})");
  EXPECT_EQ(get("/audit?field=user%3Dvera,status%3D403").at("/total"), "1");
  EXPECT_EQ(get("/audit?field=method%3DGET").at("/total"), "0");
}

TEST_F(ApiTest, RolesFollowFolders) {
  Changes changes;
  changes.put(vm_record("vm-a", "a", "team/a"));
  changes.put(vm_record("vm-b", "b", "team/b"));
  changes.put(vm_record("vm-r", "r"));
  model::Task task;
  task.id = "task-b";
  task.target_kind = "vm";
  task.target = "vm-b";
  task.state = model::TaskState::kSucceeded;
  changes.put(std::move(task));
  commit(std::move(changes));
  make_network("lan");

  acting = make_user("ann", "team/a", "operator");
  EXPECT_EQ(get("/vms?fields=meta/name").at("/items"), R"([{"meta":{"name":"a"}}])");
  EXPECT_EQ(get("/vms/b").status, 404) << "what one may not see is not there";
  EXPECT_EQ(post("/vms/b/start").status, 404);
  EXPECT_EQ(call("DELETE", "/vms/b").status, 404);
  EXPECT_EQ(get("/tasks").at("/total"), "0");
  EXPECT_EQ(get("/networks").at("/total"), "0");
  EXPECT_EQ(get("/audit").at("/total"), "0");
  EXPECT_EQ(get("/users?fields=meta/name").at("/items"), R"([{"meta":{"name":"ann"}}])");
  EXPECT_EQ(get("/tokens").at("/total"), "1");
  EXPECT_EQ(get("/status").status, 403);
  EXPECT_EQ(get("/backup").status, 403);
  EXPECT_EQ(call("PATCH", "/vms/a", R"({"meta":{"notes":"mine"}})").status, 200);
  EXPECT_EQ(make_network("mine").status, 403);

  acting.clear();
  acting = make_user("vic", "", "viewer");
  EXPECT_EQ(get("/vms").at("/total"), "3");
  EXPECT_EQ(get("/tasks").at("/total"), "1");
  EXPECT_EQ(get("/status").status, 200);
  EXPECT_EQ(get("/backup").status, 403);
  EXPECT_EQ(post("/vms/a/start").status, 403);
}

TEST_F(ApiTest, TokensNeverExceedTheirOwner) {
  Reply made = post("/tokens", R"({"purpose":"api","most":"viewer","notes":"ci"})");
  ASSERT_EQ(made.status, 201) << made.body;
  acting = made.at("/token");
  EXPECT_EQ(get("/networks").status, 200);
  EXPECT_EQ(make_network("lan").status, 403);
  acting.clear();
  EXPECT_EQ(call("DELETE", "/tokens/" + made.at("/id")).status, 204);
  acting = made.at("/token");
  EXPECT_EQ(get("/networks").status, 401);
}

TEST_F(ApiTest, SecretsAreNeverShown) {
  make_user("eve", "", "admin");
  for (const char* path : {"/users", "/users/eve", "/tokens"}) {
    const std::string body = get(path).body;
    EXPECT_EQ(body.find("argon2"), std::string::npos) << path;
    EXPECT_EQ(body.find("secret"), std::string::npos) << path;
    EXPECT_EQ(body.find("password"), std::string::npos) << path;
  }
}

}  // namespace
}  // namespace chorok::manager
