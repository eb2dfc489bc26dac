// For the API's tests: a manager over a store in memory, reached over TLS on the loopback, and a
// client that waits for its answers.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "adapters/memory/memory_store.h"
#include "manager/http_await.h"
#include "manager/http_service.h"
#include "net/http_client.h"

namespace chorok::manager {

struct Reply {
  int status = 0;
  net::Headers headers;
  std::string body;
  // The value at a JSON pointer as text without quotes; "?" when there is none.
  std::string at(std::string_view pointer) const;
};

class ApiTest : public testing::Test {
 protected:
  static constexpr std::string_view kPassword = "correct horse";

  void SetUp() override {
    folder = testing::TempDir() + "chorok-api-" + std::to_string(::getpid());
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    pki = Pki::create(folder, loop.now()).value();
    make_service(settings());
    admin = login("admin");
  }
  void TearDown() override {
    client.reset();
    run([&]() -> net::awaitable<void> { co_await service->stop(); });
    service.reset();
    std::filesystem::remove_all(folder);
  }

  virtual ServiceSettings settings() const { return {}; }
  void make_service(ServiceSettings with) {
    with.engine.owner = "test";
    with.accounts.failures_before_wait = 1000;
    service = std::make_unique<Service>(loop, store, *pki, std::move(with));
    auto own = pki->server_identity({{"localhost"}, {"127.0.0.1"}}, loop.now()).value();
    auto tls = net::TlsServerContext::create({own.certificate_pem, own.key_pem}, pki->ca_pem());
    run([&]() -> net::awaitable<void> {
      EXPECT_TRUE(co_await service->start());
      auto made = co_await until_done<Result<>>([&](Done<Result<>> done) {
        service->accounts().create_admin("admin", std::string(kPassword), std::move(done));
      });
      EXPECT_TRUE(made) << made.error().message;
    });
    port = service->listen("127.0.0.1", 0, *tls).value();
    client = make_client(nullptr);
  }

  std::unique_ptr<net::HttpClient> make_client(const net::TlsIdentity* identity) {
    net::HttpClientSettings settings;
    settings.tls = net::TlsClientContext::with_ca(pki->ca_pem(), identity).value();
    return std::make_unique<net::HttpClient>(loop.executor(), std::move(settings));
  }

  // Runs the loop until the coroutine is over.
  void run(std::function<net::awaitable<void>()> work, Duration limit = std::chrono::seconds(30)) {
    bool is_done = false;
    auto timer = loop.after(limit, [&] { loop.stop(); });
    net::spawn(
        loop.executor(),
        [&]() -> net::awaitable<void> {
          co_await work();
          is_done = true;
          loop.stop();
        },
        "test");
    loop.run();
    loop.cancel(timer);
    ASSERT_TRUE(is_done) << "the test did not end in time";
  }

  net::Url url(std::string_view path, std::string_view scheme = "https") const {
    return net::parse_url(std::string(scheme) + "://localhost:" + std::to_string(port) +
                          std::string(path))
        .value();
  }

  net::awaitable<Reply> send(std::string method, std::string path, std::string body,
                             net::Headers headers) {
    net::ClientRequest request;
    request.method = std::move(method);
    request.url =
        url(path.starts_with("/agent") || path.starts_with("/api") ? path : "/api/v1" + path);
    request.headers = std::move(headers);
    if (!body.empty() && request.headers.find("Content-Type") == nullptr)
      request.headers.add("Content-Type", "application/json");
    request.body = std::move(body);
    auto response = co_await client->send(std::move(request));
    EXPECT_TRUE(response) << path << ": " << response.error().message;
    if (!response) co_return Reply{};
    co_return Reply{response->status, std::move(response->headers), std::move(response->body)};
  }

  Reply call(std::string method, std::string path, std::string body = "",
             net::Headers headers = {}) {
    if (headers.find("Authorization") == nullptr && !token().empty())
      headers.add("Authorization", "Bearer " + token());
    Reply reply;
    run([&]() -> net::awaitable<void> {
      reply = co_await send(method, path, body, std::move(headers));
    });
    return reply;
  }
  Reply get(std::string path) { return call("GET", std::move(path)); }
  Reply post(std::string path, std::string body = "", net::Headers headers = {}) {
    return call("POST", std::move(path), std::move(body), std::move(headers));
  }
  const std::string& token() const { return acting.empty() ? admin : acting; }

  std::string login(const std::string& user, std::string_view password = kPassword) {
    Reply reply = call("POST", "/login",
                       "{\"user\":\"" + user + "\",\"password\":\"" + std::string(password) + "\"}",
                       {{"Authorization", "none"}});
    EXPECT_EQ(reply.status, 200) << reply.body;
    return reply.at("/token");
  }
  // A user with one grant, and its token.
  std::string make_user(const std::string& name, const std::string& path, const std::string& role) {
    Reply made =
        post("/users", R"({"meta":{"name":")" + name + R"("},"password":"correct horse",)" +
                           R"("grants":[{"path":")" + path + R"(","role":")" + role + R"("}]})");
    EXPECT_EQ(made.status, 201) << made.body;
    return login(name);
  }
  Reply make_network(const std::string& name, const std::string& more = "") {
    return post("/networks", R"({"meta":{"name":")" + name + R"(")" + more +
                                 R"(},"kind":"bridge","bridge":"br0"})");
  }
  void commit(Changes changes) {
    run([&]() -> net::awaitable<void> {
      auto stored = co_await until_done<Result<>>([&](Done<Result<>> done) {
        service->engine().commit(std::move(changes), std::move(done));
      });
      EXPECT_TRUE(stored) << stored.error().message;
    });
  }
  model::Vm vm_record(const std::string& id, const std::string& name,
                      const std::string& vm_folder = "") {
    model::Vm vm;
    vm.meta.id = id;
    vm.meta.name = name;
    vm.meta.folder = vm_folder;
    vm.uuid = "uuid-" + name;
    return vm;
  }

  net::AsioLoop loop;
  std::string folder;
  std::optional<Pki> pki;
  memory::MemoryStore store{loop};
  std::unique_ptr<Service> service;
  std::unique_ptr<net::HttpClient> client;
  std::uint16_t port = 0;
  std::string admin;
  std::string acting;  // token of another user than the admin
};

}  // namespace chorok::manager
