// What handlers of usage and energy share. Not for other folders.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "manager/api_core.h"
#include "ports/history.h"

namespace chorok::manager {

// From the parameters from, to and step; a step that nobody asked for is a round one.
Result<ports::HistoryQuery> query_of(const Call& call);
Result<ports::History*> history_of(const Call& call);

}  // namespace chorok::manager
