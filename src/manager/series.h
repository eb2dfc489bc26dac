// Names of series in the history, and what people call whom they are of.
#pragma once

#include <string>
#include <string_view>

namespace chorok::manager {

// The series of a cluster's vApps: this, and the name that VMs bear in their label `vapp`.
inline std::string vapp_series(const std::string& cluster) {
  return "vapp/" + cluster + "/";
}

// A series' label (ports::HistoryUse): its cluster by id, and its own name.
inline std::string series_label(std::string_view cluster, std::string_view name) {
  return std::string(cluster) + "/" + std::string(name);
}
struct LabelParts {
  std::string cluster;
  std::string name;
};
// Both empty where there is no label, as of what was recorded before there were any.
inline LabelParts parts_of_label(const std::string& label) {
  const std::size_t slash = label.find('/');
  if (slash == std::string::npos) return {};
  return {.cluster = label.substr(0, slash), .name = label.substr(slash + 1)};
}

}  // namespace chorok::manager
