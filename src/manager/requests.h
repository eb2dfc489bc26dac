// What people and programs ask for, free of transport: every change that the API offers is a call
// here, with a Caller and a typed request, checked, authorised, and turned into a commit. The HTTP
// layer only decodes, calls and encodes.
//
// Every call answers exactly once. `dry_run` runs all checks, answers what would happen, and
// changes nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "manager/agents.h"
#include "manager/engine.h"
#include "manager/validate.h"
#include "manager/world.h"
#include "model/account.h"
#include "model/protocol.h"
#include "model/verbs.h"

namespace chorok::manager {

// Who asks. Made from a token by Accounts.
struct Caller {
  std::string user;  // id
  std::string user_name;
  std::string token;                      // id
  model::Role most = model::Role::kNone;  // of the token
  std::vector<model::Grant> grants;       // of the user
  std::string peer;

  // On an object in `folder`: the strongest grant on it or above it, at most the token's role.
  model::Role role_on(std::string_view folder) const;
};

// What an answer to a dry run says.
struct DryRun {
  bool ok = true;
  std::string message;
  std::vector<model::Problem> problems;
  static const Type& type();
};

struct Answer {
  std::optional<DryRun> dry_run;
  std::shared_ptr<const model::Task> task;  // 202
  // Else the object itself (created or changed), with its type; null for 204.
  const Type* type = nullptr;
  std::shared_ptr<const void> object;
};
using Answered = Done<Result<Answer>>;

struct Conditions {
  bool dry_run = false;
  std::optional<std::uint64_t> if_revision;  // If-Match
};

// Where UUIDs and MAC addresses come from: random in production, seeded in tests.
struct Identities {
  std::function<std::string()> uuid;
  std::function<std::uint32_t()> random32;
  // Of a password, off the loop (Accounts::hash).
  std::function<void(std::string, Done<Result<std::string>>)> hash;
  // Of a secret, bound to where it belongs. Empty: there is nowhere to keep one.
  std::function<std::string(const std::string& secret, const std::string& place)> seal;
  // Whether something switches the host; empty: its cluster's loops will say.
  std::function<bool(const model::Host&)> has_switch = {};
  // Whether this machine has what such a BMC is reached by; empty: hosts are simulated.
  std::function<Result<>(const model::BmcSpec&)> can_reach = {};
  // Whether a calendar that a cluster names is there and can be read. Empty: files are not checked.
  std::function<Result<>(const std::string& name, bool is_carbon)> calendar;
};

class Requests {
 public:
  Requests(Engine& engine, World& world, Agents& agents, Identities identities);

  // kind: one that is `creatable` (model/verbs.h); body: the kind's JSON.
  void create(const Caller& caller, std::string_view kind, std::string body, bool start,
              Conditions conditions, Answered done);
  // Merge patch.
  void patch(const Caller& caller, std::string_view kind, std::string_view ref, std::string body,
             Conditions conditions, Answered done);
  // args: force (of a pool: what is in it moves up), hard, keep_disks.
  void remove(const Caller& caller, std::string_view kind, std::string_view ref,
              model::TaskArgs args, Conditions conditions, Answered done);
  void verb(const Caller& caller, const model::Verb& verb, std::string_view ref,
            model::TaskArgs args, Conditions conditions, Answered done);
  void cancel_task(const Caller& caller, std::string_view id, Conditions conditions, Answered done);
  // Somebody knows of it; saying so again changes nothing.
  void acknowledge_alarm(const Caller& caller, std::string_view id, Conditions conditions,
                         Answered done);
  // Only where an event has begun it: what holds is cleared by mending it.
  void clear_alarm(const Caller& caller, std::string_view id, Conditions conditions, Answered done);
  // Asks every connected host's libvirt for the CPU all can offer, and sets it as the cluster's
  // baseline.
  void set_baseline(const Caller& caller, std::string_view cluster, Conditions conditions,
                    Answered done);

  // The folder that decides who may see or touch an object: its own, or "" for kinds without one.
  static std::string folder_of(std::string_view kind, const void* object);

