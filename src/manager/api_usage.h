// What handlers of usage and energy share. Not for other folders.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "manager/api_core.h"
#include "ports/history.h"

namespace chorok::manager {

// From the parameters from, to and step; a step that nobody asked for is a round one.
Result<ports::HistoryQuery> query_of(const Call& call);
Result<ports::History*> history_of(const Call& call);
// What all series whose names begin so used in that time.
net::Async<std::map<std::string, ports::HistoryPoint>> totals_of(ports::History& history,
                                                                 std::string prefix, Time from,
                                                                 Time to);

}  // namespace chorok::manager
