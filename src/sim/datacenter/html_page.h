// What every page of Chorok's reports shares: one file of HTML that refers to nothing outside of
// it, reads on a phone, in the dark and on paper.
#pragma once

#include <string>
#include <string_view>

namespace chorok::sim::datacenter {

// Text from files and people as text: nothing in it is markup. Control characters become spaces.
std::string html_escaped(std::string_view text);
// The whole document around `body`, which is markup.
std::string html_page(std::string_view title, std::string_view body);
// A figure in large letters.
std::string html_card(std::string_view value, std::string_view unit, std::string_view name);

// "12,345" and "12,345.6": a number with its thousands apart. Digits: 0 to 3.
std::string grouped(double value, int digits = 0);

// Of pages with a recording: what the mouse shows, and the heat map.
extern const char* const kHtmlScript;

}  // namespace chorok::sim::datacenter
