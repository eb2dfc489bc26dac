// Bytes as text and back, and comparing secrets in a time that tells nothing.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace chorok::crypto {

std::string to_hex(std::string_view bytes);  // lower case
Result<std::string> from_hex(std::string_view text);
std::string to_base64(std::string_view bytes);  // RFC 4648 with padding
Result<std::string> from_base64(std::string_view text);

// The time depends on the lengths only.
bool equal_in_constant_time(std::string_view a, std::string_view b);
// Overwrites a secret in a way that the compiler keeps.
void wipe(std::string& secret);

}  // namespace chorok::crypto
