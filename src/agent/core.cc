#include "agent/core.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/spread.h"
#include "base/expiring.h"
#include "base/json.h"

namespace chorok::agent {
namespace {

constexpr int kVersionOfTelemetry = 2;
constexpr json::EncodeOptions kWire{.secrets = true, .defaults = false};

// Where the kernel knows no highest clock, its number is a moment's, and no news.
bool is_same_host(model::HostInventory a, model::HostInventory b) {
  a.cpu.mhz = b.cpu.mhz = Mhz();
  a.cpu.capacity = b.cpu.capacity = Mhz();
  return json::encode(a) == json::encode(b);
}

}  // namespace

TargetUri libvirt_target_uri(std::string pki_path) {
  return [pki = std::move(pki_path)](const model::MigrationTarget& target,
                                     const model::MigrationSettings& settings) {
    const bool is_v6 = target.address.find(':') != std::string::npos;
    const std::string host = is_v6 ? fmt::format("[{}]", target.address) : target.address;
    if (!settings.tls) return fmt::format("qemu+tcp://{}/system", host);
    return fmt::format("qemu+tls://{}/system?pkipath={}", host, pki);
  };
}

AgentCore::AgentCore(Loop& loop, ports::Hypervisor& hypervisor, ports::Storage& storage,
                     Journal& journal, AgentIdentity identity, Streams* streams,
                     CoreSettings settings)
    : loop_(loop),
      hypervisor_(hypervisor),
      storage_(storage),
      journal_(journal),
      identity_(std::move(identity)),
      streams_(streams),
      settings_(std::move(settings)),
      config_(std::make_shared<model::AgentConfig>()),
      executor_(OpWorld{loop, hypervisor, storage},
                {.progress =
                     [this](const model::OpProgress& progress) {
                       if (connected())
                         session_->channel->notify("op.progress", json::encode(progress, kWire));
                     },
                 .done = [this](model::OpDone done) { op_done(std::move(done)); }}),
      observer_(loop, hypervisor, storage, settings_.observer,
                [this](std::string observation) {
                  session_->channel->notify("observe", std::move(observation));
                }),
      telemetry_(
          loop, hypervisor, identity_.boot_id, settings_.telemetry,
          [this](std::string params, ports::Channel::Reply reply) {
            session_->channel->call("telemetry", std::move(params), settings_.call_timeout,
                                    std::move(reply));
          },
          [this] { return executor_.idle(); }),
      entitlements_(loop, hypervisor, settings_.entitlements),
      departure_({.loop = loop,
                  .hypervisor = hypervisor,
                  .journal = journal,
                  .telemetry = telemetry_,
                  .idle = [this] { return executor_.idle(); },
                  .hang_up =
                      [this](std::string why) {
                        if (session_) drop(session_, Error{Code::kUnavailable, std::move(why), {}});
                      }},
                 settings_.departure) {
  take_up_interrupted();
  hypervisor_.subscribe([this, alive = alive_](const std::string& uuid, bool is_connected) {
    if (*alive) hypervisor_changed(uuid, is_connected);
  });
}

AgentCore::~AgentCore() {
  *alive_ = false;
  // The connection ends with us, whoever else still holds the session.
  if (session_) session_->channel.reset();
  loop_.cancel(beat_timer_);
}

bool AgentCore::connected() const {
  return session_ && session_->welcomed;
}

namespace {

// What libvirt goes on with although the agent that asked is dead: said to be unknown too early, it
// would be looked for while it still happens.
bool outlives_agent(model::OpKind kind) {
  return kind == model::OpKind::kMigrate || kind == model::OpKind::kMigrateStorage ||
         kind == model::OpKind::kSave;
}

}  // namespace

void AgentCore::take_up_interrupted() {
  std::vector<std::string> interrupted;
  for (const auto& [id, entry] : journal_.entries())
    if (!entry.done) interrupted.push_back(id);
  for (const std::string& id : interrupted) {
    log_.warn("operation {} was interrupted when the agent stopped", id);
    const model::Operation& operation = journal_.find(id)->operation;
    if (!outlives_agent(operation.kind)) {
      report_interrupted(id);
      continue;
    }
    settling_.push_back(FlowRoot::make<Result<>>(settle(operation.args.vm.uuid),
                                                 [this, id](Result<>) { report_interrupted(id); }));
    settling_.back().start();
  }
}

// Stops a migration that nobody watches any more, and gives it time to be over.
Flow<Result<>> AgentCore::settle(std::string uuid) {
  const Time deadline = loop_.now() + settings_.settle_timeout;
  for (int stopped = 0; stopped < 2 && loop_.now() < deadline;) {
    auto done = co_await callback<Result<>>([&](auto then) {
      hypervisor_.abort_migration(
          uuid, expiring<void>(loop_, settings_.call_timeout, "libvirt", std::move(then)));
    });
    // Once more after a while: the first may have come before there was anything to stop.
    if (done) ++stopped;
    co_await callback<bool>([&](Done<bool> then) {
      loop_.after(settings_.settle, [then = std::move(then)]() mutable { then(true); });
    });
  }
  co_return Result<>();
}

void AgentCore::report_interrupted(const std::string& id) {
  model::OpDone done{.id = id, .phase = model::OpPhase::kUnknown};
  done.error = problem_of(
      Error{Code::kUnknown,
            "the agent stopped while it was doing this; what came of it must be looked up",
            {}});
  journal_.finish(std::move(done));
  observer_.observe([this, id, alive = alive_] {
    if (*alive) send_done(id);
  });
}

// ---- Connections

void AgentCore::attach(std::shared_ptr<ports::Channel> channel) {
  if (departure_.asleep()) {
    channel->close("this host is suspended");
    loop_.post([this, alive = alive_] {
      if (*alive && detached_) detached_(Error{Code::kUnavailable, "this host is suspended", {}});
    });
    return;
  }
  detach("a new connection");
  auto session = std::make_shared<Session>();
  session->channel = std::move(channel);
  session_ = session;
  std::weak_ptr<Session> weak = session;
  session->channel->on_close([this, weak, alive = alive_](Error why) {
    if (auto held = weak.lock(); held && *alive) drop(held, std::move(why));
  });
  session->channel->on_call([this, weak, alive = alive_](std::string method, std::string params,
                                                         ports::Channel::Reply reply) {
    if (auto held = weak.lock(); held && *alive)
      take_call(held, Call{std::move(method), std::move(params), std::move(reply)});
  });
  greeting_ =
      FlowRoot::make<Result<>>(greet(session), [this, session, alive = alive_](Result<> greeted) {
        // Not from inside the flow: a failure may bring the next attach at once.
        if (greeted) return;
        loop_.post([this, session, alive, error = greeted.error()] {
          if (*alive) drop(session, error);
        });
      });
  greeting_.start();
}

void AgentCore::stop(std::string reason) {
  Result<> kept = telemetry_.keep();
  if (kept) kept = journal_.sync();
  if (!kept) log_.warn("what it has to tell cannot be kept: {}", kept.error().message);
  detach(std::move(reason));
}

void AgentCore::detach(std::string reason) {
  if (!session_) return;
  SessionPtr session = std::exchange(session_, nullptr);
  observer_.end();
  telemetry_.end();
  loop_.cancel(std::exchange(beat_timer_, 0));
  greeting_ = FlowRoot();
  session->channel->close(std::move(reason));
}

void AgentCore::drop(const SessionPtr& session, Error why) {
  if (session != session_) return;
  log_.warn("the connection to the manager is over: {}", why.message);
  detach(why.message);
  if (detached_) detached_(std::move(why));
}

Flow<Result<>> AgentCore::learn_inventory() {
  auto seen = co_await callback<Result<model::HostInventory>>([this](auto done) {
    hypervisor_.inventory(expiring<model::HostInventory>(loop_, settings_.inventory_timeout,
                                                         "libvirt", std::move(done)));
  });
  if (!seen) co_return Unexpected(std::move(seen).error());
  inventory_ = std::move(*seen);
  inventory_known_ = true;
  co_return Result<>();
}

Flow<Result<model::Welcome>> AgentCore::say_hello(SessionPtr session) {
  // A host whose libvirt is down still says hello: the manager should know that it lives.
  if (auto learned = co_await learn_inventory(); !learned)
    log_.warn("no inventory: {}", learned.error().message);
  model::Hello hello{.host = identity_.host,
                     .boot_id = identity_.boot_id,
                     .agent_version = identity_.version,
                     .started = started_,
                     .term = journal_.term(),
                     .inventory = inventory_};
  hello.inventory.boot_id = identity_.boot_id;
  if (!identity_.address.empty()) hello.inventory.address = identity_.address;
  const std::string answer = CO_TRY(co_await callback<Result<std::string>>([&](auto done) {
    session->channel->call("hello", json::encode(hello, kWire), settings_.call_timeout,
                           std::move(done));
  }));
  co_return json::decode<model::Welcome>(answer, {.stored = true});
}

Flow<Result<>> AgentCore::greet(SessionPtr session) {
  model::Welcome welcome = CO_TRY(co_await say_hello(session));
  if (welcome.version < model::kProtocolOldest)
    co_return fail(Code::kUnsupported,
                   fmt::format("the manager speaks version {} of the protocol, this agent {} to "
                               "{}: update the manager",
                               welcome.version, model::kProtocolOldest, model::kProtocolVersion));
  CO_TRY(journal_.accept_term(welcome.term));
  welcomed(session, std::move(welcome));
  co_return Result<>();
}

void AgentCore::welcomed(const SessionPtr& session, model::Welcome welcome) {
  log_.info("connected as '{}' to the leader of term {}", welcome.host_name, welcome.term);
  session->welcomed = true;
  host_name_ = welcome.host_name;
  observer_.begin();
  telemetry_.begin(welcome.version >= kVersionOfTelemetry);
  set_config(welcome.config);
  observer_.observe([this, alive = alive_] {
    if (*alive) send_results();
  });
  beat_timer_ =
      loop_.after(settings_.beat - place_in(settings_.beat, identity_.boot_id), [this] { beat(); });
  // libvirt may have come while we said hello without it.
  if (!inventory_known_) look_at_inventory_again();
  if (welcome_) welcome_(welcome);
  while (session == session_ && !session->queued.empty()) {
    Call call = std::move(session->queued.front());
    session->queued.pop_front();
    serve(std::move(call));
  }
}

void AgentCore::beat() {
  beat_timer_ = loop_.after(settings_.beat, [this] { beat(); });
  session_->channel->notify("beat", "{}");
  observer_.on_beat();
  telemetry_.on_beat(observer_.vms_run());
}

void AgentCore::take_call(const SessionPtr& session, Call call) {
  if (session != session_) {
    call.reply(fail(Code::kUnavailable, "this connection is over"));
  } else if (session->welcomed) {
    serve(std::move(call));
  } else if (session->queued.size() < settings_.queued_calls_max) {
    session->queued.push_back(std::move(call));
  } else {
    call.reply(fail(Code::kExhausted, "too many calls before the welcome"));
  }
}

void AgentCore::hypervisor_changed(const std::string& uuid, bool is_connected) {
  if (!is_connected) log_.warn("libvirt is gone; guests run on");
  const bool is_back = is_connected && (!hypervisor_connected_ || !inventory_known_);
  hypervisor_connected_ = is_connected;
  observer_.changed();
  telemetry_.changed();
  if (is_connected) entitlements_.changed(uuid);
  executor_.changed(uuid);
  if (is_back && connected()) look_at_inventory_again();
}

// Another libvirt may have come back than the one that went, or the first since the agent started:
// what hello said is then said anew, on a new connection.
void AgentCore::look_at_inventory_again() {
  hypervisor_.inventory([this, alive = alive_](Result<model::HostInventory> seen) {
    if (!*alive || !seen || !session_) return;
    if (inventory_known_ && is_same_host(*seen, inventory_)) return;
    drop(session_, Error{Code::kUnavailable, "the host's inventory changed", {}});
  });
}

// ---- Operations

void AgentCore::set_config(model::AgentConfig config) {
  config_ = std::make_shared<const model::AgentConfig>(std::move(config));
  observer_.set_config(config_);
  telemetry_.set_interval(config_->sample_interval);
}

OpContext AgentCore::op_context() const {
  return {config_, host_name_, settings_.target_uri};
}

void AgentCore::op_done(model::OpDone done) {
  const std::string id = done.id;
  log_.info("operation {}: {}{}", id, name_of(done.phase),
            done.error ? ": " + done.error->message : std::string());
  const bool failed = done.phase != model::OpPhase::kSucceeded;
  // Tuning or resizing it, or another definition, has set what it gets to something else.
  if (const Journal::Entry* entry = journal_.find(id))
    entitlements_.changed(entry->operation.args.vm.uuid);
  journal_.finish(std::move(done));
  if (failed) observer_.probe_datastores();
  observer_.observe([this, id, alive = alive_] {
    if (*alive) send_done(id);
  });
}

void AgentCore::send_results() {
  std::vector<std::string> ids;
  for (const auto& [id, entry] : journal_.entries())
    if (entry.done && !entry.acknowledged) ids.push_back(id);
  for (const std::string& id : ids) send_done(id);
}

void AgentCore::send_done(const std::string& id) {
  const Journal::Entry* entry = journal_.find(id);
  if (!connected() || !entry || !entry->done) return;
  if (!session_->sending.insert(id).second) return;
  session_->channel->call(
      "op.done", json::encode(*entry->done, kWire), settings_.call_timeout,
      [this, weak = std::weak_ptr(session_), id, alive = alive_](Result<std::string> answer) {
        // Not a strong one: the session holds the channel, which holds this.
        auto session = weak.lock();
        if (*alive && session) answered(session, id, std::move(answer));
      });
}

void AgentCore::answered(const SessionPtr& session, const std::string& id,
                         Result<std::string> answer) {
  session->sending.erase(id);
  // A manager that knows no such operation will never want its result.
  if (answer || answer.error().code == Code::kNotFound) {
    journal_.acknowledge(id);
    return;
  }
  if (session != session_) return;
  loop_.after(settings_.done_retry, [this, id, alive = alive_] {
    if (*alive) send_done(id);
  });
}

}  // namespace chorok::agent
