// Texts made small (zstd, by libarchive).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace chorok::sqlite {

Result<std::string> pack(std::string_view text);
// At most `bytes_max` come out; more is an error, as is what pack() did not make.
Result<std::string> unpack(std::string_view packed, std::size_t bytes_max);

}  // namespace chorok::sqlite
