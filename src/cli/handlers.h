// What the commands do; one function each, in the file named beside it.
#pragma once

#include "cli/api.h"
#include "cli/commands.h"
#include "cli/value.h"

namespace chorok::cli {

// list.cc
Result<int> run_list(Session& session, const Invocation& call);
Result<int> run_show(Session& session, const Invocation& call);
// change.cc
// POSTs what was put together and waits where the answer is a task.
Result<int> create_object(Session& session, const Invocation& call, const Value& object);
Result<int> run_create(Session& session, const Invocation& call);
Result<int> run_delete(Session& session, const Invocation& call);
Result<int> run_baseline(Session& session, const Invocation& call);
Result<int> run_bmc(Session& session, const Invocation& call);
Result<int> run_cluster_plan(Session& session, const Invocation& call);
Result<int> run_why(Session& session, const Invocation& call);
// cluster.cc
Result<int> run_cluster_snapshot(Session& session, const Invocation& call);
Result<int> run_pool_tree(Session& session, const Invocation& call);
// edit.cc
Result<int> run_edit(Session& session, const Invocation& call);
// verb.cc
Result<int> run_verb(Session& session, const Invocation& call);
Result<int> run_task_cancel(Session& session, const Invocation& call);
Result<int> run_task_wait(Session& session, const Invocation& call);
// login.cc
Result<int> run_login(Session& session, const Invocation& call);
Result<int> run_logout(Session& session, const Invocation& call);
Result<int> run_context(Session& session, const Invocation& call);
// account.cc
Result<int> run_user_create(Session& session, const Invocation& call);
Result<int> run_passwd(Session& session, const Invocation& call);
Result<int> run_token_create(Session& session, const Invocation& call);
// files.cc
Result<int> run_upload(Session& session, const Invocation& call);
Result<int> run_files(Session& session, const Invocation& call);
Result<int> run_remove_file(Session& session, const Invocation& call);
Result<int> run_backup(Session& session, const Invocation& call);
// console.cc
Result<int> run_console(Session& session, const Invocation& call);
Result<int> run_vnc(Session& session, const Invocation& call);
// status.cc
Result<int> run_status(Session& session, const Invocation& call);
// recommendations.cc
void add_recommendations(std::vector<CommandSpec>& all);
// alarms.cc
void add_alarms(std::vector<CommandSpec>& all);
// usage.cc
void add_usage(std::vector<CommandSpec>& all);
Result<Query> span_query(const Invocation& call);  // of --from, --to, --step
// energy.cc
void add_energy(std::vector<CommandSpec>& all);
// sim.cc
Result<int> run_sim(Session& session, const Invocation& call);
Result<int> run_sim_show(Session& session, const Invocation& call);
Result<int> run_sim_list(Session& session, const Invocation& call);
// sim_sweep.cc
Result<int> run_sim_sweep(Session& session, const Invocation& call);
// advise.cc
CommandSpec advise_command();
// plan.cc
std::vector<CommandSpec> plan_commands();
// misc.cc
Result<int> run_version(Session& session, const Invocation& call);
Result<int> run_explain(Session& session, const Invocation& call);
Result<int> run_api(Session& session, const Invocation& call);
// complete.cc
Result<int> run_completion(Session& session, const Invocation& call);
Result<int> run_complete(Session& session, const Invocation& call);

}  // namespace chorok::cli
