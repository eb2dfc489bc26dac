#include "manager/enforcement.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/json.h"

namespace chorok::manager {

using model::Index;
using model::kNone;

namespace {

constexpr std::string_view kTooOld =
    "its agent is too old to be told; update it (`chorok host show` says its version)";

model::VmEnforcement on_the_wire(const std::string& uuid, const policy::Setting& setting) {
  const auto whole = [](double amount) { return static_cast<std::int64_t>(std::llround(amount)); };
  model::VmEnforcement out{.uuid = uuid,
                           .shares = std::max<std::int64_t>(1, whole(setting.shares))};
  if (setting.limit > 0) out.limit = Mhz(std::max<std::int64_t>(1, whole(setting.limit)));
  if (setting.memory > 0) out.memory = Mib(whole(setting.memory));
  return out;
}

}  // namespace

const Type& Enforced::type() {
  static const Type kType =
      describe<Enforced>("Enforced", "What a VM's host was told to give it.")
          .field("host", &Enforced::host, "Its name.")
          .field("shares", &Enforced::shares, "CPU weight on that host; 1000 a vCPU is normal.")
          .field("limit", &Enforced::limit, "Of CPU, MHz; 0 is none.")
          .field("memory", &Enforced::memory, "MiB that the guest may have; 0 is all of its own.")
          .field("in_force", &Enforced::in_force, "The host has said that it is so.")
          .field("cpu_why", &Enforced::cpu_why, "Where that comes from.", {.max_length = 4096})
          .field("memory_why", &Enforced::memory_why, "", {.max_length = 4096})
          .field("problem", &Enforced::problem, "What the host could not do.",
                 {.max_length = 4096});
  return kType;
}

Enforcement::Enforcement(Sources sources, Tell tell, EnforcementSettings settings)
    : sources_(sources), tell_(std::move(tell)), settings_(settings) {
  // Above what an earlier life in the same term may have said.
  sequence_ = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                             sources_.engine.now().time_since_epoch())
                                             .count());
  auto watching = sources_.engine.watch(sources_.engine.revision(), [this](const Notice& notice) {
    if (notice.kind == "host" || notice.kind == "vm" || notice.kind == "pool" ||
        notice.kind == "cluster" || notice.kind == "operation")
      look_soon();
  });
  CHOROK_ASSERT(watching.has_value());  // from now on is never too long ago
  watcher_ = *watching;
  look_soon();
}

Enforcement::~Enforcement() {
  *alive_ = false;
  sources_.engine.unwatch(watcher_);
  sources_.engine.loop().cancel(timer_);
}

void Enforcement::look_soon() {
  wake_at(std::max(sources_.engine.now() + settings_.settle, last_ + settings_.gap));
}

void Enforcement::wake_at(Time at) {
  if (timer_ != 0 && timer_at_ <= at) return;
  Loop& loop = sources_.engine.loop();
  loop.cancel(timer_);
  timer_at_ = at;
  timer_ = loop.after(at - sources_.engine.now(), [this] {
    timer_ = 0;
    timer_at_ = Time::max();
    round();
  });
}

const Enforced* Enforcement::find(const std::string& vm_id) const {
  const auto vm = sources_.engine.inventory().vms().find(vm_id);
  if (vm == nullptr) return nullptr;
  const auto host = hosts_.find(vm->status.host.empty() ? vm->host : vm->status.host);
  if (host == hosts_.end()) return nullptr;
  const auto entry = host->second.vms.find(vm_id);
  return entry == host->second.vms.end() ? nullptr : &entry->second.shown;
}

void Enforcement::round() {
  last_ = sources_.engine.now();
  const Inventory& inventory = sources_.engine.inventory();
  std::map<std::string, Entries> wishes;  // by host
  for (const auto& [id, cluster] : inventory.clusters().all()) add_cluster(id, wishes);
  std::erase_if(hosts_, [&](const auto& each) {
    return !each.second.asking && inventory.hosts().find(each.first) == nullptr;
  });
  bool any = false;
  for (auto& [id, of_host] : wishes) {
    const auto host = inventory.hosts().find(id);
    if (host == nullptr) continue;
    any = true;
    tell(*host, hosts_[id], std::move(of_host));
  }
  for (auto& [id, state] : hosts_)
    if (!wishes.contains(id)) state.vms.clear();
  if (any) wake_at(last_ + settings_.round);
}

