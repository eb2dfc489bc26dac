// Libvirt's errors in Chorok's words: its code decides ours, its text stays, since it names the
// device, file or lock that stood in the way.
#pragma once

#include <concepts>
#include <string>
#include <string_view>

#include "base/result.h"

namespace chorok::adapters::libvirt {

// The Code of a virErrorNumber (libvirt's values, as int so that this header needs no libvirt).
Code code_of(int error_number);
// This thread's last libvirt error, `doing` before it: "cannot start the domain: …".
Unexpected last_error(std::string_view doing);
// The same where the words themselves ask libvirt, which would wipe the error out.
template <std::invocable F>
Unexpected last_error(F words) {
  Unexpected error = last_error(std::string_view());
  error.error().message = words() + ": " + error.error().message;
  return error;
}
// The number of this thread's last libvirt error; 0 when there is none.
int last_error_number();

}  // namespace chorok::adapters::libvirt
