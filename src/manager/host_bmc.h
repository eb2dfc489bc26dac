// What a host's BMC said when the API asked it: GET /api/v1/hosts/{ref}/bmc.
#pragma once

#include "model/power.h"

namespace chorok::manager {

struct HostBmc {
  model::ChassisPower chassis = model::ChassisPower::kUnknown;
  model::PowerCapabilities can;
  static const Type& type();
};

}  // namespace chorok::manager
