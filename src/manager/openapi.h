// The OpenAPI 3.1 document, made from the same tables that route, decode and encode.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "manager/api_routes.h"

namespace chorok::manager {

std::string make_openapi(const std::vector<Route>& routes, std::string_view version);

}  // namespace chorok::manager
