// The manager that the CLI's tests talk to.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "cli/objects.h"
#include "cli/patch.h"
#include "cli/test_support.h"
#include "net/asio_loop.h"
#include "net/http.h"
#include "net/sse.h"
#include "net/websocket.h"

namespace chorok::cli::testing {

struct FakeManager::Impl {
  net::AsioLoop loop;
  std::unique_ptr<net::HttpServer> server;
  std::thread thread;
  std::string url;
  std::map<std::string, std::vector<Value>, std::less<>> objects;
  std::vector<Value> course = {Value::object({{"state", "succeeded"}, {"percent", 100}})};
  int tasks = 0;
  int watches_to_break = 0;
  std::optional<std::deque<FakeManager::Watch>> script;
  bool changes_what_is_read = false;
  mutable std::mutex mutex;  // guards the two below: the test reads them
  std::vector<std::string> requests;
  net::Headers last_headers;

  Value* find(std::string_view plural, std::string_view ref) {
    for (Value& object : objects[std::string(plural)])
      if (id_of(object) == ref || name_of(object) == ref) return &object;
    return nullptr;
  }

  net::Response missing(std::string_view plural, std::string_view ref) {
    return net::Response::problem({Code::kNotFound, fmt::format("no {} '{}'", plural, ref), ""});
  }

  Value new_task(std::string_view kind, const Value& target) {
    ++tasks;
    Value task = Value::object({{"id", fmt::format("task-{}", tasks)},
                                {"kind", kind},
                                {"target", id_of(target)},
                                {"target_name", name_of(target)},
                                {"state", "queued"},
                                {"percent", 0},
                                {"created", "2026-11-21T12:00:00.000Z"},
                                {"started", "2026-11-21T12:00:00.000Z"},
                                {"revision", 100}});
    objects["tasks"].push_back(task);
    return task;
  }

  // As the manager does: 412 of a revision that was named, 409 of any other conflict.
  static net::Response refused(std::string why, int status) {
    net::Response response = net::Response::problem({Code::kConflict, std::move(why), ""});
    response.status = status;
    return response;
  }

  net::Response accepted(const Value& task) { return net::Response::json(to_json(task), 202); }

  net::Response list(const net::Request& request) {
    Value items = Value::list();
    const std::string* labels = request.query_value("labels");
    const std::string* field = request.query_value("field");
    const std::string unwanted = field == nullptr ? "" : *field;  // of these only NAME!=VALUE
    const std::size_t is_not = unwanted.find("!=");
    for (const Value& object : objects[request.segments[2]]) {
      std::string_view app = object.get("meta/labels/app").text();
      if (labels && *labels != fmt::format("app={}", app)) continue;
      if (is_not != std::string::npos &&
          object.get(unwanted.substr(0, is_not)).text() == unwanted.substr(is_not + 2))
        continue;
      items.push(object);
    }
    auto total = static_cast<std::int64_t>(items.items().size());
    return net::Response::json(
        to_json(Value::object({{"items", items}, {"revision", 50}, {"total", total}})));
  }

  net::Response change(const net::Request& request, Value& object) {
    std::string etag = fmt::format("\"{}\"", revision_of(object));
    std::string_view wanted = request.headers.get("If-Match");
    if (!wanted.empty() && wanted != etag) return refused("it was changed meanwhile", 412);
    merge(object, *parse_json(request.body));
    object.make("meta/revision") = revision_of(object) + 1;
    return net::Response::json(to_json(object));
  }

  static void merge(Value& into, const Value& patch) {
    for (const Member& member : patch.members()) {
      if (member.value.is_null())
        into.remove(member.key);
      else if (member.value.is_object())
        merge(into.member(member.key), member.value);
      else
        into.member(member.key) = member.value;
    }
  }

