// Small words that the HTTP files of net share. Not for other folders.
#pragma once

#include <string>
#include <string_view>

#include "net/http.h"

namespace chorok::net {

bool equals_ignoring_case(std::string_view a, std::string_view b);

// Appends "Name: value\r\n" without the bytes that would end the line: a value must not forge a
// header.
void append_header(std::string& out, std::string_view name, std::string_view value);

}  // namespace chorok::net
