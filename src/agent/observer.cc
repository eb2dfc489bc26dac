#include "agent/observer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "agent/flow.h"
#include "base/expiring.h"
#include "base/json.h"

namespace chorok::agent {
namespace {

// Free space moves all the time; a hundredth of the datastore is news.
bool is_news(const model::DatastoreReach& before, const model::DatastoreReach& now) {
  return before.reachable != now.reachable || before.message != now.message ||
         before.capacity != now.capacity ||
         std::llabs(before.free.value - now.free.value) * 100 >=
             std::max<std::int64_t>(now.capacity.value, 1);
}

std::string with_sequence(std::uint64_t sequence, const std::string& body) {
  return fmt::format("{{\"sequence\":{}{}{}", sequence, body == "{}" ? "" : ",", body.substr(1));
}

}  // namespace

Observer::Observer(Loop& loop, ports::Hypervisor& hypervisor, ports::Storage& storage,
                   ObserverSettings settings, Send send)
    : loop_(loop),
      hypervisor_(hypervisor),
      storage_(storage),
      settings_(std::move(settings)),
      send_(std::move(send)),
      config_(std::make_shared<model::AgentConfig>()) {}

Observer::~Observer() {
  *alive_ = false;
  loop_.cancel(coalescing_);
}

void Observer::begin() {
  listening_ = true;
  sequence_ = 0;
  last_body_.clear();
}

void Observer::end() {
  listening_ = false;
  loop_.cancel(std::exchange(coalescing_, 0));
}

void Observer::set_config(std::shared_ptr<const model::AgentConfig> config) {
  config_ = std::move(config);
  std::erase_if(stores_, [&](const auto& store) {
    return std::ranges::none_of(config_->datastores, [&](const model::Datastore& each) {
      return each.meta.id == store.first;
    });
  });
  probe_datastores();
}

void Observer::changed() {
  if (!listening_ || coalescing_ != 0) return;
  coalescing_ = loop_.after(settings_.coalesce, [this] {
    coalescing_ = 0;
    begin_look(false);
  });
}

void Observer::observe(Work then) {
  if (!listening_) {
    loop_.post(std::move(then));
    return;
  }
  served_by_next_.push_back(std::move(then));
  begin_look(true);
}

void Observer::begin_look(bool forced) {
  if (looking_) {
    look_again_ = true;
    return;
  }
  looking_ = true;
  look_again_ = false;
  forced_ = forced || !served_by_next_.empty();
  served_by_current_ = std::exchange(served_by_next_, {});
  // It sees what a change that waits to be coalesced has changed.
  loop_.cancel(std::exchange(coalescing_, 0));
  hypervisor_.list(
      expiring<Instances>(loop_, settings_.look_timeout, "libvirt",
                          [this, look = ++look_, alive = alive_](Result<Instances> instances) {
                            if (*alive) looked(look, std::move(instances));
                          }));
}

void Observer::looked(std::uint64_t look, Result<Instances> instances) {
  if (look != look_) return;
  looking_ = false;
  if (instances)
    vms_run_ = std::ranges::any_of(*instances, [](const model::Instance& each) {
      return each.state != model::VmState::kOff && each.state != model::VmState::kSaved &&
             each.state != model::VmState::kCrashed;
    });
  if (listening_) tell(instances);
  auto served = std::exchange(served_by_current_, {});
  if (look_again_) begin_look(false);
  for (Work& work : served) work();
}

void Observer::tell(const Result<Instances>& instances) {
  model::Observation seen;
  seen.libvirt_connected = instances.has_value();
  if (instances)
    seen.instances = *instances;
  else
    seen.libvirt_message = instances.error().message;
  for (const auto& [id, store] : stores_)
    if (store.known) seen.datastores.push_back(store.reach);
  for (const model::Network& network : config_->networks)
    seen.networks.push_back(settings_.network_reach
                                ? settings_.network_reach(network)
                                : model::NetworkReach{network.meta.id, true, {}});
  std::string body = json::encode(seen, {.defaults = false});
  if (!forced_ && sequence_ > 0 && body == last_body_) return;
  send_(with_sequence(++sequence_, body));
  last_body_ = std::move(body);
}

void Observer::probe_datastores() {
  last_probe_ = loop_.now();
  for (const model::Datastore& datastore : config_->datastores) probe(datastore);
}

void Observer::probe(const model::Datastore& datastore) {
  Store& store = stores_[datastore.meta.id];
  if (store.probing) return;  // one that hangs is not asked again, or threads pile up behind it
  store.probing = true;
  auto answered = [this, id = datastore.meta.id,
                   alive = alive_](Result<model::DatastoreReach> reach) {
    if (!*alive) return;
    if (auto it = stores_.find(id); it != stores_.end()) it->second.probing = false;
    probed(id, std::move(reach));
  };
  storage_.probe(datastore.meta.id, datastore.path, answered);
  loop_.after(settings_.probe_timeout, [this, id = datastore.meta.id, alive = alive_] {
    if (!*alive) return;
    auto it = stores_.find(id);
    if (it != stores_.end() && it->second.probing)
      probed(id, fail(Code::kTimeout, "it does not answer"));
  });
}

void Observer::probed(const std::string& id, Result<model::DatastoreReach> reach) {
  auto it = stores_.find(id);
  if (it == stores_.end()) return;
  model::DatastoreReach now;
  if (reach) {
    now = std::move(*reach);
  } else {
    now.message = reach.error().message;
  }
  now.datastore = id;
  Store& store = it->second;
  if (store.known && !is_news(store.reach, now)) return;
  store.known = true;
  store.reach = std::move(now);
  changed();
}

void Observer::on_beat() {
  if (loop_.now() - last_probe_ < settings_.probe_interval) return;
  probe_datastores();
  // Told even when nothing changed: what was lost on the way is made good within a minute.
  begin_look(true);
}

}  // namespace chorok::agent
