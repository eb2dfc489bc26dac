// How fast hosts copy memory to each other, from what is recorded of each VM's last migration.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "model/vm.h"

namespace chorok::manager {

class LinkSpeed {
 public:
  // Counts for both of its hosts if it says something of their links: a live one of memory alone,
  // large and young enough, that was not held back by its own limit. O(log hosts).
  void see(const model::MigrationStats& migration, Time now);

  // MiB/s of one migration: the median of those to and from the host, as they ran beside others;
  // 0: none is known. O(migrations of the host).
  double of(std::string_view host_name);

 private:
  std::map<std::string, std::vector<double>, std::less<>> seen_;
};

}  // namespace chorok::manager
