// Plans and reasons as people read them, whether they were made here or by a manager.
#pragma once

#include <string>
#include <vector>

#include "cli/session.h"
#include "policy/check.h"
#include "policy/explain.h"
#include "policy/named_plan.h"

namespace chorok::cli {

void show_violations(Session& session, const std::vector<policy::NamedViolation>& violations);
void show_plan(Session& session, const policy::NamedPlan& plan);
void show_explanation(Session& session, const policy::Explanation& why);
// A few of their names, and how many there are besides.
std::string some_hosts(const std::vector<std::string>& hosts);

}  // namespace chorok::cli
