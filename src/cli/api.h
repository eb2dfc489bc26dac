// The manager's API as commands use it: JSON values in, JSON values out, problems as Errors. One
// connection, kept while the command runs. Network code stays in api.cc.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/units.h"
#include "cli/value.h"

namespace chorok::net {
class BlockingHttpClient;
struct UploadBody;
}  // namespace chorok::net

namespace chorok::cli {

struct Connection {
  std::string url;  // https://manager:8443
  std::string token;
  std::string ca_pem;                           // empty: the system's CAs
  std::string fingerprint;                      // of the CA, instead of its PEM (on login)
  Duration timeout = std::chrono::seconds(30);  // for an answer; a list of 20,000 takes 0.1 s
};

using Query = std::vector<std::pair<std::string, std::string>>;

struct Call {
  std::string method = "GET";
  std::string path;  // beneath /api/v1, encoded: "/vms/web1"
  Query query;
  std::string body;  // JSON, or empty
  std::string if_match;
};

struct Answer {
  int status = 0;
  std::string etag;
  Value body;
};

struct Change {
  enum class What : std::uint8_t { kPut, kDelete };
  What what = What::kPut;
  std::string kind;
  std::string id;
  Value object;
};

enum class WatchEnd : std::uint8_t {
  kEnough,     // the caller wants no more
  kCompacted,  // not all changes since then are known any more: list again, and go on from there
};

class Api {
 public:
  static Result<std::unique_ptr<Api>> create(Connection connection);
  ~Api();

  // Answers that are problems come as Errors.
  Result<Answer> call(const Call& call);
  Result<Value> get(std::string path, Query query = {});
  // Every row, page after page: {"items", "revision", "total"}.
  Result<Value> list(std::string_view plural, Query query);
  // Calls `each`, which may ask the manager other things, for what changes after `since`, until it
  // returns false. Goes on after the connection broke, for as long as the manager is away less than
  // half a minute; one that was started again remembers no change from before.
  Result<WatchEnd> watch(std::string_view kinds, std::int64_t since,
                         const std::function<bool(const Change&)>& each);
  // The answer's bytes as they come.
  Result<> download(const std::string& path, const std::function<bool(std::string_view)>& each);
  // `sha256`: what the bytes must come to, or empty.
  Result<Answer> upload(const std::string& path, Query query, net::UploadBody body,
                        const std::string& sha256 = {});

  const Connection& connection() const { return connection_; }
  bool has_answered() const { return has_answered_; }
  // HTTP's, of the newest answer; 0 before it.
  int last_status() const { return last_status_; }
  // The CA that the server proved itself by; after a call.
  const std::string& server_ca() const { return server_ca_; }
  net::BlockingHttpClient& client() { return *client_; }
  std::string full_url(std::string_view path, const Query& query = {}) const;

 private:
  Api() = default;
  enum class StreamEnd : std::uint8_t { kWanted, kCompacted, kBroken };
  Result<StreamEnd> watch_once(std::string_view kinds, std::string& since,
                               const std::function<bool(const Change&)>& each, bool& progressed);
  Connection connection_;
  std::string server_ca_;
  bool has_answered_ = false;
  int last_status_ = 0;
  std::unique_ptr<net::BlockingHttpClient> client_;
};

// "/vms/web%201"
std::string ref_path(std::string_view plural, std::string_view ref, std::string_view more = {});

}  // namespace chorok::cli