  // Tells how each task goes on, then leaves the stream open like a real one.
  net::Response watch() {
    if (script) return next_of_script();
    return net::sse_response([this](net::BodySink& sink) -> net::Async<> {
      std::vector<Value> running = objects["tasks"];
      int revision = 100;
      for (const Value& step : course)
        for (Value& task : running) {
          merge(task, step);
          task.member("revision") = ++revision;
          Value data = Value::object({{"kind", "task"}, {"id", task.get("id")}, {"object", task}});
          CO_TRY(co_await sink.write(net::format_sse(
              {.id = fmt::format("{}", revision), .event = "put", .data = to_json(data)})));
          if (watches_to_break-- > 0) co_return fail(Code::kUnavailable, "the manager restarts");
        }
      while (!sink.is_closed()) co_await net::sleep_for(std::chrono::milliseconds(5));
      co_return Result<>{};
    });
  }

  net::Response next_of_script() {
    if (script->empty()) return net::Response::problem({Code::kUnauthenticated, "enough", ""});
    return net::sse_response([this](net::BodySink& sink) -> net::Async<> {
      const Watch watch = script->front();
      script->pop_front();
      objects[watch.plural] = watch.then;
      co_return co_await sink.write(watch.says);
    });
  }

  net::Response create(const net::Request& request, std::string_view plural) {
    Value object = *parse_json(request.body);
    object.make("meta/id") = fmt::format("{}-new", plural.substr(0, 2));
    object.make("meta/revision") = 1;
    if (request.query_value("dry_run"))
      return net::Response::json(
          R"({"ok":false,"message":"no","problems":[{"code":"invalid","message":"too big","field":"/spec/memory"}]})");
    objects[std::string(plural)].push_back(object);
    if (plural == "vms") return accepted(new_task("vm.create", object));
    return net::Response::json(to_json(object), 201);
  }

