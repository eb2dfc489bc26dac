// Libvirt's errors in Chorok's words: its code decides ours, its text stays, since it names the
// device, file or lock that stood in the way.
#pragma once

#include <string_view>

#include "base/result.h"

namespace chorok::adapters::libvirt {

// The Code of a virErrorNumber (libvirt's values, as int so that this header needs no libvirt).
Code code_of(int error_number);
// This thread's last libvirt error, `doing` before it: "cannot start the domain: …".
Unexpected last_error(std::string_view doing);
// The number of this thread's last libvirt error; 0 when there is none.
int last_error_number();

}  // namespace chorok::adapters::libvirt
