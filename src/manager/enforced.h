// What a VM's host was told to give it, as people see it.
#pragma once

#include <cstdint>
#include <string>

#include "base/reflect.h"

namespace chorok::manager {

struct Enforced {
  std::string host;         // its name
  std::int64_t shares = 0;  // 1000 a vCPU is normal
  std::int64_t limit = 0;   // MHz; 0: none
  std::int64_t memory = 0;  // MiB; 0: all of its own
  bool in_force = false;    // the host has said so
  std::string cpu_why;      // sentences without a subject
  std::string memory_why;
  std::string problem;  // what the host could not do
  static const Type& type();
};

}  // namespace chorok::manager
