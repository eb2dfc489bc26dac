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

void Enforcement::Entry::set_problem(std::string problem) {
  if (words == nullptr && problem.empty()) return;
  if (words == nullptr) words = std::make_unique<Words>();
  words->problem = std::move(problem);
  if (words->problem.empty() && words->cpu_why.empty()) words = nullptr;
}

std::optional<Enforced> Enforcement::find(const std::string& vm_id) const {
  const Inventory& inventory = sources_.engine.inventory();
  const auto vm = inventory.vms().find(vm_id);
  if (vm == nullptr) return std::nullopt;
  const auto host = hosts_.find(vm->status.host.empty() ? vm->host : vm->status.host);
  if (host == hosts_.end()) return std::nullopt;
  const auto found = host->second.vms.find(vm_id);
  if (found == host->second.vms.end()) return std::nullopt;
  const Entry& entry = found->second;
  const auto record = inventory.hosts().find(host->first);
  const model::VmEnforcement wire = on_the_wire({}, entry.setting);
  Enforced out{.host = record == nullptr ? std::string() : record->meta.name,
               .shares = wire.shares,
               .limit = wire.limit.value,
               .memory = wire.memory.value,
               .in_force = entry.in_force};
  if (entry.words != nullptr) {
    out.cpu_why = entry.words->cpu_why;
    out.memory_why = entry.words->memory_why;
    out.problem = entry.words->problem;
  }
  if (out.cpu_why.empty()) out.cpu_why = policy::unlimited_cpu_sentence(entry.setting, out.host);
  if (out.memory_why.empty()) out.memory_why = policy::kKeepsMemory;
  return out;
}

void Enforcement::round() {
  if (open_ > 0) {
    again_ = true;
    return;
  }
  last_ = sources_.engine.now();
  told_.clear();
  const auto& clusters = sources_.engine.inventory().clusters().all();
  open_ = clusters.size();
  for (const auto& [id, cluster] : clusters) begin(id);
}

void Enforcement::begin(const std::string& cluster) {
  auto share = std::make_shared<Share>();
  share->records = std::make_unique<const FrozenCluster>(
      sources_.engine.inventory(), cluster, sources_.engine.now(),
      SnapshotOptions{.loads = sources_.loads,
                      .world = &sources_.world,
                      .revision = static_cast<std::int64_t>(sources_.engine.revision())});
  share->in_force = in_force();
  auto work = [share] { share->work_out(); };
  auto then = [this, share, alive = alive_] {
    share->records = nullptr;  // here, where others hold on to them
    if (!*alive) return;
    carry_out(*share);
    if (--open_ == 0) end_round();
  };
  if (sources_.offload) {
    sources_.offload(std::move(work), std::move(then));
    return;
  }
  work();
  then();
}

void Enforcement::end_round() {
  const Inventory& inventory = sources_.engine.inventory();
  std::erase_if(hosts_, [&](const auto& each) {
    return !each.second.asking && inventory.hosts().find(each.first) == nullptr;
  });
  for (auto& [id, state] : hosts_)
    if (!told_.contains(id)) state.vms.clear();
  if (std::exchange(again_, false)) look_soon();
  if (!told_.empty()) wake_at(last_ + settings_.round);
}

// What hosts do of what they were told. Where something failed, a guest may have all of its memory.
Enforcement::InForce Enforcement::in_force() const {
  InForce out;
  for (const auto& [host, state] : hosts_)
    for (const auto& [vm, entry] : state.vms)
      if ((entry.setting.limit > 0 || entry.setting.memory > 0) && !entry.has_problem())
        out[host].emplace(vm, entry.setting);
  return out;
}

// Not on the loop's thread.
void Enforcement::Share::work_out() {
  made = records->make();
  const std::vector<policy::Before> told = before();
  enforced = policy::enforce(made.snapshot, {.before = told});
  wish();
}

