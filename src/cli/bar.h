// A line on standard error that says how far something is, while it runs on this machine; painted
// on a terminal only, and gone when it is over.
#pragma once

#include <string>
#include <string_view>

#include "cli/session.h"

namespace chorok::cli {

class Bar {
 public:
  // `interrupted`: what Ctrl-C says.
  Bar(Session& session, std::string_view interrupted);
  ~Bar();
  Bar(const Bar&) = delete;
  Bar& operator=(const Bar&) = delete;

  bool paints() const { return paints_; }
  // Share 0 to 1. Paints when the percent or the words change.
  void show(double share, const std::string& words);

 private:
  Terminal& terminal_;
  bool paints_;
  std::string shown_;
};

}  // namespace chorok::cli
