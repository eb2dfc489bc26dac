// Consoles and screens as byte streams. Data comes through libvirt's event loop; nothing is read
// while the loop has 64 KiB that it has not delivered, so a fast guest waits instead of filling our
// memory.
#pragma once

#include <memory>
#include <string>

#include "adapters/libvirt/calls.h"

namespace chorok::adapters::libvirt {

Result<std::unique_ptr<ports::ConsoleStream>> open_console(const Session& session,
                                                           const std::string& uuid);
Result<std::unique_ptr<ports::ConsoleStream>> open_vnc(const Session& session,
                                                       const std::string& uuid);

}  // namespace chorok::adapters::libvirt