std::vector<policy::Before> Enforcement::Share::before() const {
  std::vector<policy::Before> out(made.vms.size());
  for (Index v = 0; v < made.vms.size(); ++v) {
    const model::SnapshotVm& vm = made.snapshot.vms[v];
    if (vm.host == kNone) continue;
    const auto host = in_force.find(made.hosts[vm.host]);
    if (host == in_force.end()) continue;
    const auto setting = host->second.find(made.vms[v]);
    if (setting == host->second.end()) continue;
    out[v].limit = setting->second.limit;
    if (setting->second.memory > 0)
      out[v].held_back = std::max(0.0, vm.size.memory - setting->second.memory);
  }
  return out;
}

void Enforcement::Share::wish() {
  std::unordered_map<std::string_view, const std::string*> uuids;
  uuids.reserve(records->vms().size());
  for (const auto& vm : records->vms()) uuids.emplace(vm->meta.id, &vm->uuid);
  wishes.resize(made.hosts.size());
  for (const policy::Setting& setting : enforced.settings) {
    const std::string& id = made.vms[setting.vm];
    if (const std::string& uuid = *uuids.at(id); !uuid.empty())
      wishes[setting.host].push_back({.vm = id, .uuid = uuid, .setting = &setting});
  }
  for (std::vector<Wish>& of : wishes) std::ranges::sort(of, {}, &Wish::vm);
}

void Enforcement::carry_out(const Share& share) {
  for (Index h = 0; h < share.made.hosts.size(); ++h) {
    const auto host = sources_.engine.inventory().hosts().find(share.made.hosts[h]);
    if (share.wishes[h].empty() || host == nullptr) continue;
    told_.insert(host->meta.id);
    HostState& state = hosts_[host->meta.id];
    tell(*host, state, keep(share.made.snapshot, share.wishes[h], state.vms));
  }
}

// Small changes are left for later, so that a host at rest hears nothing: then an entry stays as it
// was told. Answers what is to be told.
std::vector<model::VmEnforcement> Enforcement::keep(const model::Snapshot& snapshot,
                                                    const std::vector<Wish>& wishes,
                                                    Entries& entries) {
  std::vector<model::VmEnforcement> wire;
  wire.reserve(wishes.size());
  Entries before = std::exchange(entries, {});
  for (const Wish& wish : wishes) {
    auto node = before.extract(wish.vm);
    if (node.empty() || policy::worth_telling(node.mapped().setting, *wish.setting)) {
      Entry entry{.setting = *wish.setting};
      if (entry.setting.limit > 0 || entry.setting.memory > 0)
        entry.words = std::make_unique<Words>(
            Words{.cpu_why = policy::cpu_sentence(snapshot, entry.setting),
                  .memory_why = policy::memory_sentence(snapshot, entry.setting)});
      if (!node.empty() && node.mapped().has_problem())
        entry.set_problem(std::move(node.mapped().words->problem));
      wire.push_back(on_the_wire(wish.uuid, entry.setting));
      entries.insert_or_assign(entries.end(), wish.vm, std::move(entry));
    } else {
      wire.push_back(on_the_wire(wish.uuid, node.mapped().setting));
      entries.insert(entries.end(), std::move(node));
    }
  }
  return wire;
}

void Enforcement::tell(const model::Host& host, HostState& state,
                       std::vector<model::VmEnforcement> wire) {
  const bool same = wire == state.told && state.in_force && host.link_since == state.link_since;
  if (host.link_since != state.link_since) state.too_old = false;
  for (auto& [id, entry] : state.vms) entry.in_force = same;
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
      entry.set_problem(state.too_old ? std::string(kTooOld) : said.error().message);
    return;
  }
  state.in_force = true;
  bool all_told = true;
  for (auto& [id, entry] : state.vms) {
    const auto vm = sources_.engine.inventory().vms().find(id);
    const std::string uuid = vm == nullptr ? std::string() : vm->uuid;
    const auto wire = std::ranges::find(state.told, uuid, &model::VmEnforcement::uuid);
    entry.in_force = wire != state.told.end() && *wire == on_the_wire(uuid, entry.setting);
    all_told = all_told && entry.in_force;
    const auto problem = std::ranges::find(said->problems, uuid, &model::EnforceProblem::uuid);
    entry.set_problem(problem == said->problems.end() ? std::string() : problem->message);
  }
  // Meanwhile something else was wanted.
  if (!all_told || state.vms.size() != state.told.size()) look_soon();
}

}  // namespace chorok::manager
