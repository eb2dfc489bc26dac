// Advice as one HTML file that needs nothing else: no script, no font, no picture from elsewhere.
#pragma once

#include <string>

#include "advise/report.h"

namespace chorok::advise {

inline constexpr std::size_t kHtmlHosts = 200;  // rows of the hosts' table; JSON has all

std::string html_of(const AdviceReport& report);
std::string html_of(const P2vReport& report);

// "demand 136 h, packing 23 h": why a host stayed on; empty when it did not.
std::string held_text(const HostAdvice& host, std::size_t most = 3);
// The sentence for a reason.
std::string_view hold_text(Hold hold);
std::string_view hold_name(Hold hold);

}  // namespace chorok::advise
