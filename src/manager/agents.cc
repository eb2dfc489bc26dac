#include "manager/agents.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/host_watch.h"

namespace chorok::manager {
namespace {

constexpr json::DecodeOptions kFromPeer{.max_bytes = 4 << 20, .stored = true};

}  // namespace

Agents::Agents(Engine& engine, World& world, AgentsSettings settings)
    : engine_(engine), world_(world), settings_(settings) {}

Agents::~Agents() {
  *alive_ = false;
  engine_.loop().cancel(beat_timer_);
  for (auto& [host, session] : sessions_) session->channel->close("the manager stops");
}

void Agents::attach(const std::string& host, std::shared_ptr<ports::Channel> channel) {
  if (auto it = sessions_.find(host); it != sessions_.end()) {
    auto old = std::move(it->second);
    sessions_.erase(it);
    old->channel->close("the host connected again");
  }
  auto session = std::make_shared<Session>();
  session->channel = std::move(channel);
  session->heard = engine_.now();
  sessions_[host] = session;
  std::weak_ptr<Session> weak = session;
  session->channel->on_call([this, alive = alive_, host, weak](std::string method,
                                                               std::string params,
                                                               ports::Channel::Reply reply) {
    auto live = weak.lock();
    if (*alive && live != nullptr)
      handle(host, live.get(), std::move(method), std::move(params), std::move(reply));
  });
  session->channel->on_close([this, alive = alive_, host, weak](const Error& error) {
    auto live = weak.lock();
    if (!*alive || live == nullptr) return;
    auto it = sessions_.find(host);
    if (it != sessions_.end() && it->second == live) lost(host, error.message);
  });
  if (beat_timer_ == 0) check_beats(engine_.now());
}

void Agents::drop(const std::string& host) {
  auto it = sessions_.find(host);
  if (it == sessions_.end()) return;
  auto session = std::move(it->second);
  sessions_.erase(it);
  session->channel->close("the host was removed from the inventory");
  world_.forget(host);
}

bool Agents::connected(const std::string& host) const {
  auto it = sessions_.find(host);
  return it != sessions_.end() && it->second->welcomed;
}

std::uint64_t Agents::connections(const std::string& host) const {
  const auto it = connections_.find(host);
  return it == connections_.end() ? 0 : it->second;
}

void Agents::handle(const std::string& host, Session* session, std::string method,
                    std::string params, ports::Channel::Reply reply) {
  session->heard = engine_.now();
  if (method == "beat") return reply("{}");
  if (method == "hello") return reply(hello(host, *session, params));
  if (!session->welcomed) return reply(fail(Code::kFailedPrecondition, "say hello first"));
  if (method == "op.done") return op_done(host, params, std::move(reply));
  if (method == "telemetry") return telemetry(host, params, std::move(reply));
  Result<> result;
  if (method == "observe") {
    result = observe(host, params);
  } else if (method == "op.progress") {
    result = progress(host, params);
  } else {
    result = fail(Code::kUnsupported, fmt::format("the manager knows no method '{}'", method));
  }
  if (!result) {
    log_.warn("{} from host {}: {}", method, host, result.error().message);
    return reply(Unexpected(result.error()));
  }
  reply("{}");
}

Result<std::string> Agents::hello(const std::string& host, Session& session,
                                  const std::string& params) {
  auto hello = TRY(json::decode<model::Hello>(params, kFromPeer));
  auto record = engine_.inventory().hosts().find(host);
  if (record == nullptr || hello.host != host)
    return fail(Code::kPermissionDenied, "this host is not in the inventory; join it again");
  if (hello.oldest > model::kProtocolVersion || hello.version < model::kProtocolOldest)
    return fail(
        Code::kUnsupported,
        fmt::format("agent speaks protocol {} to {}, manager {} to {}: upgrade the older",
                    hello.oldest, hello.version, model::kProtocolOldest, model::kProtocolVersion));
  if (hello.term > engine_.term())
    return fail(Code::kConflict, "the agent has obeyed a newer manager than this one");
  // What was seen before a boot is not there any more, and the old connection may not have been
  // missed yet.
  if (record->inventory.boot_id != hello.boot_id)
    for (const std::string& vm : world_.lose(host)) reconciler_->mark_vm(vm);
  model::Host updated = *record;
  updated.inventory = hello.inventory;
  updated.inventory.boot_id = hello.boot_id;
  updated.agent_version = hello.agent_version;
  if (!hello.inventory.address.empty()) updated.address = hello.inventory.address;
  updated.power = model::HostPower::kOn;
  updated.link = model::HostLink::kConnected;
  updated.link_since = engine_.now();
  Changes changes;
  model::Event event;
  event.kind = "host.connected";
  event.subject_kind = "host";
  event.subject = host;
  event.subject_name = updated.meta.name;
  event.message = fmt::format("connected, agent {}", hello.agent_version);
  note_restart(changes, *record, hello);
  changes.put(std::move(updated));
  engine_.add_event(changes, std::move(event));
  engine_.commit(std::move(changes), [](Result<>) {});
  session.welcomed = true;
  ++connections_[host];
  model::Welcome welcome;
  welcome.version = std::min(hello.version, model::kProtocolVersion);
  welcome.term = engine_.term();
  welcome.host_name = record->meta.name;
  welcome.config = config(host);
  engine_.loop().post([this, alive = alive_, host] {
    if (*alive) resend(host);
  });
  return json::encode(welcome);
}

model::AgentConfig Agents::config(const std::string& host) const {
  model::AgentConfig out;
  for (const auto& [id, datastore] : engine_.inventory().datastores().all())
    out.datastores.push_back(*datastore);
  for (const auto& [id, network] : engine_.inventory().networks().all())
    out.networks.push_back(*network);
  out.cluster = world_.cluster_of(host);
  out.sample_interval = settings_.sample_interval;
  return out;
}

void Agents::config_changed() {
  std::map<std::string, std::string> texts;  // by cluster: the rest is the same for all
  for (const auto& [host, session] : sessions_) {
    if (!session->welcomed) continue;
    std::string& text = texts[world_.cluster_of(host).meta.id];
    if (text.empty()) text = json::encode(config(host));
    session->channel->notify("config", text);
  }
}

void Agents::config_changed(const std::string& host) {
  const auto session = sessions_.find(host);
  if (session != sessions_.end() && session->second->welcomed)
    session->second->channel->notify("config", json::encode(config(host)));
}

// An agent that began anew while its host ran on.
void Agents::note_restart(Changes& changes, const model::Host& host, const model::Hello& hello) {
  const Time before = std::exchange(agents_started_[host.meta.id], hello.started);
  if (before == Time{} || before == hello.started) return;
  if (host.inventory.boot_id != hello.boot_id) return;
  model::Event event;
  event.kind = "host.agent_restarted";
  event.severity = model::Severity::kWarning;
  event.subject_kind = "host";
  event.subject = host.meta.id;
  event.subject_name = host.meta.name;
  event.message = host.agent_version == hello.agent_version
                      ? "its agent began anew; the host itself has not"
                      : fmt::format("its agent began anew, as {} instead of {}",
                                    hello.agent_version, host.agent_version);
  engine_.add_event(changes, std::move(event));
}

Result<> Agents::observe(const std::string& host, const std::string& params) {
  auto observation = TRY(json::decode<model::Observation>(params, kFromPeer));
  bool was_fresh = world_.fresh(host);
  for (const std::string& vm : world_.observe(host, observation)) reconciler_->mark_vm(vm);
  // Now it is known that VMs that belong here are not here.
  if (!was_fresh && world_.fresh(host)) {
    for (const auto& [id, vm] : engine_.inventory().vms().all())
      if (vm->host == host) reconciler_->mark_vm(id);
    reconciler_->mark_host(host);
  }
  for (const auto& [id, op] : engine_.inventory().operations().all())
    if (op->phase >= model::OpPhase::kSucceeded)
      reconciler_->mark_vm(op->vm);  // waits to be looked up
  auto record = engine_.inventory().hosts().find(host);
  if (record == nullptr) return {};
  model::Host updated = *record;
  updated.datastores = std::move(observation.datastores);
  updated.networks = std::move(observation.networks);
  updated.libvirt_message = observation.libvirt_connected ? "" : observation.libvirt_message;
  updated.foreign = world_.foreign(host);
  if (equal(updated, *record)) return {};
  Changes changes;
  changes.put_volatile(std::move(updated));
  engine_.commit(std::move(changes), [](Result<>) {});
  return {};
}

void Agents::telemetry(const std::string& host, const std::string& params,
                       ports::Channel::Reply reply) {
  auto batch = json::decode<model::TelemetryBatch>(params, kFromPeer);
  if (!batch) {
    log_.warn("telemetry from host {}: {}", host, batch.error().message);
    return reply(Unexpected(batch.error()));
  }
  if (!take_telemetry_) return reply("{}");
  take_telemetry_(host, *batch, [reply = std::move(reply)](Result<> taken) mutable {
    if (!taken) return reply(Unexpected(taken.error()));
    reply("{}");
  });
}

Result<> Agents::progress(const std::string& host, const std::string& params) {
  auto report = TRY(json::decode<model::OpProgress>(params, kFromPeer));
  auto operation = engine_.inventory().operations().find(report.id);
  if (operation == nullptr || operation->host != host) return {};
  auto task = engine_.inventory().tasks().find(operation->task);
  if (task == nullptr || task->finished_state() || task->steps.empty()) return {};
  model::Task updated = *task;
  double steps = static_cast<double>(task->steps.size());
  updated.percent = std::clamp((task->step * 100.0 + report.progress.percent) / steps, 0.0, 99.9);
  updated.progress = std::move(report.progress);
  Changes changes;
  changes.put_volatile(std::move(updated));
  engine_.commit(std::move(changes), [](Result<>) {});
  return {};
}

void Agents::op_done(const std::string& host, const std::string& params,
                     ports::Channel::Reply reply) {
  auto report = json::decode<model::OpDone>(params, kFromPeer);
  if (!report) return reply(Unexpected(report.error()));
  auto operation = engine_.inventory().operations().find(report->id);
  // Not known: its result was used already, or its task is gone. The agent may forget it.
  if (operation == nullptr || operation->host != host ||
      operation->phase >= model::OpPhase::kSucceeded)
    return reply("{}");
  model::Operation updated = *operation;
  updated.phase = std::max(report->phase, model::OpPhase::kSucceeded);
  updated.finished = engine_.now();
  updated.error = std::move(report->error);
  updated.result = std::move(report->result);
  Changes changes;
  changes.put(std::move(updated));
  engine_.commit(std::move(changes), [reply = std::move(reply)](Result<> stored) mutable {
    if (!stored) return reply(Unexpected(stored.error()));
    reply("{}");
  });
}

void Agents::lost(const std::string& host, const std::string& why) {
  sessions_.erase(host);
  for (const std::string& vm : world_.lose(host)) reconciler_->mark_vm(vm);
  for (const auto& [id, vm] : engine_.inventory().vms().all())
    if (vm->host == host) reconciler_->mark_vm(id);
  set_link(host, model::HostLink::kLost, why);
}

void Agents::set_link(const std::string& host, model::HostLink link, const std::string& why) {
  auto record = engine_.inventory().hosts().find(host);
  const bool ordered = record != nullptr && control::is_asleep(record->watch);
  if (ordered && link == model::HostLink::kLost) link = model::HostLink::kAsleep;
  if (record == nullptr || record->link == link) return;
  model::Host updated = *record;
  updated.link = link;
  updated.link_since = engine_.now();
  model::Event event;
  event.kind = ordered ? "host.asleep" : "host.lost";
  event.severity = ordered ? model::Severity::kInfo : model::Severity::kWarning;
  event.subject_kind = "host";
  event.subject = host;
  event.subject_name = record->meta.name;
  event.message = ordered ? "goes off, as it was told" : "connection lost: " + why;
  Changes changes;
  changes.put(std::move(updated));
  engine_.add_event(changes, std::move(event));
  engine_.commit(std::move(changes), [](Result<>) {});
}

// Whatever is not known to be finished is sent again; an agent that has it answers with its state.
void Agents::resend(const std::string& host) {
  for (const auto& [id, operation] : engine_.inventory().operations().all())
    if (operation->host == host && operation->phase <= model::OpPhase::kRunning) send(*operation);
}

void Agents::send(const model::Operation& operation) {
  auto it = sessions_.find(operation.host);
  if (it == sessions_.end() || !it->second->welcomed) return;  // sent when it connects
  model::Operation current = operation;
  current.term = engine_.term();
  std::weak_ptr<Session> weak = it->second;
  std::string host = operation.host;
  auto answered = [this, alive = alive_, id = operation.id, host,
                   weak](Result<std::string> answer) {
    if (!*alive || answer) return;
    auto session = weak.lock();
    if (session == nullptr) return;
    log_.warn("host {} did not take operation {}: {}", host, id, answer.error().message);
    auto live = engine_.inventory().operations().find(id);
    if (live == nullptr || live->phase > model::OpPhase::kRunning) return;
    bool unsure =
        answer.error().code == Code::kTimeout || answer.error().code == Code::kUnavailable;
    if (unsure) {
      // Whether it arrived is not known: a new connection settles it by resending.
      session->channel->close("no answer to an operation");
      return;
    }
    model::Operation refused = *live;
    refused.phase = model::OpPhase::kFailed;
    refused.error = model::Problem{std::string(to_string(answer.error().code)),
                                   answer.error().message, answer.error().field};
    Changes changes;
    changes.put(std::move(refused));
    engine_.commit(std::move(changes), [](Result<>) {});
  };
  it->second->channel->call("op.start", json::encode(current, {.secrets = true}),
                            settings_.call_timeout, std::move(answered));
}

void Agents::cancel(const std::string& host, const std::string& operation) {
  model::OpRef ref{operation};
  call(host, "op.cancel", json::encode(ref), settings_.call_timeout, [](Result<std::string>) {});
}

void Agents::call(const std::string& host, std::string method, std::string params, Duration timeout,
                  ports::Channel::Reply reply) {
  auto it = sessions_.find(host);
  if (it == sessions_.end() || !it->second->welcomed) {
    engine_.loop().post([reply = std::move(reply)]() mutable {
      reply(fail(Code::kUnavailable, "the host is not connected"));
    });
    return;
  }
  it->second->channel->call(std::move(method), std::move(params), timeout, std::move(reply));
}

void Agents::put_to_standby(const std::string& host, model::StandbyRequest request,
                            Done<Result<>> done) {
  request.term = engine_.term();
  call(host, "host.standby", json::encode(request), settings_.standby_timeout,
       [done = std::move(done)](Result<std::string> answer) mutable {
         if (!answer) return done(Unexpected(std::move(answer).error()));
         done({});
       });
}

void Agents::prepare(const std::string& host, model::PrepareRequest request, Duration limit,
                     Done<Result<>> done) {
  request.term = engine_.term();
  call(host, "host.prepare", json::encode(request), limit,
       [done = std::move(done)](Result<std::string> answer) mutable {
         if (!answer) return done(Unexpected(std::move(answer).error()));
         done({});
       });
}

// One timer for all sessions, and none when there are none. It looks a few times in the time after
// which an agent counts as lost, so that it sees when it was this process that was away: for as
// long nobody counts as silent, since what the agents said waits to be read. For no longer, or a
// manager that is away again and again would miss that a host is dead.
void Agents::check_beats(Time due) {
  beat_timer_ = 0;
  if (sessions_.empty()) return;
  const Time now = engine_.now();
  const Duration away = now - due;
  std::vector<std::pair<std::string, std::shared_ptr<Session>>> silent;
  Time oldest = now;
  for (auto& [host, session] : sessions_) {
    session->heard = std::min(session->heard + away, now);
    if (now - session->heard >= settings_.lost_after)
      silent.emplace_back(host, session);
    else
      oldest = std::min(oldest, session->heard);
  }
  for (auto& [host, session] : silent) {
    log_.warn("host {} is silent", host);
    lost(host, "no word from its agent");
    session->channel->close("no beat");
  }
  const Time next = std::min(oldest + settings_.lost_after, now + settings_.lost_after / 7);
  beat_timer_ = engine_.loop().after(next - now, [this, next] { check_beats(next); });
}

}  // namespace chorok::manager
