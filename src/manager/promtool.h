// For tests: Prometheus' own check of a text of metrics.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

namespace chorok::manager {

inline bool has_promtool() {
  return std::system("command -v promtool >/dev/null 2>&1") == 0;
}

// Its exit code: 0 where nothing is wrong.
inline int promtool_says(const std::string& metrics) {
  const std::string path = testing::TempDir() + "metrics-" + std::to_string(::getpid());
  std::ofstream(path) << metrics;
  const int status = std::system(("promtool check metrics <" + path).c_str());
  std::remove(path.c_str());
  return WEXITSTATUS(status);
}

}  // namespace chorok::manager
