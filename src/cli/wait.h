// Waiting for tasks: follows them by the API's event stream, shows how far they are, says how they
// ended.
#pragma once

#include <vector>

#include "cli/session.h"

namespace chorok::cli {

// The exit code: kTaskFailed when one failed or was cancelled. Tasks are as POST answered them.
Result<int> wait_for_tasks(Session& session, std::vector<Value> tasks);

// What is said of tasks that are not waited for.
void tell_started(Session& session, const std::vector<Value>& tasks);

}  // namespace chorok::cli
