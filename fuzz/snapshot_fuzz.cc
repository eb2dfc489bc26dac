// Snapshots come from files that somebody sent: JSON, or Ganeti's htools text. Whatever they say,
// reading must end well; what was read must be written, read and written again to the same bytes;
// and the policies that look at all of it must end well too.
#include <cstdint>
#include <string_view>

#include "model/snapshot_text.h"
#include "policy/check.h"
#include "policy/restart.h"

using namespace chorok;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto snapshot =
      model::looks_like_htools(text) ? model::read_htools(text) : model::read_snapshot(text);
  if (!snapshot) return 0;
  // `count` makes much of few bytes; that it is bounded is a test's matter.
  if (snapshot->vms.size() > 300 || snapshot->hosts.size() > 100) return 0;
  const auto written = model::write_snapshot(*snapshot);
  if (!written) return 0;  // an htools name that cannot be referred to
  const auto again = model::read_snapshot(*written);
  if (again) CHOROK_ASSERT(*model::write_snapshot(*again) == *written);
  (void)policy::check_cluster(*snapshot);
  const model::Index lost[] = {0};
  if (!snapshot->hosts.empty()) (void)policy::plan_restart(*snapshot, lost);
  return 0;
}
