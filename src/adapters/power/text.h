// Reading what tools print, and checking what they are given.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace chorok::adapters::power {

std::string_view trimmed(std::string_view text);
std::vector<std::string_view> lines(std::string_view text);
// The last line with something in it, printable and at most 200 bytes: for a message.
std::string last_line(std::string_view text);

// A host name or address, with nothing that a tool could take for an option or for another field.
Result<> check_address(std::string_view address);
// Some bytes, no control characters, `most` at most. The error's field is `field`.
Result<> check_line(std::string_view text, std::string_view field, std::size_t most);

}  // namespace chorok::adapters::power
