// Advice as one HTML file that needs nothing else: no script, no font, no picture from elsewhere.
#pragma once

#include <string>

#include "advise/p2v.h"
#include "advise/replay.h"

namespace chorok::advise {

inline constexpr std::size_t kHtmlHosts = 200;  // rows of the hosts' table; JSON has all

std::string html_of(const Advice& advice);
std::string html_of(const P2vPlan& plan);

// "12,345" and "12,345.6": a number with its thousands apart. Digits: 0 to 3.
std::string grouped(double value, int digits = 0);
// "demand 136 h, packing 23 h": why a host stayed on; empty when it did not.
std::string held_text(const HostAdvice& host, std::size_t most = 3);
// The sentence for a reason.
std::string_view hold_text(Hold hold);
std::string_view hold_name(Hold hold);

}  // namespace chorok::advise
