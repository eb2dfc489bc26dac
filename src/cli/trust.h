// Trust on first use: what CA does the server at this address stand on? Asked once, at login,
// before anything secret is sent; from then on net's TLS checks every connection against it.
#pragma once

#include <string>

#include "base/result.h"
#include "base/units.h"

namespace chorok::cli {

// Lower-case hex SHA-256 of the CA certificate that the server at https://host:port sends along.
// The connection is closed again and nothing is believed of it.
Result<std::string> probe_ca_fingerprint(const std::string& host, std::uint16_t port,
                                         Duration timeout);

}  // namespace chorok::cli
