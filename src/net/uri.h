// URLs as Chorok uses them: http(s), ws(s), unix sockets; percent-encoding that refuses what it
// cannot decode.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace chorok::net {

struct Url {
  std::string scheme;        // http, https, ws, wss
  std::string host;          // without brackets
  std::uint16_t port = 0;    // the scheme's own when the text has none
  std::string target = "/";  // path and query, still encoded
  bool is_secure() const { return scheme == "https" || scheme == "wss"; }
  std::string authority() const;  // host[:port] for the Host header
  std::string to_string() const;
  friend bool operator==(const Url&, const Url&) = default;
};
Result<Url> parse_url(std::string_view text);

// Encodes all but RFC 3986's unreserved characters.
std::string percent_encode(std::string_view text);
// kInvalid on a broken escape or an encoded NUL. With `plus_is_space` for queries.
Result<std::string> percent_decode(std::string_view text, bool plus_is_space = false);

using QueryItems = std::vector<std::pair<std::string, std::string>>;
Result<QueryItems> parse_query(std::string_view text);
std::string format_query(const QueryItems& items);

// A request target in origin form ("/a/b%20c?x=1"), split and decoded. Refuses "." and ".."
// segments, an encoded slash that would change the segments, and bytes that do not belong there.
struct Target {
  std::string path;                   // decoded
  std::vector<std::string> segments;  // decoded, without empty ones at either end
  QueryItems query;
};
Result<Target> parse_target(std::string_view text);

}  // namespace chorok::net