// What each VM's host does of what it was told.
std::vector<policy::Before> Enforcement::before(const ClusterSnapshot& made) const {
  std::vector<policy::Before> all(made.vms.size());
  for (Index v = 0; v < made.vms.size(); ++v) {
    const model::SnapshotVm& vm = made.snapshot.vms[v];
    if (vm.host == kNone) continue;
    const auto host = hosts_.find(made.hosts[vm.host]);
    if (host == hosts_.end()) continue;
    const auto entry = host->second.vms.find(made.vms[v]);
    // Where something failed, a guest may have all of its memory.
    if (entry == host->second.vms.end() || !entry->second.shown.problem.empty()) continue;
    const policy::Setting& setting = entry->second.setting;
    all[v].limit = setting.limit;
    if (setting.memory > 0) all[v].held_back = std::max(0.0, vm.size.memory - setting.memory);
  }
  return all;
}

void Enforcement::add_cluster(const std::string& cluster,
                              std::map<std::string, Entries>& wishes) const {
  const ClusterSnapshot made =
      make_snapshot(sources_.engine.inventory(), cluster, sources_.engine.now(),
                    {.loads = sources_.loads,
                     .world = &sources_.world,
                     .revision = static_cast<std::int64_t>(sources_.engine.revision())});
  const std::vector<policy::Before> told = before(made);
  const policy::Enforcement enforced = policy::enforce(made.snapshot, {.before = told});
  for (const policy::Setting& setting : enforced.settings) {
    const auto vm = sources_.engine.inventory().vms().find(made.vms[setting.vm]);
    if (vm == nullptr || vm->uuid.empty()) continue;
    Entry entry{.uuid = vm->uuid, .setting = setting};
    entry.shown.host = made.snapshot.hosts[setting.host].name;
    entry.shown.cpu_why = policy::cpu_sentence(made.snapshot, setting);
    entry.shown.memory_why = policy::memory_sentence(made.snapshot, setting);
    wishes[made.hosts[setting.host]].insert_or_assign(vm->meta.id, std::move(entry));
  }
}

// Small changes are left for later, so that a host at rest hears nothing.
void Enforcement::tell(const model::Host& host, HostState& state, Entries wishes) {
  std::vector<model::VmEnforcement> wire;
  for (auto& [id, entry] : wishes) {
    if (const auto before = state.vms.find(id); before != state.vms.end()) {
      if (!policy::worth_telling(before->second.setting, entry.setting))
        std::swap(entry, before->second);
      else
        entry.shown.problem = std::move(before->second.shown.problem);
    }
    wire.push_back(on_the_wire(entry.uuid, entry.setting));
    entry.shown.shares = wire.back().shares;
    entry.shown.limit = wire.back().limit.value;
    entry.shown.memory = wire.back().memory.value;
  }
  const bool same = wire == state.told && state.in_force && host.link_since == state.link_since;
  if (host.link_since != state.link_since) state.too_old = false;
  state.vms = std::move(wishes);
  for (auto& [id, entry] : state.vms) entry.shown.in_force = same;
  if (same || state.asking || state.too_old || host.link != model::HostLink::kConnected) return;
  state.told = std::move(wire);
  state.in_force = false;
  state.asking = true;
  state.link_since = host.link_since;
  const model::EnforceRequest request{
      .term = sources_.engine.term(), .sequence = ++sequence_, .vms = state.told};
  tell_(host.meta.id, json::encode(request),
        [this, id = host.meta.id, alive = alive_](Result<std::string> answer) {
          if (*alive) answered(id, std::move(answer));
        });
}

void Enforcement::answered(const std::string& host, Result<std::string> answer) {
  const auto found = hosts_.find(host);
  if (found == hosts_.end()) return;
  HostState& state = found->second;
  state.asking = false;
  Result<model::EnforceAnswer> said =
      answer ? json::decode<model::EnforceAnswer>(*answer, {.stored = true})
             : Unexpected(answer.error());
  if (!said) {
    state.too_old = said.error().code == Code::kUnsupported;
    log_.warn("host {} was not told what its VMs are to get: {}", host, said.error().message);
    for (auto& [id, entry] : state.vms)
      entry.shown.problem = state.too_old ? std::string(kTooOld) : said.error().message;
    return;
  }
  state.in_force = true;
  bool all_told = true;
  for (auto& [id, entry] : state.vms) {
    const auto wire = std::ranges::find(state.told, entry.uuid, &model::VmEnforcement::uuid);
    entry.shown.in_force =
        wire != state.told.end() && *wire == on_the_wire(entry.uuid, entry.setting);
    all_told = all_told && entry.shown.in_force;
    entry.shown.problem.clear();
    for (const model::EnforceProblem& problem : said->problems)
      if (problem.uuid == entry.uuid) entry.shown.problem = problem.message;
  }
  // Meanwhile something else was wanted.
  if (!all_told || state.vms.size() != state.told.size()) look_soon();
}

}  // namespace chorok::manager
