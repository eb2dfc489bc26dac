// Advice as text for a terminal: the sentences first, then the figures they are made of.
#pragma once

#include "advise/report.h"
#include "cli/session.h"

namespace chorok::cli {

void show_advice(Session& session, const advise::AdviceReport& report);
void show_advice(Session& session, const advise::P2vReport& report);

}  // namespace chorok::cli