  net::Response on_object(const net::Request& request) {
    const auto& plural = request.segments[2];
    const auto& ref = request.segments[3];
    Value* object = find(plural, ref);
    if (!object) return missing(plural, ref);
    if (request.segments.size() > 4) {
      if (plural == "tasks") return net::Response::json(to_json(*object));
      if (request.segments[4] == "use")
        return net::Response::json(
            R"({"rows":[{"kind":"cluster","name":")" + ref +
            R"(","vms":7,"vms_on":5,"cpu":{"reservation":8000},"memory":{}}]})");
      if (request.segments[4] == "bmc")
        return object->get("bmc/address").text() == "10.0.0.99"
                   ? refused("its BMC has not answered", 503)
                   : net::Response::json(R"({"chassis":"on","can":{"on":true,"off":true,)"
                                         R"("driver":"ipmi","device":"Lab 7",)"
                                         R"("warnings":["it forgets its clock"]}})");
      if (request.segments[4] == "console") return ref == "web2" ? echoing_console() : console();
      return accepted(new_task(fmt::format("vm.{}", request.segments[4]), *object));
    }
    if (request.method == "PATCH") return change(request, *object);
    if (request.method == "DELETE") {
      if (plural == "vms") return accepted(new_task("vm.delete", *object));
      std::erase(objects[plural], *object);
      return net::Response{.status = 204};
    }
    net::Response response = net::Response::json(to_json(*object));
    response.headers.add("ETag", fmt::format("\"{}\"", revision_of(*object)));
    if (changes_what_is_read) object->make("meta/revision") = revision_of(*object) + 1;
    return response;
  }

  static net::Response console() {
    return net::Response::websocket(
        [](std::shared_ptr<net::WebSocket> socket) -> net::awaitable<void> {
          (void)co_await socket->send_binary("guest says hello\r\n");
          co_await socket->close();
        });
  }

  // A guest that says what it is told, twice, and never hangs up.
  static net::Response echoing_console() {
    return net::Response::websocket(
        [](std::shared_ptr<net::WebSocket> socket) -> net::awaitable<void> {
          while (auto message = co_await socket->receive()) {
            co_await net::sleep_for(std::chrono::milliseconds(1100));  // it is slow to begin
            (void)co_await socket->send_binary(message->data);
            co_await net::sleep_for(std::chrono::milliseconds(200));
            (void)co_await socket->send_binary(message->data);
          }
        });
  }

  // What it answers to whoever asks for what is used.
  static net::Response usage(bool now) {
    if (now)
      return net::Response::json(
          R"({"at":"2026-11-21T12:00:00.000Z",)"
          R"("hosts":[{"name":"host1","cpu_mhz":1500.0,"capacity_mhz":3000.0,"ready_mhz":200.0,)"
          R"("memory":8192.0,"available":4096.0,"vms":2}],)"
          R"("vms":[{"name":"calm","host_name":"host1","cpu_mhz":100.0,"ready_mhz":0.0,)"
          R"("active":100.0,"consumed":900.0,"memory":1024.0,"disk_read":0.0,)"
          R"("dirty_known":true,"dirty_mib_s":3.0},)"
          R"({"name":"busy","host_name":"host1","cpu_mhz":1400.0,"ready_mhz":300.0,)"
          R"("active":50.0,"consumed":200.0,"memory":512.0,"disk_read":2097152.0}]})");
    return net::Response::json(
        R"({"id":"vm-1","name":"web1","step":60.0,"cpu_mhz_hours":25.04,"memory_gib_hours":0.5,)"
        R"("measured":60.0,"points":[{"at":"2026-11-21T11:00:00.000Z","measured":30.0,)"
        R"("cpu_mhz":1502.0,"cpu_peak_mhz":2000.0,"ready_mhz":10.0,"memory":512.0,)"
        R"("active":100.0,"consumed":256.0,"disk":1048576.0,"net":0.0}]})");
  }

  static net::Response energy(const std::vector<std::string>& path) {
    if (path[2] == "energy")
      return net::Response::json(
          R"({"at":"2026-11-21T12:00:00.000Z","watts":300,"unused_watts":75,"measured_watts":150,)"
          R"("hosts":[{"name":"host1","cluster":"lab","watts":150,"vms_watts":100,)"
          R"("unused_watts":50,"error":0.05,"source":"measured","method":"redfish"},)"
          R"({"name":"host2","cluster":"lab","watts":150,"error":0.35,"source":"modelled",)"
          R"("method":"model","meter_problem":"no answer"}],)"
          R"("vms":[{"name":"web1","host_name":"host1","watts":100,"error":0.05}]})");
    if (path[2] == "metering")
      return net::Response::json(
          R"({"from":"2026-11-01T00:00:00.000Z","to":"2026-12-01T00:00:00.000Z","by":"vm",)"
          R"("rows":[{"kind":"vm","id":"vm-1","name":"web1","cluster":"lab",)"
          R"("cpu_mhz_hours":1500.5,"memory_gib_hours":12.25,"kwh":0.75,"hours":12,)"
          R"("measured":0.9,"error":0.05,"source":"measured","method":"redfish"}]})");
    if (path[3] == "by-file")
      return net::Response::json(
          R"({"kind":"host","name":"by-file","kwh":2,"price_source":"calendars/own.csv",)"
          R"("it":{"kwh":2,"money":356},"facility":{"kwh":3,"money":534}})");
    return net::Response::json(
        R"({"kind":"cluster","id":"cluster-1","name":"lab","from":"2026-11-20T12:00:00.000Z",)"
        R"("to":"2026-11-21T12:00:00.000Z","step":3600,"joules":7200000,"kwh":2,"watts":83.3,)"
        R"("measured_for":7200,"pending_joules":3600,"notes":["no CO2: it is gone"],)"
        R"("sources":[{"source":"measured","method":"redfish","share":0.9,"joules":6480000},)"
        R"({"estimated":true,"share":0.1,"joules":720000}],)"
        R"("unused_joules":1800000,"measured":0.9,"error":0.05,"pue":1.5,"currency":"KRW",)"
        R"("carbon_source":"grid","it":{"kwh":2,"money":356,"co2_kg":0.8},)"
        R"("facility":{"kwh":3,"money":534,"co2_kg":1.2},"saved_joules":3600000,)"
        R"("saved":{"kwh":1,"money":178,"co2_kg":0.4},"saved_method":"against idling",)"
        R"("parts":[{"kind":"host","name":"host1","joules":7200000,"share":1,"watts":83.3,)"
        R"("saved_joules":3600000,"source":"measured","method":"redfish","error":0.05},)"
        R"({"kind":"pool","name":"gold","joules":3600000,"direct_joules":1800000,"error":0.07},)"
        R"({"kind":"vm","name":"web1","joules":3600000,"share":0.5,"error":0.06,)"
        R"("source":"measured","method":"redfish"},)"
        R"({"kind":"vm","id":"u-2","name":"u-2","gone":true,"joules":1800000},)"
        R"({"kind":"other","name":"vm","gone":true,"joules":900000}],)"
        R"("points":[{"at":"2026-11-20T12:00:00.000Z","watts":83.3,"joules":300000,)"
        R"("covered":1200,"error":0.05}]})");
  }

  // One that a person may decide, one that was applied; "rec-0-…" is what it does not know, and
  // "rec-9-…" what has expired.
  static net::Response recommendations(const net::Request& request) {
    if (request.body.find("rec-0-") != std::string::npos)
      return net::Response::problem({Code::kNotFound, "there is no such recommendation", "/ids"});
    if (request.body.find("rec-9-") != std::string::npos)
      return refused("rec-9-1-1 has expired, and no round has followed", 409);
    return net::Response::json(
        R"({"cluster":"lab","round":7,"at":"2026-11-21T11:59:30.000Z",)"
        R"("expires":"2026-11-21T12:04:30.000Z","items":[)"
        R"({"id":"rec-1-7-1","state":"open","priority":3,"kind":"migrate","vm":"web1",)"
        R"("from":"host1","to":"host2","why":"consolidate","reason":"web1 100 MHz to host2",)"
        R"("gain_j":228000,"gain_over_s":1800,"cost_j":3600,)"
        R"("expires":"2026-11-21T12:04:30.000Z"},)"
        R"({"id":"rec-1-7-2","state":"open","priority":3,"kind":"power_off","to":"host1",)"
        R"("why":"consolidate","reason":"host1 draws 100 W","gain_j":228000,"gain_over_s":1800,)"
        R"("cost_j":20000,"after":["rec-1-7-1"],"expires":"2026-11-21T12:04:30.000Z"},)"
        R"({"id":"rec-1-6-1","state":"waiting","priority":1,"kind":"migrate","vm":"db1",)"
        R"("from":"host1","to":"host2","why":"overload","reason":"db1 3000 MHz to host2",)"
        R"("gain_j":36000,"gain_over_s":300,"cost_j":3600,"applied_by":"kim",)"
        R"("waits_for":"for memory on host2","expires":"2026-11-21T12:50:00.000Z"}]})");
  }

  net::Response answer(const net::Request& request) {
    const auto& path = request.segments;
    if (path.size() < 3) return missing("path", request.path);
    if (path[2] == "version")
      return net::Response::json(
          R"({"name":"chorok","version":"9.9","api":"v1","simulated":true})");
    if (path[2] == "login") {
      bool knows = parse_json(request.body)->get("password").text() == "secret password";
      if (!knows) return net::Response::problem({Code::kUnauthenticated, "wrong password", ""});
      return net::Response::json(
          R"({"id":"tok-1","token":"chk_1_abc","expires":"2026-11-22T12:00:00.000Z"})");
    }
    if (request.headers.get("Authorization") != "Bearer chk_1_abc")
      return net::Response::problem({Code::kUnauthenticated, "who are you?", ""});
    if (path[2] == "watch") return watch();
    if (path[2] == "usage") return usage(true);
    if (path.size() == 5 && path[4] == "stats") return usage(false);
    if (path.size() >= 5 && path[4] == "recommendations") return recommendations(request);
    if (path.size() == 5 && path[4] == "plan")
      return net::Response::json(
          R"({"cluster":"lab","round":7,"at":"2026-11-21T11:59:30.000Z","states":["held"],)"
          R"("plan":{"actions":[{"kind":"migrate","vm":"web1","from":"host1","to":"host2",)"
          R"("why":"balance","reason":"web1, to host2","gain_j":3600}]}})");
    if (path.size() == 5 && path[4] == "dirty-rate")
      return net::Response::json(
          R"({"vm":"vm-1","name":"web1","host_name":"host2","window":5,"mib_s":23.4})");
    if (path[2] == "energy" || path[2] == "metering" || (path.size() == 5 && path[4] == "energy"))
      return energy(path);
    if (path[2] == "tokens" && request.method == "POST")
      return net::Response::json(
          R"({"id":"tok-2","token":"chj_2.def","expires":"2026-11-21T13:00:00.000Z"})", 201);
    if (path.size() == 3 && request.method == "POST") return create(request, path[2]);
    return path.size() == 3 ? list(request) : on_object(request);
  }

  net::awaitable<net::Response> handle(net::Request& request) {
    {
      std::lock_guard lock(mutex);
      requests.push_back(fmt::format("{} {}{}{}", request.method, request.target,
                                     request.body.empty() ? "" : " ", request.body));
      last_headers = request.headers;
    }
    co_return answer(request);
  }
};

