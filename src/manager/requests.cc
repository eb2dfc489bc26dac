#include "manager/requests.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/compatibility.h"
#include "control/host_controller.h"
#include "control/steps.h"
#include "manager/admission.h"
#include "manager/references.h"
#include "manager/requests_internal.h"
#include "manager/validate.h"

namespace chorok::manager {

using model::Role;

const Type& DryRun::type() {
  static const Type kType =
      describe<DryRun>("DryRun", "What would happen.")
          .field("ok", &DryRun::ok, "It would be done.")
          .field("message", &DryRun::message, "In words.", {.max_length = 4096})
          .field("problems", &DryRun::problems, "Everything that speaks against it.");
  return kType;
}

Role Caller::role_on(std::string_view folder) const {
  Role best = Role::kNone;
  for (const model::Grant& grant : grants) {
    std::string_view path = grant.path;
    bool covers =
        path.empty() || folder == path ||
        (folder.starts_with(path) && folder.size() > path.size() && folder[path.size()] == '/');
    if (covers) best = std::max(best, grant.role);
  }
  return std::min(best, most);
}

namespace {

std::string describe_steps(const std::vector<model::TaskStep>& steps, const World& world) {
  std::vector<std::string> lines;
  for (const model::TaskStep& step : steps) {
    const model::Host* host = world.host(step.host);
    lines.push_back(fmt::format("{} on '{}'", control::traits(step.kind).doing,
                                host == nullptr ? step.host : host->meta.name));
  }
  return lines.empty() ? "nothing is to be done" : fmt::format("{}", fmt::join(lines, ", then "));
}

// Where disks and definition can be made; how much memory is left there does not matter yet.
control::Placed place_definition(const model::Vm& vm, const World& world) {
  std::vector<std::string> rejected;
  const model::Host* host = control::choose_host(vm, control::Purpose::kPlace, world, &rejected);
  if (host != nullptr) return {.host = host};
  if (rejected.empty()) return {.text = "there is no host yet; join one with chorok-agent join"};
  return {.text = fmt::format("no host can make it: {}", fmt::join(rejected, "; "))};
}

std::string when_there_is_room(const control::Placed& later) {
  if (later.waits_for == nullptr) return "when others have made room for it";
  return fmt::format("when '{}' has been switched on", later.waits_for->meta.name);
}

// Rules that a person would break by naming this host. Those that only should hold are told of in
// the plan.
Problems rules_against(const model::Vm& vm, const model::Task& task, const World& world,
                       std::string& plan) {
  Problems problems;
  const bool goes = task.kind == "vm.start" || task.kind == "vm.migrate";
  const model::Host* host = goes ? world.host(task.args.host) : nullptr;
  if (host == nullptr) return problems;
  for (const control::BrokenRule& rule : world.broken_rules(vm, *host)) {
    if (rule.must)
      problems.push_back(
          {"failed_precondition", fmt::format("'{}': {}", host->meta.name, rule.text), "/host"});
    else
      plan += "; against it: " + rule.text;
  }
  return problems;
}

}  // namespace

Requests::Requests(Engine& engine, World& world, Agents& agents, Identities identities)
    : engine_(engine), world_(world), agents_(agents), identities_(std::move(identities)) {}

// ---- VMs
// -------------------------------------------------------------------------------------------------------------

void Requests::create_vm(const Caller& caller, std::string body, bool start, Conditions conditions,
                         Answered done) {
  auto decoded = json::decode<model::Vm>(body);
  if (!decoded) return done(Unexpected(decoded.error()));
  model::Vm vm = std::move(*decoded);
  if (caller.role_on(vm.meta.folder) < Role::kOperator)
    return done(denied(Role::kOperator, "creating a VM"));
  const Inventory& inventory = engine_.inventory();
  if (auto named = check_name(vm.meta.name, "vm"); !named) return done(Unexpected(named.error()));
  if (auto is_free = check_name_free(inventory.vms(), vm.meta.name); !is_free)
    return done(Unexpected(is_free.error()));
  Problems problems = prepare_vm(caller, vm, nullptr);
  if (!vm.host.empty()) {
    const model::Host* host = world_.host(vm.host);
    if (host == nullptr) {
      problems.push_back({"not_found", fmt::format("there is no host '{}'", vm.host), "/host"});
    } else {
      vm.host = host->meta.id;
      auto purpose = start ? control::Purpose::kStart : control::Purpose::kPlace;
      for (const std::string& reason : control::incompatibilities(vm, *host, purpose, {}, world_))
        problems.push_back(
            {"failed_precondition", fmt::format("'{}': {}", host->meta.name, reason), "/host"});
    }
  }
  vm.meta.id = engine_.new_id("vm");
  control::Placed placed;
  if (vm.host.empty() && problems.empty()) {
    placed = start ? world_.place(vm) : place_definition(vm, world_);
    if (placed.host != nullptr)
      vm.host = placed.host->meta.id;
    else if (!placed.later)
      problems.push_back({"failed_precondition", placed.text, "/host"});
  }
  if (problems.empty()) {
    problems = check_pool_of(vm, vm.host);
    if (problems.empty()) problems = admit_change(inventory, world_, engine_.now(), nullptr, vm);
    if (problems.empty() && start) problems = admit_start(inventory, world_, engine_.now(), vm);
  }
  if (conditions.dry_run) {
    const model::Host* host = world_.host(vm.host);
    std::string where = host == nullptr ? "" : fmt::format(" on '{}'", host->meta.name);
    if (placed.later) where = ", and started " + when_there_is_room(placed);
    return done(dry_answer(problems.empty(), "it would be created" + where, problems));
  }
  if (!problems.empty()) return done(Unexpected(first_problem(problems)));
  vm.meta.created = engine_.now();
  vm.uuid = make_uuid();
  vm.domain = domain_name(vm);
  vm.generation = 1;
  assign_macs(vm.spec, inventory, [this] { return random32(); });
  model::Task task;
  task.kind = "vm.create";
  task.target_kind = "vm";
  task.target = vm.meta.id;
  task.target_name = vm.meta.name;
  task.args.start = start;
  task.args.host = vm.host;
  if (start) task.reason = placed.text;
  if (placed.later) {
    task.started = engine_.now();
    task.reason.clear();
  }
  vm.status.state = model::VmState::kOff;
  vm.power = start ? model::VmPower::kOn : model::VmPower::kOff;  // its memory counts from now on
  Changes changes;
  changes.put(std::move(vm));
  submit(caller, std::move(task), std::move(changes), std::move(done));
}

std::string Requests::domain_name(const model::Vm& vm) const {
  for (const auto& [id, other] : engine_.inventory().vms().all())
    if (other->domain == vm.meta.name)
      return vm.meta.name + vm.meta.id.substr(vm.meta.id.find('-'));
  return vm.meta.name;
}

std::string Requests::creation_that_waits(const model::Vm& vm) const {
  const auto head = engine_.inventory().tasks().find(vm.status.task);
  if (head == nullptr || head->kind != "vm.create" || !control::waits_for_host(*head)) return {};
  return fmt::format("it is not made yet and waits for a host; chorok task cancel {} takes it back",
                     head->id);
}

// Whoever stops or deletes a VM does not want it to start first.
void Requests::cancel_waiting_start(Changes& changes, const std::string& id) const {
  const auto vm = engine_.inventory().vms().find(id);
  const auto head = vm == nullptr ? nullptr : engine_.inventory().tasks().find(vm->status.task);
  if (head == nullptr || head->kind != "vm.start" || !control::waits_for_host(*head)) return;
  model::Task cancelled = *head;
  cancelled.cancel_requested = true;
  changes.put(std::move(cancelled));
}

void Requests::submit(const Caller& caller, model::Task task, Changes changes, Answered done) {
  task.id = engine_.new_id("task");
  task.user = caller.user_name;
  task.created = engine_.now();
  task.message = "queued";
  std::string id = task.id;
  changes.put(std::move(task));
  engine_.commit(std::move(changes),
                 [this, alive = alive_, id, done = std::move(done)](Result<> stored) mutable {
                   if (!*alive) return;
                   if (!stored) return done(Unexpected(stored.error()));
                   Answer answer;
                   answer.task = engine_.inventory().tasks().find(id);
                   done(std::move(answer));
                 });
}

namespace {

Result<> check_vm_args(const model::Vm& vm, const std::string& kind, const model::TaskArgs& args,
                       const Inventory& inventory) {
  auto has_device = [&](const std::string& name) {
    return std::ranges::any_of(vm.spec.disks, [&](const auto& d) { return d.name == name; }) ||
           std::ranges::any_of(vm.spec.nics, [&](const auto& d) { return d.name == name; }) ||
           std::ranges::any_of(vm.spec.cdroms, [&](const auto& d) { return d.name == name; });
  };
  auto has_snapshot =
      std::ranges::any_of(vm.status.snapshots, [&](const auto& s) { return s.name == args.name; });
  if (kind == "vm.attach-disk") {
    if (has_device(args.disk->name))
      return fail(Code::kAlreadyExists,
                  fmt::format("it has a device '{}' already", args.disk->name), "/disk/name");
    Problems problems = validate_disk(*args.disk, vm.meta.id, inventory, "/disk");
    if (!problems.empty()) return Unexpected(first_problem(problems));
  }
  if (kind == "vm.attach-nic") {
    if (has_device(args.nic->name))
      return fail(Code::kAlreadyExists, fmt::format("it has a device '{}' already", args.nic->name),
                  "/nic/name");
    if (inventory.networks().resolve(args.nic->network) == nullptr)
      return fail(Code::kNotFound, fmt::format("there is no network '{}'", args.nic->network),
                  "/nic/network");
  }
  if (kind == "vm.detach" && !has_device(args.device))
    return fail(Code::kNotFound, fmt::format("it has no device '{}'", args.device), "/device");
  if (kind == "vm.snapshot" && has_snapshot)
    return fail(Code::kAlreadyExists, fmt::format("it has a snapshot '{}' already", args.name),
                "/name");
  if ((kind == "vm.revert" || kind == "vm.snapshot-delete") && !has_snapshot)
    return fail(Code::kNotFound, fmt::format("it has no snapshot '{}'", args.name), "/name");
  if (kind == "vm.resize" && args.vcpus == 0 && args.memory == Mib{})
    return fail(Code::kInvalid, "give vcpus, memory, or both", "/vcpus");
  if (kind == "vm.tune" && !args.cpu && !args.memory_allocation)
    return fail(Code::kInvalid, "give cpu, memory_allocation, or both", "/cpu");
  return {};
}

// The state a verb needs, so that what cannot work is said at once and not by a failed task.
Result<> check_vm_state(const model::Vm& vm, const std::string& kind) {
  using model::VmState;
  VmState state = vm.status.state;
  bool running = control::is_running(state);
  auto refuse = [&](std::string_view need) {
    return fail(Code::kFailedPrecondition, fmt::format("it is {}; {}", name_of(state), need));
  };
  if (vm.status.task.empty()) {
    if (kind == "vm.start" && state == VmState::kOn) return refuse("there is nothing to start");
    if (kind == "vm.stop" && !running && state != VmState::kUnknown && !vm.status.owed)
      return refuse("there is nothing to stop");
    if ((kind == "vm.suspend" || kind == "vm.reboot") && state != VmState::kOn)
      return refuse("only a VM that is on can be asked that");
    if (kind == "vm.save" && !running) return refuse("there is no memory to save");
    if (kind == "vm.resume" && state != VmState::kPaused)
      return refuse("only a paused VM can go on");
  }
  return {};
}

}  // namespace

void Requests::verb(const Caller& caller, const model::Verb& verb, std::string_view ref,
                    model::TaskArgs args, Conditions conditions, Answered done) {
  std::string kind = fmt::format("{}.{}", verb.kind, verb.verb);
  if (verb.kind == "host")
    return host_verb(caller, verb, ref, std::move(args), conditions, std::move(done));
  auto vm = engine_.inventory().vms().resolve(ref);
  if (vm == nullptr || caller.role_on(vm->meta.folder) < Role::kViewer)
    return done(missing("vm", ref));
  if (caller.role_on(vm->meta.folder) < verb.role) return done(denied(verb.role, verb.verb));
  if (auto same = check_revision(conditions, vm->meta.revision); !same)
    return done(Unexpected(same.error()));
  if (auto fits = check_vm_args(*vm, kind, args, engine_.inventory()); !fits)
    return done(Unexpected(fits.error()));
  if (auto fits = check_vm_state(*vm, kind); !fits) return done(Unexpected(fits.error()));
  if (const auto made = creation_that_waits(*vm); !made.empty())
    return done(fail(Code::kFailedPrecondition, made));
  if (args.nic && args.nic->mac.empty()) {
    model::VmSpec one;
    one.nics.push_back(*args.nic);
    assign_macs(one, engine_.inventory(), [this] { return random32(); });
    args.nic = one.nics[0];
  }
  model::Task task;
  task.kind = kind;
  task.target_kind = "vm";
  task.target = vm->meta.id;
  task.target_name = vm->meta.name;
  task.args = std::move(args);
  plan_and_submit(caller, *vm, std::move(task), conditions, std::move(done));
}

// Plans the task now, so that what speaks against it is the answer and not a failed task, then
// submits it; it is planned again when its turn comes.
void Requests::plan_and_submit(const Caller& caller, const model::Vm& vm, model::Task task,
                               Conditions conditions, Answered done) {
  bool waits = !vm.status.task.empty();  // behind another task: what holds then is not known now
  control::Placed placed;
  model::Task planned = task;  // decided again when its turn comes
  if (!waits && control::is_to_be_placed(vm, task)) {
    placed = world_.place(vm);
    if (placed.host != nullptr) planned.args.host = placed.host->meta.id;
  }
  const bool nowhere = placed.host == nullptr && !placed.text.empty();
  control::VmView view{engine_.now(), vm, &planned, nullptr, world_.sightings(vm.meta.id), world_};
  auto steps = nowhere ? Result<std::vector<model::TaskStep>>(std::vector<model::TaskStep>())
                       : control::plan_steps(view);
  Problems problems;
  if (nowhere && !placed.later) problems.push_back({"failed_precondition", placed.text, "/host"});
  if (placed.later) task.started = engine_.now();
  if (!steps && !waits)
    problems.push_back(
        {std::string(to_string(steps.error().code)), steps.error().message, steps.error().field});
  std::ranges::move(promised(vm, task), std::back_inserter(problems));
  const model::Host* target = nullptr;
  if (steps && task.kind == "vm.migrate" && !waits) {
    for (const model::TaskStep& step : *steps)
      if (step.kind == model::OpKind::kPrepareDisks || step.kind == model::OpKind::kDefine)
        target = world_.host(step.host);
    if (target == nullptr && !task.args.host.empty()) target = world_.host(task.args.host);
    if (target == nullptr && task.args.datastore.empty())
      target = control::choose_host(vm, control::Purpose::kLiveMigrate, world_, nullptr);
    if (target != nullptr) task.args.host = target->meta.id;
  }
  std::string datastore = task.args.datastore;
  std::string plan = steps ? describe_steps(*steps, world_) : "";
  if (placed.host != nullptr) plan += "; " + placed.text;
  if (placed.later) plan = "it would be started " + when_there_is_room(placed);
  std::ranges::move(rules_against(vm, task, world_, plan), std::back_inserter(problems));
  if (task.kind == "vm.delete")
    if (const auto rules = rules_of(engine_.inventory(), vm.meta.id); !rules.empty())
      plan += fmt::format("; it would no longer be in {} {}", rules.size() == 1 ? "rule" : "rules",
                          fmt::join(rules, ", "));
  auto finish = [this, alive = alive_, caller, task, plan, conditions, problems,
                 done = std::move(done)](std::vector<std::string> more) mutable {
    if (!*alive) return;
    for (std::string& reason : more)
      problems.push_back({"failed_precondition", std::move(reason), "/host"});
    if (task.args.force) problems.clear();
    if (conditions.dry_run) return done(dry_answer(problems.empty(), plan, problems));
    if (!problems.empty()) return done(Unexpected(first_problem(problems)));
    Changes changes;
    if (task.kind == "vm.stop" || task.kind == "vm.delete")
      cancel_waiting_start(changes, task.target);
    submit(caller, std::move(task), std::move(changes), std::move(done));
  };
  bool ask =
      target != nullptr && control::is_running(vm.status.state) && target->meta.id != vm.host;
  if (!ask) return finish({});
  check_on_target(vm, *target, datastore, std::move(finish));
}

// What only the target's own libvirt can say: CPU flags, devices.
void Requests::check_on_target(const model::Vm& vm, const model::Host& target,
                               const std::string& datastore, Done<std::vector<std::string>> done) {
  model::CheckRequest request;
  request.vm = {vm.meta.id, vm.uuid, vm.domain, vm.generation, vm.spec};
  // Disks that are copied are not there yet.
  if (auto copies = control::disks_to_copy(vm, target, datastore, world_))
    for (const model::DiskSpec& copy : *copies)
      std::erase_if(request.vm.spec.disks,
                    [&](const model::DiskSpec& disk) { return disk.name == copy.name; });
  if (const model::Host* source = world_.host(vm.host))
    request.cpu_definition = source->inventory.cpu.definition;
  std::string name = target.meta.name;
  agents_.call(target.meta.id, "vm.check", json::encode(request), std::chrono::seconds(10),
               [name, done = std::move(done)](Result<std::string> answer) mutable {
                 std::vector<std::string> reasons;
                 if (!answer) {
                   if (answer.error().code != Code::kUnsupported)
                     reasons.push_back(fmt::format("'{}' did not answer the check: {}", name,
                                                   answer.error().message));
                   return done(std::move(reasons));
                 }
                 auto problems = json::decode<model::Problems>(*answer, {.stored = true});
                 if (problems)
                   for (std::string& p : problems->problems)
                     reasons.push_back(fmt::format("'{}': {}", name, p));
                 done(std::move(reasons));
               });
}

void Requests::host_verb(const Caller& caller, const model::Verb& verb, std::string_view ref,
                         model::TaskArgs args, Conditions conditions, Answered done) {
  auto host = engine_.inventory().hosts().resolve(ref);
  if (host == nullptr || caller.role_on(host->meta.folder) < Role::kViewer)
    return done(missing("host", ref));
  if (caller.role_on(host->meta.folder) < verb.role) return done(denied(verb.role, verb.verb));
  if (auto same = check_revision(conditions, host->meta.revision); !same)
    return done(Unexpected(same.error()));
  if (verb.verb == "adopt")
    return adopt(caller, *host, std::move(args), conditions, std::move(done));
  const Result<std::string> foreseen = foresee(verb, *host);
  if (conditions.dry_run && !foreseen)
    return done(dry_answer(false, "it would be refused",
                           {{std::string(to_string(foreseen.error().code)),
                             foreseen.error().message, foreseen.error().field}}));
  if (conditions.dry_run) return done(dry_answer(true, *foreseen));
  // Behind another task: what holds then is not known now.
  const bool waits = std::ranges::any_of(engine_.inventory().tasks().all(), [&](const auto& each) {
    return each.second->target == host->meta.id && !each.second->finished_state();
  });
  if (verb.verb.starts_with("power-") && !waits && !foreseen)
    return done(Unexpected(foreseen.error()));
  model::Task task;
  task.kind = fmt::format("host.{}", verb.verb);
  task.target_kind = "host";
  task.target = host->meta.id;
  task.target_name = host->meta.name;
  task.args = std::move(args);
  submit(caller, std::move(task), {}, std::move(done));
}

Result<std::string> Requests::foresee(const model::Verb& verb, const model::Host& host) const {
  std::vector<const model::Vm*> vms;
  for (const auto& [id, vm] : engine_.inventory().vms().all())
    if (vm->host == host.meta.id) vms.push_back(vm.get());
  const bool switches = verb.verb == "wake-test" || verb.verb.starts_with("power-");
  const bool done = (verb.verb == "power-on" && host.watch.phase == model::HostPhase::kUp) ||
                    (verb.verb == "power-off" && host.watch.phase == model::HostPhase::kDown);
  if (switches && !done && identities_.has_switch && !identities_.has_switch(host))
    return fail(Code::kFailedPrecondition,
                "nothing can switch it; chorok host bmc says how its power is reached");
  return control::foresee_host(verb.verb, host, vms);
}

void Requests::adopt(const Caller& caller, const model::Host& host, model::TaskArgs args,
                     Conditions conditions, Answered done) {
  auto guest = std::ranges::find_if(host.foreign, [&](const model::Instance& instance) {
    return instance.uuid == args.uuid || instance.name == args.uuid;
  });
  if (guest == host.foreign.end())
    return done(fail(Code::kNotFound,
                     fmt::format("'{}' has no foreign guest '{}'; chorok host show {} lists them",
                                 host.meta.name, args.uuid, host.meta.name),
                     "/uuid"));
  model::Vm vm;
  vm.meta.name = args.name.empty() ? guest->name : args.name;
  if (auto named = check_name(vm.meta.name, "vm"); !named) return done(Unexpected(named.error()));
  if (auto is_free = check_name_free(engine_.inventory().vms(), vm.meta.name); !is_free)
    return done(Unexpected(is_free.error().within("name it with --name")));
  if (conditions.dry_run)
    return done(dry_answer(true, fmt::format("'{}' would be adopted as it is", guest->name)));
  vm.meta.id = engine_.new_id("vm");
  vm.meta.created = engine_.now();
  vm.uuid = guest->uuid;
  vm.domain = guest->name;
  vm.host = host.meta.id;
  vm.adopted = true;
  vm.spec.vcpus = std::max(1, guest->vcpus);
  vm.spec.memory = guest->memory;
  model::Task task;
  task.kind = "vm.adopt";
  task.target_kind = "vm";
  task.target = vm.meta.id;
  task.target_name = vm.meta.name;
  task.args.uuid = guest->uuid;
  Changes changes;
  changes.put(std::move(vm));
  submit(caller, std::move(task), std::move(changes), std::move(done));
}

void Requests::cancel_task(const Caller& caller, std::string_view id, Conditions conditions,
                           Answered done) {
  auto task = engine_.inventory().tasks().find(id);
  if (task == nullptr) return done(missing("task", id));
  std::string folder;
  if (auto vm = engine_.inventory().vms().find(task->target)) folder = vm->meta.folder;
  Role needed = task->target_kind == "host" ? Role::kAdmin : Role::kOperator;
  if (caller.role_on(folder) < needed) return done(denied(needed, "cancelling this task"));
  if (task->finished_state())
    return done(fail(Code::kFailedPrecondition,
                     fmt::format("the task is over: it {}", name_of(task->state))));
  if (conditions.dry_run) return done(dry_answer(true, "it would be asked to stop"));
  model::Task updated = *task;
  updated.cancel_requested = true;
  Changes changes;
  changes.put(std::move(updated));
  engine_.commit(std::move(changes), [this, alive = alive_, key = std::string(id),
                                      done = std::move(done)](Result<> stored) mutable {
    if (!*alive) return;
    if (!stored) return done(Unexpected(stored.error()));
    Answer answer;
    answer.type = &type_of<model::Task>();
    answer.object = engine_.inventory().tasks().find(key);
    done(std::move(answer));
  });
}

}  // namespace chorok::manager
