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

class Requests {
 public:
  Requests(Engine& engine, World& world, Agents& agents);

  // kind: "vm", "datastore", "network", "user"; body: the kind's JSON.
  void create(const Caller& caller, std::string_view kind, std::string body, bool start,
              Conditions conditions, Answered done);
  // Merge patch.
  void patch(const Caller& caller, std::string_view kind, std::string_view ref, std::string body,
             Conditions conditions, Answered done);
  // args: force, hard, keep_disks.
  void remove(const Caller& caller, std::string_view kind, std::string_view ref,
              model::TaskArgs args, Conditions conditions, Answered done);
  void verb(const Caller& caller, const model::Verb& verb, std::string_view ref,
            model::TaskArgs args, Conditions conditions, Answered done);
  void cancel_task(const Caller& caller, std::string_view id, Conditions conditions, Answered done);
  // Asks every connected host's libvirt for the CPU all can offer, and sets it as the cluster's
  // baseline.
  void set_baseline(const Caller& caller, std::string_view cluster, Conditions conditions,
                    Answered done);

  // The folder that decides who may see or touch an object: its own, or "" for kinds without one.
  static std::string folder_of(std::string_view kind, const void* object);

 private:
  struct Submission;
  void create_vm(const Caller& caller, std::string body, bool start, Conditions conditions,
                 Answered done);
  void submit(const Caller& caller, model::Task task, Changes changes, Answered done);
  void check_on_target(const model::Vm& vm, const model::Host& target,
                       Done<std::vector<std::string>> done);
  template <class T>
  void commit_object(const Caller& caller, T object, std::string_view verb, Answered done);

  Engine& engine_;
  World& world_;
  Agents& agents_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chorok::manager
