// One HTTPS request to one controller, bounded in size and time. Blocks. For redfish.cc.
#pragma once

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/redfish/redfish.h"
#include "base/result.h"

namespace chorok::adapters::redfish {

struct Reply {
  int status = 0;
  std::string body;
  std::string token;     // X-Auth-Token
  std::string location;  // path
};

struct Request {
  std::string_view method = "GET";
  std::string path;  // absolute, of this controller
  std::string body;  // JSON
  std::string token;
  bool basic = true;  // with user and password
};

class Https {
 public:
  explicit Https(RedfishOptions options) : options_(std::move(options)) {}

  // kUnavailable: nothing was sent. kUnknown: it was, and no whole answer came. Any status is an
  // answer. From several threads at once.
  Result<Reply> send(const Request& request);
  void stop() { stopping_ = true; }
  const RedfishOptions& options() const { return options_; }

 private:
  RedfishOptions options_;
  std::atomic<bool> stopping_ = false;
};

// Lower-case hex without colons; empty for what is no SHA-256.
std::string plain_fingerprint(std::string_view text);

}  // namespace chorok::adapters::redfish
