// A power switch made of scripts that an administrator has put on the manager's machine: a switched
// socket, a relay, a management card of a kind that no adapter knows. For a switch named `rack7`
// the folder holds rack7-status (prints `on` or `off`), rack7-on, rack7-off and, where the system
// can be asked to stop, rack7-shutdown. Over the wire comes the name alone (sleep.h has the rules).
#pragma once

#include <memory>
#include <string>

#include "adapters/power/driver.h"
#include "adapters/power/sleep.h"

namespace chorok::adapters::power {

struct HookSwitchOptions {
  std::string name;
  HookOptions hooks;
};

// kInvalid: no name of a script.
Result<std::unique_ptr<PowerDriver>> make_hook_switch(HookSwitchOptions options);

}  // namespace chorok::adapters::power