 private:
  void create_vm(const Caller& caller, std::string body, bool start, Conditions conditions,
                 Answered done);
  void patch_vm(const Caller& caller, std::string_view ref, const std::string& body,
                Conditions conditions, Answered done);
  void remove_vm(const Caller& caller, std::string_view ref, model::TaskArgs args,
                 Conditions conditions, Answered done);
  void remove_token(const Caller& caller, std::string_view ref, Conditions conditions,
                    Answered done);
  void host_verb(const Caller& caller, const model::Verb& verb, std::string_view ref,
                 model::TaskArgs args, Conditions conditions, Answered done);
  // What it would do now, or what speaks against it.
  Result<std::string> foresee(const model::Verb& verb, const model::Host& host) const;
  void adopt(const Caller& caller, const model::Host& host, model::TaskArgs args,
             Conditions conditions, Answered done);
  void plan_and_submit(const Caller& caller, const model::Vm& vm, model::Task task,
                       Conditions conditions, Answered done);
  void submit(const Caller& caller, model::Task task, Changes changes, Answered done);
  // What to say to whoever wants something of a VM that is not there yet; empty: it is.
  std::string creation_that_waits(const model::Vm& vm) const;
  void cancel_waiting_start(Changes& changes, const std::string& id) const;
  void check_on_target(const model::Vm& vm, const model::Host& target, const std::string& datastore,
                       Done<std::vector<std::string>> done);
  template <class T>
  void create_plain(const Caller& caller, const std::string& body, Conditions conditions,
                    Answered done);
  template <class T>
  void patch_plain(const Caller& caller, std::string_view ref, const std::string& body,
                   Conditions conditions, Answered done);
  template <class T, class Check>
  void remove_plain(const Caller& caller, std::string_view ref, Conditions conditions, Check check,
                    Answered done);
  template <class T>
  void commit_object(const Caller& caller, T object, std::string_view verb, Answered done);
  // The rules of a kind beyond its fields; names become ids. `before` is null for a new object,
  // which has its id already.
  Problems prepare(model::Datastore& object, const model::Datastore* before) const;
  Problems prepare(model::Network& object, const model::Network* before) const;
  Problems prepare(model::User& object, const model::User* before) const;
  Problems prepare(model::Host& object, const model::Host* before) const;
  void seal_bmc(model::Host& host, const model::BmcSpec& before, Problems& problems) const;
  Problems prepare(model::Cluster& object, const model::Cluster* before) const;
  Problems prepare(model::Pool& object, const model::Pool* before) const;
  Problems prepare(model::Rule& object, const model::Rule* before) const;
  Problems prepare(model::Webhook& object, const model::Webhook* before) const;
  Result<> may_work_on(const Caller& caller, const model::Alarm& alarm) const;
  void commit_alarm(model::Alarm alarm, Answered done);
  Problems prepare_vm(const Caller& caller, model::Vm& vm, const model::Vm* before) const;
  // That the VM's pool is of that host's cluster.
  Problems check_pool_of(const model::Vm& vm, const std::string& host) const;
  // What a task on a VM would promise: that the cluster can keep it.
  Problems promised(const model::Vm& vm, const model::Task& task) const;
  // Whether it may go.
  Result<> host_may_go(const model::Host& host, bool force) const;
  Result<> cluster_may_go(const model::Cluster& cluster) const;
  void remove_pool(const Caller& caller, std::string_view ref, bool move_up, Conditions conditions,
                   Answered done);
  void move_up_and_remove(const Caller& caller, const std::string& pool, Answered done);
  template <class T>
  void told_of(const std::string& id, bool removed);
  void hash_and_commit(const Caller& caller, model::User user, std::string_view verb,
                       Answered done);
  std::string domain_name(const model::Vm& vm) const;
  std::string make_uuid() { return identities_.uuid(); }
  std::uint32_t random32() { return identities_.random32(); }

  Engine& engine_;
  World& world_;
  Agents& agents_;
  Identities identities_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chorok::manager