FakeManager::FakeManager(const Tls* tls) : impl_(std::make_unique<Impl>()) {
  Impl& impl = *impl_;
  impl.server = std::make_unique<net::HttpServer>(
      impl.loop.executor(), [&impl](net::Request& request) { return impl.handle(request); });
  auto context = tls ? net::TlsServerContext::create(tls->identity, tls->ca_pem)
                     : Result<std::shared_ptr<net::TlsServerContext>>(nullptr);
  EXPECT_TRUE(context.has_value());
  auto port = impl.server->listen("127.0.0.1", 0, *context);
  EXPECT_TRUE(port.has_value());
  impl.url = fmt::format("{}://127.0.0.1:{}", tls ? "https" : "http", *port);
  impl.thread = std::thread([&impl] { impl.loop.run(); });
}

FakeManager::~FakeManager() {
  Impl& impl = *impl_;
  impl.loop.post([&impl] {
    net::spawn(
        impl.loop.executor(),
        [](Impl& all) -> net::awaitable<void> {
          co_await all.server->stop(Duration::zero());
          all.loop.stop();
        }(impl),
        "stop");
  });
  impl.thread.join();
}

std::string FakeManager::url() const {
  return impl_->url;
}
void FakeManager::put(std::string_view plural, Value object) {
  impl_->objects[std::string(plural)].push_back(std::move(object));
}
void FakeManager::set_task_course(std::vector<Value> states) {
  impl_->course = std::move(states);
}
void FakeManager::break_watches(int count) {
  impl_->watches_to_break = count;
}
void FakeManager::script_watches(std::vector<Watch> watches) {
  impl_->script.emplace(watches.begin(), watches.end());
}
void FakeManager::change_what_is_read() {
  impl_->changes_what_is_read = true;
}
std::vector<std::string> FakeManager::requests() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->requests;
}
std::string FakeManager::last_header(const std::string& name) const {
  std::lock_guard lock(impl_->mutex);
  return std::string(impl_->last_headers.get(name));
}

Ran run_with(FakeTerminal& terminal, std::vector<std::string> args) {
  terminal.said.clear();
  terminal.complained.clear();
  Ran ran;
  ran.code = run(args, terminal);
  ran.out = terminal.said;
  ran.err = terminal.complained;
  return ran;
}

}  // namespace chorok::cli::testing
