// What the .cc files of net share of Asio. Not for other folders.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>
#include <string_view>

#include "net/async.h"

namespace chorok::net {

// Completion as a tuple with the error code first: exceptions would have to be caught at every
// await.
inline constexpr auto kAsTuple = boost::asio::as_tuple(boost::asio::use_awaitable);

Error to_error(const boost::system::error_code& code, std::string_view what);

}  // namespace chorok::net
