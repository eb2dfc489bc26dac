// JSON text to Boost.JSON's values, with numbers as they were written. Boost.JSON 1.81 rounds
// doubles wrongly in the last place, so that what one program wrote another would read as something
// else, and not twice the same. For base/json_decode.cc alone; the library is named, not included.
#pragma once

#include <cstddef>
#include <string_view>

namespace boost::json {
class value;
class storage_ptr;
}  // namespace boost::json
namespace boost::system {
class error_code;
}  // namespace boost::system

namespace chorok::json {

// One document at the start of `text`; `used` is how far it was read. On an error the value is
// null.
boost::json::value parse_exactly(std::string_view text, std::size_t max_depth,
                                 const boost::json::storage_ptr& storage, std::size_t& used,
                                 boost::system::error_code& error);

}  // namespace chorok::json
